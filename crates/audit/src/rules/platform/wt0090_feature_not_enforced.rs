//! WT0090: rules that rest on something the network plugin leaves out.

use crate::cni::features::{Feature, gap};
use crate::context::Ctx;
use crate::finding::{Finding, Severity, Status};
use crate::rules::common::{policy_object, rules};
use crate::rules::{Check, Lint};
use watertight_engine::scope::Matched;
use watertight_model::{NetworkPolicy, Origin, PeerKind, Peers, PortMatch, Ports, Protocol, Rule};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0090",
    name: "feature-not-enforced",
    severity: Severity::Warning,
    summary: "a rule uses what the network plugin that was seen does not enforce, or only in some versions",
    page: "The API accepts a rule whatever the plugin makes of it. Proves that a rule of a policy that selects pods \
            uses a feature for which a gap of the plugin is known: SCTP, `endPort`, an `ipBlock` that holds \
           addresses of pods that exist. The answer here is the API's; the plugin's may be another one. The table \
           of gaps is data, each with its source.\n\nExample: `protocol: SCTP` under Cilium without \
           `sctp.enabled`.\n\nFix: an equal form where there is one: labels instead of a block, single ports \
           instead of a range.\n\nSilent: no gap of a plugin that was seen is known for the feature; nothing is \
           selected; the block holds no pod.",
    check: Check::World(check),
};

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    if ctx.cni.is_empty() {
        return;
    }
    for (i, policy, direction, j, rule) in rules(ctx) {
        if ctx.scope().subjects(policy).is_empty() {
            continue;
        }
        for (feature, at) in used(ctx, policy, rule) {
            let Some((plugin, gap)) = ctx.cni.iter().find_map(|c| gap(c.name, feature).map(|g| (c.name, g))) else {
                continue;
            };
            let message = format!(
                "{} rule {j} uses {}, and the cluster runs {plugin}: {}, so its verdicts may differ from those here",
                direction.name(),
                feature.words(),
                gap.what,
            );
            let mut finding = LINT.finding(policy_object(ctx, i), Some(at), message);
            finding.status = Status::Assumed;
            finding.affected = 1;
            let instead = match feature {
                Feature::BlockOnPods => "select those pods by labels as well",
                Feature::EndPort => "write the ports one by one, or check the version",
                Feature::Sctp => "check that the plugin has it turned on",
            };
            finding.help = Some(format!("{instead} (source: {})", gap.source));
            out.push(finding);
        }
    }
}

/// Features that a rule uses, each with the first place.
fn used<'w>(ctx: &Ctx<'_, 'w>, policy: &NetworkPolicy, rule: &'w Rule) -> Vec<(Feature, Origin)> {
    let mut out: Vec<(Feature, Origin)> = Vec::new();
    let mut add = |feature: Feature, at: Origin| {
        if !out.iter().any(|(f, _)| *f == feature) {
            out.push((feature, at));
        }
    };
    if let Ports::Of(entries) = &rule.ports {
        for entry in entries {
            if entry.protocol == Protocol::Sctp {
                add(Feature::Sctp, entry.origin);
            }
            if matches!(entry.port, PortMatch::Range(a, b) if a != b) {
                add(Feature::EndPort, entry.origin);
            }
        }
    }
    if let Peers::Of(peers) = &rule.peers {
        for peer in peers.iter().filter(|p| matches!(p.kind, PeerKind::Block(_))) {
            let Matched { sure, .. } = ctx.scope().peer(policy, peer);
            let pods = |c: &watertight_engine::classes::ClassId| {
                let pod = &ctx.world.pods[ctx.engine.classes().representative(*c).index()];
                !pod.host_network && !pod.ips.is_empty()
            };
            if sure.iter().any(pods) {
                add(Feature::BlockOnPods, peer.origin);
            }
        }
    }
    out
}
