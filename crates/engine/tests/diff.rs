//! The semantic difference against brute force: every pair of workloads, port by port, as the oracle decides it.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::collections::BTreeMap;
use std::net::IpAddr;
use watertight_engine::diff::{Cause, Diff, DiffOptions, End, Object, Party, Row, State, diff};
use watertight_model::{
    Endpoint, Flow, L4, Labels, PodId, PolicyRef, Protocol, Str, Verdict, WorkloadKind, World, label,
};
use watertight_testkit::WorldBuilder;
use watertight_testkit::random::{self, Rng, Size};
use watertight_testkit::rules::{PolicyDraft, policy, rule};

const PORTS: [u16; 12] = [0, 53, 79, 80, 81, 90, 91, 443, 5432, 8080, 9090, u16::MAX];

/// Namespace, name and kind: what workloads are matched by.
type Name = (Str, Str, &'static str);

fn workloads(world: &World) -> BTreeMap<Name, Vec<PodId>> {
    let mut out: BTreeMap<Name, Vec<PodId>> = BTreeMap::new();
    for (i, pod) in world.pods.iter().enumerate().filter(|(_, p)| !p.finished) {
        let of = &world.workloads[pod.workload.index()];
        let namespace = world.namespaces[of.namespace.index()].name.clone();
        out.entry((namespace, of.name.clone(), of.kind.name())).or_default().push(PodId::at(i));
    }
    out
}

/// The state of one port between two sets of pods, by asking the oracle for every pair.
fn judged(world: &World, from: &[Endpoint], to: &[Endpoint], l4: L4) -> State {
    let mut verdicts = Vec::new();
    for a in from {
        for b in to.iter().filter(|b| *b != a) {
            verdicts.push(watertight_oracle::decide(world, &Flow { from: *a, to: *b, l4, via_service: false }).verdict);
        }
    }
    let any = |v: Verdict| verdicts.contains(&v);
    match (any(Verdict::Allow), any(Verdict::Depends), any(Verdict::Deny)) {
        (true, false, false) => State::Open,
        (true, ..) => State::Partly,
        (false, true, _) => State::Unclear,
        (false, false, _) => State::Closed,
    }
}

fn ends(pods: Option<&Vec<PodId>>) -> Vec<Endpoint> {
    pods.into_iter().flatten().map(|p| Endpoint::Pod(*p)).collect()
}

fn party_name(worlds: [&World; 2], party: &Party) -> Option<Name> {
    let (world, id) = match party {
        Party::Workload { before: Some(id), .. } => (worlds[0], id),
        Party::Workload { after: Some(id), .. } => (worlds[1], id),
        _ => return None,
    };
    let this = &world.workloads[id.index()];
    Some((world.namespaces[this.namespace.index()].name.clone(), this.name.clone(), this.kind.name()))
}

/// Rows between workloads, by their names.
fn by_name<'d>(worlds: [&World; 2], diff: &'d Diff) -> BTreeMap<(Name, Name), &'d Row> {
    let name = |end: &End| match end {
        End::Party(party) => party_name(worlds, &diff.parties[*party]),
        End::External(_) => None,
    };
    diff.rows.iter().filter_map(|row| Some(((name(&row.from)?, name(&row.to)?), row))).collect()
}

/// What a row says of a port.
fn told(row: Option<&&Row>, protocol: Protocol, port: u16) -> Option<(State, State)> {
    let shifts = row.iter().flat_map(|r| &r.shifts);
    let hits: Vec<_> = shifts.filter(|s| s.ports.contains(protocol, port)).collect();
    assert!(hits.len() <= 1, "shifts are disjoint");
    hits.first().map(|s| (s.before, s.after))
}

/// A world like the given one after some edits.
fn edited(rng: &mut Rng, world: &World, other: &World) -> World {
    let mut out = world.clone();
    for _ in 0..rng.between(1, 4) {
        match rng.below(6) {
            0 if !out.policies.is_empty() => {
                let i = rng.below(out.policies.len());
                out.policies.remove(i);
            }
            1 if !out.cluster_policies.is_empty() => {
                let i = rng.below(out.cluster_policies.len());
                out.cluster_policies.remove(i);
            }
            2 if !out.policies.is_empty() => {
                let i = rng.below(out.policies.len());
                let rules = &mut out.policies[i];
                if rng.chance(50) { rules.ingress.clear() } else { rules.egress.truncate(1) }
            }
            3 => {
                let pod = rng.below(out.pods.len());
                let labels = out.pods[rng.below(out.pods.len())].labels.clone();
                out.pods[pod].labels = labels;
            }
            4 => {
                let i = rng.below(out.namespaces.len());
                let from = rng.pick(&world.namespaces).labels.clone();
                let name = out.namespaces[i].name.clone();
                out.namespaces[i].labels = from.with(label::NAMESPACE_NAME_LABEL, &name);
            }
            _ => {
                for policy in &other.policies {
                    let name = &other.namespaces[policy.namespace.index()].name;
                    if let Some(namespace) = out.namespace(name) {
                        let mut policy = policy.clone();
                        policy.namespace = namespace;
                        policy.name = Str::from(format!("new-{}", policy.name));
                        out.policies.push(policy);
                        break;
                    }
                }
                out.policies.sort_by(|a, b| (a.namespace, &a.name).cmp(&(b.namespace, &b.name)));
                out.policies.dedup_by(|a, b| (a.namespace, &a.name) == (b.namespace, &b.name));
            }
        }
    }
    out
}

fn pair(seed: u64) -> (Rng, random::Mood, World, World) {
    let mut rng = Rng::new(seed);
    let (mut a, mood) = random::world(&mut rng, &Size::default());
    let (mut other, _) = random::world(&mut Rng::new(seed + 1_000_000), &Size::default());
    a.foreign_policies.clear();
    other.foreign_policies.clear();
    let b = if seed.is_multiple_of(4) { other } else { edited(&mut rng, &a, &other) };
    (rng, mood, a, b)
}

#[test]
fn differences_are_those_that_the_oracle_sees_port_by_port() {
    let (mut checked, mut same, mut differing) = (0u64, 0u64, 0u64);
    for seed in 0..240 {
        let (_, _, a, b) = pair(seed);
        let found = diff(&a, &b, DiffOptions { explained: 0 });
        let rows = by_name([&a, &b], &found);
        let (before, after) = (workloads(&a), workloads(&b));
        let mut names: Vec<&Name> = before.keys().chain(after.keys()).collect();
        names.sort();
        names.dedup();
        // Traffic of hostNetwork pods is looked up pod by pod only where classes differ: what is told must hold, and
        // something may go untold.
        let host = |world: &World, pods: Option<&Vec<PodId>>| {
            pods.into_iter().flatten().any(|p| world.pods[p.index()].host_network)
        };
        for from in &names {
            let by_node = host(&a, before.get(*from)) || host(&b, after.get(*from));
            for to in &names {
                if from == to && before.get(*from).map_or(0, Vec::len).min(after.get(*from).map_or(0, Vec::len)) < 2 {
                    continue;
                }
                let row = rows.get(&((*from).clone(), (*to).clone()));
                for port in PORTS {
                    let protocol = Protocol::ALL[usize::from(port) % 3];
                    let l4 = L4::Port(protocol, port);
                    let state = |world: &World, all: &BTreeMap<Name, Vec<PodId>>| {
                        judged(world, &ends(all.get(*from)), &ends(all.get(*to)), l4)
                    };
                    let (b4, now) = (state(&a, &before), state(&b, &after));
                    checked += 1;
                    let want = (b4 != now).then_some((b4, now));
                    match want {
                        None => same += 1,
                        Some(_) => differing += 1,
                    }
                    let said = told(row, protocol, port);
                    if !by_node || said.is_some() {
                        assert_eq!(said, want, "seed {seed}: {from:?} to {to:?} {l4:?}");
                    }
                }
            }
        }
    }
    assert!(checked > 100_000 && same > checked / 4 && differing > checked / 50, "{checked} {same} {differing}");
}

#[test]
fn differences_with_the_outside_are_those_that_the_oracle_sees() {
    let (mut checked, mut differing) = (0u64, 0u64);
    for seed in 0..240 {
        let (mut rng, mood, a, b) = pair(seed);
        let found = diff(&a, &b, DiffOptions { explained: 0 });
        let addresses: Vec<IpAddr> = (0..80)
            .flat_map(|_| {
                let flow = random::flow(&mut rng, &a, &mood);
                [flow.from, flow.to]
            })
            .filter_map(|end| match end {
                Endpoint::External(ip) => Some(ip),
                Endpoint::Pod(_) | Endpoint::Node(_) => None,
            })
            .take(6)
            .collect();
        let (before, after) = (workloads(&a), workloads(&b));
        for (i, party) in found.parties.iter().enumerate() {
            let Some(name) = party_name([&a, &b], party) else { continue };
            for ip in &addresses {
                for out in [true, false] {
                    let holds =
                        |end: &End| matches!(end, End::External(cidrs) if cidrs.iter().any(|c| c.contains(*ip)));
                    let row = found.rows.iter().find(|r| {
                        let (me, there) = if out { (&r.from, &r.to) } else { (&r.to, &r.from) };
                        *me == End::Party(i) && holds(there)
                    });
                    for port in PORTS {
                        let l4 = L4::Port(Protocol::ALL[usize::from(port) % 3], port);
                        let state = |world: &World, pods: Option<&Vec<PodId>>| {
                            let (me, there) = (ends(pods), vec![Endpoint::External(*ip)]);
                            let (from, to) = if out { (&me, &there) } else { (&there, &me) };
                            judged(world, from, to, l4)
                        };
                        let (b4, now) = (state(&a, before.get(&name)), state(&b, after.get(&name)));
                        checked += 1;
                        let want = (b4 != now).then_some((b4, now));
                        differing += u64::from(want.is_some());
                        let L4::Port(protocol, _) = l4 else { panic!() };
                        // An address family that neither world speaks of is not compared.
                        if row.is_some() || want.is_none() || ip.is_ipv4() {
                            assert_eq!(told(row.as_ref(), protocol, port), want, "seed {seed}: {name:?} {ip} {l4:?}");
                        }
                    }
                }
            }
        }
    }
    assert!(checked > 50_000 && differing > checked / 100, "{checked} {differing}");
}

#[test]
fn laws() {
    let mut rows = 0;
    for seed in 0..240 {
        let (_, _, a, b) = pair(seed);
        assert!(diff(&a, &a, DiffOptions::default()).rows.is_empty(), "seed {seed}: a world differs from itself");
        let options = DiffOptions { explained: 0 };
        let (there, back) = (diff(&a, &b, options), diff(&b, &a, options));
        assert_eq!(there.rows.len(), back.rows.len(), "seed {seed}");
        for (x, y) in there.rows.iter().zip(&back.rows) {
            assert_eq!((&x.from, &x.to, &x.before, &x.after), (&y.from, &y.to, &y.after, &y.before), "seed {seed}");
            rows += 1;
        }
        assert_eq!(there.mean_share, [back.mean_share[1], back.mean_share[0]]);
    }
    assert!(rows > 2_000, "{rows}");
}

/// The policy of one world, put into the other: what an edit of one object does.
fn apply(a: &World, b: &World, object: Object) -> Option<World> {
    let mut out = a.clone();
    let Object::Policy { before, after } = object else { return None };
    match (before, after) {
        (Some(PolicyRef::Namespaced(_)), _) | (_, Some(PolicyRef::Namespaced(_))) => {
            if let Some(PolicyRef::Namespaced(i)) = before {
                out.policies.remove(i as usize);
            }
            if let Some(PolicyRef::Namespaced(i)) = after {
                let mut policy = b.policies[i as usize].clone();
                policy.namespace = out.namespace(&b.namespaces[policy.namespace.index()].name)?;
                out.policies.push(policy);
                out.policies.sort_by(|x, y| (x.namespace, &x.name).cmp(&(y.namespace, &y.name)));
            }
        }
        _ => {
            if let Some(PolicyRef::Cluster(i)) = before {
                out.cluster_policies.remove(i as usize);
            }
            if let Some(PolicyRef::Cluster(i)) = after {
                out.cluster_policies.push(b.cluster_policies[i as usize].clone());
                out.cluster_policies
                    .sort_by(|x, y| (x.tier, x.priority, x.kind, &x.name).cmp(&(y.tier, y.priority, y.kind, &y.name)));
            }
        }
    }
    Some(out)
}

/// A single cause makes the difference in a whole world that holds nothing else of the edits; and every difference between
/// parties of both worlds has a cause.
#[test]
fn causes_hold() {
    let (mut one, mut several, mut all) = (0, 0, 0);
    for seed in 0..240 {
        let (_, _, a, b) = pair(seed);
        if seed.is_multiple_of(4) {
            continue;
        }
        let found = diff(&a, &b, DiffOptions { explained: usize::MAX });
        let pods = workloads(&a);
        for row in &found.rows {
            for shift in &row.shifts {
                let cause = shift.cause.as_ref().unwrap();
                all += 1;
                assert_ne!(*cause, Cause::NotFound, "seed {seed}: {row:#?}");
                assert_ne!(*cause, Cause::Existence, "seed {seed}: {row:#?}");
                let edits = match cause {
                    Cause::One(edit) => vec![edit],
                    Cause::EachAlone(edits) => edits.iter().collect(),
                    Cause::Together(edits) => {
                        assert!(edits.len() > 1);
                        several += 1;
                        continue;
                    }
                    Cause::Existence | Cause::NotFound => continue,
                };
                let single = [&row.from, &row.to].iter().all(|end| match end {
                    End::Party(p) => {
                        party_name([&a, &b], &found.parties[*p]).map_or(0, |n| pods.get(&n).map_or(0, Vec::len)) == 1
                    }
                    End::External(_) => true,
                });
                let (protocol, port, _) = shift.ports.iter().next().unwrap();
                for edit in edits {
                    let Some(world) = apply(&a, &b, edit.object).filter(|_| single) else { continue };
                    let step = diff(&a, &world, DiffOptions { explained: 0 });
                    let hit =
                        step.rows.iter().filter(|r| covers(&r.from, &row.from) && covers(&r.to, &row.to)).any(|r| {
                            r.shifts.iter().any(|s| s.opens() == shift.opens() && s.ports.contains(protocol, port))
                        });
                    assert!(hit, "seed {seed}: {edit:?} alone does not make {row:#?}");
                    one += 1;
                }
            }
        }
    }
    assert!(one > 300 && several > 5 && all > 1_000, "{one} {several} {all}");
}

/// The same party, or blocks that hold the first address of the others.
fn covers(outer: &End, inner: &End) -> bool {
    match (outer, inner) {
        (End::External(a), End::External(b)) => a.iter().any(|c| c.contains(b[0].addr())),
        (a, b) => a == b,
    }
}

fn shop() -> WorldBuilder {
    WorldBuilder::new()
        .namespace("shop", &[("team", "shop")])
        .namespace("other", &[])
        .pod("shop/web", &[("app", "web")])
        .pod("shop/db", &[("app", "db")])
        .pod("other/job", &[("app", "job")])
}

fn db_in() -> PolicyDraft {
    policy("shop/db-in").select(&[("app", "db")]).ingress(rule().pods(&[("app", "web")]).tcp(5432))
}

/// Rows in words: `web > db: open to closed`, and the cause.
fn words(a: &World, b: &World) -> Vec<String> {
    let found = diff(a, b, DiffOptions::default());
    let end = |end: &End| match end {
        End::Party(i) => match &found.parties[*i] {
            Party::NewPod { before, .. } => format!("new in {}", a.namespaces[before.index()].name),
            Party::NewNamespace => "nowhere".to_owned(),
            party @ Party::Workload { .. } => party_name([a, b], party).unwrap().1.to_string(),
        },
        End::External(cidrs) => cidrs[0].to_string(),
    };
    let object = |object: &Object| match object {
        Object::Policy { before, after } => match (before, after) {
            (Some(p), None) => format!("-{}", a.policy_name(*p)),
            (None, Some(p)) => format!("+{}", b.policy_name(*p)),
            (Some(_), Some(p)) => format!("~{}", b.policy_name(*p)),
            (None, None) => String::new(),
        },
        Object::Namespace { .. } => "namespace".to_owned(),
        Object::Workload { before, .. } => a.workload_name(*before),
        Object::Nodes => "nodes".to_owned(),
    };
    let mut out = Vec::new();
    for row in &found.rows {
        for shift in &row.shifts {
            let list = |edits: &[watertight_engine::diff::Edit]| {
                edits.iter().map(|e| object(&e.object)).collect::<Vec<_>>().join(" ")
            };
            let cause = match shift.cause.as_ref().unwrap() {
                Cause::One(edit) => object(&edit.object),
                Cause::EachAlone(edits) => format!("each of {}", list(edits)),
                Cause::Together(edits) => format!("together {}", list(edits)),
                Cause::Existence => "new or gone".to_owned(),
                Cause::NotFound => "not found".to_owned(),
            };
            let (before, after) = (shift.before.name(), shift.after.name());
            let (from, to) = (end(&row.from), end(&row.to));
            out.push(format!("{from} > {to} {} ports {before} to {after}: {cause}", shift.ports.count()));
        }
    }
    out
}

#[test]
fn an_added_policy_closes_also_what_is_not_there_yet() {
    let found = words(&shop().build(), &shop().policy(db_in()).build());
    assert_eq!(
        found,
        [
            "job > db 196608 ports open to closed: +shop/db-in",
            "web > db 196607 ports open to closed: +shop/db-in",
            "new in shop > db 196608 ports open to closed: +shop/db-in",
            "nowhere > db 196608 ports open to closed: +shop/db-in",
            "0.0.0.0/0 > db 196608 ports open to closed: +shop/db-in",
        ]
    );
    // Its twin: a policy that is written differently and means the same is no difference.
    let same = policy("shop/db-in").select(&[("app", "db")]).ingress(rule().pods(&[("app", "web")]).tcp(5432));
    assert!(words(&shop().policy(db_in()).build(), &shop().policy(same).build()).is_empty());
}

#[test]
fn two_edits_that_work_only_together_are_named_together() {
    let deny = |name: &str| policy(name).select(&[("app", "db")]);
    let closed = shop().policy(deny("shop/a")).policy(deny("shop/b")).build();
    let open = shop().build();
    let lifted = words(&closed, &open);
    assert!(
        lifted.contains(&"web > db 196608 ports closed to open: together -shop/a -shop/b".to_owned()),
        "{lifted:?}"
    );
    // The way back, each of them is enough.
    let back = words(&open, &closed);
    assert!(back.contains(&"web > db 196608 ports open to closed: each of +shop/a +shop/b".to_owned()), "{back:?}");
    // And with one of them there already, the other is the cause of nothing.
    let half = shop().policy(deny("shop/a")).build();
    assert!(words(&half, &closed).is_empty());
}

#[test]
fn a_label_is_a_cause_like_any_other() {
    let a = shop().policy(db_in()).build();
    let mut b = a.clone();
    let job = b.pods.iter().position(|p| &*p.name == "job").unwrap();
    b.pods[job].labels = Labels::of(&[("app", "web")]);
    // Not its namespace: nothing changes.
    assert!(words(&a, &b).is_empty());
    let web = b.pods.iter().position(|p| &*p.name == "web").unwrap();
    b.pods[web].labels = Labels::of(&[("app", "www")]);
    assert_eq!(words(&a, &b), ["web > db 1 ports open to closed: shop/web"]);
}

#[test]
fn a_namespace_label_is_a_cause() {
    let from_team =
        policy("shop/db-in").select(&[("app", "db")]).ingress(rule().namespaces(&[("team", "shop")]).tcp(1));
    let a = shop().policy(from_team).build();
    let mut b = a.clone();
    let other = b.namespace("other").unwrap();
    b.namespaces[other.index()].labels = b.namespaces[other.index()].labels.with("team", "shop");
    assert_eq!(
        words(&a, &b),
        ["job > db 1 ports closed to open: namespace", "new in other > db 1 ports closed to open: namespace"]
    );
}

#[test]
fn a_new_workload_is_told_as_such() {
    let a = shop().policy(db_in()).build();
    let b = shop().policy(db_in()).pod("shop/www", &[("app", "web")]).build();
    let found = words(&a, &b);
    assert!(found.contains(&"www > db 1 ports closed to open: new or gone".to_owned()), "{found:?}");
    assert!(found.iter().all(|w| w.ends_with("new or gone")), "{found:?}");
}

#[test]
fn replicas_among_each_other_are_compared() {
    let pods = |b: WorldBuilder| {
        let b = b.pod("shop/peer-0", &[("app", "peer")]).owned_by(WorkloadKind::StatefulSet, "peer");
        b.pod("shop/peer-1", &[("app", "peer")]).owned_by(WorkloadKind::StatefulSet, "peer")
    };
    let found =
        words(&pods(shop()).build(), &pods(shop()).policy(policy("shop/in").select(&[("app", "peer")])).build());
    assert!(found.contains(&"peer > peer 196608 ports open to closed: +shop/in".to_owned()), "{found:?}");
    // One of two: partly.
    let one = |b: WorldBuilder| {
        let b = b.pod("shop/peer-0", &[("app", "peer"), ("n", "0")]).owned_by(WorkloadKind::StatefulSet, "peer");
        b.pod("shop/peer-1", &[("app", "peer"), ("n", "1")]).owned_by(WorkloadKind::StatefulSet, "peer")
    };
    let found = words(&one(shop()).build(), &one(shop()).policy(policy("shop/in").select(&[("n", "0")])).build());
    assert!(found.contains(&"web > peer 196608 ports open to partly: +shop/in".to_owned()), "{found:?}");
}

#[test]
fn the_radius_before_and_after() {
    let (a, b) = (shop().build(), shop().policy(db_in()).build());
    let found = diff(&a, &b, DiffOptions::default());
    let of = |name: &str| {
        let at = |r: &&watertight_engine::diff::Radius| {
            party_name([&a, &b], &found.parties[r.party]).unwrap().1 == name.into()
        };
        found.radii.iter().find(at).map(|r| r.reachable)
    };
    // The job still gets to the database by way of the web server.
    assert_eq!((of("job"), of("web")), (None, None));
    let closed = shop().policy(policy("shop/db-in").select(&[("app", "db")])).build();
    let found = diff(&a, &closed, DiffOptions::default());
    assert_eq!(found.radii.len(), 2);
    assert!(found.radii.iter().all(|r| r.reachable == [2, 1] && r.share == [1.0, 0.5]));
    assert!(found.mean_share[0] > found.mean_share[1]);
}
