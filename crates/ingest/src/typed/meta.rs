//! `metadata`, as far as it is used.

use super::cx::{Cx, Path, quoted, shared, value};
use super::names::{dns_label, subdomain};
use crate::tree::{Entry, Node};
use watertight_model::label::SECONDARY_NETWORKS;
use watertight_model::{Labels, Str};

/// An owner in `ownerReferences` with `controller: true` (or the only one).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) kind: Str,
    pub(crate) name: Str,
}

/// `metadata`.
#[derive(Clone, Debug)]
pub(crate) struct Meta {
    pub(crate) name: Str,
    /// The namespace written, or the default one; meaningless for cluster-wide kinds.
    pub(crate) namespace: Str,
    /// `metadata.namespace` was there.
    pub(crate) namespace_written: bool,
    pub(crate) labels: Labels,
    pub(crate) annotations: Labels,
    pub(crate) owner: Option<Owner>,
    pub(crate) terminating: bool,
    pub(crate) uid: Option<Str>,
}

impl Meta {
    /// Annotations that Watertight itself reads.
    pub(crate) fn own_annotations(&self) -> Labels {
        own(&self.annotations)
    }
}

/// Annotations that are kept: Watertight's own, and the one that gives a pod further interfaces.
pub(crate) fn own(annotations: &Labels) -> Labels {
    let kept = |k: &str| k.starts_with("watertight.dev/") || k == SECONDARY_NETWORKS;
    Labels::new(annotations.iter().filter(|(k, _)| kept(k)).map(|(k, v)| (k.clone(), v.clone())))
}

/// Reads it. `None` if there is no usable name: the object cannot be spoken of.
pub(crate) fn read(
    cx: &mut Cx<'_>,
    kind: &str,
    namespaced: bool,
    entries: &[Entry<'_>],
    whole: &Node<'_>,
    default: &Str,
) -> Option<Meta> {
    let path = Path::ROOT.field("metadata");
    let node = value(entries, "metadata");
    let meta = cx.object(&path, node).unwrap_or_default();
    const USED: &[&str] =
        &["name", "generateName", "namespace", "labels", "annotations", "ownerReferences", "deletionTimestamp"];
    cx.no_slips(&path, meta, USED, &[]);
    let here = node.map_or(whole.span, |n| n.span);
    let name_at = path.field("name");
    let written = cx.text(&name_at, value(meta, "name")).filter(|n| !n.is_empty());
    let generated = cx.text(&path.field("generateName"), value(meta, "generateName")).filter(|n| !n.is_empty());
    let namespace_at = path.field("namespace");
    let namespace_written = cx.text(&namespace_at, value(meta, "namespace")).filter(|n| !n.is_empty());
    let namespace = namespace_written.map_or_else(|| default.clone(), shared);
    let name = written.or(generated);
    cx.object = match name {
        Some(name) if namespaced => {
            format!("{kind} {}/{}", super::cx::printable(&namespace), super::cx::printable(name))
        }
        Some(name) => format!("{kind} {}", super::cx::printable(name)),
        None => kind.to_owned(),
    };
    let Some(name) = name else {
        cx.required(&name_at, here, "name or generateName is required");
        return None;
    };
    if let Some(name) = written {
        let at = value(meta, "name").map_or(here, |n| n.span);
        let faults = if kind == "Namespace" { dns_label(name) } else { subdomain(name) };
        for detail in faults {
            cx.invalid(&name_at, at, &quoted(name), &detail);
        }
    }
    if let (Some(ns), true) = (namespace_written, namespaced) {
        let at = value(meta, "namespace").map_or(here, |n| n.span);
        for detail in dns_label(ns) {
            cx.invalid(&namespace_at, at, &quoted(ns), &detail);
        }
    }
    let labels = cx.labels(&path.field("labels"), value(meta, "labels"));
    let annotations = cx.annotations(&path.field("annotations"), value(meta, "annotations"));
    Some(Meta {
        name: shared(name),
        namespace,
        namespace_written: namespace_written.is_some(),
        labels,
        annotations,
        owner: owner(cx, &path.field("ownerReferences"), value(meta, "ownerReferences")),
        terminating: value(meta, "deletionTimestamp").is_some_and(|n| !n.is_null()),
        uid: cx.text(&path.field("uid"), value(meta, "uid")).filter(|u| !u.is_empty()).map(shared),
    })
}

fn owner(cx: &mut Cx<'_>, path: &Path<'_>, node: Option<&Node<'_>>) -> Option<Owner> {
    let items = cx.list(path, node)?;
    let mut found = None;
    for (i, item) in &items {
        let at = path.index(*i);
        let entries = cx.object(&at, Some(item)).unwrap_or_default();
        let controls = cx.flag(&at.field("controller"), value(entries, "controller")).unwrap_or(items.len() == 1);
        let kind = cx.text(&at.field("kind"), value(entries, "kind"));
        let name = cx.text(&at.field("name"), value(entries, "name"));
        if let (true, Some(kind), Some(name)) = (controls, kind, name) {
            found = Some(Owner { kind: shared(kind), name: shared(name) });
        }
    }
    found
}
