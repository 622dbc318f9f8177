//! An API server of a few lines on a local port: discovery, paged lists, and any misbehaviour a test asks for.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use watertight_cluster::{Access, Environment, Timeouts};

/// One request: `GET /api/v1/pods?limit=500`, and its body.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: String,
    pub(crate) body: String,
}

/// What to answer.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// Status, extra header lines, body.
    Full(u16, Vec<String>, String),
    /// Promises more bytes than it sends.
    CutOff(String),
    /// Body in chunks of one byte.
    Bytewise(String),
    /// Closes without a word.
    Hangup,
    /// Says nothing.
    Silence,
    /// A watch, as it goes.
    Watch(crate::etcd::Feed),
}

pub(crate) fn status(code: u16, message: &str) -> Reply {
    let body = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code});
    Reply::Full(code, Vec::new(), body.to_string())
}

pub(crate) fn ok(body: impl ToString) -> Reply {
    Reply::Full(200, Vec::new(), body.to_string())
}

type Rule = Box<dyn Fn(&Asked, usize) -> Option<Reply> + Send>;

/// What the cluster holds, and how it misbehaves.
#[derive(Default)]
pub(crate) struct Cluster {
    /// List path (`/api/v1/pods`) to objects.
    pub(crate) lists: BTreeMap<String, Vec<Value>>,
    /// API groups beyond the built-in ones: name, versions.
    pub(crate) groups: Vec<(String, Vec<String>)>,
    /// Asked before the lists; the number counts requests of the same path before this one.
    pub(crate) rules: Vec<Rule>,
}

impl Cluster {
    pub(crate) fn new() -> Self {
        Self::default().with("/api/v1/namespaces", vec![json!({"metadata": {"name": "shop", "labels": {"a": "b"}}})])
    }

    pub(crate) fn with(mut self, path: &str, objects: Vec<Value>) -> Self {
        self.lists.insert(path.into(), objects);
        self
    }

    pub(crate) fn group(mut self, name: &str, versions: &[&str]) -> Self {
        self.groups.push((name.into(), versions.iter().map(|v| (*v).into()).collect()));
        self
    }

    pub(crate) fn rule(mut self, rule: impl Fn(&Asked, usize) -> Option<Reply> + Send + 'static) -> Self {
        self.rules.push(Box::new(rule));
        self
    }

    /// The first `times` requests whose path is this get this reply.
    pub(crate) fn reply(self, path: &str, times: usize, reply: Reply) -> Self {
        let path = path.to_owned();
        self.rule(move |asked, nth| (asked.path == path && nth < times).then(|| reply.clone()))
    }

    /// Lists in one namespace and across the cluster are answered from the same objects.
    fn answer(&self, asked: &Asked, nth: usize) -> Reply {
        if let Some(reply) = self.rules.iter().find_map(|rule| rule(asked, nth)) {
            return reply;
        }
        if asked.path == "/version" {
            return ok(json!({"major": "1", "minor": "37", "gitVersion": "v1.37.1"}));
        }
        if asked.path == "/apis" {
            return ok(self.discovery());
        }
        if asked.path.ends_with("/selfsubjectaccessreviews") {
            return ok(json!({"status": {"allowed": true}}));
        }
        let (path, namespace) = whole(&asked.path);
        if let Some(objects) = self.lists.get(&path) {
            let of = |o: &&Value| namespace.as_ref().is_none_or(|n| o["metadata"]["namespace"] == **n);
            return list(&objects.iter().filter(of).cloned().collect::<Vec<_>>(), &asked.query);
        }
        if let Some((parent, name)) = asked.path.rsplit_once('/')
            && let Some(found) = self.lists.get(parent).and_then(|l| l.iter().find(|o| o["metadata"]["name"] == *name))
        {
            return ok(found);
        }
        let builtin = [
            "/api/v1/",
            "/apis/apps/v1/",
            "/apis/batch/v1/",
            "/apis/networking.k8s.io/v1/",
            "/apis/discovery.k8s.io/v1/",
        ];
        if builtin.iter().any(|prefix| asked.path.starts_with(prefix)) {
            return ok(json!({"kind": "XList", "apiVersion": "v1", "metadata": {}, "items": null}));
        }
        status(404, "the server could not find the requested resource")
    }

    fn discovery(&self) -> Value {
        let builtin = ["apps", "batch", "networking.k8s.io", "discovery.k8s.io", "authorization.k8s.io"];
        let builtin = builtin.iter().map(|g| ((*g).to_owned(), vec!["v1".to_owned()]));
        let groups: Vec<Value> = builtin
            .chain(self.groups.iter().cloned())
            .map(|(name, versions)| {
                let versions: Vec<Value> =
                    versions.iter().map(|v| json!({"groupVersion": format!("{name}/{v}"), "version": v})).collect();
                json!({"name": name, "preferredVersion": versions[0], "versions": versions})
            })
            .collect();
        json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
    }
}

/// `/api/v1/namespaces/shop/pods` is `/api/v1/pods`, in `shop`.
fn whole(path: &str) -> (String, Option<String>) {
    let parts: Vec<&str> = path.split('/').collect();
    match parts.iter().position(|p| *p == "namespaces") {
        Some(i) if parts.len() == i + 3 => {
            ([&parts[..i], &parts[i + 2..]].concat().join("/"), Some(parts[i + 1].to_owned()))
        }
        _ => (path.to_owned(), None),
    }
}

/// A page: `continue` is the number of objects already given.
fn list(objects: &[Value], query: &str) -> Reply {
    let value =
        |key: &str| query.split('&').find_map(|p| p.strip_prefix(key)?.strip_prefix('=')?.parse::<usize>().ok());
    let start = value("continue").unwrap_or(0).min(objects.len());
    let end = value("limit").map_or(objects.len(), |limit| (start + limit).min(objects.len()));
    let next = if end < objects.len() { end.to_string() } else { String::new() };
    // As in a typed list: items have neither kind nor apiVersion.
    ok(json!({"kind": "XList", "apiVersion": "v1", "metadata": {"continue": next, "resourceVersion": "1"},
        "items": objects[start..end]}))
}

/// A running server; it stops with the process.
pub(crate) struct Fake {
    pub(crate) port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
    cluster: Arc<Mutex<Cluster>>,
}

impl Fake {
    pub(crate) fn start(cluster: Cluster) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").unwrap(), cluster)
    }

    pub(crate) fn on(listener: TcpListener, cluster: Cluster) -> Self {
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::new(Mutex::new(cluster));
        let log = Arc::clone(&asked);
        let cluster = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (shared, log) = (Arc::clone(&shared), Arc::clone(&log));
                let stream = stream.unwrap();
                std::thread::spawn(move || {
                    let writer = stream.try_clone().unwrap();
                    serve(stream, writer, &shared, &log)
                });
            }
        });
        Self { port, asked, cluster }
    }

    /// Changes how the server behaves from now on.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Cluster)) {
        change(&mut self.cluster.lock().unwrap());
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// How often this path was asked for, whatever the query.
    pub(crate) fn times(&self, path: &str) -> usize {
        self.asked().iter().filter(|a| a.path == path).count()
    }
}

pub(crate) fn serve(reader: impl Read, mut writer: impl Write, cluster: &Mutex<Cluster>, log: &Mutex<Vec<Asked>>) {
    let mut reader = BufReader::new(reader);
    while let Some(asked) = next_request(&mut reader) {
        let nth = {
            let mut log = log.lock().unwrap();
            log.push(asked.clone());
            log.iter().filter(|a| a.path == asked.path).count() - 1
        };
        let reply = cluster.lock().unwrap().answer(&asked, nth);
        if !send(&mut writer, reply) {
            return;
        }
    }
}

fn next_request(reader: &mut impl BufRead) -> Option<Asked> {
    let mut first = String::new();
    reader.read_line(&mut first).ok().filter(|n| *n > 0)?;
    let mut words = first.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = String::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        headers.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let body = String::from_utf8(body).unwrap();
    Some(Asked { method, path: path.into(), query: query.into(), headers, body })
}

/// True if the connection can take another request.
fn send(stream: &mut impl Write, reply: Reply) -> bool {
    match reply {
        Reply::Full(status, headers, body) => {
            let headers: String = headers.iter().map(|h| format!("{h}\r\n")).collect();
            // In one write: two would wait for each other (Nagle, delayed acknowledgement).
            let length = body.len();
            let head = format!("HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{headers}");
            stream.write_all(format!("{head}Content-Length: {length}\r\n\r\n{body}").as_bytes()).is_ok()
        }
        Reply::CutOff(body) => {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len() + 100);
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
            false
        }
        Reply::Bytewise(body) => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
            for byte in body.bytes() {
                stream.write_all(&[b'1', b'\r', b'\n', byte, b'\r', b'\n']).unwrap();
            }
            stream.write_all(b"0\r\n\r\n").is_ok()
        }
        Reply::Watch(mut feed) => {
            if stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").is_err() {
                return false;
            }
            while let Some(bytes) = feed.next() {
                let chunk = [format!("{:x}\r\n", bytes.len()).as_bytes(), &bytes, b"\r\n"].concat();
                if !bytes.is_empty() && stream.write_all(&chunk).is_err() {
                    return false;
                }
            }
            stream.write_all(b"0\r\n\r\n").is_ok()
        }
        Reply::Hangup => false,
        Reply::Silence => {
            std::thread::sleep(Duration::from_secs(30));
            false
        }
    }
}

/// A kubeconfig in a directory of its own.
pub(crate) struct Home {
    pub(crate) dir: tempfile::TempDir,
}

/// No token of a test kubeconfig may occur in an error.
pub(crate) const TOKEN: &str = "s3cr3t-t0ken";

impl Home {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Writes the kubeconfig and gives access to it.
    pub(crate) fn access(&self, text: &str) -> Access {
        access(Some(self.file("config", text)))
    }

    pub(crate) fn to(&self, server: &str) -> Access {
        self.access(&kubeconfig(server, "token: s3cr3t-t0ken"))
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }
}

/// Access with nothing from this process's environment, and short waits.
pub(crate) fn access(kubeconfig: Option<PathBuf>) -> Access {
    Access {
        kubeconfig,
        context: None,
        environment: Environment::default(),
        timeouts: Timeouts {
            connect: Duration::from_secs(5),
            call: Duration::from_secs(10),
            plugin: Duration::from_secs(5),
            backoff: Duration::from_millis(2),
            retry_after: Duration::from_secs(3),
        },
    }
}

/// One context `main`, in namespace `shop`.
pub(crate) fn kubeconfig(server: &str, user: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: main\n\
         contexts:\n- name: main\n  context: {{cluster: c, user: u, namespace: shop}}\n\
         clusters:\n- name: c\n  cluster:\n    server: {server}\n\
         users:\n- name: u\n  user:\n    {user}\n"
    )
}

pub(crate) fn pod(namespace: &str, name: &str) -> Value {
    json!({
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": name}, "managedFields": [{"manager": "x"}]},
        "spec": {"containers": [{"name": "c", "image": "i", "env": [{"name": "PASSWORD", "value": "hunter2"}]}]},
        "status": {"phase": "Running", "podIP": "10.0.0.1"},
    })
}

pub(crate) fn connection(fake: &Fake) -> (Home, watertight_cluster::Client) {
    let home = Home::new();
    let client = watertight_cluster::connect(&home.to(&format!("http://127.0.0.1:{}", fake.port))).unwrap();
    (home, client)
}

pub(crate) fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
