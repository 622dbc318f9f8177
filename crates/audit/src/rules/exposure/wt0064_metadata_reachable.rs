//! WT0064: the cloud's metadata address, which hands out the node's credentials.

use crate::context::Ctx;
use crate::finding::{Finding, Severity, some};
use crate::fix::Fix;
use crate::rules::common::{flow, in_namespace, one_per_class, verdict, workload_names};
use crate::rules::{Check, Lint, ask};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use watertight_model::policy::BlockCidr;
use watertight_model::{
    Cidr, Endpoint, Flow, NamespaceId, NetworkPolicy, Origin, PeerKind, Peers, PodId, PolicyRef, Protocol, RuleRef,
    Verdict,
};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "WT0064",
    name: "metadata-reachable",
    severity: Severity::Error,
    summary: "pods isolated for egress reach the cloud's metadata address by a rule",
    page: "The instance metadata service hands out the node's credentials. Proves that a rule allows a pod to reach \
           one of its addresses (169.254.169.254, fd00:ec2::254) on TCP 80. Hop limits and metadata proxies are \
           outside of what policy says.\n\nExample: egress `0.0.0.0/0`.\n\nFix: `except: [169.254.169.254/32]` in \
           every rule that holds the address. Agents that give pods an identity of their own have addresses near by, \
           which the help names.\n\nSilent: pods that are not isolated for egress (WT0048 lists what follows from that).",
    check: Check::World(check),
};

/// Workloads that reach it, the rules that let them, and the address: for one namespace.
struct Reaching {
    pods: Vec<PodId>,
    rules: BTreeSet<RuleRef>,
    ip: IpAddr,
    witness: Flow,
}

fn check(ctx: &Ctx<'_, '_>, out: &mut Vec<Finding>) {
    for ns in (0..ctx.world.namespaces.len()).map(NamespaceId::at) {
        let mut found: Option<Reaching> = None;
        let pods: Vec<PodId> = in_namespace(ctx, ns).collect();
        for pod in one_per_class(ctx, &pods) {
            for ip in ctx.options.metadata.iter().copied() {
                let asked = flow(Endpoint::Pod(pod), Endpoint::External(ip), Protocol::Tcp, 80);
                let half = ctx.engine.decide(&asked).egress;
                if ask::by_rule(half.reason) && verdict(ctx, &asked) == Verdict::Allow {
                    let entry = found.get_or_insert_with(|| Reaching {
                        pods: Vec::new(),
                        rules: BTreeSet::new(),
                        ip,
                        witness: asked,
                    });
                    let class = ctx.engine.classes().class_of(pod);
                    entry.pods.extend(class.map(|c| ctx.engine.classes().members(c)).unwrap_or_default());
                    entry.rules.extend(half.decided_by);
                    break;
                }
            }
        }
        out.extend(found.map(|found| metadata_finding(ctx, &found)));
    }
}

fn metadata_finding(ctx: &Ctx<'_, '_>, found: &Reaching) -> Finding {
    let Reaching { pods, rules, ip, witness } = found;
    let names = workload_names(ctx, pods);
    let first = rules.first().map(|rule| ask::rule(ctx, *rule));
    let (object, at) = first.map_or_else(|| ("the cluster".to_owned(), None), |(object, at)| (object, Some(at)));
    let more = match rules.len() {
        0 | 1 => String::new(),
        n => format!(", by this rule and {} more", n - 1),
    };
    let message =
        format!("{} can reach the metadata address {ip}, which hands out the node's credentials{more}", some(&names));
    let mut finding = LINT.finding(object, at, message);
    finding.affected = names.len();
    finding.witness = Some(*witness);
    finding.help = Some(format!(
        "except {ip} from the block, in every rule that holds it; a rule without `to` needs blocks first; {IDENTITY}"
    ));
    finding.fixes.extend(excepted(ctx, rules));
    finding
}

/// What else pods may ask there on purpose.
const IDENTITY: &str = "where pods get an identity of their own (EKS Pod Identity at 169.254.170.23:80, GKE Workload \
                        Identity at 169.254.169.252:988, or at 169.254.169.254:80 with Dataplane V2), see that this path stays open";

/// Every rule with the metadata addresses excepted from its blocks; `None` where a rule has none, so that what to put in its
/// place is for people to say.
fn excepted(ctx: &Ctx<'_, '_>, rules: &BTreeSet<RuleRef>) -> Option<Fix> {
    let mut edited: BTreeMap<u32, NetworkPolicy> = BTreeMap::new();
    for rule in rules {
        let (PolicyRef::Namespaced(i), Some(r)) = (rule.policy, rule.rule) else { return None };
        let policy = edited.entry(i).or_insert_with(|| ctx.world.policies[i as usize].clone());
        let Peers::Of(peers) = &mut policy.egress.get_mut(r as usize)?.peers else { return None };
        for peer in peers {
            let PeerKind::Block(block) = &mut peer.kind else { continue };
            for ip in ctx.options.metadata.iter().filter(|ip| block.cidr.cidr.contains(**ip)) {
                let host = Cidr::host(*ip);
                if block.cidr.cidr == host {
                    return None;
                }
                if !block.except.iter().any(|e| e.cidr.covers(&host)) {
                    block.except.push(BlockCidr { cidr: host, mapped: None, sloppy: false, origin: Origin::default() });
                }
            }
        }
    }
    let title = "except the metadata addresses";
    let fixes = edited.into_values().map(|policy| Fix::put(ctx.world, title, policy));
    fixes.reduce(|all, one| all.and(title, one))
}
