//! The static check: what the engine says of every flow that an assertion speaks of.
//!
//! Pods are asked about class by class (and node by node where hostNetwork traffic makes a difference), ports and addresses
//! stretch by stretch. A pod and itself is no connection. Nothing that was not asked counts as held: no pair, no pass.

mod ends;
mod flows;
#[cfg(test)]
mod tests;

use crate::file::{Assertion, Assertions, Depends, Mode, Ports};
use crate::members::{Finder, Members, Unmatched};
use ends::{End, Masks, ends};
use flows::Asker;
use watertight_engine::Engine;
use watertight_model::{Endpoint, Flow, FlowVerdict, L4, Origin, PortSet, Protocol, Verdict, World};

/// What became of one assertion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Whether it holds.
    pub status: Status,
    /// Ordered pairs of pods, nodes, addresses and backends that were asked about; an address stands for its stretch.
    pub pairs: usize,
    /// Of these, pairs that break it.
    pub failing: usize,
    /// Of these, pairs with a verdict that depends on something, whatever that counts as.
    pub unclear: usize,
    /// The first flow that breaks it: for sure if there is one, else one that depends.
    pub witness: Option<Witness>,
    /// Parts that mean nobody.
    pub unmatched: Vec<Unmatched>,
}

/// Whether an assertion holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Every flow that it speaks of is as it says, and there is at least one.
    Holds,
    /// It does not hold.
    Fails(Why),
}

/// Why an assertion fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Something that must be reached is not.
    Denied,
    /// Something that must not be reached is.
    Allowed,
    /// It cannot be told.
    Depends,
    /// A part of it means nobody, so that it says less than it seems to.
    MatchesNothing,
}

impl Why {
    /// Stable name, as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Why::Denied => "denied",
            Why::Allowed => "allowed",
            Why::Depends => "depends",
            Why::MatchesNothing => "matchesNothing",
        }
    }
}

/// A flow that breaks an assertion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    /// The flow.
    pub flow: Flow,
    /// What the engine says of it.
    pub verdict: FlowVerdict,
}

/// Pairs of groups past which all of reachability is worked out once, so that most pairs need no questions.
const MANY_PAIRS: usize = 4096;

/// Judges all assertions, in order.
pub fn judge(engine: &Engine<'_>, assertions: &Assertions) -> Vec<Outcome> {
    judge_with(engine, assertions, MANY_PAIRS)
}

/// [`judge`], with the shortcut past so many pairs of groups.
fn judge_with(engine: &Engine<'_>, assertions: &Assertions, many: usize) -> Vec<Outcome> {
    let mut finder = Finder::new(engine);
    let mut asker = Asker::new(engine, many);
    assertions.list.iter().map(|assertion| one(engine, &mut finder, &mut asker, assertion)).collect()
}

/// An exception with everyone that it means; `None`: any.
struct Except {
    from: Option<Members>,
    to: Option<Members>,
    ports: Option<Ports>,
    origin: Origin,
    used: bool,
}

fn one<'w>(engine: &Engine<'w>, finder: &mut Finder<'_, 'w>, asker: &mut Asker<'_, 'w>, of: &Assertion) -> Outcome {
    let mut unmatched = Vec::new();
    let (from, to) = (finder.side(&of.from, &mut unmatched), finder.side(&of.to, &mut unmatched));
    let mut except: Vec<Except> = Vec::new();
    for exception in &of.except {
        except.push(Except {
            from: exception.from.as_ref().map(|side| finder.side(side, &mut unmatched)),
            to: exception.to.as_ref().map(|side| finder.side(side, &mut unmatched)),
            ports: exception.ports.clone(),
            origin: exception.origin,
            used: false,
        });
    }
    let by_node = !from.nodes.is_empty() || from.pods.iter().any(|p| engine.world().pods[p.index()].host_network);
    let masks = |side: fn(&Except) -> Option<&Members>| Masks(except.iter().map(side).collect());
    let sources = ends(engine, &from, &masks(|e| e.from.as_ref()), by_node);
    let destinations = ends(engine, &to, &masks(|e| e.to.as_ref()), by_node);
    asker.prepare(sources.len() * destinations.len());
    let mut tally = Tally::new(of);
    for source in &sources {
        for destination in &destinations {
            let Some(count) = source.pairs_with(destination) else { continue };
            let active = source.mask & destination.mask;
            let asked = left(of.ports.as_ref(), &mut except, active);
            if asked.set.is_empty() && !asked.other {
                continue;
            }
            pair(asker, &mut tally, (source, destination, count), (&from, &to), &asked, &mut unmatched, of);
        }
    }
    for exception in except.iter().filter(|e| !e.used) {
        let what = "the exception".to_owned();
        let why = "it takes nothing out of what the assertion speaks of".to_owned();
        unmatched.push(Unmatched { what, at: exception.origin, why, near: Vec::new() });
    }
    if tally.pairs == 0 && unmatched.is_empty() {
        let why = "there is no pair to ask about: a pod and itself is none, and exceptions take pairs out".to_owned();
        unmatched.push(Unmatched { what: "the assertion".to_owned(), at: of.origin, why, near: Vec::new() });
    }
    tally.outcome(unmatched)
}

/// The ports that the active exceptions leave; marks those that take some out.
fn left(ports: Option<&Ports>, except: &mut [Except], active: u64) -> Ports {
    let mut out = ports.cloned().unwrap_or_else(|| Ports { set: every_port(), other: false });
    for (i, exception) in except.iter_mut().enumerate().filter(|(i, _)| active & (1 << i) != 0) {
        debug_assert!(i < crate::file::EXCEPTIONS);
        let rest = match &exception.ports {
            None => Ports { set: PortSet::none(), other: false },
            Some(ports) => Ports { set: out.set.minus(&ports.set), other: out.other && !ports.other },
        };
        exception.used |= rest != out;
        out = rest;
    }
    out
}

/// Ports that a connection can be opened to: 0 is none.
fn every_port() -> PortSet {
    let of = |protocol| PortSet::range(protocol, 1, u16::MAX);
    Protocol::ALL.into_iter().fold(PortSet::none(), |all, protocol| all.union(&of(protocol)))
}

fn pair(
    asker: &mut Asker<'_, '_>,
    tally: &mut Tally,
    (source, destination, count): (&End, &End, usize),
    sides: (&Members, &Members),
    asked: &Ports,
    unmatched: &mut Vec<Unmatched>,
    of: &Assertion,
) {
    if asker.is_settled(source, destination, asked, of.mode) {
        tally.pairs += count;
        return;
    }
    let declared = of.ports.is_none();
    match asker.flows(source, destination, sides, asked, declared) {
        Ok(flows) if flows.is_empty() => {}
        Ok(flows) => tally.add(asker.world(), count, flows),
        Err(why) => {
            let what = destination.words(asker.world());
            if !unmatched.iter().any(|u| u.what == what && u.why == why) {
                unmatched.push(Unmatched { what, at: of.origin, why, near: Vec::new() });
            }
        }
    }
}

/// What was found of one assertion so far.
struct Tally {
    mode: Mode,
    depends: Depends,
    pairs: usize,
    failing: usize,
    unclear: usize,
    sure: Option<Witness>,
    maybe: Option<Witness>,
}

impl Tally {
    fn new(of: &Assertion) -> Self {
        Self { mode: of.mode, depends: of.depends, pairs: 0, failing: 0, unclear: 0, sure: None, maybe: None }
    }

    fn add(&mut self, world: &World, count: usize, flows: Vec<(Flow, FlowVerdict)>) {
        self.pairs += count;
        let (mut breaks, mut unclear) = (false, false);
        let mut bad_ones: Vec<Witness> = Vec::new();
        for (flow, verdict) in flows {
            let bad = match (self.mode, verdict.verdict) {
                (Mode::Must, Verdict::Deny) | (Mode::MustNot, Verdict::Allow) => true,
                (Mode::Must | Mode::MustNot, Verdict::Depends) => {
                    unclear = true;
                    if self.depends == Depends::Fails {
                        breaks = true;
                        self.maybe.get_or_insert(Witness { flow, verdict });
                    }
                    continue;
                }
                (Mode::Must, Verdict::Allow) | (Mode::MustNot, Verdict::Deny) | (Mode::May, _) => false,
            };
            if bad {
                breaks = true;
                bad_ones.push(Witness { flow, verdict });
            }
        }
        // A port that somebody listens on tells more than the first of a stretch.
        if self.sure.is_none() && !bad_ones.is_empty() {
            let telling = bad_ones.iter().position(|w| is_declared(world, &w.flow)).unwrap_or(0);
            self.sure = Some(bad_ones.swap_remove(telling));
        }
        self.failing += if breaks { count } else { 0 };
        self.unclear += if unclear { count } else { 0 };
    }

    fn outcome(self, unmatched: Vec<Unmatched>) -> Outcome {
        let why = match (&self.sure, self.mode) {
            (Some(_), Mode::MustNot) => Some(Why::Allowed),
            (Some(_), Mode::Must | Mode::May) => Some(Why::Denied),
            (None, _) if !unmatched.is_empty() => Some(Why::MatchesNothing),
            (None, _) => self.maybe.as_ref().map(|_| Why::Depends),
        };
        Outcome {
            status: why.map_or(Status::Holds, Status::Fails),
            pairs: self.pairs,
            failing: self.failing,
            unclear: self.unclear,
            witness: self.sure.or(self.maybe),
            unmatched,
        }
    }
}

/// The pod that the flow is for declares its port.
fn is_declared(world: &World, flow: &Flow) -> bool {
    match (flow.to, flow.l4) {
        (Endpoint::Pod(pod), L4::Port(protocol, port)) => {
            world.pods[pod.index()].ports.iter().any(|p| (p.protocol, p.port) == (protocol, port))
        }
        _ => false,
    }
}
