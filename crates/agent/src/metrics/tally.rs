//! What a node counts of itself.

use crate::api::{Edges, Histogram, Measures, Status};
use std::time::{Duration, Instant};
use watertight_datapath::kernel::{Error, Loader};

/// The ledger is counted at most this often: it takes the node's thread some milliseconds where it is full.
const COUNTED: Duration = Duration::from_secs(10);

/// Counts since the agent started.
#[derive(Debug)]
pub(crate) struct Tally {
    apply: Histogram,
    gate: Histogram,
    refusals: u64,
    repairs: u64,
    writes: u64,
    /// When the cluster was last known to be understood; `None`: it is now.
    lost: Option<Instant>,
    edges: Option<(Instant, Edges)>,
}

impl Default for Tally {
    /// Nothing is known at first.
    fn default() -> Self {
        let (apply, gate) = (Histogram::default(), Histogram::default());
        Self { apply, gate, refusals: 0, repairs: 0, writes: 0, lost: Some(Instant::now()), edges: None }
    }
}

impl Tally {
    /// A state came into force.
    pub(crate) fn applied(&mut self, us: u64, writes: usize) {
        self.apply.observe(us);
        self.writes = self.writes.saturating_add(u64::try_from(writes).unwrap_or(u64::MAX));
    }

    /// A pod was let begin after so long.
    pub(crate) fn gated(&mut self, us: u64) {
        self.gate.observe(us);
    }

    /// One did not.
    pub(crate) fn refused(&mut self) {
        self.refusals += 1;
    }

    /// Something in the kernel was not as it should be, and is written again.
    pub(crate) fn repaired(&mut self) {
        self.repairs += 1;
    }

    /// Whether the newest state of the cluster is understood.
    pub(crate) fn know(&mut self, understood: bool) {
        self.lost = if understood { None } else { self.lost.or_else(|| Some(Instant::now())) };
    }

    /// All of it, with what the kernel counts.
    pub(crate) fn measures(&mut self, status: Status, loader: &Loader) -> Result<Measures, Error> {
        let edges = match self.edges {
            Some((at, edges)) if at.elapsed() < COUNTED => edges,
            _ => {
                let (allowed, denied) = loader.edge_counts()?;
                let edges = Edges { allowed, denied };
                self.edges = Some((Instant::now(), edges));
                edges
            }
        };
        let kernel = loader.status()?;
        let lost = self.lost.map_or(0, |at| u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX));
        let stale = status.stale.iter().map(|s| s.age_ms).max().unwrap_or_default();
        Ok(Measures {
            source_age_ms: lost.max(stale),
            apply: self.apply.clone(),
            gate: self.gate.clone(),
            refusals: self.refusals,
            repairs: self.repairs,
            writes: self.writes,
            edges,
            drops: kernel.drops.iter().map(|(d, n)| (d.name().to_owned(), *n)).collect(),
            counters: kernel.counts.iter().map(|(c, n)| (c.name().to_owned(), *n)).collect(),
            status,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_age_begins_when_the_source_is_lost_and_ends_when_it_is_back() {
        let mut tally = Tally::default();
        assert!(tally.lost.is_some(), "at first nothing is known");
        tally.know(true);
        assert_eq!(tally.lost, None);
        tally.know(false);
        let first = tally.lost;
        assert!(first.is_some());
        tally.know(false);
        assert_eq!(tally.lost, first, "it does not begin again");
        tally.know(true);
        assert_eq!(tally.lost, None);
    }
}
