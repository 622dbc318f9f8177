//! Reading: manifests, snapshots and live objects become one [`watertight_model::World`], or are refused with every fault
//! at its place.
//!
//! Input: paths or texts. Output: [`Loaded`] (a world, warnings, counts) or [`Refused`] (all errors of all inputs). An object
//! is understood whole or refused; there is no partial world. Does not draw, decide verdicts, or talk to a cluster.
//!
//! Reading order: [`source`] (what is read), [`tree`] (text to nodes with places), `typed` (nodes to objects, in the API
//! server's words), `assemble` (objects to a world).

mod apply;
mod assemble;
mod diagnostic;
pub mod limits;
mod objects;
pub mod reader;
pub mod source;
pub mod tree;
mod typed;

pub use diagnostic::{Diagnostic, Severity};
pub use limits::Limits;
pub use objects::{Key, Objects};

use crate::tree::{Format, TreeError, decode, documents_par};
use std::collections::BTreeMap;
use std::path::PathBuf;
use typed::{Parsed, Settings};
use watertight_model::{Cidr, Origin, Source, SourceId, Str, World};

/// How to read.
#[derive(Clone, Debug)]
pub struct Options {
    /// For namespaced objects that name none.
    pub default_namespace: Str,
    /// Refuse blocks that are not canonical, as servers with `StrictIPCIDRValidation` (on by default since 1.36) do; else
    /// they are warnings.
    pub strict_cidr: bool,
    /// Where pod addresses come from; empty: as the nodes say.
    pub pod_cidrs: Vec<Cidr>,
    /// Budgets.
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            default_namespace: Str::from("default"),
            strict_cidr: true,
            pod_cidrs: Vec::new(),
            limits: Limits::default(),
        }
    }
}

/// One input.
#[derive(Clone, Debug)]
pub enum Input {
    /// A file, a directory, or `-` for standard input.
    Path(PathBuf),
    /// A text that is already here.
    Text {
        /// What to call it.
        name: String,
        /// The text.
        text: String,
    },
}

/// What was read.
#[derive(Debug)]
pub struct Loaded {
    /// The cluster.
    pub world: World,
    /// Warnings, sorted by place.
    pub diagnostics: Vec<Diagnostic>,
    /// What was read and what was passed over.
    pub counts: Counts,
}

/// How much was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Objects by kind.
    pub objects: BTreeMap<Str, usize>,
    /// Objects of kinds that do not matter here, by kind.
    pub ignored: BTreeMap<Str, usize>,
    /// Files left out on purpose: name and reason.
    pub skipped: Vec<(String, String)>,
    /// Inputs.
    pub inputs: usize,
    /// Bytes of text.
    pub bytes: u64,
}

/// Why nothing was read.
#[derive(Debug)]
pub struct Refused {
    /// At least one error; warnings too; sorted by place.
    pub diagnostics: Vec<Diagnostic>,
    /// The inputs, for drawing.
    pub sources: Vec<Source>,
}

/// Texts larger than this are not kept for drawing.
const KEPT_TEXT: usize = 8 << 20;

/// Reads all inputs as one cluster.
///
/// # Errors
/// [`Refused`] if anything in any input is wrong; all faults of all inputs are in it.
pub fn read(inputs: &[Input], options: &Options) -> Result<Loaded, Refused> {
    let mut reading = Reading::new(options);
    reading.inputs(inputs);
    reading.finish()
}

/// Reads a cluster as it would be after `kubectl apply` of the objects of `over`.
///
/// # Errors
/// As [`read`], for the inputs of both.
pub fn read_applied(cluster: &[Input], over: &[Input], options: &Options) -> Result<Loaded, Refused> {
    let mut reading = Reading::new(options);
    reading.inputs(cluster);
    let below = std::mem::take(&mut reading.parsed);
    reading.inputs(over);
    reading.parsed = apply::applied(below, std::mem::take(&mut reading.parsed));
    reading.finish()
}

/// Adds what a text holds, faults included.
fn parse(text: &str, format: Format, limits: &Limits, settings: &Settings, into: &mut Parsed) {
    for part in documents_par(text, format, limits, |d| typed::document(&d, text, settings)) {
        match part {
            Ok(parsed) => into.extend(parsed),
            Err(error) => into.diagnostics.push(reader::syntax(&error, settings.source)),
        }
    }
}

struct Reading<'o> {
    options: &'o Options,
    sources: Vec<Source>,
    parsed: Parsed,
    bytes: u64,
    skipped: Vec<(String, String)>,
}

impl<'o> Reading<'o> {
    fn new(options: &'o Options) -> Self {
        Self { options, sources: Vec::new(), parsed: Parsed::default(), bytes: 0, skipped: Vec::new() }
    }

    fn inputs(&mut self, inputs: &[Input]) {
        let limits = &self.options.limits;
        let paths: Vec<PathBuf> = inputs
            .iter()
            .filter_map(|i| match i {
                Input::Path(path) => Some(path.clone()),
                Input::Text { .. } => None,
            })
            .collect();
        if !paths.is_empty() {
            let found = source::find(&paths, limits);
            self.skipped.extend(found.skipped);
            for error in found.errors {
                self.source_error(&error);
            }
            for place in found.places {
                match source::read(&place, limits) {
                    Ok(bytes) => self.input(&place.name, &bytes),
                    Err(error) => self.source_error(&error),
                }
            }
        }
        for input in inputs {
            if let Input::Text { name, text } = input {
                self.input(name, text.as_bytes());
            }
        }
    }

    fn source_error(&mut self, error: &source::SourceError) {
        let source = self.source(error.name(), None);
        self.parsed.diagnostics.push(reader::out_of_reach(error, source));
    }

    fn source(&mut self, name: &str, text: Option<&str>) -> SourceId {
        let id = SourceId(u32::try_from(self.sources.len()).unwrap_or(u32::MAX));
        let kept = text.filter(|t| t.len() <= KEPT_TEXT).map(Str::from);
        self.sources.push(Source { name: Str::from(name), text: kept });
        id
    }

    fn input(&mut self, name: &str, bytes: &[u8]) {
        let limits = &self.options.limits;
        self.bytes += bytes.len() as u64;
        if self.bytes > limits.max_total_bytes {
            let source = self.source(name, None);
            self.parsed.diagnostics.push(Diagnostic {
                severity: Severity::Error,
                code: "too-large",
                message: format!("the inputs together are larger than {} bytes", limits.max_total_bytes),
                object: None,
                field: None,
                at: Some(Origin { source, ..Origin::default() }),
                notes: Vec::new(),
                help: Some("read fewer files at a time".to_owned()),
            });
            return;
        }
        let text = match decode(bytes, limits) {
            Ok(text) => text,
            Err(error) => {
                let source = self.source(name, None);
                self.tree_error(&error, source);
                return;
            }
        };
        let source = self.source(name, Some(text));
        let settings = Settings {
            source,
            default_namespace: self.options.default_namespace.clone(),
            strict_cidr: self.options.strict_cidr,
        };
        parse(text, Format::of(name, text), limits, &settings, &mut self.parsed);
    }

    fn tree_error(&mut self, error: &TreeError, source: SourceId) {
        self.parsed.diagnostics.push(reader::syntax(error, source));
    }

    fn finish(mut self) -> Result<Loaded, Refused> {
        typed::cx::forget();
        let mut diagnostics = std::mem::take(&mut self.parsed.diagnostics);
        self.nothing_read(&mut diagnostics);
        self.namespaces_not_written(&mut diagnostics);
        let counts = Counts {
            objects: std::mem::take(&mut self.parsed.counts),
            ignored: std::mem::take(&mut self.parsed.ignored),
            skipped: self.skipped,
            inputs: self.sources.len(),
            bytes: self.bytes,
        };
        let world = assemble::assemble(self.parsed, self.sources, &self.options.pod_cidrs, &mut diagnostics);
        diagnostics.sort_by(|a, b| (a.at, a.severity, a.code, &a.message).cmp(&(b.at, b.severity, b.code, &b.message)));
        diagnostics.dedup();
        if diagnostics.iter().any(|d| d.severity == Severity::Error) {
            return Err(Refused { diagnostics, sources: world.sources });
        }
        Ok(Loaded { world, diagnostics, counts })
    }

    /// Input without any object that matters is a mistake, not an empty cluster.
    fn nothing_read(&self, diagnostics: &mut Vec<Diagnostic>) {
        let faulty = diagnostics.iter().any(|d| d.severity == Severity::Error);
        if faulty || !self.parsed.counts.is_empty() || !self.parsed.unread.is_empty() || self.sources.is_empty() {
            return;
        }
        let passed: usize = self.parsed.ignored.values().sum();
        diagnostics.push(Diagnostic {
            severity: Severity::Error,
            code: "nothing-read",
            message: format!(
                "no workload, Service, namespace or policy in the input ({passed} other objects passed over)"
            ),
            object: None,
            field: None,
            at: Some(Origin { source: SourceId(0), ..Origin::default() }),
            notes: Vec::new(),
            help: Some("give the manifests of the cluster, or a directory of them, with -f".to_owned()),
        });
    }

    /// Objects without a namespace matter only beside objects that have one: then they may be meant for those. One warning
    /// for the whole input, at the first of them.
    fn namespaces_not_written(&self, diagnostics: &mut Vec<Diagnostic>) {
        let places = &self.parsed.without_namespace;
        let others = self
            .parsed
            .identities
            .iter()
            .any(|i| !i.namespace.is_empty() && i.namespace != self.options.default_namespace);
        let Some(first) = places.iter().min().filter(|_| others) else { return };
        diagnostics.push(Diagnostic {
            severity: Severity::Warning,
            code: "WT0006",
            message: format!(
                "{} objects name no namespace, others do: read as of namespace {}",
                places.len(),
                self.options.default_namespace
            ),
            object: None,
            field: Some("metadata.namespace".to_owned()),
            at: Some(*first),
            notes: Vec::new(),
            help: Some("write `metadata.namespace`, or give one with -n".to_owned()),
        });
    }
}
