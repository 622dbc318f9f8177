//! WT0037: endpoints written by hand that lead out of the Service's namespace.

use crate::context::Ctx;
use crate::finding::{Finding, Severity, some};
use crate::rules::common::{flow, in_namespace, verdict};
use crate::rules::{Check, Lint};
use std::net::IpAddr;
use watertight_model::{Endpoint, EndpointSlice, PodId, Verdict};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0037",
    name: "endpoint-elsewhere",
    severity: Severity::Warning,
    summary: "a hand-written EndpointSlice leads to a pod of another namespace, to a node, or to a link-local address",
    page: "Whoever may write EndpointSlices in one namespace can point a Service at any address \
           (CVE-2021-25740). Policy is about the pod that receives, so the verdict is taken on the real \
           destination, and is printed.\n\nExample: an EndpointSlice `dev/tunnel` with the address of \
           `prod/db-0`.\n\nFix: a Service in the owner's namespace, and a rule that says who may use \
           it.\n\nSilent: slices of Kubernetes' own controllers; the Service `default/kubernetes`, whose \
           endpoints the API server writes; addresses outside the cluster, which are the usual reason to write \
           a slice.",
    check: Check::World(check),
};

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    for slice in ctx.world.endpoint_slices.iter().filter(|s| !s.managed).take_while(|_| !ctx.is_overdue()) {
        let namespace = &ctx.world.namespaces[slice.namespace.index()].name;
        if **namespace == *"default" && slice.service.as_deref() == Some("kubernetes") {
            continue;
        }
        let addresses = slice.endpoints.iter().flat_map(|e| e.addresses.iter().copied());
        let found: Vec<(Endpoint, String)> = addresses.filter_map(|ip| elsewhere(ctx, slice, ip)).collect();
        let Some((first, _)) = found.first() else { continue };
        let places: Vec<String> = found.iter().map(|(_, place)| place.clone()).collect();
        let service = slice.service.as_deref().unwrap_or(&slice.name);
        let (sentence, witness) = reached(ctx, slice, *first);
        let message = format!("sends connections to Service {namespace}/{service} to {}{sentence}", some(&places));
        let object = format!("EndpointSlice {namespace}/{}", slice.name);
        let mut finding = LINT.finding(object, Some(slice.origin), message);
        finding.affected = found.len();
        finding.witness = witness;
        finding.help =
            Some("make a Service in the namespace of the pods, and a rule that says who may use it".to_owned());
        out.push(finding);
    }
}

/// Who has the address, if it is none of the slice's own pods and nobody outside.
fn elsewhere(ctx: &Ctx<'_, '_>, slice: &EndpointSlice, ip: IpAddr) -> Option<(Endpoint, String)> {
    let link_local = match ip {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_loopback(),
        IpAddr::V6(v6) => v6.is_unicast_link_local() || v6.is_loopback(),
    };
    let endpoint = ctx.engine.endpoint_of(ip);
    let words = match endpoint {
        Endpoint::Pod(id) if ctx.world.pods[id.index()].namespace == slice.namespace => return None,
        Endpoint::Pod(id) => format!("pod {}", ctx.world.pod_name(id)),
        Endpoint::Node(id) => format!("node {}", ctx.world.nodes[id.index()].name),
        Endpoint::External(_) if link_local => format!("{ip}, an address of the node itself"),
        Endpoint::External(_) => return None,
    };
    Some((endpoint, words))
}

/// What policies say of a pod of the slice's namespace that takes the way.
fn reached(ctx: &Ctx<'_, '_>, slice: &EndpointSlice, to: Endpoint) -> (String, Option<watertight_model::Flow>) {
    let live = |id: &PodId| !ctx.world.pods[id.index()].finished && !ctx.world.pods[id.index()].host_network;
    let from = in_namespace(ctx, slice.namespace).find(live);
    let port = slice.ports.iter().find_map(|(_, protocol, number)| number.map(|n| (*protocol, n)));
    let Some((from, (protocol, number))) = from.zip(port) else { return (String::new(), None) };
    let flow = flow(Endpoint::Pod(from), to, protocol, number);
    let words = match verdict(ctx, &flow) {
        Verdict::Allow => "which policies allow",
        Verdict::Deny => "which policies deny",
        Verdict::Depends => "which policies may allow",
    };
    let sentence = format!(", {words} from {} on {protocol} {number}", ctx.world.pod_name(from));
    (sentence, Some(flow))
}
