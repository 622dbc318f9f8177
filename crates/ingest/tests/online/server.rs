//! The API server of the test cluster, behind `kubectl proxy` on a socket that only this test can reach.

#![allow(dead_code, reason = "each test program uses a part")]

use serde_json::Value;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What the server said to an object.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Accepted,
    /// `field: message` of each cause.
    Refused(Vec<String>),
    /// Not decoded: the first fields in the way, without the indices of lists.
    Unreadable(Vec<String>),
}

pub(crate) struct Server {
    proxy: Child,
    folder: tempfile::TempDir,
}

impl Server {
    /// Of the cluster that `./dev cluster` picks; without one, a failure that says so.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let proxy = Command::new(root().join("testbed/cluster"))
            .args(["kubectl", "proxy", "--unix-socket"])
            .arg(folder.path().join("socket"))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { proxy, folder };
        let limit = Instant::now() + Duration::from_secs(20);
        while server.connect().is_none() {
            assert!(Instant::now() < limit, "no API server: run this with `./dev cluster test`");
            std::thread::sleep(Duration::from_millis(50));
        }
        server
    }

    fn connect(&self) -> Option<UnixStream> {
        UnixStream::connect(self.folder.path().join("socket")).ok()
    }

    /// One request; gives status and body.
    pub(crate) fn send(&self, method: &str, path: &str, kind: &str, body: &str) -> (u16, String) {
        let mut stream = self.connect().unwrap();
        // 1.0: the answer ends with the connection, in one piece.
        let head = format!(
            "{method} {path} HTTP/1.0\r\nHost: localhost\r\nContent-Type: {kind}\r\nAccept: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    /// Creates an object, given as YAML, without keeping it; unknown and duplicate fields are errors.
    pub(crate) fn create(&self, path: &str, object: &str) -> Answer {
        let path = format!("{path}?dryRun=All&fieldValidation=Strict");
        let (code, body) = self.send("POST", &path, "application/yaml", object);
        if code == 201 {
            return Answer::Accepted;
        }
        let status: Value = serde_json::from_str(&body).unwrap_or_else(|e| panic!("{e}: {body}"));
        assert!(matches!(code, 400 | 422), "neither accepted nor refused: {body}");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let Some(causes) = status["details"]["causes"].as_array() else {
            return Answer::Unreadable(undecoded(&text(&status["message"])));
        };
        // Where the schema is violated, rules beyond it are not looked at, and the server says so in a cause of its own.
        let real = causes.iter().filter(|c| !text(&c["message"]).contains("some validation rules were not checked"));
        Answer::Refused(real.map(|c| format!("{}: {}", text(&c["field"]), text(&c["message"]))).collect())
    }
}

/// The fields that a decoding error names, in the three forms that there are.
fn undecoded(message: &str) -> Vec<String> {
    if let Some((_, rest)) = message.split_once(" into Go struct field ") {
        // `NetworkPolicyPort.spec.ingress.ports.port of type int32`
        let path = rest.split(' ').next().unwrap_or_default();
        return vec![path.split_once('.').map_or(path, |(_, path)| path).to_owned()];
    }
    // `strict decoding error: unknown field "spec.x", unknown field "spec.y"`, `... key "podSelector" already set in map`
    let (_, faults) = message.split_once("decoding error: ").unwrap_or_default();
    faults.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.proxy.kill();
        let _ = self.proxy.wait();
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}
