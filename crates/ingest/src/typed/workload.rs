//! Pods, their controllers, namespaces and nodes.

use super::cx::{Cx, Path, shared, value};
use super::meta::{Meta, Owner};
use super::pods::{PodSpec, PodStatus, spec, status};
use super::selector::selector;
use super::{ReadNamespace, blocks};
use crate::tree::Entry;
use watertight_model::label::SECONDARY_NETWORKS;
use watertight_model::{Labels, Node, Origin, Selector, Str, WorkloadKind};

/// A Pod object.
#[derive(Clone, Debug)]
pub(crate) struct ReadPod {
    pub(crate) name: Str,
    pub(crate) labels: Labels,
    pub(crate) annotations: Labels,
    pub(crate) owner: Option<Owner>,
    pub(crate) spec: PodSpec,
    pub(crate) status: PodStatus,
    pub(crate) uid: Option<Str>,
    pub(crate) terminating: bool,
    pub(crate) origin: Origin,
}

/// Kinds of controller.
pub(crate) type ControllerKind = WorkloadKind;

/// A controller of pods.
#[derive(Clone, Debug)]
pub(crate) struct Controller {
    pub(crate) kind: ControllerKind,
    pub(crate) name: Str,
    pub(crate) owner: Option<Owner>,
    pub(crate) annotations: Labels,
    pub(crate) selector: Option<Selector>,
    pub(crate) replicas: Option<u32>,
    pub(crate) schedule: Option<Str>,
    pub(crate) service_name: Option<Str>,
    pub(crate) template_labels: Labels,
    pub(crate) spec: PodSpec,
    pub(crate) origin: Origin,
    pub(crate) template_origin: Origin,
}

pub(crate) fn pod(cx: &mut Cx<'_>, meta: &Meta, entries: &[Entry<'_>], origin: Origin) -> ReadPod {
    let root = Path::ROOT;
    cx.no_slips(&root, entries, &["apiVersion", "kind", "metadata", "spec", "status"], &[]);
    ReadPod {
        name: meta.name.clone(),
        labels: meta.labels.clone(),
        annotations: meta.own_annotations(),
        owner: meta.owner.clone(),
        spec: spec(cx, &root.field("spec"), value(entries, "spec")),
        status: status(cx, &root.field("status"), value(entries, "status")),
        terminating: meta.terminating,
        uid: meta.uid.clone(),
        origin,
    }
}

pub(crate) fn controller(
    cx: &mut Cx<'_>,
    kind: ControllerKind,
    meta: &Meta,
    entries: &[Entry<'_>],
    origin: Origin,
) -> Controller {
    let root = Path::ROOT;
    cx.no_slips(&root, entries, &["apiVersion", "kind", "metadata", "spec", "status"], &[]);
    let path = root.field("spec");
    let own = cx.object(&path, value(entries, "spec")).unwrap_or_default();
    const USED: &[&str] = &["replicas", "selector", "template", "schedule", "jobTemplate", "serviceName"];
    cx.no_slips(&path, own, USED, &[]);
    // A CronJob's pods are described one level further down.
    let job_at = path.field("jobTemplate");
    let job_spec_at = job_at.field("spec");
    let job = cx.object(&job_at, value(own, "jobTemplate")).unwrap_or_default();
    let job_spec = cx.object(&job_spec_at, value(job, "spec")).unwrap_or_default();
    let cron = kind == WorkloadKind::CronJob;
    let (holder, holder_at) = if cron { (job_spec, &job_spec_at) } else { (own, &path) };
    let template_at = holder_at.field("template");
    let template_node = value(holder, "template");
    let template = cx.object(&template_at, template_node).unwrap_or_default();
    cx.no_slips(&template_at, template, &["metadata", "spec"], &[]);
    let meta_at = template_at.field("metadata");
    let template_meta = cx.object(&meta_at, value(template, "metadata")).unwrap_or_default();
    cx.no_slips(&meta_at, template_meta, &["labels", "annotations"], &[]);
    let template_labels = cx.labels(&meta_at.field("labels"), value(template_meta, "labels"));
    let template_annotations = cx.annotations(&meta_at.field("annotations"), value(template_meta, "annotations"));
    let mut annotations = meta.own_annotations();
    if let Some(networks) = template_annotations.get(SECONDARY_NETWORKS) {
        annotations = annotations.with(SECONDARY_NETWORKS, networks);
    }
    let selector_node = value(own, "selector").filter(|n| !n.is_null());
    let selector = selector_node.map(|n| (selector(cx, &path.field("selector"), n), n.span));
    if let Some((selector, span)) = &selector {
        let selects = |r: &watertight_model::Requirement| match (&r.op, template_labels.get(&r.key)) {
            (watertight_model::Op::In(values), have) => have.is_some_and(|h| values.contains(h)),
            (watertight_model::Op::NotIn(values), have) => have.is_none_or(|h| !values.contains(h)),
            (watertight_model::Op::Exists, have) => have.is_some(),
            (watertight_model::Op::DoesNotExist, have) => have.is_none(),
            (watertight_model::Op::Unknown(_), _) => true,
        };
        if kind != WorkloadKind::Job && !selector.requirements.iter().all(selects) {
            let at = meta_at.field("labels");
            let message = format!("{at}: Invalid value: `selector` does not match template `labels`");
            cx.error("WT0004", &at, *span, message, None);
        }
    }
    let replicas = cx.int(&path.field("replicas"), value(own, "replicas"));
    Controller {
        kind,
        name: meta.name.clone(),
        owner: meta.owner.clone(),
        annotations,
        selector: selector.map(|(s, _)| s),
        replicas: replicas.and_then(|n| u32::try_from(n).ok()),
        schedule: cx.text(&path.field("schedule"), value(own, "schedule")).filter(|_| cron).map(shared),
        service_name: cx.text(&path.field("serviceName"), value(own, "serviceName")).map(shared),
        template_labels,
        spec: spec(cx, &template_at.field("spec"), value(template, "spec")),
        origin,
        template_origin: template_node.map_or(origin, |n| cx.origin(n.span)),
    }
}

pub(crate) fn namespace(cx: &mut Cx<'_>, meta: &Meta, entries: &[Entry<'_>], origin: Origin) -> ReadNamespace {
    let path = Path::ROOT.field("status");
    let status = cx.object(&path, value(entries, "status")).unwrap_or_default();
    let phase = cx.text(&path.field("phase"), value(status, "phase"));
    ReadNamespace {
        name: meta.name.clone(),
        labels: meta.namespace_labels(),
        annotations: meta.own_annotations(),
        terminating: meta.terminating || phase == Some("Terminating"),
        origin,
    }
}

pub(crate) fn node(cx: &mut Cx<'_>, meta: &Meta, entries: &[Entry<'_>], origin: Origin) -> Node {
    let root = Path::ROOT;
    let spec_at = root.field("spec");
    let spec = cx.object(&spec_at, value(entries, "spec")).unwrap_or_default();
    let mut pod_cidrs = blocks(cx, &spec_at.field("podCIDRs"), value(spec, "podCIDRs"));
    if let Some(node) = value(spec, "podCIDR").filter(|_| pod_cidrs.is_empty()) {
        let at = spec_at.field("podCIDR");
        if let Some(text) = cx.text(&at, Some(node)) {
            pod_cidrs.extend(super::cidr::block(cx, &at, text, node.span).map(|b| b.cidr));
        }
    }
    let status_at = root.field("status");
    let status = cx.object(&status_at, value(entries, "status")).unwrap_or_default();
    let list_at = status_at.field("addresses");
    let mut addresses = Vec::new();
    for (i, item) in cx.list(&list_at, value(status, "addresses")).unwrap_or_default() {
        let at = list_at.index(i);
        let fields = cx.object(&at, Some(item)).unwrap_or_default();
        // Host names stand here too; every address counts, whatever its type (row 155).
        let text = cx.text(&at.field("address"), value(fields, "address"));
        addresses.extend(text.and_then(|t| t.parse::<std::net::IpAddr>().ok()));
    }
    let mut seen = std::collections::BTreeSet::new();
    addresses.retain(|ip| seen.insert(*ip));
    Node {
        name: meta.name.clone(),
        labels: meta.labels.clone(),
        annotations: meta.annotations.clone(),
        addresses,
        pod_cidrs,
        origin,
    }
}
