//! Subjects by what decides for them.
//!
//! A *stack* is what decides for a subject in one direction: the policies that select it, and for ingress its named ports.
//! Subjects with the same stack are judged once. Its *cells* say per port which rules of NetworkPolicies may match there.

use crate::bits::Bits;
use crate::classes::{ClassId, Classes, Selected};
use crate::redundancy::space::Atom;
use rustc_hash::FxHashMap;
use std::collections::BTreeSet;
use std::ops::Range;
use watertight_model::{Direction, NodeId, Pod, Protocol, World};

/// Subjects that the same policies decide for, in one direction.
pub(super) struct Stack<'w> {
    pub(super) direction: Direction,
    pub(super) v1: &'w [Selected],
    pub(super) cluster: &'w [Selected],
    /// One of them: its named ports are those of all.
    pub(super) subject: &'w Pod,
    pub(super) classes: Vec<ClassId>,
    /// They exist.
    pub(super) real: bool,
    /// Whether NetworkPolicy selects them at all is unclear (hostNetwork).
    pub(super) unclear: bool,
    /// Stacks of one number are the same to cluster policies.
    pub(super) group: u32,
    /// Where they run.
    pub(super) place: Place,
    /// Ports that the rules tell apart, sorted.
    pub(super) atoms: Vec<Atom>,
    cells: Cells,
}

/// The nodes that subjects run on, as far as it matters for who is local to all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) direction: Direction,
    /// Somebody's node is not known.
    pub(super) somewhere: bool,
    pub(super) known: Known,
}

/// Nodes of subjects, of those that are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Known {
    No,
    One(NodeId),
    Several,
}

/// Rules by port: `rules[starts[i]..starts[i + 1]]` are those of the port at place `i`.
#[derive(Default)]
struct Cells {
    starts: Vec<u32>,
    rules: Vec<u32>,
}

/// Named ports of a subject.
type Names<'w> = Vec<(Option<&'w str>, u16, Protocol)>;
type Key<'w> = (&'w [Selected], &'w [Selected], Names<'w>, bool, bool, Direction);

impl<'w> Stack<'w> {
    /// The stacks of a world, those of pods that exist first.
    pub(super) fn all(world: &'w World, classes: &'w Classes, imaginary: &Bits) -> Vec<Self> {
        let mut known: FxHashMap<Key<'w>, usize> = FxHashMap::default();
        let mut groups: FxHashMap<(&'w [Selected], Names<'w>, Direction), u32> = FxHashMap::default();
        let mut nodes: Vec<BTreeSet<Option<NodeId>>> = Vec::new();
        let mut stacks: Vec<Self> = Vec::new();
        for direction in Direction::BOTH {
            for class in (0..classes.len()).map(ClassId::at) {
                let (v1, cluster) =
                    (classes.policies_of_class(class, direction), classes.cluster_policies_of_class(class));
                if v1.is_empty() && cluster.is_empty() {
                    continue;
                }
                let subject = &world.pods[classes.representative(class).index()];
                let names: Names<'w> = match direction {
                    Direction::Ingress => {
                        let named = subject.ports.iter().filter(|p| p.name.is_some());
                        named.map(|p| (p.name.as_deref(), p.port, p.protocol)).collect()
                    }
                    Direction::Egress => Vec::new(),
                };
                let next = ClassId::at(groups.len()).0;
                let group = *groups.entry((cluster, names.clone(), direction)).or_insert(next);
                let real = !imaginary.contains(class.0 as usize);
                let at =
                    *known.entry((v1, cluster, names, subject.host_network, real, direction)).or_insert_with(|| {
                        stacks.push(Self {
                            direction,
                            v1,
                            cluster,
                            subject,
                            classes: Vec::new(),
                            real,
                            unclear: v1.iter().any(|s| !s.causes.is_empty()),
                            group,
                            place: Place { direction, somewhere: false, known: Known::No },
                            atoms: Vec::new(),
                            cells: Cells::default(),
                        });
                        nodes.push(BTreeSet::new());
                        stacks.len() - 1
                    });
                stacks[at].classes.push(class);
                nodes[at].extend(classes.members(class).iter().map(|p| world.pods[p.index()].node));
            }
        }
        for (stack, nodes) in stacks.iter_mut().zip(nodes) {
            stack.place.somewhere = nodes.contains(&None);
            let mut known = nodes.into_iter().flatten();
            stack.place.known = match (known.next(), known.next()) {
                (None, _) => Known::No,
                (Some(node), None) => Known::One(node),
                (Some(_), Some(_)) => Known::Several,
            };
        }
        stacks.sort_by_key(|s| !s.real);
        stacks
    }

    /// Tells the ports and the rules that matter on each.
    pub(super) fn fill(&mut self, atoms: Vec<Atom>, rules: impl Fn(Atom, &mut Vec<u32>)) {
        let mut cells = Cells { starts: vec![0], rules: Vec::new() };
        for atom in &atoms {
            rules(*atom, &mut cells.rules);
            cells.starts.push(ClassId::at(cells.rules.len()).0);
        }
        (self.atoms, self.cells) = (atoms, cells);
    }

    /// Rules that may match on a port, ascending.
    pub(super) fn cell(&self, atom: Atom) -> &[u32] {
        let Ok(place) = self.atoms.binary_search(&atom) else { return &[] };
        &self.cells.rules[self.cells.starts[place] as usize..self.cells.starts[place + 1] as usize]
    }

    /// Some rule of these may match on the port.
    pub(super) fn concerns(&self, atom: Atom, rules: &Range<u32>) -> bool {
        let cell = self.cell(atom);
        cell.get(cell.partition_point(|r| *r < rules.start)).is_some_and(|r| *r < rules.end)
    }
}
