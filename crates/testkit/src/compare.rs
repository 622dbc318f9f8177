//! A candidate against the oracle, on random worlds.
//!
//! In: seeds and a candidate (an engine to be proved). Out: what was covered, or the first disagreement, already shrunk to
//! a small world and printable. Verdicts must always agree; reason and `decided_by` must agree where the oracle met
//! nothing unclear; `depends_on` must be there exactly for `depends`. A candidate that panics disagrees.

use crate::describe::describe;
use crate::random::{self, Rng, Size};
use crate::shrink::shrink;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use watertight_model::{DependsOn, Flow, FlowVerdict, Half, Reason, Verdict, World};
use watertight_oracle::{Traced, decide_traced};

/// A candidate that has seen the world and answers for flows in it.
pub type Judge<'w> = Box<dyn Fn(&Flow) -> FlowVerdict + 'w>;

/// Flows asked of each world.
pub const FLOWS_PER_WORLD: u64 = 300;

/// What a comparison covered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Worlds drawn.
    pub worlds: u64,
    /// Flows judged.
    pub verdicts: u64,
    /// Halves, by the oracle's verdict.
    pub halves: BTreeMap<Verdict, u64>,
    /// Halves that were compared with reason and rules.
    pub strict: u64,
    /// Halves, by the oracle's reason.
    pub reasons: BTreeMap<Reason, u64>,
    /// Halves whose answer depends on something, by kind.
    pub depends_on: BTreeMap<&'static str, u64>,
}

impl Stats {
    fn count(&mut self, traced: &Traced) {
        self.verdicts += 1;
        for (half, unclear) in halves(traced) {
            *self.halves.entry(half.verdict).or_default() += 1;
            *self.reasons.entry(half.reason).or_default() += 1;
            self.strict += u64::from(!unclear);
            for on in &half.depends_on {
                *self.depends_on.entry(kind(on)).or_default() += 1;
            }
        }
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} verdicts over {} worlds; {} halves compared strictly",
            self.verdicts, self.worlds, self.strict
        )?;
        writeln!(f, "  verdicts:   {:?}", self.halves)?;
        writeln!(f, "  reasons:    {:?}", self.reasons)?;
        write!(f, "  depends on: {:?}", self.depends_on)
    }
}

fn halves(traced: &Traced) -> [(&Half, bool); 2] {
    [(&traced.verdict.egress, traced.egress_unclear), (&traced.verdict.ingress, traced.ingress_unclear)]
}

/// Name of the kind of a missing fact.
pub fn kind(on: &DependsOn) -> &'static str {
    match on {
        DependsOn::PodAddress(_) => "podAddress",
        DependsOn::NodeAddress(_) => "nodeAddress",
        DependsOn::NamespaceLabels(_) => "namespaceLabels",
        DependsOn::HostNetwork(_) => "hostNetwork",
        DependsOn::NodeOfPod(_) => "nodeOfPod",
        DependsOn::UnreadableSelector => "unreadableSelector",
        DependsOn::MappedBlock => "mappedBlock",
        DependsOn::OtherProtocol => "otherProtocol",
        DependsOn::DomainName => "domainName",
        DependsOn::ForeignPolicy(_) => "foreignPolicy",
    }
}

/// A disagreement between candidate and oracle, in a world as small as it could be made.
#[derive(Clone, Debug)]
pub struct Mismatch {
    /// Draws the world that it was found in.
    pub seed: u64,
    /// The smallest world found that still shows it.
    pub world: World,
    /// The flow, in that world.
    pub flow: Flow,
    /// The oracle's answer.
    pub oracle: Traced,
    /// The candidate's answer; `None`: it panicked.
    pub candidate: Option<FlowVerdict>,
    /// What differs.
    pub what: &'static str,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "candidate and oracle disagree on {} (seed {})", self.what, self.seed)?;
        write!(f, "{}", describe(&self.world, &self.flow))?;
        writeln!(f, "oracle:    {:?}", self.oracle)?;
        match &self.candidate {
            Some(verdict) => write!(f, "candidate: {verdict:?}"),
            None => write!(f, "candidate: panicked"),
        }
    }
}

/// What the two answers differ in, if they do.
pub fn difference(oracle: &Traced, candidate: &FlowVerdict) -> Option<&'static str> {
    let expected = [&oracle.verdict.egress, &oracle.verdict.ingress];
    let actual = [&candidate.egress, &candidate.ingress];
    let strict = [!oracle.egress_unclear, !oracle.ingress_unclear];
    if candidate.verdict != oracle.verdict.verdict {
        return Some("the verdict");
    }
    for ((expected, actual), strict) in expected.into_iter().zip(actual).zip(strict) {
        if actual.verdict != expected.verdict {
            return Some("the verdict of a half");
        }
        if strict && actual.reason != expected.reason {
            return Some("the reason");
        }
        if strict && actual.decided_by != expected.decided_by {
            return Some("the deciding rules");
        }
        // Whether doubt reaches the verdict is agreed upon: then both say so with `Unclear`, or neither does.
        if (actual.reason == Reason::Unclear) != (expected.reason == Reason::Unclear) {
            return Some("whether the reason is unclear");
        }
        if actual.depends_on.is_empty() == (actual.verdict == Verdict::Depends) {
            return Some("what it depends on (given exactly for `depends`)");
        }
        if !actual.depends_on.is_sorted_by(|a, b| a < b) || !actual.decided_by.is_sorted_by(|a, b| a < b) {
            return Some("the order of a list (sorted, without repeats)");
        }
    }
    None
}

/// The candidate's disagreement with the oracle on one flow, if any; a panic is one.
fn disagreement(
    judge: &dyn Fn(&Flow) -> FlowVerdict,
    oracle: &Traced,
    flow: &Flow,
) -> Option<(Option<FlowVerdict>, &'static str)> {
    match catch_unwind(AssertUnwindSafe(|| judge(flow))) {
        Ok(verdict) => difference(oracle, &verdict).map(|what| (Some(verdict), what)),
        Err(_) => Some((None, "whether there is an answer")),
    }
}

/// Compares on the worlds of these seeds until `verdicts` flows were judged or the seeds run out.
pub fn compare<C>(seeds: Range<u64>, verdicts: u64, candidate: C) -> Result<Stats, Box<Mismatch>>
where
    C: for<'w> Fn(&'w World) -> Judge<'w>,
{
    compare_sized(seeds, verdicts, &Size::default(), candidate)
}

/// As [`compare`], with worlds of another size.
pub fn compare_sized<C>(seeds: Range<u64>, verdicts: u64, size: &Size, candidate: C) -> Result<Stats, Box<Mismatch>>
where
    C: for<'w> Fn(&'w World) -> Judge<'w>,
{
    let mut stats = Stats::default();
    for seed in seeds {
        if stats.verdicts >= verdicts {
            break;
        }
        let mut rng = Rng::new(seed);
        let (world, mood) = random::world(&mut rng, size);
        stats.worlds += 1;
        let judge = catch_unwind(AssertUnwindSafe(|| candidate(&world))).ok();
        for _ in 0..FLOWS_PER_WORLD {
            let flow = random::flow(&mut rng, &world, &mood);
            let oracle = decide_traced(&world, &flow);
            stats.count(&oracle);
            let agrees = judge.as_ref().is_some_and(|judge| disagreement(judge, &oracle, &flow).is_none());
            if !agrees {
                drop(judge);
                return Err(Box::new(smallest(seed, world, flow, &candidate)));
            }
        }
    }
    Ok(stats)
}

/// Compares on one world and these flows: for exhaustive enumerations and for worlds from elsewhere.
pub fn compare_world<C>(world: &World, flows: &[Flow], candidate: C) -> Result<(), Box<Mismatch>>
where
    C: for<'w> Fn(&'w World) -> Judge<'w>,
{
    let judge = catch_unwind(AssertUnwindSafe(|| candidate(world))).ok();
    for flow in flows {
        let oracle = decide_traced(world, flow);
        if judge.as_ref().is_none_or(|judge| disagreement(judge, &oracle, flow).is_some()) {
            return Err(Box::new(smallest(0, world.clone(), *flow, &candidate)));
        }
    }
    Ok(())
}

fn smallest<C>(seed: u64, world: World, flow: Flow, candidate: &C) -> Mismatch
where
    C: for<'w> Fn(&'w World) -> Judge<'w>,
{
    let ask = |world: &World, flow: &Flow| {
        let oracle = decide_traced(world, flow);
        match catch_unwind(AssertUnwindSafe(|| candidate(world)(flow))) {
            Ok(verdict) => difference(&oracle, &verdict).map(|what| (Some(verdict), what)),
            Err(_) => Some((None, "whether there is an answer")),
        }
    };
    let (world, flow) = shrink(world, flow, |world, flow| ask(world, flow).is_some());
    let oracle = decide_traced(&world, &flow);
    let (candidate, what) = ask(&world, &flow).unwrap_or((None, "something that does not repeat"));
    Mismatch { seed, world, flow, oracle, candidate, what }
}
