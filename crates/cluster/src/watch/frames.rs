//! A watch's answer, line by line, and what a line says.
//!
//! Input: a body as it comes, in chunks of any size. Output: [`Event`]s. A line that never ends is not an event: what was cut
//! off is not applied, and the place of the watch does not move past it.

use crate::kinds::Kind;
use crate::list::{Object, object};
use crate::read::broken;
use crate::words::one_line;
use http_body_util::BodyExt;
use kube::client::Body;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::time::Duration;

/// Longest line: etcd takes objects of 1.5 MiB, and JSON may need six bytes for one.
const MAX_LINE: usize = 16 << 20;

/// What comes next on a watch.
pub(crate) enum Next {
    /// A line.
    Line(Vec<u8>),
    /// The end of the body; `true`: in the middle of a line.
    End(bool),
    /// Nothing came for too long.
    Silence,
    /// The connection broke.
    Broken,
    /// A line is longer than any object.
    TooLong,
}

/// The lines of a body.
pub(crate) struct Lines {
    body: Body,
    buffer: Vec<u8>,
    /// Where the line begins that is not given out yet.
    start: usize,
    /// Up to here there is no end of a line.
    seen: usize,
}

impl Lines {
    pub(crate) fn new(body: Body) -> Self {
        Self { body, buffer: Vec::new(), start: 0, seen: 0 }
    }

    /// The next line, waiting at most `idle` for each chunk.
    pub(crate) async fn next(&mut self, idle: Duration) -> Next {
        loop {
            if let Some(length) = self.buffer[self.seen..].iter().position(|b| *b == b'\n') {
                let line = self.buffer[self.start..self.seen + length].to_vec();
                self.start = self.seen + length + 1;
                self.seen = self.start;
                return Next::Line(line);
            }
            self.buffer.drain(..self.start);
            self.start = 0;
            self.seen = self.buffer.len();
            if self.buffer.len() > MAX_LINE {
                return Next::TooLong;
            }
            match tokio::time::timeout(idle, self.body.frame()).await {
                Err(_) => return Next::Silence,
                Ok(None) => return Next::End(!self.buffer.is_empty()),
                Ok(Some(Err(_))) => return Next::Broken,
                Ok(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
            }
        }
    }
}

/// What a line says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// An object is there as it is given. (Added and modified are one: either may come first.)
    Put(Object, String),
    /// An object is gone.
    Delete(Object, String),
    /// Everything up to this version was sent.
    Bookmark(String),
    /// The server ends the watch: status, after how long to come back, and its words.
    Error(u16, Option<Duration>, String),
}

#[derive(Deserialize)]
struct Frame {
    #[serde(rename = "type")]
    what: String,
    object: Map<String, Value>,
}

/// The event of a line; `Err` says in words why it is none.
pub(crate) fn event(kind: &Kind, api_version: &str, line: &[u8]) -> Result<Event, String> {
    let frame: Frame = serde_json::from_slice(line).map_err(|e| broken(&e))?;
    if frame.what == "ERROR" {
        return Ok(error(&frame.object));
    }
    let version = frame.object.get("metadata").and_then(|m| m.get("resourceVersion")).and_then(Value::as_str);
    let version = version.filter(|v| !v.is_empty()).ok_or("an event without a resourceVersion")?.to_owned();
    if frame.what == "BOOKMARK" {
        return Ok(Event::Bookmark(version));
    }
    let object = object(kind, api_version, frame.object);
    if object.name.is_empty() || object.namespace.is_empty() == kind.namespaced {
        return Err("an event about an object without a name, or in the wrong place".to_owned());
    }
    match frame.what.as_str() {
        "ADDED" | "MODIFIED" => Ok(Event::Put(object, version)),
        "DELETED" => Ok(Event::Delete(object, version)),
        other => Err(format!("an event of the unknown type `{}`", one_line(other))),
    }
}

fn error(status: &Map<String, Value>) -> Event {
    let code = status.get("code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok()).unwrap_or(0);
    let after = status.get("details").and_then(|d| d.get("retryAfterSeconds")).and_then(Value::as_u64);
    let message = status.get("message").and_then(Value::as_str).unwrap_or_default();
    Event::Error(code, after.map(Duration::from_secs), one_line(message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::KINDS;
    use serde_json::json;

    fn of(kind: &str, line: Value) -> Result<Event, String> {
        let kind = KINDS.iter().find(|k| k.kind == kind).unwrap();
        event(kind, "v1", line.to_string().as_bytes())
    }

    fn pod(change: impl FnOnce(&mut Value)) -> Value {
        let mut object = json!({"metadata": {"name": "a", "namespace": "shop", "resourceVersion": "7"}});
        change(&mut object);
        json!({"type": "ADDED", "object": object})
    }

    #[test]
    fn an_event_is_understood_or_refused_with_a_reason() {
        let Ok(Event::Put(object, version)) = of("Pod", pod(|_| {})) else { panic!() };
        assert_eq!((object.namespace.as_str(), object.name.as_str(), version.as_str()), ("shop", "a", "7"));
        assert!(!object.line.contains("resourceVersion"), "a version that changes alone is no change: {}", object.line);
        let mut deleted = pod(|_| {});
        deleted["type"] = "DELETED".into();
        assert!(matches!(of("Pod", deleted.clone()), Ok(Event::Delete(..))));
        deleted["type"] = "RENAMED".into();
        assert_eq!(of("Pod", deleted), Err("an event of the unknown type `RENAMED`".into()));
        let place = "an event about an object without a name, or in the wrong place";
        assert_eq!(of("Pod", pod(|p| p["metadata"]["name"] = json!(null))), Err(place.into()));
        assert_eq!(of("Pod", pod(|p| p["metadata"]["namespace"] = json!(""))), Err(place.into()));
        assert_eq!(of("Node", pod(|_| {})), Err(place.into()));
        for none in [json!(null), json!(""), json!(7)] {
            let got = of("Pod", pod(|p| p["metadata"]["resourceVersion"] = none));
            assert_eq!(got, Err("an event without a resourceVersion".into()));
        }
        for line in [json!([]), json!({"type": "ADDED"}), json!({"object": {}})] {
            assert!(of("Pod", line.clone()).is_err(), "{line}");
        }
    }

    #[test]
    fn errors_and_bookmarks_are_told_apart_from_objects() {
        let status = json!({"code": 429, "message": "too\nmany", "details": {"retryAfterSeconds": 3}});
        let got = of("Pod", json!({"type": "ERROR", "object": status}));
        assert_eq!(got, Ok(Event::Error(429, Some(Duration::from_secs(3)), "too many".into())));
        let bookmark = json!({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "9"}}});
        assert_eq!(of("Pod", bookmark), Ok(Event::Bookmark("9".into())));
    }
}
