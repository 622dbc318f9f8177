//! YAML: the same data as the JSON, key by key in the same order.

use serde::Serialize;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use std::fmt::{self, Write as _};
use std::io::{self, Write};
use watertight_model::manifest::scalar;

/// Writes one document.
pub fn write<T: Serialize + ?Sized>(value: &T, out: &mut dyn Write) -> io::Result<()> {
    // By way of JSON text: it keeps the order of keys, and what cannot be JSON cannot be our YAML.
    let text = serde_json::to_vec(value).map_err(io::Error::from)?;
    let node: Node = serde_json::from_slice(&text).map_err(io::Error::from)?;
    let mut yaml = String::new();
    node.block(&mut yaml, 0);
    out.write_all(yaml.as_bytes())
}

/// A value whose keys keep their order.
enum Node {
    Null,
    Bool(bool),
    Number(serde_json::Number),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

impl Node {
    /// Writes the value on lines of its own, each after `depth` steps; scalars after what is there.
    fn block(&self, out: &mut String, depth: usize) {
        match self {
            Node::List(items) if !items.is_empty() => {
                for item in items {
                    pad(out, depth);
                    out.push_str("- ");
                    item.inside(out, depth + 1);
                }
            }
            Node::Map(entries) if !entries.is_empty() => entries.iter().for_each(|entry| {
                pad(out, depth);
                pair(entry, out, depth);
            }),
            _ => self.flow(out),
        }
    }

    /// Writes the value right after a dash: the first key of a map goes on the dash's line.
    fn inside(&self, out: &mut String, depth: usize) {
        match self {
            Node::Map(entries) if !entries.is_empty() => {
                for (i, entry) in entries.iter().enumerate() {
                    if i > 0 {
                        pad(out, depth);
                    }
                    pair(entry, out, depth);
                }
            }
            Node::List(items) if !items.is_empty() => {
                out.push('\n');
                self.block(out, depth);
            }
            _ => self.flow(out),
        }
    }

    fn flow(&self, out: &mut String) {
        // Writing to a String cannot fail.
        let _ = match self {
            Node::Null => writeln!(out, "null"),
            Node::Bool(value) => writeln!(out, "{value}"),
            Node::Number(value) => writeln!(out, "{value}"),
            Node::Text(value) => writeln!(out, "{}", scalar(value)),
            Node::List(_) => writeln!(out, "[]"),
            Node::Map(_) => writeln!(out, "{{}}"),
        };
    }
}

fn pair((key, value): &(String, Node), out: &mut String, depth: usize) {
    out.push_str(&scalar(key));
    out.push(':');
    match value {
        Node::Map(entries) if !entries.is_empty() => {
            out.push('\n');
            value.block(out, depth + 1);
        }
        Node::List(items) if !items.is_empty() => {
            out.push('\n');
            value.block(out, depth);
        }
        Node::Text(text) if text.contains('\n') && literal(text) => {
            out.push_str(if text.ends_with('\n') { " |\n" } else { " |-\n" });
            for line in text.lines() {
                if !line.is_empty() {
                    pad(out, depth + 1);
                }
                out.push_str(line);
                out.push('\n');
            }
        }
        _ => {
            out.push(' ');
            value.flow(out);
        }
    }
}

/// Whether a literal block gives the text back: nothing to escape, no leading space, at most one line break at the end.
fn literal(text: &str) -> bool {
    !text.starts_with([' ', '\n'])
        && !text.ends_with("\n\n")
        && !text
            .chars()
            .any(|c| (c.is_control() && c != '\n') || matches!(c, '\u{feff}' | '\u{2028}' | '\u{2029}' | '\u{85}'))
}

fn pad(out: &mut String, depth: usize) {
    (0..depth).for_each(|_| out.push_str("  "));
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Node;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }

            fn visit_unit<E>(self) -> Result<Node, E> {
                Ok(Node::Null)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
                Ok(Node::Bool(value))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
                Ok(Node::Number(value.into()))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
                Ok(Node::Number(value.into()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
                Ok(serde_json::Number::from_f64(value).map_or(Node::Null, Node::Number))
            }

            fn visit_str<E>(self, value: &str) -> Result<Node, E> {
                Ok(Node::Text(value.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = access.next_element()? {
                    items.push(item);
                }
                Ok(Node::List(items))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = access.next_entry()? {
                    entries.push(entry);
                }
                Ok(Node::Map(entries))
            }
        }
        deserializer.deserialize_any(Any)
    }
}
