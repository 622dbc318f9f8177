//! Text to assertions: every fault at its place, unknown keys refused with the near name, nothing half understood.

mod who;

use crate::file::{Assertion, Assertions, Depends, EXCEPTIONS, Exception, Mode, Ports, Who, WhoKind, words};
use watertight_ingest::reader::{Cx, Path, quoted, syntax, value};
use watertight_ingest::tree::{Document, Format, Node, decode, documents};
use watertight_ingest::{Diagnostic, Limits, Refused, Severity};
use watertight_model::{Origin, PortSet, Protocol, Source, SourceId, Str};

/// The API group that our own kinds have.
const GROUP: &str = "watertight.dev/";
const API_VERSION: &str = "watertight.dev/v1";
const KIND: &str = "Assertions";

/// Reads all assertions of some files, given by name and content. Documents of other API groups are passed over, so that
/// assertions may stand beside manifests.
///
/// # Errors
/// All faults of all files; also if there is no assertion in any.
pub fn parse(files: &[(String, Vec<u8>)], limits: &Limits) -> Result<Assertions, Refused> {
    let mut out = Assertions::default();
    let mut faults: Vec<Diagnostic> = Vec::new();
    for (name, bytes) in files {
        let source = SourceId(u32::try_from(out.sources.len()).unwrap_or(u32::MAX));
        let text = match decode(bytes, limits) {
            Ok(text) => text,
            Err(error) => {
                out.sources.push(Source { name: Str::from(name.as_str()), text: None });
                faults.push(syntax(&error, source));
                continue;
            }
        };
        out.sources.push(Source { name: Str::from(name.as_str()), text: Some(Str::from(text)) });
        documents(text, Format::of(name, text), limits, &mut |document| match document {
            Ok(document) => read(&document, source, &mut faults, &mut out.list),
            Err(error) => faults.push(syntax(&error, source)),
        });
    }
    if faults.is_empty() && out.list.is_empty() {
        let at = (!out.sources.is_empty()).then(Origin::default);
        faults.push(Diagnostic {
            severity: Severity::Error,
            code: "no-assertions",
            message: "there is no assertion in it".to_owned(),
            object: None,
            field: None,
            at,
            notes: Vec::new(),
            help: Some(format!("an assertion file begins with `apiVersion: {API_VERSION}` and `kind: {KIND}`")),
        });
    }
    if faults.is_empty() {
        return Ok(out);
    }
    faults.sort_by(|a, b| (a.at, &a.message).cmp(&(b.at, &b.message)));
    faults.truncate(limits.max_errors);
    Err(Refused { diagnostics: faults, sources: out.sources })
}

fn read(document: &Document<'_>, source: SourceId, faults: &mut Vec<Diagnostic>, out: &mut Vec<Assertion>) {
    let mut cx = Cx { source, object: KIND.to_owned(), strict_cidr: true, ours: true, diagnostics: faults };
    let root = Path::ROOT;
    let Some(entries) = cx.object(&root, Some(&document.root)) else { return };
    let text = |key: &str| value(entries, key).and_then(Node::as_scalar).map_or("", |s| &*s.text);
    let (version, kind) = (text("apiVersion"), text("kind"));
    if !version.starts_with(GROUP) && kind != KIND {
        return;
    }
    let span = |key: &str| value(entries, key).map_or(document.root.span, |n| n.span);
    if version != API_VERSION {
        let message = format!("`apiVersion` is {}, and this version reads {API_VERSION}", quoted(version));
        cx.error("api-version", &root.field("apiVersion"), span("apiVersion"), message, None);
        return;
    }
    if kind != KIND {
        let message = format!("{API_VERSION} has no kind {}", quoted(kind));
        cx.error("kind", &root.field("kind"), span("kind"), message, Some(format!("did you mean `{KIND}`?")));
        return;
    }
    cx.only(&root, entries, &["apiVersion", "kind", "metadata", "assertions"], &[]);
    let list = root.field("assertions");
    let items = cx.list(&list, value(entries, "assertions"));
    if items.as_ref().is_none_or(Vec::is_empty) {
        let message = "`assertions` holds no assertion: nothing would be checked".to_owned();
        cx.error("no-assertions", &list, span("assertions"), message, None);
    }
    for (i, item) in items.unwrap_or_default() {
        out.extend(assertion(&mut cx, &list.index(i), item));
    }
}

fn assertion(cx: &mut Cx<'_>, path: &Path<'_>, node: &Node<'_>) -> Option<Assertion> {
    let before = cx.diagnostics.len();
    let entries = cx.object(path, Some(node))?;
    cx.only(path, entries, &["name", "from", "to", "ports", "reach", "depends", "except"], &[]);
    let name = cx.text(&path.field("name"), value(entries, "name")).map(str::to_owned);
    let mut side = |key: &str| {
        let at = path.field(key);
        match value(entries, key).filter(|n| !n.is_null()) {
            Some(node) => who::list(cx, &at, node, key == "to"),
            None => {
                missing(cx, &at, node, "`from` and `to` say who reaches whom");
                Vec::new()
            }
        }
    };
    let (from, to) = (side("from"), side("to"));
    let at = path.field("reach");
    let mode = match value(entries, "reach").filter(|n| !n.is_null()) {
        Some(node) => choice(cx, &at, node, &Mode::ALL.map(|m| (m.name(), m))),
        None => {
            missing(cx, &at, node, "say `reach: must`, `mustNot` or `may`");
            None
        }
    };
    let at = path.field("depends");
    let depends = match value(entries, "depends").filter(|n| !n.is_null()) {
        Some(node) => choice(cx, &at, node, &[("fails", Depends::Fails), ("passes", Depends::Passes)]),
        None => Some(Depends::Fails),
    };
    let ports = ports(cx, &path.field("ports"), value(entries, "ports"));
    let services = !to.is_empty() && to.iter().all(|w| matches!(w.kind, WhoKind::Service(_)));
    if mode == Some(Mode::Must) && ports.is_none() && !services && value(entries, "ports").is_none() {
        missing(cx, &path.field("ports"), node, "`reach: must` is about ports: list those that have to be open");
    }
    let mut except = Vec::new();
    let at = path.field("except");
    for (i, item) in cx.list(&at, value(entries, "except")).unwrap_or_default() {
        except.extend(exception(cx, &at.index(i), item));
    }
    if except.len() > EXCEPTIONS {
        let message = format!("more than {EXCEPTIONS} exceptions: split the assertion");
        cx.error("too-many", &at, value(entries, "except").map_or(node.span, |n| n.span), message, None);
    }
    let whole = cx.diagnostics.len() == before;
    let origin = cx.origin(node.span);
    let (mode, depends) = (mode?, depends?);
    let name = name.unwrap_or_else(|| {
        let verb = match mode {
            Mode::Must => "must reach",
            Mode::MustNot => "must not reach",
            Mode::May => "may reach",
        };
        format!("{} {verb} {}", words(&from), words(&to))
    });
    whole.then_some(Assertion { name, from, to, ports, mode, depends, except, origin })
}

fn exception(cx: &mut Cx<'_>, path: &Path<'_>, node: &Node<'_>) -> Option<Exception> {
    let entries = cx.object(path, Some(node))?;
    cx.only(path, entries, &["from", "to", "ports"], &[]);
    if entries.is_empty() {
        let message = "an exception without `from`, `to` and `ports` would leave nothing to check".to_owned();
        cx.error("empty-exception", path, node.span, message, None);
    }
    let mut side = |key: &str| -> Option<Vec<Who>> {
        let node = value(entries, key).filter(|n| !n.is_null())?;
        let list = who::list(cx, &path.field(key), node, false);
        for who in list.iter().filter(|w| matches!(w.kind, WhoKind::Ip(_) | WhoKind::Block(_))) {
            let message = "an exception names pods, nodes or `outside`: addresses cannot be taken out".to_owned();
            cx.error(
                "exception",
                &path.field(key),
                node.span,
                message,
                Some(format!("leave {} out", who.kind.words())),
            );
        }
        Some(list)
    };
    let (from, to) = (side("from"), side("to"));
    let ports = ports(cx, &path.field("ports"), value(entries, "ports"));
    Some(Exception { from, to, ports, origin: cx.origin(node.span) })
}

fn missing(cx: &mut Cx<'_>, path: &Path<'_>, node: &Node<'_>, help: &str) {
    cx.error("missing-field", path, node.span, format!("`{path}` is missing"), Some(help.to_owned()));
}

/// One of some words.
fn choice<T: Copy>(cx: &mut Cx<'_>, path: &Path<'_>, node: &Node<'_>, of: &[(&str, T)]) -> Option<T> {
    let text = cx.text(path, Some(node))?;
    if let Some((_, value)) = of.iter().find(|(name, _)| *name == text) {
        return Some(*value);
    }
    let names: Vec<&str> = of.iter().map(|(name, _)| *name).collect();
    let near = names.iter().find(|n| n.eq_ignore_ascii_case(&text.replace(['-', '_', ' '], "")));
    let message = format!("`{path}` is one of {}, and this is {}", names.join(", "), quoted(text));
    cx.error("unknown-word", path, node.span, message, near.map(|n| format!("did you mean `{n}`?")));
    None
}

/// `[5432, 53/UDP, 8000-8080/TCP, UDP, ICMP]`; absent and `null` are `None`.
fn ports(cx: &mut Cx<'_>, path: &Path<'_>, node: Option<&Node<'_>>) -> Option<Ports> {
    let items = cx.list(path, node)?;
    let mut out = Ports { set: PortSet::none(), other: false };
    if items.is_empty() {
        let message = format!("`{path}` holds no port: nothing would be checked");
        let help = Some("leave it out to mean all ports".to_owned());
        cx.error("no-ports", path, node.map_or_else(Default::default, |n| n.span), message, help);
    }
    for (i, item) in items {
        let text = item.as_scalar().map_or("", |s| &*s.text);
        match port(text) {
            Some(Some(set)) => out.set = out.set.union(&set),
            Some(None) => out.other = true,
            None => {
                let message = format!("{} is no port", quoted(text));
                let help = "write 5432, 53/UDP, 8000-8080/TCP, a protocol for all its ports, or ICMP";
                cx.error("port", &path.index(i), item.span, message, Some(help.to_owned()));
            }
        }
    }
    Some(out)
}

/// The inner `None`: protocols without ports.
fn port(text: &str) -> Option<Option<PortSet>> {
    let protocol = |name: &str| Protocol::parse(&name.to_ascii_uppercase());
    if text.eq_ignore_ascii_case("icmp") {
        return Some(None);
    }
    if let Some(protocol) = protocol(text) {
        return Some(Some(PortSet::protocol(protocol)));
    }
    let (range, name) = text.split_once('/').unwrap_or((text, "TCP"));
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    let number = |t: &str| t.parse::<u16>().ok().filter(|n| *n > 0 && digits(t));
    let (first, last) = (number(first)?, number(last)?);
    (first <= last).then_some(Some(PortSet::range(protocol(name)?, first, last)))
}

#[cfg(test)]
mod tests;
