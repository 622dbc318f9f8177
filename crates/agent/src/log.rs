//! What an agent does, one event a line, for machines and for people who look later.
//!
//! In: events of the agent's threads. Out: lines `time level node event fields`, as text or as JSON. It never waits for long and
//! never fails: whoever reads the log may go away, and the agent goes on.

use serde_json::{Map, Value};
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// `2026-01-02T03:04:05.678Z info node-1 applied revision=3 policies=5`
    Text,
    /// The same as one JSON object, with keys `time`, `level`, `node`, `event` and those of the event.
    Json,
}

/// How much an event matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// As it should be.
    Info,
    /// Someone should look: something is not in force, or not known.
    Warn,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Level::Info => "info",
            Level::Warn => "warn",
        }
    }
}

/// Where lines go, shared by threads.
type Out = Arc<Mutex<Box<dyn Write + Send>>>;

/// A log; clones write to the same place.
#[derive(Clone, Default)]
pub struct Log {
    to: Option<(LogFormat, Out)>,
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Log({:?})", self.to.as_ref().map(|(format, _)| format))
    }
}

impl Log {
    /// Nothing is written.
    pub fn off() -> Self {
        Self::default()
    }

    /// Lines go there.
    pub fn new(format: LogFormat, out: Box<dyn Write + Send>) -> Self {
        Self { to: Some((format, Arc::new(Mutex::new(out)))) }
    }

    /// Writes an event. `node` may be empty: it is about all of them.
    pub(crate) fn event(&self, level: Level, node: &str, event: &str, fields: &[(&str, Value)]) {
        let Some((format, out)) = &self.to else { return };
        let line = line(*format, &now(), level, node, event, fields);
        let mut out = out.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody reads it: no reason to stop guarding.
        let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
    }
}

/// UTC, with milliseconds.
fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

fn line(format: LogFormat, time: &str, level: Level, node: &str, event: &str, fields: &[(&str, Value)]) -> String {
    match format {
        LogFormat::Json => {
            let head = [("time", time), ("level", level.name()), ("node", node), ("event", event)];
            let head = head.into_iter().filter(|(_, v)| !v.is_empty()).map(|(k, v)| (k, Value::from(v)));
            let all: Map<String, Value> = head.chain(fields.iter().cloned()).map(|(k, v)| (k.to_owned(), v)).collect();
            format!("{}\n", Value::Object(all))
        }
        LogFormat::Text => {
            let mut line = format!("{time} {}", level.name());
            for word in [node, event].into_iter().filter(|w| !w.is_empty()) {
                line.push(' ');
                line.push_str(&shown(word));
            }
            for (key, value) in fields {
                let value = value.as_str().map_or_else(|| value.to_string(), shown);
                line.push_str(&format!(" {key}={value}"));
            }
            line.push('\n');
            line
        }
    }
}

/// As it is if that is one plain word, else quoted: no text from a cluster can look like a line or a field of ours.
fn shown(text: &str) -> String {
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '=' | '\\');
    if !text.is_empty() && text.chars().all(plain) { text.to_owned() } else { format!("{text:?}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(format: LogFormat, fields: &[(&str, Value)]) -> String {
        line(format, "2026-01-02T03:04:05.678Z", Level::Warn, "node-1", "refused", fields)
    }

    #[test]
    fn an_event_is_one_line_whatever_is_in_it() {
        let hostile = "a\nb\u{1b}[31m \"c\" level=info";
        let fields = [("revision", Value::from(3)), ("why", Value::from(hostile))];
        assert_eq!(
            of(LogFormat::Text, &fields),
            "2026-01-02T03:04:05.678Z warn node-1 refused revision=3 why=\"a\\nb\\u{1b}[31m \\\"c\\\" level=info\"\n"
        );
        let json = of(LogFormat::Json, &fields);
        assert_eq!(json.matches('\n').count(), 1);
        let read: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(
            (&read["level"], &read["node"], &read["event"]),
            (&"warn".into(), &"node-1".into(), &"refused".into())
        );
        assert_eq!((&read["revision"], &read["why"]), (&3.into(), &hostile.into()));
        assert!(!json.contains('\u{1b}'), "no control characters reach a terminal: {json}");
    }

    #[test]
    fn a_word_stays_a_word() {
        assert_eq!(shown("shop/db-0"), "shop/db-0");
        assert_eq!(shown(""), "\"\"");
        assert_eq!(shown("a=b"), "\"a=b\"");
    }

    #[test]
    fn the_time_is_utc_with_milliseconds() {
        let now = now();
        assert!(now.len() == "2026-01-02T03:04:05.678Z".len() && now.ends_with('Z') && &now[10..11] == "T", "{now}");
    }

    #[test]
    fn a_reader_that_is_gone_stops_nothing() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        Log::new(LogFormat::Json, Box::new(Gone)).event(Level::Info, "", "began", &[]);
        Log::off().event(Level::Info, "", "began", &[]);
    }
}
