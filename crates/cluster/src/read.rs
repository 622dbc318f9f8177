//! Lists every kind of the table, in pages.
//!
//! Input: a [`Client`]. Output: a [`Snapshot`]. One LIST per kind (plus its further pages), across the cluster; where
//! that is forbidden, per namespace. A kind that the server refuses is named in [`Snapshot::unread`] and the rest goes
//! on; a server that cannot be reached, or answers nonsense, ends the reading, because nothing it says is known whole.

use crate::client::{Answer, Client};
use crate::error::AccessError;
use crate::kinds::{KINDS, Kind};
use crate::list::{ListPage, parse};
use crate::slim::slim;
use crate::snapshot::{Snapshot, page};
use crate::words::one_line;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use watertight_model::world::Unread;

/// Objects per page: what kubectl asks for.
pub(crate) const PAGE: usize = 500;
/// How often a list whose continue token has expired is begun again before it is asked for in one piece.
pub(crate) const RESTARTS: u32 = 1;

/// More pages than this are no list of a real cluster (two million objects), but a server that never ends.
pub(crate) const MAX_PAGES: usize = 4_000;

/// What to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// Namespaces to fall back on where a kind may not be listed across the cluster; `None`: the context's own. (A
    /// verdict needs the whole cluster, so the whole cluster is asked for first, whatever this says.)
    pub namespaces: Option<Vec<String>>,
}

/// Reads everything that ingest knows.
///
/// # Errors
/// The server cannot be reached, refuses the credentials, stays overloaded, or answers nonsense.
pub fn read(client: &Client, options: &ReadOptions) -> Result<Snapshot, AccessError> {
    read_kinds(client, options, |_| true, &mut |_, _| {})
}

/// [`read()`], calling `progress` after each page with the kind's name (`networkpolicies.networking.k8s.io`) and the
/// number of objects read so far, of all kinds.
///
/// # Errors
/// As [`read()`].
pub fn read_with_progress(
    client: &Client,
    options: &ReadOptions,
    progress: &mut dyn FnMut(&str, usize),
) -> Result<Snapshot, AccessError> {
    read_kinds(client, options, |_| true, progress)
}

/// Reads the kinds that `wanted` picks.
pub(crate) fn read_kinds(
    client: &Client,
    options: &ReadOptions,
    wanted: impl Fn(&Kind) -> bool,
    progress: &mut dyn FnMut(&str, usize),
) -> Result<Snapshot, AccessError> {
    let mut reader = Reader {
        client,
        served: served(client)?,
        namespaces: options.namespaces.clone().unwrap_or_else(|| vec![client.namespace().to_owned()]),
        pages: Vec::new(),
        unread: Vec::new(),
        objects: 0,
        progress,
    };
    for kind in KINDS.iter().filter(|kind| wanted(kind)) {
        reader.kind(kind)?;
    }
    Ok(Snapshot {
        name: format!("cluster:{}", client.place().context),
        pages: reader.pages,
        unread: reader.unread,
        server_version: client.server_version().map(str::to_owned),
    })
}

/// API groups and their versions, preferred first. `None`: the server does not say.
pub(crate) type Served = Option<BTreeMap<String, Vec<String>>>;

#[derive(Deserialize)]
struct GroupList {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    name: String,
    versions: Vec<GroupVersion>,
    preferred_version: Option<GroupVersion>,
}

#[derive(Deserialize)]
struct GroupVersion {
    version: String,
}

/// Whether the server has come up. Before that it has not all of its kinds, and what it does not have yet must not be taken
/// for absent: policies would be missing, and nobody would say so.
pub(crate) const READY: &str = "/readyz";

/// What an answer at [`READY`] says. A server that does not let us ask, or has no such page, counts as ready.
pub(crate) fn is_ready(answer: &Answer) -> bool {
    answer.status != 429 && answer.status < 500
}

/// Which API groups the server has.
pub(crate) fn served(client: &Client) -> Result<Served, AccessError> {
    const PATH: &str = "/apis";
    let ready = client.get(READY)?;
    if !is_ready(&ready) {
        return Err(client.overloaded(READY, ready.status));
    }
    let answer = client.get(PATH)?;
    if answer.status != 200 {
        return Ok(None);
    }
    groups(&answer).map(Some).map_err(|e| client.bad_answer(PATH, e.to_string()))
}

/// The API groups of an answer.
pub(crate) fn groups(answer: &Answer) -> Result<BTreeMap<String, Vec<String>>, serde_json::Error> {
    let list: GroupList = serde_json::from_slice(&answer.body)?;
    let groups = list.groups.into_iter().map(|group| {
        let preferred = group.preferred_version.into_iter().map(|v| v.version);
        (group.name, preferred.chain(group.versions.into_iter().map(|v| v.version)).collect())
    });
    Ok(groups.collect())
}

/// The versions in which to ask for a kind, best first; `Err`: the group is there in other versions only.
pub(crate) fn versions(kind: &Kind, served: &Served) -> Result<Vec<String>, Vec<String>> {
    let understood = kind.versions.iter().map(|v| (*v).to_owned());
    // The core group is not in the list of groups.
    let Some(groups) = served.as_ref().filter(|_| !kind.group.is_empty()) else {
        return Ok(understood.collect());
    };
    if kind.instead_of.is_some_and(|group| groups.contains_key(group)) {
        return Ok(Vec::new());
    }
    let Some(offered) = groups.get(kind.group) else { return Ok(Vec::new()) };
    let mut both: Vec<String> = understood.filter(|v| offered.contains(v)).collect();
    if both.is_empty() && kind.foreign {
        both.extend(offered.first().cloned());
    }
    if both.is_empty() { Err(offered.clone()) } else { Ok(both) }
}

#[derive(Deserialize)]
struct ResourceList {
    resources: Vec<Resource>,
}

#[derive(Deserialize)]
struct Resource {
    name: String,
}

/// Where a version of a group says which kinds it has.
pub(crate) fn version_path(kind: &Kind, version: &str) -> String {
    format!("/apis/{}/{}", kind.group, escaped(version))
}

/// Whether a version of a group has the kind, by the answer at [`version_path`]. A version that the server does not describe
/// counts, since the kind may be in it.
pub(crate) fn holds(kind: &Kind, answer: &Answer) -> Result<bool, serde_json::Error> {
    if answer.status != 200 {
        return Ok(true);
    }
    let list: ResourceList = serde_json::from_slice(&answer.body)?;
    Ok(list.resources.iter().any(|resource| resource.name == kind.resource))
}

/// Of a group's versions, those that hold the kind: a group that is served need not have every kind of ours.
pub(crate) fn holding(client: &Client, kind: &Kind, mut offered: Vec<String>) -> Result<Vec<String>, AccessError> {
    offered.sort();
    offered.dedup();
    let mut there = Vec::new();
    for version in offered {
        let path = version_path(kind, &version);
        let answer = client.get(&path)?;
        if holds(kind, &answer).map_err(|e| client.bad_answer(&path, e.to_string()))? {
            there.push(version);
        }
    }
    Ok(there)
}

/// What became of one list.
enum Listed {
    /// Every page.
    Whole(Vec<String>),
    /// The server does not have it.
    Absent,
    /// The server refused: 403, or a failure of its own for this kind.
    Refused(u16, String),
}

struct Reader<'a> {
    client: &'a Client,
    served: Served,
    namespaces: Vec<String>,
    pages: Vec<String>,
    unread: Vec<Unread>,
    /// Counted for [`Self::progress`] only: pages of a list that was begun again count twice.
    objects: usize,
    progress: &'a mut dyn FnMut(&str, usize),
}

impl Reader<'_> {
    fn kind(&mut self, kind: &Kind) -> Result<(), AccessError> {
        let versions = match versions(kind, &self.served) {
            Ok(versions) => versions,
            Err(offered) => {
                let there = holding(self.client, kind, offered)?;
                if !there.is_empty() {
                    let why =
                        format!("the server has it in {} only, which is not understood", one_line(&there.join(", ")));
                    self.miss(kind, None, why);
                }
                return Ok(());
            }
        };
        for version in &versions {
            match self.list(kind, version, None)? {
                Listed::Whole(pages) => {
                    self.pages.extend(pages);
                    return Ok(());
                }
                Listed::Absent => {}
                Listed::Refused(403, why) => return self.by_namespace(kind, version, &why),
                Listed::Refused(_, why) => {
                    self.miss(kind, None, why);
                    return Ok(());
                }
            }
        }
        if kind.required {
            self.miss(kind, None, "the server does not have this kind".into());
        }
        Ok(())
    }

    /// The fallback: what may not be listed across the cluster may be readable in the namespaces at hand.
    fn by_namespace(&mut self, kind: &Kind, version: &str, why: &str) -> Result<(), AccessError> {
        if !kind.has_namespaces() {
            self.miss(kind, None, why.to_owned());
            return Ok(());
        }
        let mut found = Vec::new();
        let mut refused = Vec::new();
        for namespace in self.namespaces.clone() {
            let listed = if kind.namespaced {
                self.list(kind, version, Some(&namespace))?
            } else {
                self.one(kind, version, &namespace)?
            };
            match listed {
                Listed::Whole(pages) => {
                    self.pages.extend(pages);
                    found.push(namespace);
                }
                Listed::Absent => refused.push((namespace, "not found".to_owned())),
                Listed::Refused(_, why) => refused.push((namespace, why)),
            }
        }
        let elsewhere = if found.is_empty() { String::new() } else { format!(" (read in {} only)", found.join(", ")) };
        self.miss(kind, None, format!("{why}{elsewhere}"));
        if !found.is_empty() {
            for (namespace, why) in refused {
                self.miss(kind, Some(&namespace), why);
            }
        }
        Ok(())
    }

    fn miss(&mut self, kind: &Kind, namespace: Option<&str>, why: String) {
        self.unread.push(Unread {
            what: kind.full_name().into(),
            namespace: namespace.map(Into::into),
            why: why.into(),
        });
    }

    /// Every page of a list. A continue token that has expired (410) begins it again; if it expires again and again, the
    /// list is asked for in one piece, which cannot expire.
    fn list(&mut self, kind: &Kind, version: &str, namespace: Option<&str>) -> Result<Listed, AccessError> {
        let path = kind.path(version, namespace.map(escaped).as_deref());
        for _ in 0..=RESTARTS {
            match self.pages(kind, version, &path, Some(PAGE))? {
                Listed::Refused(410, _) => {}
                listed => return Ok(listed),
            }
        }
        self.pages(kind, version, &path, None)
    }

    fn pages(&mut self, kind: &Kind, version: &str, path: &str, limit: Option<usize>) -> Result<Listed, AccessError> {
        let mut pages = Vec::new();
        let mut token: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let mut url = path.to_owned();
            if let Some(limit) = limit {
                url.push_str(&format!("?limit={limit}"));
            }
            if let Some(token) = &token {
                url.push_str("&continue=");
                url.push_str(&escaped(token));
            }
            let answer = self.client.get(&url)?;
            match answer.status {
                200 => {}
                404 => return Ok(Listed::Absent),
                status => return Ok(Listed::Refused(status, refusal(status, &answer))),
            }
            let ListPage { items, next, .. } = parse(kind, &kind.api_version(version), &answer.body)
                .map_err(|e| self.client.bad_answer(&url, broken(&e)))?;
            self.objects += items.len();
            (self.progress)(&kind.full_name(), self.objects);
            if !items.is_empty() {
                pages.push(page(items.iter().map(|object| object.line.as_str())));
            }
            match next {
                None => return Ok(Listed::Whole(pages)),
                Some(_) if limit.is_none() => {
                    return Err(self.client.bad_answer(&url, "a list that was asked for whole came in pieces".into()));
                }
                // A server that gives the same page again and again would keep us for ever.
                Some(next) if token.as_ref() == Some(&next) => {
                    return Err(self.client.bad_answer(&url, "the same continue token again".into()));
                }
                Some(next) => token = Some(next),
            }
        }
        Err(self.client.bad_answer(path, format!("more than {MAX_PAGES} pages")))
    }

    /// One object by name, as a page.
    fn one(&self, kind: &Kind, version: &str, name: &str) -> Result<Listed, AccessError> {
        let path = format!("{}/{}", kind.path(version, None), escaped(name));
        let answer = self.client.get(&path)?;
        match answer.status {
            200 => {
                let object: Map<String, Value> =
                    serde_json::from_slice(&answer.body).map_err(|e| self.client.bad_answer(&path, broken(&e)))?;
                let line = slim(kind.shape, &kind.api_version(version), kind.kind, object).to_string();
                Ok(Listed::Whole(vec![page(std::iter::once(line.as_str()))]))
            }
            404 => Ok(Listed::Absent),
            status => Ok(Listed::Refused(status, refusal(status, &answer))),
        }
    }
}

/// What a `Status` object says, in words.
pub(crate) fn refusal(status: u16, answer: &Answer) -> String {
    #[derive(Deserialize)]
    struct Status {
        message: Option<String>,
    }
    let said = serde_json::from_slice::<Status>(&answer.body).ok().and_then(|s| s.message);
    match (status, said) {
        (403, Some(said)) => format!("forbidden: {}", one_line(&said)),
        (403, None) => "forbidden".into(),
        (_, Some(said)) => format!("status {status}: {}", one_line(&said)),
        (_, None) => format!("status {status}"),
    }
}

/// Where JSON breaks; its text is not quoted.
pub(crate) fn broken(error: &serde_json::Error) -> String {
    let what = if error.is_eof() { "it ends in the middle" } else { "not a list of objects in JSON" };
    format!("{what} (line {}, column {})", error.line(), error.column())
}

/// A continue token or a name, for a URL.
pub(crate) fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            other => out.push_str(&format!("%{other:02X}")),
        }
        out
    })
}
