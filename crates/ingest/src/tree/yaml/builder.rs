//! Events to one document's tree, with what the grammar leaves open: budgets, anchors and aliases, tags, null.

use std::borrow::Cow;

use granit_parser::{Event, ScalarStyle, StructureStyle};
use rustc_hash::FxHashMap;

use super::super::merge;
use super::super::place::Chunk;
use super::super::scalar::is_null;
use super::super::{Document, Entry, ErrorKind, Key, Node, Resolved, Scalar, Span, Style, TreeError, Value};
use super::spans::End;
use crate::limits::Limits;

/// What to do after an event.
pub(super) enum Step {
    /// More to come.
    On,
    /// The document is over.
    Done,
    /// A budget is spent: nothing more of this document is worth reading.
    Abandon,
}

/// An open collection.
pub(super) struct Frame<'a> {
    start: Span,
    map: bool,
    flow: bool,
    anchor: usize,
    /// Where this collection's items begin on the shared stack.
    base: usize,
    /// The key that waits for its value.
    pub(super) key: Option<Key<'a>>,
}

struct Anchored<'a> {
    node: Node<'a>,
    cost: usize,
    height: usize,
}

/// The document that is being built.
pub(super) struct Builder<'a, 'l> {
    pub(super) chunk: Chunk<'a>,
    pub(super) limits: &'l Limits,
    /// Where the current document begins, in the chunk.
    pub(super) document_start: usize,
    /// Where the last document ended, and whether no other has begun since.
    document_end: usize,
    between: bool,
    /// Whether the text can hold an alias at all: if not, anchored nodes need no copy.
    aliases: bool,
    tabs: bool,
    pub(super) errors: Vec<TreeError>,
    pub(super) frames: Vec<Frame<'a>>,
    /// Items of all open sequences, entries of all open mappings: so that a closed collection is allocated in its exact size.
    items: Vec<Node<'a>>,
    entries: Vec<Entry<'a>>,
    anchors: FxHashMap<usize, Anchored<'a>>,
    root: Option<Node<'a>>,
    root_omitted: bool,
    nodes: usize,
    copied: usize,
    /// The end of the last visible token.
    pub(super) last: End,
}

impl<'a, 'l> Builder<'a, 'l> {
    pub(super) fn new(chunk: Chunk<'a>, limits: &'l Limits) -> Self {
        Self {
            chunk,
            limits,
            document_start: 0,
            document_end: 0,
            between: false,
            aliases: chunk.text.contains('*'),
            tabs: chunk.text.contains('\t'),
            errors: Vec::new(),
            frames: Vec::new(),
            items: Vec::new(),
            entries: Vec::new(),
            anchors: FxHashMap::default(),
            root: None,
            root_omitted: false,
            nodes: 0,
            copied: 0,
            last: End::default(),
        }
    }

    fn reset(&mut self) {
        self.frames.clear();
        self.items.clear();
        self.entries.clear();
        self.anchors.clear();
        self.root = None;
        self.root_omitted = false;
        self.nodes = 0;
        self.copied = 0;
    }

    /// Where to begin again on a document with an error at `at`: at the start of its first line. Between two documents
    /// that is the line below the last one, which has been handed over; or right behind it if the error is on its line.
    pub(super) fn broken_from(&self, at: usize) -> usize {
        if !self.between || !self.errors.is_empty() {
            return self.chunk.line_range(self.document_start).start;
        }
        let line = self.chunk.line_range(self.document_end);
        let below = if line.start == self.document_end { line.start } else { self.chunk.text.len().min(line.end + 1) };
        if at < below { self.document_end } else { below }
    }

    pub(super) fn take_document(&mut self) -> Option<Document<'a>> {
        let root = self.root.take()?;
        self.anchors.clear();
        if self.root_omitted { None } else { Some(Document { root, nodes: self.nodes + self.copied }) }
    }

    pub(super) fn event(&mut self, event: Event<'a>, span: &granit_parser::Span) -> Step {
        match event {
            Event::Scalar(text, style, anchor, tag) => self.scalar(text, style, anchor, tag.as_deref(), span),
            Event::MappingStart(style, anchor, tag) => self.open(true, style, anchor, tag.as_deref(), span),
            Event::SequenceStart(style, anchor, tag) => self.open(false, style, anchor, tag.as_deref(), span),
            Event::MappingEnd | Event::SequenceEnd => self.close(span),
            Event::Alias(id) => self.alias(id, span),
            Event::UnresolvedAlias(name) => {
                let at = self.span(span);
                self.fault(ErrorKind::UnknownAlias { name: name.into_owned() }, at);
                self.see(&at);
                self.complete(self.stand_in(at), 0)
            }
            Event::DocumentStart(..) => {
                self.reset();
                self.document_start = span.start.byte_offset().unwrap_or(0);
                self.between = false;
                Step::On
            }
            Event::DocumentEnd => {
                self.between = true;
                self.document_end = span.end.byte_offset().unwrap_or(0);
                Step::Done
            }
            _ => Step::On,
        }
    }

    fn scalar(
        &mut self,
        text: Cow<'a, str>,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&granit_parser::Tag>,
        at: &granit_parser::Span,
    ) -> Step {
        let mut span = self.span(at);
        let omitted = style == ScalarStyle::Plain && span.start == span.end;
        // The parser's text for an omitted node is `~`.
        let text = if omitted { Cow::Borrowed("") } else { text };
        let mut style = match style {
            ScalarStyle::Plain => Style::Plain,
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Style::Quoted,
            ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
        };
        if omitted {
            self.behind_colon(&mut span);
        } else if style == Style::Block {
            self.trim(&mut span);
        }
        if text.len() > self.limits.max_scalar_bytes {
            self.fault(ErrorKind::ScalarTooLong { limit: self.limits.max_scalar_bytes }, span);
        }
        if let Some(tag) = tag {
            style = self.scalar_tag(tag, &text, style, at);
        }
        let wants_key = self.frames.last().is_some_and(|f| f.map && f.key.is_none());
        if wants_key && omitted && tag.is_none() && anchor == 0 {
            self.fault(ErrorKind::MissingKey, span);
        }
        if !omitted {
            self.see(&span);
        } else if !wants_key {
            // The colon or dash of an omitted value is visible.
            self.see(&span);
        }
        let scalar = Scalar { text, style };
        if wants_key && anchor == 0 {
            if self.tabs && self.frames.last().is_some_and(|f| !f.flow) {
                self.indentation(&span);
            }
            if let Some(frame) = self.frames.last_mut() {
                frame.key = Some(Key { scalar, span });
            }
            return Step::On;
        }
        if self.frames.is_empty() {
            self.root_omitted = omitted && tag.is_none();
        }
        let null = style == Style::Plain && is_null(&scalar.text);
        let value = if null && !wants_key { Value::Null } else { Value::Scalar(scalar) };
        self.complete(Node { value, span }, anchor)
    }

    fn open(
        &mut self,
        map: bool,
        style: StructureStyle,
        anchor: usize,
        tag: Option<&granit_parser::Tag>,
        at: &granit_parser::Span,
    ) -> Step {
        let mut span = self.span(at);
        if style == StructureStyle::Block {
            span.end = span.start;
            if !map {
                self.to_dash(&mut span);
            }
            if self.tabs {
                self.indentation(&span);
            }
        }
        if let Some(tag) = tag {
            let fits = tag.core_suffix() == Some(if map { "map" } else { "seq" });
            if !fits && tag.original() != "!" {
                let found = if map { "a mapping" } else { "a sequence" };
                self.tag_fault(tag, found, at);
            }
        }
        if self.frames.len() >= self.limits.max_depth {
            self.fault(ErrorKind::TooDeep { limit: self.limits.max_depth }, span);
            return Step::Abandon;
        }
        let base = if map { self.entries.len() } else { self.items.len() };
        let flow = style == StructureStyle::Flow;
        self.frames.push(Frame { start: span, map, flow, anchor, base, key: None });
        Step::On
    }

    fn close(&mut self, at: &granit_parser::Span) -> Step {
        let end = self.span(at);
        if end.end > end.start {
            self.see(&end);
        }
        let Some(frame) = self.frames.pop() else { return Step::On };
        let mut span = frame.start;
        if self.last.byte > span.start {
            (span.end, span.end_line, span.end_column) = (self.last.byte, self.last.line, self.last.column);
        }
        let value = if frame.map {
            let entries: Vec<Entry<'a>> = self.entries.drain(frame.base..).collect();
            Value::Map(merge::finish(entries, true, self.limits.max_errors, &mut self.errors))
        } else {
            Value::Seq(self.items.drain(frame.base..).collect())
        };
        self.complete(Node { value, span }, frame.anchor)
    }

    fn alias(&mut self, id: usize, at: &granit_parser::Span) -> Step {
        let span = self.span(at);
        self.see(&span);
        let Some(anchored) = self.anchors.get(&id) else {
            let name = self.text(at).trim_start_matches('*').to_owned();
            self.fault(ErrorKind::AliasCycle { name }, span);
            return self.complete(self.stand_in(span), 0);
        };
        let (cost, height) = (anchored.cost, anchored.height);
        if !self.copy(cost, span) {
            return Step::Abandon;
        }
        if self.frames.len() + height > self.limits.max_depth {
            self.fault(ErrorKind::TooDeep { limit: self.limits.max_depth }, span);
            return Step::Abandon;
        }
        match self.anchors.get(&id).map(|anchored| anchored.node.clone()) {
            Some(node) => self.complete(node, 0),
            None => Step::On,
        }
    }

    /// Puts a finished node where it belongs.
    fn complete(&mut self, node: Node<'a>, anchor: usize) -> Step {
        self.nodes += 1;
        if self.nodes > self.limits.max_nodes {
            self.fault(ErrorKind::TooManyNodes { limit: self.limits.max_nodes }, node.span);
            return Step::Abandon;
        }
        if anchor != 0 && self.aliases {
            let (cost, height) = measure(&node);
            if !self.copy(cost, node.span) {
                return Step::Abandon;
            }
            self.anchors.insert(anchor, Anchored { node: node.clone(), cost, height });
        }
        let Some(frame) = self.frames.last_mut() else {
            self.root = Some(node);
            return Step::On;
        };
        if !frame.map {
            self.items.push(node);
        } else if let Some(key) = frame.key.take() {
            self.entries.push(Entry { key, value: node });
        } else {
            let (scalar, found) = match node.value {
                Value::Scalar(scalar) => (scalar, None),
                Value::Null => (Scalar { text: Cow::Borrowed("null"), style: Style::Plain }, None),
                Value::Seq(_) => (Scalar { text: Cow::Borrowed(""), style: Style::Quoted }, Some("a sequence")),
                Value::Map(_) => (Scalar { text: Cow::Borrowed(""), style: Style::Quoted }, Some("a mapping")),
            };
            frame.key = Some(Key { scalar, span: node.span });
            if let Some(found) = found {
                self.fault(ErrorKind::ComplexKey { found }, node.span);
            }
        }
        Step::On
    }

    /// Counts copied nodes; false if they are too many. They are bounded by the text that asks for them as well, else a
    /// file of many small documents would be a bomb.
    fn copy(&mut self, cost: usize, at: Span) -> bool {
        self.copied += cost;
        let text = self.local(at.end).saturating_sub(self.document_start);
        let limit = self.limits.max_alias_nodes.min(text.saturating_mul(4).saturating_add(100));
        if self.copied > limit {
            self.fault(ErrorKind::TooManyAliasNodes { limit }, at);
        }
        self.copied <= limit
    }

    /// Takes the place of an alias that failed, so that reading goes on. A mapping where a value is due: `<<` accepts it.
    fn stand_in(&self, span: Span) -> Node<'a> {
        let value_due = self.frames.last().is_some_and(|f| f.key.is_some());
        Node { value: if value_due { Value::Map(Vec::new()) } else { Value::Null }, span }
    }

    /// The style that a tag gives to a scalar.
    fn scalar_tag(&mut self, tag: &granit_parser::Tag, text: &str, style: Style, at: &granit_parser::Span) -> Style {
        use Resolved as R;
        let resolved = Scalar { text: Cow::Borrowed(text), style }.resolve();
        let fits = match tag.core_suffix() {
            Some("str") => return Style::Quoted,
            Some("null") => matches!(resolved, R::Null),
            Some("bool") => matches!(resolved, R::Bool(_)),
            Some("int") => matches!(resolved, R::Int(_)),
            Some("float") => matches!(resolved, R::Int(_) | R::Float(_)),
            _ if tag.original() == "!" => return Style::Quoted,
            _ => false,
        };
        if !fits {
            let found = match resolved {
                R::Null => "null",
                R::Bool(_) => "a boolean",
                R::Int(_) => "an integer",
                R::Float(_) => "a number",
                R::Str => "a string",
            };
            self.tag_fault(tag, found, at);
        }
        style
    }

    fn tag_fault(&mut self, tag: &granit_parser::Tag, found: &'static str, at: &granit_parser::Span) {
        let span = at.tag_span().map_or_else(|| self.span(at), |s| self.span(&s));
        let written = tag.original();
        let core = matches!(tag.core_suffix(), Some("str" | "null" | "bool" | "int" | "float" | "map" | "seq"));
        let kind =
            if core { ErrorKind::WrongTag { tag: written, found } } else { ErrorKind::UnsupportedTag { tag: written } };
        self.fault(kind, span);
    }

    pub(super) fn fault(&mut self, kind: ErrorKind, span: Span) {
        // One more than the budget, so that the reader of the input knows that there are more.
        if self.errors.len() <= self.limits.max_errors {
            self.errors.push(TreeError { kind, span });
        }
    }
}

/// What a copy of a node costs (1 per node and 1 per 64 bytes of text), and how many collections it has inside one another.
fn measure(node: &Node<'_>) -> (usize, usize) {
    let add = |(cost, height): (usize, usize), (c, h): (usize, usize)| (cost + c, height.max(h));
    match &node.value {
        Value::Null => (1, 0),
        Value::Scalar(scalar) => (1 + scalar.text.len() / 64, 0),
        Value::Seq(items) => {
            let (cost, height) = items.iter().map(measure).fold((1, 0), add);
            (cost, height + 1)
        }
        Value::Map(entries) => {
            let one = |e: &Entry<'_>| {
                let (cost, height) = measure(&e.value);
                (cost + e.key.scalar.text.len() / 64, height)
            };
            let (cost, height) = entries.iter().map(one).fold((1, 0), add);
            (cost, height + 1)
        }
    }
}
