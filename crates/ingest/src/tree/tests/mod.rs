//! The tree layer's tests: what is read, where it stands, what is refused.

mod hostile;
mod json;
mod limits;
mod scalars;
mod spans;
mod yaml;

use super::{Document, ErrorKind, Format, Node, Span, TreeError, Value, decode, documents, documents_par};
use crate::limits::Limits;

/// All documents and errors of a text.
fn all<'a>(text: &'a str, format: Format, limits: &Limits) -> Vec<Result<Document<'a>, TreeError>> {
    let mut results = Vec::new();
    documents(text, format, limits, &mut |r| results.push(r));
    results
}

fn yaml(text: &str) -> Vec<Result<Document<'_>, TreeError>> {
    all(text, Format::Yaml, &Limits::default())
}

fn json(text: &str) -> Vec<Result<Document<'_>, TreeError>> {
    all(text, Format::Json, &Limits::default())
}

/// The only document of a YAML text.
fn one(text: &str) -> Node<'_> {
    let mut results = yaml(text);
    assert_eq!(results.len(), 1, "{text:?}: {results:?}");
    results.remove(0).unwrap().root
}

/// The only document of a JSON text.
fn one_json(text: &str) -> Node<'_> {
    let mut results = json(text);
    assert_eq!(results.len(), 1, "{text:?}: {results:?}");
    results.remove(0).unwrap().root
}

/// The errors among the results.
fn errors(results: Vec<Result<Document<'_>, TreeError>>) -> Vec<TreeError> {
    results.into_iter().filter_map(Result::err).collect()
}

/// The only error of a YAML text; no document is handed over.
fn fault(text: &str) -> TreeError {
    let results = yaml(text);
    assert!(results.iter().all(Result::is_err), "{text:?}: {results:?}");
    assert_eq!(results.len(), 1, "{text:?}: {results:?}");
    errors(results).remove(0)
}

/// The only error of a JSON text; no document is handed over.
fn fault_json(text: &str) -> TreeError {
    let results = json(text);
    assert!(results.iter().all(Result::is_err), "{text:?}: {results:?}");
    assert_eq!(results.len(), 1, "{text:?}: {results:?}");
    errors(results).remove(0)
}

/// `line:column-line:column`.
fn place(span: &Span) -> String {
    format!("{}:{}-{}:{}", span.line, span.column, span.end_line, span.end_column)
}

/// A tree on one line: JSON-like, with `=` before plain scalars, quotes around quoted ones, `|` before block scalars.
fn show(node: &Node<'_>) -> String {
    use super::Style;
    match &node.value {
        Value::Null => "null".to_owned(),
        Value::Scalar(s) => match s.style {
            Style::Plain => format!("={}", s.text),
            Style::Quoted => format!("{:?}", s.text),
            Style::Block => format!("|{:?}", s.text),
        },
        Value::Seq(items) => format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(", ")),
        Value::Map(entries) => {
            let entries: Vec<_> = entries.iter().map(|e| format!("{}: {}", e.key.text(), show(&e.value))).collect();
            format!("{{{}}}", entries.join(", "))
        }
    }
}

/// The node at a path of keys and positions.
fn at<'n, 'a>(node: &'n Node<'a>, path: &str) -> &'n Node<'a> {
    path.split('.').filter(|p| !p.is_empty()).fold(node, |node, step| match step.parse::<usize>() {
        Ok(i) => &node.as_seq().unwrap()[i],
        Err(_) => node.get(step).unwrap_or_else(|| panic!("no {step} in {}", show(node))),
    })
}
