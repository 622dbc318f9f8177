//! What an API server keeps: objects with versions, and a log of changes that watches are fed from, until it is compacted.

use crate::fake::{Asked, Cluster, Reply, ok, status};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

pub(crate) const NAMESPACES: &str = "/api/v1/namespaces";
pub(crate) const NODES: &str = "/api/v1/nodes";
pub(crate) const PODS: &str = "/api/v1/pods";
pub(crate) const POLICIES: &str = "/apis/networking.k8s.io/v1/networkpolicies";

/// Objects by list path, then namespace and name.
type Objects = BTreeMap<(String, String, String), Value>;

#[derive(Default)]
struct Inner {
    objects: Objects,
    version: u64,
    /// Path, version, line.
    log: Vec<(String, u64, Vec<u8>)>,
    /// Versions up to here are forgotten.
    compacted: u64,
    /// Open watches of an older generation end.
    generation: u64,
}

#[derive(Clone, Default)]
pub(crate) struct Etcd(Arc<(Mutex<Inner>, Condvar)>);

impl Etcd {
    fn change(&self, change: impl FnOnce(&mut Inner)) {
        change(&mut self.0.0.lock().unwrap());
        self.0.1.notify_all();
    }

    /// Creates or replaces an object.
    pub(crate) fn put(&self, path: &str, object: &Value) {
        self.change(|inner| inner.put(path, object));
    }

    pub(crate) fn delete(&self, path: &str, object: &Value) {
        self.change(|inner| inner.delete(path, object));
    }

    /// Sends bytes on the open watch of a path, and on those that begin before this moment's version.
    pub(crate) fn raw(&self, path: &str, bytes: &[u8]) {
        self.change(|inner| {
            inner.version += 1;
            let version = inner.version;
            inner.log.push((path.to_owned(), version, bytes.to_vec()));
        });
    }

    /// Sends an event as it is given, whatever the objects are.
    pub(crate) fn event(&self, path: &str, what: &str, object: &Value) {
        self.change(|inner| {
            inner.version += 1;
            inner.send(path, what, object.clone());
        });
    }

    /// A bookmark.
    pub(crate) fn bookmark(&self, path: &str) {
        self.event(path, "BOOKMARK", &json!({"metadata": {}}));
    }

    /// Ends all open watches.
    pub(crate) fn cut(&self) {
        self.change(|inner| inner.generation += 1);
    }

    /// Forgets the log: whoever watches from an older version is told 410.
    pub(crate) fn compact(&self) {
        self.change(|inner| {
            inner.version += 1;
            inner.compacted = inner.version;
            inner.log.clear();
        });
    }

    /// Changes objects as if nobody had been watching, and forgets how.
    pub(crate) fn behind_its_back(&self, change: impl FnOnce(&Self)) {
        change(self);
        self.compact();
        self.cut();
    }

    /// A server with these objects.
    pub(crate) fn cluster(&self) -> Cluster {
        let etcd = self.clone();
        Cluster::default().rule(move |asked, _| etcd.answer(asked))
    }

    fn answer(&self, asked: &Asked) -> Option<Reply> {
        let builtin = asked.path.starts_with("/api/v1/")
            || ["apps", "batch", "networking.k8s.io", "discovery.k8s.io"]
                .iter()
                .any(|group| asked.path.starts_with(&format!("/apis/{group}/v1/")));
        let inner = self.0.0.lock().unwrap();
        let known = inner.objects.keys().any(|(path, ..)| *path == asked.path);
        if !builtin && !known {
            return None;
        }
        let value = |key: &str| asked.query.split('&').find_map(|p| p.strip_prefix(key)?.strip_prefix('='));
        if value("watch").is_none() {
            let items: Vec<&Value> =
                inner.objects.iter().filter(|((path, ..), _)| *path == asked.path).map(|(_, o)| o).collect();
            let version = inner.version.to_string();
            return Some(ok(json!({"kind": "XList", "metadata": {"resourceVersion": version}, "items": items})));
        }
        let from: u64 = value("resourceVersion").unwrap().parse().unwrap();
        if from < inner.compacted {
            return Some(status(410, "too old resource version"));
        }
        let feed = Feed { etcd: self.clone(), path: asked.path.clone(), at: from, generation: inner.generation };
        Some(Reply::Watch(feed))
    }
}

impl Inner {
    fn put(&mut self, path: &str, object: &Value) {
        self.version += 1;
        let mut object = object.clone();
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        let old = self.objects.insert(key(path, &object), object.clone());
        self.send(path, if old.is_some() { "MODIFIED" } else { "ADDED" }, object);
    }

    fn delete(&mut self, path: &str, object: &Value) {
        self.version += 1;
        if let Some(last) = self.objects.remove(&key(path, object)) {
            self.send(path, "DELETED", last);
        }
    }

    fn send(&mut self, path: &str, what: &str, mut object: Value) {
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        let line = format!("{}\n", json!({"type": what, "object": object}));
        self.log.push((path.to_owned(), self.version, line.into_bytes()));
    }
}

fn key(path: &str, object: &Value) -> (String, String, String) {
    let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
    (path.to_owned(), text("namespace"), text("name"))
}

/// One watch.
#[derive(Clone)]
pub(crate) struct Feed {
    etcd: Etcd,
    path: String,
    at: u64,
    generation: u64,
}

impl std::fmt::Debug for Feed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Feed({} from {})", self.path, self.at)
    }
}

impl Feed {
    /// What to send next; `None`: the watch ends. (Empty: nothing yet.)
    pub(crate) fn next(&mut self) -> Option<Vec<u8>> {
        let mut inner = self.etcd.0.0.lock().unwrap();
        loop {
            if inner.generation != self.generation {
                return None;
            }
            let mut bytes = Vec::new();
            for (path, version, line) in inner.log.iter().filter(|(_, version, _)| *version > self.at) {
                if *path == self.path {
                    bytes.extend_from_slice(line);
                }
                let _ = version;
            }
            self.at = inner.log.last().map_or(self.at, |(_, version, _)| self.at.max(*version));
            if !bytes.is_empty() {
                return Some(bytes);
            }
            inner = self.etcd.0.1.wait_timeout(inner, Duration::from_secs(5)).unwrap().0;
        }
    }
}
