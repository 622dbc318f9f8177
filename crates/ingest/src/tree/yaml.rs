//! YAML events to trees. The grammar is `granit-parser`'s; here are the budgets, the positions and what the grammar leaves
//! to its user: duplicate keys, aliases, merge keys, tags.
//!
//! In: one [`Chunk`], that is mostly one document. Out: each of its documents or its errors, in order.

mod builder;
mod error;
mod spans;

use builder::{Builder, Step};
use error::{explain, raise};
use granit_parser::Parser;

use super::place::Chunk;
use super::{Document, ErrorKind, TreeError};
use crate::limits::Limits;

/// Gives `sink` every document of the text, or its errors; stops when `sink` returns false.
///
/// One parser runs over all documents until one of them has an error. That one is read again on its own, up to the next
/// `---`: so no fault of one document can reach another, whatever the parser had looked at.
pub(super) fn read<'a>(mut text: Chunk<'a>, limits: &Limits, sink: &mut Sink<'_, 'a>) {
    while text.next_marker(0).is_some() {
        let Run::Broken { start } = run(text, limits, sink) else { return };
        let (_, from_here) = text.split(start);
        let Some(next) = from_here.next_marker(0) else {
            text = from_here;
            break;
        };
        let (alone, rest) = from_here.split(next);
        if !read_alone(alone, limits, sink) {
            return;
        }
        text = rest;
    }
    read_alone(text, limits, sink);
}

/// Takes a document or an error; false if it wants no more.
pub(super) type Sink<'s, 'a> = dyn FnMut(Result<Document<'a>, TreeError>) -> bool + 's;

enum Run {
    /// At the end of the text, or the sink wants no more.
    Over,
    /// At a document with an error, which begins on the line that starts at this offset of the text. Nothing of it has
    /// been handed over.
    Broken { start: usize },
}

fn parser<'a>(chunk: Chunk<'a>, limits: &Limits) -> Parser<'a, granit_parser::StrInput<'a>> {
    let mut options = granit_parser::options! {
        disallow_directives: true,
        emit_unresolved_aliases: true,
        flow_nesting_limit: limits.max_depth,
        block_nesting_limit: limits.max_depth,
    };
    options.set_emit_comments(false);
    Parser::new_from_str_with_options(chunk.text, options)
}

/// Reads documents up to the first error.
fn run<'a>(text: Chunk<'a>, limits: &Limits, sink: &mut Sink<'_, 'a>) -> Run {
    let mut parser = parser(text, limits);
    let mut builder = Builder::new(text, limits);
    loop {
        match parser.next_event() {
            None => return Run::Over,
            Some(Ok((event, span))) => match builder.event(event, &span) {
                Step::On => {}
                Step::Done if builder.errors.is_empty() => {
                    if builder.take_document().is_some_and(|document| !sink(Ok(document))) {
                        return Run::Over;
                    }
                }
                Step::Done | Step::Abandon => break,
            },
            Some(Err(error)) => {
                let at = error.marker().byte_offset().unwrap_or(0);
                return Run::Broken { start: builder.broken_from(at) };
            }
        }
    }
    Run::Broken { start: builder.broken_from(builder.document_start) }
}

/// Reads one document, or a few if `...` parts them, and reports its errors. False if the sink wants no more.
fn read_alone<'a>(chunk: Chunk<'a>, limits: &Limits, sink: &mut Sink<'_, 'a>) -> bool {
    let mut parser = parser(chunk, limits);
    let mut builder = Builder::new(chunk, limits);
    let mut documents = 0;
    loop {
        let done = match parser.next_event() {
            None => return true,
            Some(Ok((event, span))) => match builder.event(event, &span) {
                Step::On => continue,
                Step::Done => true,
                Step::Abandon => false,
            },
            Some(Err(error)) => {
                builder.errors.push(raise(&chunk, &error, limits));
                false
            }
        };
        if builder.errors.is_empty() {
            if let Some(document) = builder.take_document() {
                documents += 1;
                if documents > limits.max_documents {
                    let kind = ErrorKind::TooManyDocuments { limit: limits.max_documents };
                    sink(Err(TreeError { kind, span: document.root.span }));
                    return false;
                }
                if !sink(Ok(document)) {
                    return false;
                }
            }
        } else {
            for error in explain(&chunk, std::mem::take(&mut builder.errors)) {
                if !sink(Err(error)) {
                    return false;
                }
            }
        }
        // After an error another document can only start behind `...`: at `---` the chunk ends.
        let more = done || (chunk.text.contains("\n...") && parser.proceed_next_document().unwrap_or(false));
        if !more {
            return true;
        }
    }
}
