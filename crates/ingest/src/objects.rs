//! Objects that change one at a time, and the world that they are.
//!
//! In: the text of single objects under their names, as a watch on a cluster brings them. Out: a [`Loaded`], made through the
//! same checks and the same assembly as [`crate::read`] of all the texts, so that a watched cluster cannot mean something
//! else than a saved one. A text is parsed once, when it comes; each world costs a copy of what was parsed, and the assembly.
//!
//! Two things differ from [`crate::read`], both because a cluster has no author who could correct his input and try again.
//! An object that cannot be understood does not refuse the world: it is named in [`World::unread`], and its faults are among
//! the diagnostics. And there is one [`Source`] for all objects, without text: an [`watertight_model::Origin`] is a place in
//! the object's own text.

use crate::diagnostic::{Diagnostic, Severity};
use crate::reader::syntax;
use crate::tree::{Format, decode};
use crate::typed::{self, Parsed, Settings};
use crate::{Counts, Loaded, Options, assemble, parse};
use std::collections::BTreeMap;
use watertight_model::world::Unread;
use watertight_model::{Source, SourceId, Str, World};

/// What an object is called.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The kind, as in [`Unread::what`]: `pods`, `networkpolicies.networking.k8s.io`.
    pub what: Str,
    /// The namespace; empty for objects of the cluster.
    pub namespace: Str,
    /// The name.
    pub name: Str,
}

/// Objects by name, parsed.
pub struct Objects {
    options: Options,
    source: Source,
    read: BTreeMap<Key, Parsed>,
    /// Objects that cannot be understood, and why.
    refused: BTreeMap<Key, Vec<Diagnostic>>,
}

const SOURCE: SourceId = SourceId(0);

impl Objects {
    /// No objects. `source` is the name of where they come from, such as `cluster:prod`.
    pub fn new(source: &str, options: Options) -> Self {
        let source = Source { name: Str::from(source), text: None };
        Self { options, source, read: BTreeMap::new(), refused: BTreeMap::new() }
    }

    /// Sets the object of this name; `text` is its JSON.
    pub fn put(&mut self, key: Key, text: &str) {
        let settings = Settings {
            source: SOURCE,
            default_namespace: self.options.default_namespace.clone(),
            strict_cidr: self.options.strict_cidr,
        };
        let mut parsed = Parsed::default();
        match decode(text.as_bytes(), &self.options.limits) {
            Ok(text) => parse(text, Format::Json, &self.options.limits, &settings, &mut parsed),
            Err(error) => parsed.diagnostics.push(syntax(&error, SOURCE)),
        }
        // They find an object that stands in the input twice. Under its name there is one.
        parsed.identities = Vec::new();
        if parsed.diagnostics.iter().any(|d| d.severity == Severity::Error) {
            self.read.remove(&key);
            self.refused.insert(key, parsed.diagnostics);
        } else {
            self.refused.remove(&key);
            self.read.insert(key, parsed);
        }
    }

    /// Removes the object of this name, if there is one.
    pub fn remove(&mut self, key: &Key) {
        self.read.remove(key);
        self.refused.remove(key);
    }

    /// How many objects there are, those included that cannot be understood.
    pub fn len(&self) -> usize {
        self.read.len() + self.refused.len()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many objects cannot be understood.
    pub fn refused(&self) -> usize {
        self.refused.len()
    }

    /// The world that the objects are; `unread` is what the caller could not read. The same objects give the same world,
    /// whatever was put and removed before, in whatever order.
    pub fn world(&self, unread: &[Unread]) -> Loaded {
        let mut all = Parsed::default();
        for parsed in self.read.values() {
            all.extend_from(parsed);
        }
        // Strings are shared among objects that come together, and must not be remembered for ever.
        typed::cx::forget();
        all.unread.extend(unread.iter().cloned());
        let mut diagnostics = std::mem::take(&mut all.diagnostics);
        for (key, faults) in &self.refused {
            all.unread.push(refusal(key, faults));
            diagnostics.extend(faults.iter().cloned());
        }
        let counts = Counts {
            objects: std::mem::take(&mut all.counts),
            ignored: std::mem::take(&mut all.ignored),
            inputs: 1,
            ..Counts::default()
        };
        let sources = vec![self.source.clone()];
        let world: World = assemble::assemble(all, sources, &self.options.pod_cidrs, &mut diagnostics);
        diagnostics.sort_by(|a, b| {
            (&a.object, a.at, a.severity, a.code, &a.message).cmp(&(&b.object, b.at, b.severity, b.code, &b.message))
        });
        diagnostics.dedup();
        Loaded { world, diagnostics, counts }
    }
}

fn refusal(key: &Key, faults: &[Diagnostic]) -> Unread {
    let first = faults.iter().find(|d| d.severity == Severity::Error).map_or("", |d| d.message.as_str());
    Unread {
        what: key.what.clone(),
        namespace: (!key.namespace.is_empty()).then(|| key.namespace.clone()),
        why: Str::from(format!("`{}` cannot be understood: {first}", key.name)),
    }
}
