//! Graphviz.

use crate::text::clean;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// Nodes in groups, and arrows.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// Name of the graph.
    pub name: &'static str,
    /// Node to (group, label); the group `""` is drawn outside.
    pub nodes: BTreeMap<String, (String, String)>,
    /// From, to, label, dashed.
    pub edges: Vec<(String, String, String, bool)>,
}

impl Graph {
    /// Adds a node if it is new.
    pub fn node(&mut self, id: &str, group: &str, label: &str) {
        self.nodes.entry(id.to_owned()).or_insert_with(|| (group.to_owned(), label.to_owned()));
    }

    /// The graph in the DOT language.
    pub fn text(&self) -> String {
        let mut out = format!("digraph {} {{\n  rankdir=LR;\n  node [shape=box];\n", quoted(self.name));
        let groups: BTreeSet<&str> = self.nodes.values().map(|(group, _)| group.as_str()).collect();
        for group in groups {
            let inside = !group.is_empty();
            if inside {
                // Writing to a String cannot fail.
                let _ = writeln!(
                    out,
                    "  subgraph {} {{\n    label={};",
                    quoted(&format!("cluster_{group}")),
                    quoted(group)
                );
            }
            for (id, (_, label)) in self.nodes.iter().filter(|(_, (g, _))| g == group) {
                let indent = if inside { "    " } else { "  " };
                let _ = writeln!(out, "{indent}{} [label={}];", quoted(id), quoted(label));
            }
            if inside {
                out.push_str("  }\n");
            }
        }
        for (from, to, label, dashed) in &self.edges {
            let style = if *dashed { ", style=dashed" } else { "" };
            let _ = writeln!(out, "  {} -> {} [label={}{style}];", quoted(from), quoted(to), quoted(label));
        }
        out.push_str("}\n");
        out
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", clean(text).replace('\\', "\\\\").replace('"', "\\\""))
}
