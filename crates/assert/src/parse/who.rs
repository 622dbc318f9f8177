//! One side of an assertion: a word, an object, or a list of either.

use crate::file::{Namespaces, Who, WhoKind};
use watertight_ingest::reader::{Cx, Path, quoted, selector, value};
use watertight_ingest::tree::{Entry, Node};
use watertight_model::{Cidr, Selector, Str};

const KEYS: [&str; 10] =
    ["workload", "namespace", "namespaces", "pods", "service", "ip", "cidr", "node", "nodes", "outside"];
const WORDS: &str = "`outside`, `pods` (every pod) and `nodes` (every node) stand alone; else say `workload: namespace/name`, \
                     `namespace: name`, `namespaces: {…}`, `pods: {…}`, `service: namespace/name`, `ip`, `cidr`, `node` or `nodes`";

/// Reads a side. A Service is for destinations only.
pub(super) fn list(cx: &mut Cx<'_>, path: &Path<'_>, node: &Node<'_>, destination: bool) -> Vec<Who> {
    if node.as_seq().is_none() {
        return one(cx, path, node, destination).into_iter().collect();
    }
    let items = cx.list(path, Some(node)).unwrap_or_default();
    if items.is_empty() {
        cx.error("nobody", path, node.span, format!("`{path}` names nobody: nothing would be checked"), None);
    }
    items.into_iter().filter_map(|(i, item)| one(cx, &path.index(i), item, destination)).collect()
}

fn one(cx: &mut Cx<'_>, path: &Path<'_>, node: &Node<'_>, destination: bool) -> Option<Who> {
    let origin = cx.origin(node.span);
    let kind = match node.as_scalar() {
        Some(scalar) => word(cx, path, node, &scalar.text),
        None => {
            let entries = cx.object(path, Some(node))?;
            object(cx, path, node, entries, destination)
        }
    };
    kind.map(|kind| Who { kind, origin })
}

fn word(cx: &mut Cx<'_>, path: &Path<'_>, node: &Node<'_>, text: &str) -> Option<WhoKind> {
    match text {
        "outside" => Some(WhoKind::Outside),
        "pods" => Some(WhoKind::Pods { namespaces: Namespaces::Every, pods: Selector::everything() }),
        "nodes" => Some(WhoKind::Nodes(Selector::everything())),
        other => {
            cx.error("who", path, node.span, format!("{} names nobody", quoted(other)), Some(WORDS.to_owned()));
            None
        }
    }
}

fn object(
    cx: &mut Cx<'_>,
    path: &Path<'_>,
    node: &Node<'_>,
    entries: &[Entry<'_>],
    destination: bool,
) -> Option<WhoKind> {
    cx.only(path, entries, &KEYS[..9], &[("outside", "write `outside` alone, without a colon")]);
    let has = |key: &str| value(entries, key).is_some_and(|n| !n.is_null());
    let present: Vec<&str> = KEYS[..9].iter().copied().filter(|k| has(k)).collect();
    match present.as_slice() {
        ["workload"] => {
            let name = name(cx, path, entries, "workload", 3)?;
            Some(WhoKind::Workload(name))
        }
        ["service"] if destination => name(cx, path, entries, "service", 2).map(WhoKind::Service),
        ["service"] => {
            let message = "a Service opens no connection and is no exception: name its pods".to_owned();
            cx.error("service", &path.field("service"), node.span, message, None);
            None
        }
        ["ip"] => {
            let (text, at) = scalar(cx, path, entries, "ip")?;
            let parsed = text.parse().map(WhoKind::Ip);
            parsed.map_err(|_| not_one(cx, path, at, "ip", text, "IP address")).ok()
        }
        ["cidr"] => {
            let (text, at) = scalar(cx, path, entries, "cidr")?;
            let parsed = text.parse::<Cidr>().map(WhoKind::Block);
            parsed.map_err(|_| not_one(cx, path, at, "cidr", text, "address block without host bits")).ok()
        }
        ["node"] => scalar(cx, path, entries, "node").map(|(text, _)| WhoKind::Node(Str::from(text))),
        ["nodes"] => labels(cx, path, entries, "nodes").map(WhoKind::Nodes),
        ["namespace"] | ["namespace", "pods"] => {
            let (text, _) = scalar(cx, path, entries, "namespace")?;
            let pods = labels(cx, path, entries, "pods").unwrap_or_default();
            Some(WhoKind::Pods { namespaces: Namespaces::Named(Str::from(text)), pods })
        }
        ["namespaces"] | ["pods"] | ["namespaces", "pods"] => {
            let namespaces = labels(cx, path, entries, "namespaces").map_or(Namespaces::Every, Namespaces::Of);
            let pods = labels(cx, path, entries, "pods").unwrap_or_default();
            Some(WhoKind::Pods { namespaces, pods })
        }
        [] => {
            cx.error("who", path, node.span, format!("`{path}` names nobody"), Some(WORDS.to_owned()));
            None
        }
        several => {
            let list = several.join("`, `");
            let message = format!("`{list}` do not go together: they name different things");
            let help = "make it a list: each entry names one of them".to_owned();
            cx.error("who", path, node.span, message, Some(help));
            None
        }
    }
}

fn not_one(cx: &mut Cx<'_>, path: &Path<'_>, at: watertight_ingest::tree::Span, key: &str, text: &str, what: &str) {
    cx.error("address", &path.field(key), at, format!("{} is no {what}", quoted(text)), None);
}

fn scalar<'n>(
    cx: &mut Cx<'_>,
    path: &Path<'_>,
    entries: &'n [Entry<'_>],
    key: &str,
) -> Option<(&'n str, watertight_ingest::tree::Span)> {
    let node = value(entries, key)?;
    cx.text(&path.field(key), Some(node)).map(|text| (text, node.span))
}

/// A name of at most so many parts, of which two are `namespace/name`.
fn name(cx: &mut Cx<'_>, path: &Path<'_>, entries: &[Entry<'_>], key: &str, most: usize) -> Option<Str> {
    let (text, at) = scalar(cx, path, entries, key)?;
    let parts = text.split('/').filter(|p| !p.is_empty()).count();
    if (2..=most).contains(&parts) && text.split('/').count() == parts && !text.contains(':') {
        return Some(Str::from(text));
    }
    let message = format!("{} is no name: want namespace/name", quoted(text));
    cx.error("name", &path.field(key), at, message, None);
    None
}

fn labels(cx: &mut Cx<'_>, path: &Path<'_>, entries: &[Entry<'_>], key: &str) -> Option<Selector> {
    let node = value(entries, key).filter(|n| !n.is_null())?;
    Some(selector(cx, &path.field(key), node))
}
