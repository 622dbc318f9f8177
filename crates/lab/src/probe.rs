//! Real connections from everyone to everyone, beside what the engine says of them.
//!
//! In: the plan of a lab that is up, and its world. Out: [`Probed`], one row a connection, in the order of pods. A connection
//! counts as delivered if the pod that was meant said its name; a refusal or silence is not told apart from a firewall's.

use crate::dial::{self, Dial, Hello};
use crate::error::LabError;
use crate::plan::{Plan, Proto};
use crate::respond::has_sctp;
use crate::sample::Group;
use crate::script::outside_netns;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use watertight_engine::Engine;
use watertight_model::{Endpoint, Family, Flow, FlowVerdict, L4, NodeId, PodId, Verdict};

pub use crate::dial::Outcome;

/// How to probe.
#[derive(Clone, Debug)]
pub struct Options {
    /// Over which of the families.
    pub families: Vec<Family>,
    /// How long to wait for an answer.
    pub patience: Duration,
    /// How long to wait the second time, when the first answer is not what the engine says: a busy machine is no firewall.
    pub second_patience: Duration,
    /// Only these; `None`: from everyone to everyone.
    pub calls: Option<Vec<Call>>,
    /// At most this many, chosen so that each pair of kinds comes to its turn before one comes twice; `None`: all.
    pub sample: Option<usize>,
}

/// Connections of an application: from any of some to any of others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Who opens them.
    pub from: BTreeSet<Endpoint>,
    /// Who receives them.
    pub to: BTreeSet<Endpoint>,
    /// Protocol.
    pub protocol: Proto,
    /// Port at the receiver.
    pub port: u16,
}

impl Options {
    fn wants(&self, flow: &Flow) -> bool {
        let L4::Port(protocol, port) = flow.l4 else { return false };
        self.calls.as_ref().is_none_or(|calls| {
            calls.iter().any(|c| {
                (c.protocol, c.port) == (protocol.into(), port)
                    && c.from.contains(&flow.from)
                    && c.to.contains(&flow.to)
            })
        })
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            families: vec![Family::V4, Family::V6],
            // A first packet may be lost while neighbours are found; TCP sends it again after a second (RFC 6298).
            patience: Duration::from_millis(1300),
            second_patience: Duration::from_secs(3),
            calls: None,
            sample: None,
        }
    }
}

/// One connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Who opened it, in words: `shop/web`, `node:node-1`, `ip:203.0.113.7`.
    pub from: String,
    /// Whom it was for.
    pub to: String,
    /// The address that was dialled.
    pub address: SocketAddr,
    /// Protocol.
    pub protocol: Proto,
    /// What was asked of the engine.
    pub flow: Flow,
    /// What it said.
    pub verdict: FlowVerdict,
    /// What happened.
    pub outcome: Outcome,
    dns: bool,
}

/// Whether what happened is what the engine says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Match {
    /// Denied, and delivered all the same.
    TooOpen,
    /// Allowed, and not delivered.
    TooClosed,
    /// The engine's answer depends on something; whatever happens is one of its answers.
    Either,
    /// The same.
    Same,
}

impl Row {
    /// Compares.
    pub fn matches(&self) -> Match {
        match (self.verdict.verdict, self.outcome) {
            (Verdict::Depends, _) => Match::Either,
            (Verdict::Deny, Outcome::Delivered) => Match::TooOpen,
            (Verdict::Allow, Outcome::Silent | Outcome::Refused | Outcome::WrongAnswer) => Match::TooClosed,
            (Verdict::Deny, _) | (Verdict::Allow, Outcome::Delivered) => Match::Same,
        }
    }
}

/// All connections.
#[derive(Clone, Debug, Default)]
pub struct Probed {
    /// In the order of sources, then destinations, ports and families.
    pub rows: Vec<Row>,
    /// Connections that were not tried: the kernel has no SCTP sockets.
    pub without_sctp: usize,
    /// Connections that were not tried: the sample leaves them out.
    pub left_out: usize,
    /// Pairs of kinds of endpoints between which there are connections; a kind is a class of pods, a node, an address outside.
    pub pairs: usize,
    /// Those of which a connection was tried.
    pub pairs_tried: usize,
}

/// Who opens connections: name, namespace, address, and who that is for the engine.
struct Source {
    name: String,
    netns: String,
    addresses: Vec<IpAddr>,
    endpoint: Endpoint,
}

/// Where connections go: what it says, and where it listens.
struct Target {
    name: String,
    addresses: Vec<IpAddr>,
    listens: Vec<(Proto, u16)>,
    endpoint: Endpoint,
    dns: bool,
}

/// One connection that could be opened.
#[derive(Clone, Copy)]
struct Try<'a> {
    source: &'a Source,
    target: &'a Target,
    protocol: Proto,
    from: IpAddr,
    to: SocketAddr,
}

/// Opens every connection once, or a sample of them. `engine` is of the world that [`Plan::realise`] made.
///
/// # Errors
/// [`LabError`]: a namespace cannot be entered, or a socket cannot be made.
pub fn probe(plan: &Plan, engine: &Engine<'_>, options: &Options) -> Result<Probed, LabError> {
    let (sources, targets) = (sources(plan, engine), targets(plan, engine));
    let mut out = Probed::default();
    let sctp = has_sctp();
    let mut tries = Vec::new();
    for source in &sources {
        for target in &targets {
            for (protocol, port) in &target.listens {
                for (from, to) in pairs(source, target, options) {
                    let one = Try { source, target, protocol: *protocol, from, to: SocketAddr::new(to, *port) };
                    let flow = one.flow();
                    // From outside to outside is nobody's business here.
                    let abroad = matches!((flow.from, flow.to), (Endpoint::External(_), Endpoint::External(_)));
                    if abroad || !options.wants(&flow) {
                        continue;
                    }
                    if *protocol == Proto::Sctp && !sctp {
                        out.without_sctp += 1;
                        continue;
                    }
                    tries.push(one);
                }
            }
        }
    }
    let groups = |one: &Try<'_>| Group::of(engine, &one.flow(), one.to.is_ipv4());
    if let Some(most) = options.sample.filter(|most| *most < tries.len()) {
        out.left_out = tries.len() - most;
        out.pairs = crate::sample::pairs(tries.iter().map(groups));
        tries = crate::sample::choose(tries, most, groups);
        out.pairs_tried = crate::sample::pairs(tries.iter().map(groups));
    } else {
        out.pairs = crate::sample::pairs(tries.iter().map(groups));
        out.pairs_tried = out.pairs;
    }
    let mut rows: Vec<(Row, &Try<'_>)> = tries.iter().map(|one| (one.row(engine), one)).collect();
    for chunk in rows.chunks_mut(dial::at_once()) {
        let mut first: Vec<_> = chunk.iter_mut().collect();
        dial_rows(&mut first, options.patience)?;
        let mut again: Vec<_> = first.into_iter().filter(|(row, _)| row.matches() < Match::Either).collect();
        if !again.is_empty() {
            dial_rows(&mut again, options.second_patience)?;
        }
    }
    out.rows.extend(rows.into_iter().map(|(row, _)| row));
    Ok(out)
}

fn dial_rows(rows: &mut [&mut (Row, &Try<'_>)], patience: Duration) -> Result<(), LabError> {
    let dials: Vec<Dial<'_>> = rows
        .iter()
        .map(|(row, one)| Dial {
            netns: &one.source.netns,
            from: one.from,
            to: one.to,
            protocol: one.protocol,
            hello: row.hello(),
        })
        .collect();
    for (row, outcome) in rows.iter_mut().zip(dial::dial(&dials, patience)?) {
        row.0.outcome = outcome;
    }
    Ok(())
}

impl Try<'_> {
    fn flow(&self) -> Flow {
        Flow {
            from: as_seen(self.source.endpoint, self.from),
            to: as_seen(self.target.endpoint, self.to.ip()),
            l4: L4::Port(self.protocol.into(), self.to.port()),
            via_service: false,
        }
    }

    fn row(&self, engine: &Engine<'_>) -> Row {
        let flow = self.flow();
        Row {
            from: self.source.name.clone(),
            to: self.target.name.clone(),
            address: self.to,
            protocol: self.protocol,
            flow,
            verdict: engine.decide(&flow),
            outcome: Outcome::Silent,
            dns: self.target.dns && self.to.port() == 53,
        }
    }
}

impl Row {
    fn hello(&self) -> Hello {
        if self.dns { Hello::dns() } else { Hello::name(&self.to) }
    }
}

/// Endpoints outside are an address each.
fn as_seen(endpoint: Endpoint, ip: IpAddr) -> Endpoint {
    if let Endpoint::External(_) = endpoint { Endpoint::External(ip) } else { endpoint }
}

/// Addresses of both ends, family by family.
fn pairs<'a>(
    source: &'a Source,
    target: &'a Target,
    options: &'a Options,
) -> impl Iterator<Item = (IpAddr, IpAddr)> + 'a {
    options.families.iter().flat_map(move |family| {
        let of = move |ip: &&IpAddr| ip.is_ipv4() == (*family == Family::V4);
        let here = source.addresses.iter().filter(of);
        here.flat_map(move |from| target.addresses.iter().filter(of).map(move |to| (*from, *to)))
    })
}

fn sources(plan: &Plan, engine: &Engine<'_>) -> Vec<Source> {
    let mut out: Vec<Source> = pods(plan, engine)
        .map(|(endpoint, pod)| Source {
            name: format!("{}/{}", pod.namespace, pod.name),
            netns: pod.netns.clone(),
            addresses: vec![pod.addresses.0.into(), pod.addresses.1.into()],
            endpoint,
        })
        .collect();
    out.extend(plan.nodes.iter().enumerate().map(|(i, node)| Source {
        name: format!("node:{}", node.name),
        netns: node.netns.clone(),
        addresses: vec![node.addresses.0.into(), node.addresses.1.into()],
        endpoint: Endpoint::Node(NodeId::at(i)),
    }));
    out.extend(plan.outside.iter().map(|ip| Source {
        name: format!("ip:{ip}"),
        netns: outside_netns(),
        addresses: vec![*ip],
        endpoint: Endpoint::External(*ip),
    }));
    out
}

fn targets(plan: &Plan, engine: &Engine<'_>) -> Vec<Target> {
    let inside = pods(plan, engine).map(|(endpoint, pod)| Target {
        name: format!("{}/{}", pod.namespace, pod.name),
        addresses: vec![pod.addresses.0.into(), pod.addresses.1.into()],
        listens: pod.listens.clone(),
        endpoint,
        dns: pod.dns,
    });
    let outside = plan.outside.iter().map(|ip| Target {
        name: "outside".to_owned(),
        addresses: vec![*ip],
        listens: plan.outside_listens.clone(),
        endpoint: Endpoint::External(*ip),
        dns: false,
    });
    inside.chain(outside).collect()
}

/// Pods of the plan, with their ids in the engine's world. One that the world has lost since is left out.
fn pods<'a>(plan: &'a Plan, engine: &'a Engine<'_>) -> impl Iterator<Item = (Endpoint, &'a crate::plan::PodPlan)> + 'a {
    let world = engine.world();
    plan.pods.iter().filter_map(move |pod| {
        let id: PodId = world.pod(world.namespace(&pod.namespace)?, &pod.name)?;
        Some((Endpoint::Pod(id), pod))
    })
}
