//! The reader's hands: where in an object we are, and what is wrong there.

use crate::diagnostic::{Diagnostic, Severity};
use crate::tree::{Entry, Node, Resolved, Span, Value, Yaml11};
use rustc_hash::{FxHashMap, FxHashSet};
use std::cell::RefCell;
use std::fmt;
use watertight_model::spelling::distance;
use watertight_model::{Labels, Origin, SourceId, Str};

/// A field path such as `spec.ingress[0].from[1]`, built only when something is wrong.
#[derive(Clone, Copy)]
pub struct Path<'p> {
    parent: Option<&'p Path<'p>>,
    step: Step<'p>,
}

#[derive(Clone, Copy)]
enum Step<'p> {
    Root,
    Field(&'p str),
    Index(usize),
}

impl<'p> Path<'p> {
    /// The object itself.
    pub const ROOT: Path<'static> = Path { parent: None, step: Step::Root };

    /// A field of it.
    pub fn field(&'p self, name: &'p str) -> Path<'p> {
        Path { parent: Some(self), step: Step::Field(name) }
    }

    /// An item of it.
    pub fn index(&'p self, i: usize) -> Path<'p> {
        Path { parent: Some(self), step: Step::Index(i) }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        let first = self.parent.is_none_or(|p| matches!(p.step, Step::Root));
        match self.step {
            Step::Root => Ok(()),
            Step::Field(name) if first => f.write_str(name),
            Step::Field(name) => write!(f, ".{name}"),
            Step::Index(i) => write!(f, "[{i}]"),
        }
    }
}

/// Everything one object's reader needs besides its node.
pub struct Cx<'o> {
    /// The input that it stands in.
    pub source: SourceId,
    /// `NetworkPolicy shop/db-in`, once known.
    pub object: String,
    /// Blocks that are not canonical are errors.
    pub strict_cidr: bool,
    /// A file of our own: no API server reads it, and faults do not speak of one.
    pub ours: bool,
    /// What is wrong, so far.
    pub diagnostics: &'o mut Vec<Diagnostic>,
}

thread_local! {
    /// Strings repeat: keys, label values, names of namespaces. Emptied by [`forget`] when a read ends.
    static STRINGS: RefCell<FxHashSet<Str>> = RefCell::new(FxHashSet::default());
    /// By list of used keys (its address: the lists are constants): keys that were compared with it, and what was found.
    static SLIPS: RefCell<FxHashMap<usize, FxHashMap<Str, Option<usize>>>> = RefCell::new(FxHashMap::default());
}

/// Keys remembered for one list: more than real objects have, little enough for hostile ones.
const SLIPS_KEPT: usize = 1_000;

/// The shared copy of a text.
pub(crate) fn shared(text: &str) -> Str {
    STRINGS.with_borrow_mut(|known| match known.get(text) {
        Some(have) => have.clone(),
        None => {
            let new = Str::from(text);
            known.insert(new.clone());
            new
        }
    })
}

/// Drops what [`shared`] remembers on this thread.
pub(crate) fn forget() {
    STRINGS.with_borrow_mut(FxHashSet::clear);
    SLIPS.with_borrow_mut(FxHashMap::clear);
}

impl Cx<'_> {
    /// A place in the input.
    pub fn origin(&self, span: Span) -> Origin {
        span.origin(self.source)
    }

    fn push(
        &mut self,
        severity: Severity,
        code: &'static str,
        field: String,
        at: Span,
        message: String,
        help: Option<String>,
    ) {
        self.diagnostics.push(Diagnostic {
            severity,
            code,
            message,
            object: (!self.object.is_empty()).then(|| self.object.clone()),
            field: (!field.is_empty()).then_some(field),
            at: Some(at.origin(self.source)),
            notes: Vec::new(),
            help,
        });
    }

    /// An error at a field.
    pub fn error(&mut self, code: &'static str, path: &Path<'_>, at: Span, message: String, help: Option<String>) {
        self.push(Severity::Error, code, path.to_string(), at, message, help);
    }

    pub(crate) fn warn(
        &mut self,
        code: &'static str,
        path: &Path<'_>,
        at: Span,
        message: String,
        help: Option<String>,
    ) {
        self.push(Severity::Warning, code, path.to_string(), at, message, help);
    }

    /// `path: Invalid value: value: detail`, as the API server says it. Values of strings come quoted.
    pub(crate) fn invalid(&mut self, path: &Path<'_>, at: Span, value: &str, detail: &str) {
        self.error("WT0004", path, at, format!("{path}: Invalid value: {value}: {detail}"), None);
    }

    /// `path: Required value[: detail]`.
    pub(crate) fn required(&mut self, path: &Path<'_>, at: Span, detail: &str) {
        let detail = if detail.is_empty() { String::new() } else { format!(": {detail}") };
        self.error("WT0004", path, at, format!("{path}: Required value{detail}"), None);
    }

    /// `path: Forbidden: detail`.
    pub(crate) fn forbidden(&mut self, path: &Path<'_>, at: Span, detail: &str) {
        self.error("WT0004", path, at, format!("{path}: Forbidden: {detail}"), None);
    }

    /// `path: Unsupported value: "x": supported values: "A", "B"`.
    pub(crate) fn unsupported(&mut self, path: &Path<'_>, at: Span, value: &str, supported: &[&str]) {
        self.unsupported_as("WT0004", path, at, value, supported);
    }

    /// As [`Self::unsupported`], under another code.
    pub(crate) fn unsupported_as(
        &mut self,
        code: &'static str,
        path: &Path<'_>,
        at: Span,
        value: &str,
        supported: &[&str],
    ) {
        let list: Vec<String> = supported.iter().map(|s| format!("\"{s}\"")).collect();
        let near = supported.iter().find(|s| s.eq_ignore_ascii_case(value)).map(|s| format!("did you mean `{s}`?"));
        let message = format!("{path}: Unsupported value: {}: supported values: {}", quoted(value), list.join(", "));
        self.error(code, path, at, message, near);
    }

    fn wrong_type(&mut self, path: &Path<'_>, node: &Node<'_>, want: &str) {
        let found = node.kind_name();
        let help = match (want, found) {
            ("string", "bool" | "int" | "float") => {
                Some("quote it: YAML reads the bare word as another type".to_owned())
            }
            _ => None,
        };
        if self.ours {
            self.error("wrong-type", path, node.span, format!("`{path}` wants a {want}, and this is a {found}"), help);
            return;
        }
        let message = format!("{path}: cannot unmarshal {found} into a field of type {want}");
        self.error("WT0004", path, node.span, message, help);
    }

    /// Entries of an object; absent and `null` are `None`.
    pub fn object<'n, 't>(&mut self, path: &Path<'_>, node: Option<&'n Node<'t>>) -> Option<&'n [Entry<'t>]> {
        let node = node.filter(|n| !n.is_null())?;
        let entries = node.as_map();
        if entries.is_none() {
            self.wrong_type(path, node, "object");
        }
        entries
    }

    /// Items of a list; absent and `null` are `None`. A null item is an error (Go would make it `{}`) and is left out.
    pub fn list<'n, 't>(&mut self, path: &Path<'_>, node: Option<&'n Node<'t>>) -> Option<Vec<(usize, &'n Node<'t>)>> {
        let node = node.filter(|n| !n.is_null())?;
        let Some(items) = node.as_seq() else {
            self.wrong_type(path, node, "list");
            return None;
        };
        let mut out = Vec::with_capacity(items.len());
        for (i, item) in items.iter().enumerate() {
            if item.is_null() {
                let at = path.index(i);
                let message =
                    format!("{at}: null list entry: clients read it as an empty object, which can mean \"everything\"");
                self.error(
                    "WT0003",
                    &at,
                    item.span,
                    message,
                    Some("remove the entry, or write what it should hold".to_owned()),
                );
            } else {
                out.push((i, item));
            }
        }
        Some(out)
    }

    /// A string; absent and `null` are `None`, another type is an error.
    pub fn text<'n>(&mut self, path: &Path<'_>, node: Option<&'n Node<'_>>) -> Option<&'n str> {
        let node = node.filter(|n| !n.is_null())?;
        match node.as_scalar() {
            Some(scalar) if scalar.resolve() == Resolved::Str => {
                if scalar.yaml11().is_some() {
                    let message =
                        format!("{path}: `{}` is a string in YAML 1.2 and something else to kubectl", scalar.text);
                    self.error("WT0004", path, node.span, message, Some(format!("quote it: \"{}\"", scalar.text)));
                    return None;
                }
                Some(&scalar.text)
            }
            _ => {
                self.wrong_type(path, node, "string");
                None
            }
        }
    }

    /// A whole number; absent and `null` are `None`.
    pub fn int(&mut self, path: &Path<'_>, node: Option<&Node<'_>>) -> Option<i64> {
        let node = node.filter(|n| !n.is_null())?;
        let scalar = node.as_scalar();
        if let Some(scalar) = scalar.filter(|s| s.yaml11().is_some_and(|y| !matches!(y, Yaml11::Hex(_)))) {
            let message = format!("{path}: `{}` is not the same number to every YAML reader", scalar.text);
            self.error("WT0004", path, node.span, message, Some("write a plain decimal number".to_owned()));
            return None;
        }
        match scalar.map(|s| s.resolve()) {
            Some(Resolved::Int(value)) => Some(value),
            _ => {
                self.wrong_type(path, node, "integer");
                None
            }
        }
    }

    /// A boolean; absent and `null` are `None`.
    pub(crate) fn flag(&mut self, path: &Path<'_>, node: Option<&Node<'_>>) -> Option<bool> {
        let node = node.filter(|n| !n.is_null())?;
        match node.as_scalar().map(|s| s.resolve()) {
            Some(Resolved::Bool(value)) => Some(value),
            _ => {
                self.wrong_type(path, node, "boolean");
                None
            }
        }
    }

    /// Refuses keys that this kind does not have (WT0001). `elsewhere`: keys that belong one level up or down, with a hint.
    pub fn only(&mut self, path: &Path<'_>, entries: &[Entry<'_>], known: &[&str], elsewhere: &[(&str, &str)]) {
        for entry in entries {
            let key = entry.key.text();
            if known.contains(&key) {
                continue;
            }
            let at = path.field(key);
            let help = match elsewhere.iter().find(|(k, _)| *k == key) {
                Some((_, hint)) => Some((*hint).to_owned()),
                None => nearest(key, known).map(|name| format!("did you mean `{name}`?")),
            };
            let field = printable(&at.to_string());
            let (code, then) =
                if self.ours { ("unknown-field", "") } else { ("WT0001", ": readers that are not strict drop it") };
            self.error(code, &at, entry.key.span, format!("unknown field `{field}`{then}"), help);
        }
    }

    /// For kinds with hundreds of fields: refuses keys that are a slip away from one that is read here.
    pub(crate) fn no_slips(
        &mut self,
        path: &Path<'_>,
        entries: &[Entry<'_>],
        used: &'static [&'static str],
        real: &[&str],
    ) {
        for entry in entries {
            let key = entry.key.text();
            if used.contains(&key) || real.contains(&key) {
                continue;
            }
            let slip = slip_of(key, used);
            if let Some(name) = slip {
                let at = path.field(key);
                let message =
                    format!("unknown field `{}`: readers that are not strict drop it", printable(&at.to_string()));
                self.error("WT0001", &at, entry.key.span, message, Some(format!("did you mean `{name}`?")));
            }
        }
    }

    /// A map of strings, such as labels; not checked further.
    pub(crate) fn strings(&mut self, path: &Path<'_>, node: Option<&Node<'_>>) -> Vec<(Str, Str, Span, Span)> {
        let mut out = Vec::new();
        for entry in self.object(path, node).unwrap_or_default() {
            let key = entry.key.text();
            let at = path.field(key);
            if entry.value.is_null() {
                out.push((shared(key), shared(""), entry.key.span, entry.value.span));
            } else if let Some(value) = self.text(&at, Some(&entry.value)) {
                out.push((shared(key), shared(value), entry.key.span, entry.value.span));
            }
        }
        out
    }

    /// Labels: keys and values checked as the API server does.
    pub(crate) fn labels(&mut self, path: &Path<'_>, node: Option<&Node<'_>>) -> Labels {
        let pairs = self.strings(path, node);
        for (key, value, key_at, value_at) in &pairs {
            for detail in super::names::label_key(key) {
                self.invalid(path, *key_at, &quoted(key), &detail);
            }
            for detail in super::names::label_value(value) {
                self.invalid(path, *value_at, &quoted(value), &detail);
            }
        }
        Labels::new(pairs.into_iter().map(|(k, v, ..)| (k, v)))
    }

    /// Annotations: any values, and keys like those of labels but for capitals in the prefix.
    pub(crate) fn annotations(&mut self, path: &Path<'_>, node: Option<&Node<'_>>) -> Labels {
        let pairs = self.strings(path, node);
        for (key, _, key_at, _) in &pairs {
            for detail in super::names::label_key(&key.to_ascii_lowercase()) {
                self.invalid(path, *key_at, &quoted(key), &detail);
            }
        }
        Labels::new(pairs.into_iter().map(|(k, v, ..)| (k, v)))
    }
}

/// The used key that this one is a slip away from.
fn slip_of(key: &str, used: &'static [&'static str]) -> Option<&'static str> {
    // Documents repeat their keys: each is compared once per list of used keys.
    let list = used.as_ptr() as usize;
    let known = SLIPS.with_borrow(|slips| slips.get(&list).and_then(|of| of.get(key)).copied());
    let found = known.unwrap_or_else(|| {
        let near = |name: &&str| {
            let lengths = name.len().abs_diff(key.len());
            name.eq_ignore_ascii_case(key)
                || (name.len() >= 5 && lengths <= 1 && distance(name, key) == 1)
                || (name.len() >= 9 && lengths <= 2 && distance(name, key) == 2)
        };
        let found = used.iter().position(near);
        SLIPS.with_borrow_mut(|slips| {
            let of = slips.entry(list).or_default();
            if of.len() < SLIPS_KEPT {
                of.insert(Str::from(key), found);
            }
        });
        found
    });
    found.map(|i| used[i])
}

fn nearest<'k>(key: &str, known: &[&'k str]) -> Option<&'k str> {
    let close = known.iter().map(|name| (distance(&name.to_lowercase(), &key.to_lowercase()), *name));
    close.filter(|(d, name)| *d <= name.len().div_ceil(3)).min().map(|(_, name)| name)
}

/// The value of a key.
pub fn value<'n, 't>(entries: &'n [Entry<'t>], key: &str) -> Option<&'n Node<'t>> {
    entries.iter().find(|e| e.key.text() == key).map(|e| &e.value)
}

/// A string as the API server shows it: quoted, control characters escaped.
pub fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c => out.push_str(&printable(c.encode_utf8(&mut [0; 4]))),
        }
    }
    out.push('"');
    out
}

/// Text without control characters and without characters that turn the direction of text.
pub(crate) fn printable(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().fold(String::new(), |mut out, c| {
        if c.is_control() || turns(c) {
            out.extend(c.escape_unicode())
        } else {
            out.push(c)
        }
        out
    })
}

/// What a node holds, for [`watertight_model::policy::Presence`].
pub(crate) fn presence(node: Option<&Node<'_>>) -> watertight_model::policy::Presence {
    use watertight_model::policy::Presence;
    match node.map(|n| &n.value) {
        None => Presence::Absent,
        Some(Value::Null) => Presence::Empty,
        Some(Value::Seq(items)) if items.is_empty() => Presence::Empty,
        Some(Value::Map(entries)) if entries.is_empty() => Presence::Empty,
        Some(_) => Presence::Filled,
    }
}
