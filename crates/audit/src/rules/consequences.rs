//! What follows from not being isolated: listed inside the findings that say so (WT0046, WT0048), not as findings of their own.

use crate::context::Ctx;
use crate::rules::ask;
use crate::rules::common::{flow, in_namespace, one_per_class, verdict};
use std::collections::BTreeSet;
use watertight_engine::classes::ClassId;
use watertight_model::{Direction, Endpoint, NamespaceId, NodeId, PodId, Protocol, Verdict};

/// What pods of a namespace that no policy isolates for egress have in reach, worst first, in a few words.
pub(crate) fn of_open_egress(ctx: &Ctx<'_, '_>, ns: NamespaceId) -> Vec<String> {
    let pods: Vec<PodId> = in_namespace(ctx, ns).collect();
    let open = |p: &PodId| {
        let class = ctx.engine.classes().class_of(*p);
        class.filter(|c| !ask::has_policies(ctx, *c, Direction::Egress) && !ask::on_host_network(ctx, *c))
    };
    let Some(from) = one_per_class(ctx, &pods).iter().find_map(open) else { return Vec::new() };
    let allowed =
        |to: Endpoint, port: u16| verdict(ctx, &flow(ask::end(ctx, from), to, Protocol::Tcp, port)) == Verdict::Allow;
    let mut out = Vec::new();
    if let Some(ip) = ctx.options.metadata.first().filter(|ip| allowed(Endpoint::External(**ip), 80)) {
        out.push(format!("the metadata address {ip}"));
    }
    let reached: BTreeSet<_> = ask::protected(ctx).into_iter().filter(|w| reaches(ctx, from, *w)).collect();
    out.extend(ask::names(ctx, &reached).into_iter().map(|name| format!("{name}, which is protected")));
    if ctx.world.nodes.iter().enumerate().any(|(i, _)| allowed(Endpoint::Node(NodeId::at(i)), 10250)) {
        out.push("the kubelets".to_owned());
    }
    if ask::internet(ctx, from, Direction::Egress, |p| p.sure.is_all()).is_some() {
        out.push("the Internet".to_owned());
    }
    out
}

fn reaches(ctx: &Ctx<'_, '_>, from: ClassId, to: watertight_model::WorkloadId) -> bool {
    let home = ctx.world.workloads[to.index()].namespace;
    let own = in_namespace(ctx, home).filter(|p| ctx.world.pods[p.index()].workload == to);
    let classes: BTreeSet<ClassId> = own.filter_map(|p| ctx.engine.classes().class_of(p)).collect();
    classes.into_iter().any(|c| c != from && !ctx.reach().ports(from, c).sure.is_empty())
}
