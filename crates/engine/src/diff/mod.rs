//! The semantic difference of two worlds: what can connect in one and not in the other, and which edit decides it.
//!
//! In: two worlds, before and after. Out: a [`Diff`]. Workloads are matched by namespace, name and kind, and their pods are
//! taken together: a port is open between two workloads if it is for every pair of their pods, and partly open if it is for
//! some. Beside the workloads that exist, one pod without labels is imagined in every namespace that both worlds have, and
//! one in a namespace that does not exist yet, so that what opens to tomorrow's pods is seen as well.
//!
//! Reading order: this file (the words), `joint` (who is compared), `pairs` and `outside` (all differences), `blame` (which
//! edit decides each of them, found by applying edits one at a time).

mod blame;
mod edits;
mod joint;
mod outside;
mod pairs;
mod sample;

use crate::Engine;
use crate::blast::{BlastOptions, rank};
use crate::reach::Reach;
use joint::Joint;
use watertight_model::{Cidr, NamespaceId, PolicyRef, PortSet, RuleRef, WorkloadId, World};

/// How much to find out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiffOptions {
    /// Shifts whose deciding edit is looked for, in order; the others have no [`Shift::cause`].
    pub explained: usize,
}

impl Default for DiffOptions {
    fn default() -> Self {
        Self { explained: 2_000 }
    }
}

/// What differs between two worlds.
#[derive(Clone, Debug, Default)]
pub struct Diff {
    /// Everyone who was compared: workloads by namespace, name and kind, then imagined pods.
    pub parties: Vec<Party>,
    /// Ordered pairs whose ports differ, by source, then destination; addresses outside last.
    pub rows: Vec<Row>,
    /// Workloads of both worlds whose blast radius differs, largest difference first, then by name.
    pub radii: Vec<Radius>,
    /// Mean share of the other workloads that a workload reaches, before and after; 0 without workloads.
    pub mean_share: [f64; 2],
}

/// Someone who is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Party {
    /// A workload with pods in one world or both.
    Workload {
        /// In the first world.
        before: Option<WorkloadId>,
        /// In the second.
        after: Option<WorkloadId>,
    },
    /// A pod without labels that someone may create in a namespace of both worlds.
    NewPod {
        /// In the first world.
        before: NamespaceId,
        /// In the second.
        after: NamespaceId,
    },
    /// A pod without labels in a namespace that does not exist yet and has no labels but its name.
    NewNamespace,
}

impl Party {
    /// It is in both worlds, or imagined in both.
    pub fn in_both(&self) -> bool {
        match self {
            Party::Workload { before, after } => before.is_some() && after.is_some(),
            Party::NewPod { .. } | Party::NewNamespace => true,
        }
    }

    /// It does not exist yet.
    pub fn is_imagined(&self) -> bool {
        !matches!(self, Party::Workload { .. })
    }
}

/// One side of a [`Row`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// Index into [`Diff::parties`].
    Party(usize),
    /// Addresses outside the cluster, as the fewest blocks, IPv4 first.
    External(Vec<Cidr>),
}

/// An ordered pair that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Who opens connections.
    pub from: End,
    /// Who receives them.
    pub to: End,
    /// Its ports in the first world; none where one of the sides is not there.
    pub before: Openness,
    /// Its ports in the second.
    pub after: Openness,
    /// What changed, port set by port set: the widest openings first. Never empty.
    pub shifts: Vec<Shift>,
}

/// Ports between two parties, over all pairs of their pods. Each set holds the one before it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Openness {
    /// Allowed between every two pods, on every reading.
    pub every: PortSet,
    /// Allowed between some two pods, on every reading.
    pub some: PortSet,
    /// Allowed between some two pods, on some reading.
    pub possible: PortSet,
}

impl Openness {
    /// The ports that are in this state.
    pub fn ports(&self, state: State) -> PortSet {
        match state {
            State::Closed => self.possible.complement(),
            State::Unclear => self.possible.minus(&self.some),
            State::Partly => self.some.minus(&self.every),
            State::Open => self.every.clone(),
        }
    }
}

/// How open a port is between two parties, in ascending order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// Denied between all their pods.
    Closed,
    /// Allowed between none for sure, and unclear between some.
    Unclear,
    /// Allowed between some of their pods, and not between all.
    Partly,
    /// Allowed between all their pods.
    Open,
}

impl State {
    /// All, ascending.
    pub const ALL: [State; 4] = [State::Closed, State::Unclear, State::Partly, State::Open];

    /// Stable name, as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            State::Closed => "closed",
            State::Unclear => "unclear",
            State::Partly => "partly",
            State::Open => "open",
        }
    }
}

/// Ports that went from one state to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shift {
    /// Which.
    pub ports: PortSet,
    /// State in the first world.
    pub before: State,
    /// State in the second.
    pub after: State,
    /// Why; `None`: not looked for ([`DiffOptions::explained`]).
    pub cause: Option<Cause>,
}

impl Shift {
    /// More is open than before.
    pub fn opens(&self) -> bool {
        self.after > self.before
    }
}

/// Why ports changed their state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// One of the parties is in one world only.
    Existence,
    /// Applied to the first world it alone makes the difference, and without it the second world has none.
    One(Edit),
    /// Each of them alone makes the difference (and taking back any one of them does not undo it).
    EachAlone(Vec<Edit>),
    /// They make the difference together, and none of them can be left out.
    Together(Vec<Edit>),
    /// No set of edits was found that does; said rather than guessed.
    NotFound,
}

/// An object that differs between the worlds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// Which.
    pub object: Object,
    /// The rule that decides, in the world where it is written: `true` for the second.
    pub at: Option<(bool, RuleRef)>,
}

/// What can differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Object {
    /// A policy of either kind; at least one is set.
    Policy {
        /// In the first world; `None`: it was added.
        before: Option<PolicyRef>,
        /// In the second; `None`: it was removed.
        after: Option<PolicyRef>,
    },
    /// Labels of a namespace, or whether its object was read.
    Namespace {
        /// In the first world.
        before: NamespaceId,
        /// In the second.
        after: NamespaceId,
    },
    /// Pods of a workload: labels, ports, addresses, hostNetwork.
    Workload {
        /// In the first world.
        before: WorkloadId,
        /// In the second.
        after: WorkloadId,
    },
    /// Nodes, or where pod addresses come from.
    Nodes,
}

/// The blast radius of a workload before and after.
#[derive(Clone, Debug, PartialEq)]
pub struct Radius {
    /// Index into [`Diff::parties`].
    pub party: usize,
    /// Other workloads in reach.
    pub reachable: [usize; 2],
    /// Their share of all other workloads that have pods.
    pub share: [f64; 2],
}

/// Compares two worlds. Costs two reachabilities each (with and without imagined pods), a pass over pairs of workloads, and
/// the edits that concern each explained shift. Policies that are not evaluated have no influence.
pub fn diff(before: &World, after: &World, options: DiffOptions) -> Diff {
    let joint = Joint::of(before, after);
    let engines = [Engine::new(&joint.worlds[0]), Engine::new(&joint.worlds[1])];
    let reach = [Reach::of(&engines[0]), Reach::of(&engines[1])];
    let mut rows = pairs::rows(&joint, &engines, &reach);
    rows.extend(outside::rows(&joint, &engines));
    rows.sort_by(|a, b| (&a.from, &a.to).cmp(&(&b.from, &b.to)));
    blame::explain(&joint, &engines, &mut rows, options.explained);
    let (radii, mean_share) = radii(before, after, &joint);
    Diff { parties: joint.parties, rows, radii, mean_share }
}

/// A row of two states, unless nothing differs.
fn row(from: End, to: End, before: &Openness, after: &Openness) -> Option<Row> {
    let mut shifts = Vec::new();
    for b in State::ALL {
        for a in State::ALL.into_iter().filter(|a| *a != b) {
            let ports = before.ports(b).intersect(&after.ports(a));
            if !ports.is_empty() {
                shifts.push(Shift { ports, before: b, after: a, cause: None });
            }
        }
    }
    shifts.sort_by_key(|s| (!s.opens(), std::cmp::Reverse(s.after), s.before));
    (!shifts.is_empty()).then(|| Row { from, to, before: before.clone(), after: after.clone(), shifts })
}

fn radii(before: &World, after: &World, joint: &Joint) -> (Vec<Radius>, [f64; 2]) {
    let ranks = [before, after].map(|world| rank(&Engine::new(world), BlastOptions::default()));
    let mean_share = [0, 1].map(|side: usize| {
        #[expect(clippy::cast_precision_loss, reason = "counts of workloads are far below 2^52")]
        let n = ranks[side].len().max(1) as f64;
        ranks[side].iter().map(|r| r.share).sum::<f64>() / n
    });
    let mut known: [Vec<Option<(usize, f64)>>; 2] =
        [vec![None; before.workloads.len()], vec![None; after.workloads.len()]];
    for (known, ranks) in known.iter_mut().zip(&ranks) {
        for rank in ranks {
            known[rank.workload.index()] = Some((rank.reachable, rank.share));
        }
    }
    let mut out: Vec<Radius> = joint
        .parties
        .iter()
        .enumerate()
        .filter_map(|(party, this)| {
            let Party::Workload { before: Some(b), after: Some(a) } = this else { return None };
            let ((rb, sb), (ra, sa)) = (known[0][b.index()]?, known[1][a.index()]?);
            (rb != ra).then_some(Radius { party, reachable: [rb, ra], share: [sb, sa] })
        })
        .collect();
    out.sort_by_key(|r| (std::cmp::Reverse(r.reachable[0].abs_diff(r.reachable[1])), r.party));
    (out, mean_share)
}
