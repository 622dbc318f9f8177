//! Puts the plugin into a node: the program into the folder of plugins, a line at the end of the network's list; and takes both out.
//!
//! In: two folders of the host. Out: the same with the plugin, or without. A list is replaced as a whole (written beside it,
//! then renamed), so that a runtime reads the old one or the new one. The program is there before the list names it, and goes after.

use serde_json::{Map, Value};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The plugin's name, in lists and as a file.
const NAME: &str = "watertight-cni";

/// Where to install.
#[derive(Clone, Debug)]
pub struct Node {
    /// This program.
    pub program: PathBuf,
    /// The host's folder of plugins.
    pub bin: PathBuf,
    /// The host's folder of lists.
    pub conf: PathBuf,
    /// The node's name: whose agent to ask.
    pub name: Option<String>,
    /// Pods begin also when no agent answers.
    pub fail_open: bool,
}

/// Puts it in; says what is there now.
///
/// # Errors
/// In words: there is no list to put it into, or a file that cannot be written.
pub fn install(node: &Node) -> Result<String, String> {
    copy(&node.program, &node.bin.join(NAME))?;
    let path = first(&node.conf)?;
    let mut list = read(&path)?;
    let mut entry = Map::from_iter([("type".to_owned(), Value::from(NAME))]);
    if let Some(name) = &node.name {
        entry.insert("node".to_owned(), name.as_str().into());
    }
    if node.fail_open {
        entry.insert("failOpen".to_owned(), true.into());
    }
    let entry = Value::Object(entry);
    let shown = path.display();
    let plugins = plugins(&mut list).ok_or_else(|| format!("{shown} has no list of plugins"))?;
    // The last one: what comes after it could change what was isolated.
    if plugins.last() != Some(&entry) {
        plugins.retain(|p| !ours(p));
        if plugins.is_empty() {
            return Err(format!("{shown} has no plugin that makes a network"));
        }
        plugins.push(entry);
        replace(&path, &list)?;
    }
    Ok(format!("the pod-start gate is in {shown}"))
}

/// Takes it out of every list; says from where.
///
/// # Errors
/// In words: a file that cannot be written.
pub fn remove(node: &Node) -> Result<Vec<String>, String> {
    let mut out = Vec::new();
    for path in lists(&node.conf).into_iter().filter(|p| is(p, "conflist")) {
        // A list that cannot be read has nothing of ours that a runtime could read.
        let Ok(mut list) = read(&path) else { continue };
        if let Some(plugins) = plugins(&mut list)
            && plugins.iter().any(ours)
        {
            plugins.retain(|p| !ours(p));
            replace(&path, &list)?;
            out.push(format!("the pod-start gate is no more in {}", path.display()));
        }
    }
    let program = node.bin.join(NAME);
    match std::fs::remove_file(&program) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("removing {}: {error}", program.display()))
        }
        _ => Ok(out),
    }
}

fn ours(plugin: &Value) -> bool {
    plugin["type"] == NAME
}

fn plugins(list: &mut Value) -> Option<&mut Vec<Value>> {
    list.get_mut("plugins")?.as_array_mut()
}

fn is(path: &Path, ending: &str) -> bool {
    path.extension().is_some_and(|e| e == ending)
}

/// Configurations, in the order in which runtimes try them.
fn lists(conf: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(conf).into_iter().flatten().flatten();
    let mut all: Vec<PathBuf> =
        entries.map(|e| e.path()).filter(|p| ["conf", "conflist", "json"].iter().any(|e| is(p, e))).collect();
    all.sort();
    all
}

/// The one that runtimes use.
fn first(conf: &Path) -> Result<PathBuf, String> {
    match lists(conf).into_iter().next() {
        None => Err(format!("there is no network in {} yet", conf.display())),
        Some(path) if is(&path, "conflist") => Ok(path),
        Some(path) => Err(format!(
            "{} has a single plugin, which no other can follow: make it a list (`conflist`)",
            path.display()
        )),
    }
}

fn read(path: &Path) -> Result<Value, String> {
    let text = std::fs::read(path).map_err(|e| format!("reading {}: {e}", path.display()))?;
    serde_json::from_slice(&text).map_err(|e| format!("{} is not understood: {e}", path.display()))
}

fn replace(path: &Path, list: &Value) -> Result<(), String> {
    let mut text = serde_json::to_vec_pretty(list).map_err(|e| e.to_string())?;
    text.push(b'\n');
    written(path, &text, None)
}

/// The program, if it is not there already.
fn copy(from: &Path, to: &Path) -> Result<(), String> {
    let bytes = std::fs::read(from).map_err(|e| format!("reading {}: {e}", from.display()))?;
    if std::fs::read(to).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    written(to, &bytes, Some(0o755))
}

/// All or nothing. Its name begins with a dot and has another ending until it is whole.
fn written(path: &Path, bytes: &[u8], mode: Option<u32>) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt;
    let failed = |e: std::io::Error| format!("writing {}: {e}", path.display());
    let name = path.file_name().and_then(|n| n.to_str()).unwrap_or(NAME);
    let next = path.with_file_name(format!(".{name}.watertight-new"));
    let mode = match mode {
        Some(mode) => mode,
        // As it was: some networks keep others from reading it.
        None => std::fs::metadata(path).map_err(failed)?.permissions().mode(),
    };
    let mut file = File::create(&next).map_err(failed)?;
    let done = file
        .set_permissions(std::fs::Permissions::from_mode(mode))
        .and_then(|()| file.write_all(bytes))
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::rename(&next, path));
    done.map_err(|e| {
        // It did not work; what is left of it is of no use.
        let _ = std::fs::remove_file(&next);
        failed(e)
    })
}

#[cfg(test)]
mod tests;
