//! Selectors and peers that match something else than meant (WT0018 to WT0029).

mod wt0018_peer_or_instead_of_and;
mod wt0019_peer_own_namespace_only;
mod wt0020_policy_selects_nothing;
mod wt0021_peer_matches_nothing;
mod wt0022_namespace_label_nowhere;
mod wt0023_selector_contradiction;
mod wt0024_notin_matches_unlabelled;
mod wt0025_volatile_label;
mod wt0026_namespace_labels_unknown;
mod wt0027_namespace_label_missing;
mod wt0028_boundary_on_writable_label;
mod wt0029_workload_split;

use super::Lint;
use crate::context::Ctx;
use watertight_engine::classes::ClassId;
use watertight_engine::selector::{matches, matches_namespace};
use watertight_engine::tri::Tri;
use watertight_model::{NamespaceId, Pod, Selector};

/// By code.
pub(super) const LINTS: &[&Lint] = &[
    &wt0018_peer_or_instead_of_and::LINT,
    &wt0019_peer_own_namespace_only::LINT,
    &wt0020_policy_selects_nothing::LINT,
    &wt0021_peer_matches_nothing::LINT,
    &wt0022_namespace_label_nowhere::LINT,
    &wt0023_selector_contradiction::LINT,
    &wt0024_notin_matches_unlabelled::LINT,
    &wt0025_volatile_label::LINT,
    &wt0026_namespace_labels_unknown::LINT,
    &wt0027_namespace_label_missing::LINT,
    &wt0028_boundary_on_writable_label::LINT,
    &wt0029_workload_split::LINT,
];

/// All classes, each with a pod that stands for it.
fn classes<'a>(ctx: &'a Ctx<'_, '_>) -> impl Iterator<Item = (ClassId, &'a Pod)> + 'a {
    let classes = ctx.engine.classes();
    let ids = (0..classes.len()).filter_map(|i| u32::try_from(i).ok()).map(ClassId);
    ids.map(move |class| (class, &ctx.world.pods[classes.representative(class).index()]))
}

/// Classes whose pods carry the labels that a selector of this world asks for, in any namespace.
fn labelled(ctx: &Ctx<'_, '_>, selector: &Selector) -> Vec<ClassId> {
    classes(ctx).filter(|(_, pod)| matches(selector, &pod.labels)).map(|(class, _)| class).collect()
}

/// Namespaces that a selector may select; the policy's own without one.
fn namespaces(ctx: &Ctx<'_, '_>, own: NamespaceId, selector: Option<&Selector>) -> Vec<NamespaceId> {
    match selector {
        None => vec![own],
        Some(selector) => {
            let all = (0..ctx.world.namespaces.len()).map(NamespaceId::at);
            all.filter(|ns| matches_namespace(ctx.world, *ns, selector) != Tri::No).collect()
        }
    }
}

/// Namespaces that every cluster has.
const STANDARD: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];

/// The input holds the namespaces that every cluster has, so it is a whole cluster rather than some manifests: what is not in
/// it does not exist.
fn is_whole_cluster(ctx: &Ctx<'_, '_>) -> bool {
    let declared = |name: &str| ctx.world.namespace(name).is_some_and(|ns| ctx.world.namespaces[ns.index()].declared);
    STANDARD.iter().all(|name| declared(name))
}

/// Names of namespaces, in order.
fn namespace_names(ctx: &Ctx<'_, '_>, list: &[NamespaceId]) -> Vec<String> {
    list.iter().map(|ns| ctx.world.namespaces[ns.index()].name.to_string()).collect()
}
