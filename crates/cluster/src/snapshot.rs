//! What was read from a cluster, and the file it is saved in.
//!
//! A saved snapshot is one `kind: List` in JSON, one object a line, sorted: an ordinary source for every command. Its
//! first object, `kind: SnapshotInfo`, says where it comes from and what could not be read, so that answers from the
//! file are as incomplete as answers from the cluster, and say so.

use crate::error::AccessError;
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use watertight_model::world::Unread;

/// What was read from a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// `cluster:CONTEXT`: the name of this source in messages.
    pub name: String,
    /// JSON texts, each one page: a `kind: List`, one object a line.
    pub pages: Vec<String>,
    /// What could not be read, in the order of the attempts.
    pub unread: Vec<Unread>,
    /// The server's version, such as `v1.37.1`; `None` if it does not say.
    pub server_version: Option<String>,
}

const HEAD: &str = "{\"apiVersion\":\"v1\",\"kind\":\"List\",\"metadata\":{},\"items\":[";
const TAIL: &str = "\n]}\n";

/// A `kind: List` of these objects, one a line.
pub(crate) fn page<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    let mut text = String::from(HEAD);
    for (i, line) in lines.enumerate() {
        text.push_str(if i == 0 { "\n" } else { ",\n" });
        text.push_str(line);
    }
    text.push_str(TAIL);
    text
}

impl Snapshot {
    /// A page that holds only the `SnapshotInfo`: give it to the reader together with [`Self::pages`], and it knows what
    /// is missing.
    pub fn info_page(&self) -> String {
        page(std::iter::once(self.info(None).as_str()))
    }

    /// The `SnapshotInfo` object. `taken_at` is an RFC 3339 time.
    fn info(&self, taken_at: Option<&str>) -> String {
        let unread = self.unread.iter().map(|u| match &u.namespace {
            Some(namespace) => json!({"what": *u.what, "namespace": **namespace, "why": *u.why}),
            None => json!({"what": *u.what, "why": *u.why}),
        });
        let mut info = json!({
            "apiVersion": "watertight.dev/v1",
            "kind": "SnapshotInfo",
            "metadata": {"name": "snapshot"},
            "context": self.name.strip_prefix("cluster:").unwrap_or(&self.name),
            "unread": unread.collect::<Vec<_>>(),
        });
        for (key, value) in [("serverVersion", self.server_version.as_deref()), ("takenAt", taken_at)] {
            if let Some(value) = value {
                info[key] = value.into();
            }
        }
        info.to_string()
    }

    /// The text that [`save`] writes. `taken_at` is an RFC 3339 time. The same objects give the same text, whatever the
    /// order in which pages brought them.
    ///
    /// # Errors
    /// Only if a page is not what [`crate::read()`] makes.
    pub fn to_text(&self, taken_at: &str) -> Result<String, serde_json::Error> {
        let mut items: Vec<((String, String, String, String), String)> = Vec::new();
        for page in &self.pages {
            let list: Value = serde_json::from_str(page)?;
            for item in list.get("items").and_then(Value::as_array).into_iter().flatten() {
                let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
                let metadata = item.get("metadata");
                let key = (
                    text(item.get("apiVersion")),
                    text(item.get("kind")),
                    text(metadata.and_then(|m| m.get("namespace"))),
                    text(metadata.and_then(|m| m.get("name"))),
                );
                items.push((key, item.to_string()));
            }
        }
        items.sort();
        let info = self.info(Some(taken_at));
        Ok(page(std::iter::once(info.as_str()).chain(items.iter().map(|(_, line)| line.as_str()))))
    }
}

/// Writes a snapshot. The file appears whole or not at all: it is written beside its place and moved there.
///
/// # Errors
/// The file cannot be written.
pub fn save(snapshot: &Snapshot, path: &Path, taken_at: &str) -> Result<(), AccessError> {
    let failed = |why: String| AccessError::Save { file: path.to_owned(), why };
    let text = snapshot.to_text(taken_at).map_err(|e| failed(e.to_string()))?;
    let mut name = path.file_name().ok_or_else(|| failed("not a file name".into()))?.to_owned();
    name.push(format!(".{}.partial", std::process::id()));
    let partial = path.with_file_name(name);
    let write = || {
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        // Whoever can read it knows the inside of the cluster.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&partial)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&partial, path)
    };
    write().map_err(|e| {
        // Best effort: the error that counts is the first.
        let _ = std::fs::remove_file(&partial);
        failed(e.to_string())
    })
}
