//! What to do next about one kind.
//!
//! Input: how the last list or watch ended, and how long it lasted. Output: what to do, after which pause. Pure: no clock, no
//! network, and chance comes from outside.
//!
//! ```text
//!           listed                    closed, silent
//!   List ------------> Watch(from) ----------------------> Watch(from)
//!     ^                   |  |
//!     |  expired, garbage |  | busy, failed: pause, then the same again
//!     +-------------------+  +-----> ...
//!   refused (403), absent (404): List, after a long pause
//! ```
//! INVARIANT: after *expired* and *garbage* the old place is forgotten: only a new list gives one.

use std::time::Duration;

/// How a list or a watch ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Every object was listed, as of this version.
    Listed(String),
    /// The watch ended in good order, or nothing came for too long; everything up to this version was seen.
    Closed(String),
    /// The place is not known to the server any more (410, and whatever else a new list may heal).
    Expired(String),
    /// Something came that cannot be understood.
    Garbage(String),
    /// The server does not have the kind. With words if that is a gap in what is known of the cluster.
    Absent(Option<String>),
    /// Not allowed.
    Refused(String),
    /// The server answers and cannot do it now; it may say when to come back.
    Busy(Option<Duration>, String),
    /// No answer, or credentials that are not accepted.
    Failed(String),
}

/// Why a list is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// The first list, or the first that succeeds.
    Start,
    /// The server does not know the place of the watch any more.
    Expired,
    /// The watch brought something that cannot be understood.
    Garbage,
    /// It was forbidden, or absent, or could not be watched, and may be so no longer.
    Seldom,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    List(Cause),
    /// Watch from this version on.
    Watch(String),
}

/// How long to wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pauses {
    /// After the first failure; doubled with each.
    pub(crate) first: Duration,
    /// At most.
    pub(crate) most: Duration,
    /// Most that `Retry-After` is followed.
    pub(crate) retry_after: Duration,
    /// Before asking again for what is forbidden or absent.
    pub(crate) seldom: Duration,
    /// A watch that lasted so long was a success, whatever ended it.
    pub(crate) healthy: Duration,
}

/// The state of one kind.
pub(crate) struct Machine {
    pauses: Pauses,
    /// In a row without an answer.
    failures: u32,
    /// Steps in a row that were answered and led nowhere.
    rounds: u32,
    step: Step,
}

impl Machine {
    pub(crate) fn new(pauses: Pauses) -> Self {
        Self { pauses, failures: 0, rounds: 0, step: Step::List(Cause::Start) }
    }

    /// What is to be done now.
    pub(crate) fn step(&self) -> &Step {
        &self.step
    }

    /// Takes how the step ended and how long it lasted, and chance between 0 and 1. Gives the pause before the next step.
    pub(crate) fn ended(&mut self, ended: &Ended, lasted: Duration, chance: f64) -> Duration {
        let listing = matches!(self.step, Step::List(_));
        let healthy = !listing && lasted >= self.pauses.healthy;
        if healthy {
            (self.failures, self.rounds) = (0, 0);
        }
        if !matches!(ended, Ended::Busy(..) | Ended::Failed(_)) {
            // Whatever it says, the server is there: nobody waits for it any more.
            self.failures = 0;
        }
        let (step, pause) = match ended {
            Ended::Listed(version) => (Step::Watch(version.clone()), Duration::ZERO),
            Ended::Closed(version) => (Step::Watch(version.clone()), self.round(healthy, chance)),
            Ended::Expired(_) => (Step::List(Cause::Expired), self.round(healthy, chance)),
            Ended::Garbage(_) => (Step::List(Cause::Garbage), self.round(healthy, chance)),
            Ended::Absent(_) | Ended::Refused(_) => {
                self.rounds = 0;
                (Step::List(Cause::Seldom), spread(self.pauses.seldom, chance))
            }
            Ended::Busy(after, _) => {
                let own = self.failed(chance);
                let told = after.unwrap_or_default().min(self.pauses.retry_after);
                (self.step.clone(), own.max(told))
            }
            Ended::Failed(_) => (self.step.clone(), self.failed(chance)),
        };
        self.step = step;
        pause
    }

    /// Failures in a row.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    fn failed(&mut self, chance: f64) -> Duration {
        self.failures = self.failures.saturating_add(1);
        self.pause(self.failures, chance)
    }

    /// A watch that lasted goes on at once.
    fn round(&mut self, healthy: bool, chance: f64) -> Duration {
        if healthy {
            return Duration::ZERO;
        }
        self.rounds = self.rounds.saturating_add(1);
        self.pause(self.rounds, chance)
    }

    fn pause(&self, nth: u32, chance: f64) -> Duration {
        let times = 1_u32 << nth.saturating_sub(1).min(16);
        spread(self.pauses.first.saturating_mul(times).min(self.pauses.most), chance)
    }
}

/// Between half and all of a pause: many watchers that lost one server do not come back at one moment.
fn spread(pause: Duration, chance: f64) -> Duration {
    pause.mul_f64(0.5 + 0.5 * chance.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;
    const LONG: Duration = Duration::from_secs(60);

    fn machine() -> Machine {
        let pauses =
            Pauses { first: MS(100), most: MS(1_000), retry_after: MS(5_000), seldom: MS(9_000), healthy: MS(500) };
        Machine::new(pauses)
    }

    fn watching() -> Machine {
        let mut machine = machine();
        machine.ended(&Ended::Listed("7".into()), MS(1), 1.0);
        machine
    }

    fn why() -> String {
        "why".into()
    }

    #[test]
    fn a_list_leads_to_a_watch_from_its_version() {
        let mut machine = machine();
        assert_eq!(*machine.step(), Step::List(Cause::Start));
        assert_eq!(machine.ended(&Ended::Listed("7".into()), MS(1), 1.0), Duration::ZERO);
        assert_eq!(*machine.step(), Step::Watch("7".into()));
    }

    #[test]
    fn a_watch_that_lasted_goes_on_at_once_and_one_that_did_not_waits() {
        let mut machine = watching();
        assert_eq!(machine.ended(&Ended::Closed("9".into()), LONG, 1.0), Duration::ZERO);
        assert_eq!(*machine.step(), Step::Watch("9".into()));
        assert_eq!(machine.ended(&Ended::Closed("9".into()), MS(1), 1.0), MS(100));
        assert_eq!(machine.ended(&Ended::Closed("9".into()), MS(1), 1.0), MS(200));
        assert_eq!(machine.ended(&Ended::Closed("9".into()), LONG, 1.0), Duration::ZERO);
        assert_eq!(machine.ended(&Ended::Closed("9".into()), MS(1), 1.0), MS(100), "what lasted clears the count");
    }

    #[test]
    fn an_expired_or_broken_watch_forgets_its_place() {
        for (ended, cause) in [(Ended::Expired(why()), Cause::Expired), (Ended::Garbage(why()), Cause::Garbage)] {
            let mut machine = watching();
            assert_eq!(machine.ended(&ended, LONG, 1.0), Duration::ZERO);
            assert_eq!(*machine.step(), Step::List(cause));
            // The list fails, and is what is tried again.
            machine.ended(&Ended::Failed(why()), MS(1), 1.0);
            assert_eq!(*machine.step(), Step::List(cause));
            // A list that is followed by the same fault again and again is not repeated without pause.
            machine.ended(&Ended::Listed("8".into()), MS(1), 1.0);
            assert_eq!(machine.ended(&ended, MS(1), 1.0), MS(100));
            machine.ended(&Ended::Listed("9".into()), MS(1), 1.0);
            assert_eq!(machine.ended(&ended, MS(1), 1.0), MS(200));
        }
    }

    /// A server that was away for long, and has forgotten everything: what it says first must not wait as if it were away.
    #[test]
    fn an_answer_ends_the_wait_for_one() {
        let mut machine = watching();
        for _ in 0..20 {
            machine.ended(&Ended::Failed(why()), MS(1), 1.0);
        }
        assert_eq!(machine.ended(&Ended::Expired(why()), MS(1), 1.0), MS(100));
        assert_eq!(machine.failures(), 0);
        machine.ended(&Ended::Listed("9".into()), MS(1), 1.0);
        // The twin: without an answer in between the pauses go on growing.
        let mut machine = watching();
        for _ in 0..20 {
            machine.ended(&Ended::Failed(why()), MS(1), 1.0);
        }
        assert_eq!(machine.ended(&Ended::Failed(why()), MS(1), 1.0), MS(1_000));
    }

    #[test]
    fn failures_keep_the_place_and_pauses_grow_to_a_bound() {
        let mut machine = watching();
        let pauses: Vec<Duration> = (0..40).map(|_| machine.ended(&Ended::Failed(why()), MS(1), 1.0)).collect();
        assert_eq!(pauses[..5], [MS(100), MS(200), MS(400), MS(800), MS(1_000)]);
        assert!(pauses[5..].iter().all(|p| *p == MS(1_000)));
        assert_eq!((machine.step(), machine.failures()), (&Step::Watch("7".into()), 40));
        // Chance takes up to half of it.
        assert_eq!(machine.ended(&Ended::Failed(why()), MS(1), 0.0), MS(500));
        assert_eq!(machine.ended(&Ended::Failed(why()), MS(1), 7.0), MS(1_000));
    }

    #[test]
    fn retry_after_is_followed_up_to_a_bound_and_never_shortens() {
        let busy = |after| Ended::Busy(after, why());
        let mut machine = watching();
        assert_eq!(machine.ended(&busy(Some(MS(3_000))), MS(1), 1.0), MS(3_000));
        assert_eq!(machine.ended(&busy(Some(LONG)), MS(1), 1.0), MS(5_000));
        assert_eq!(machine.ended(&busy(Some(MS(1))), MS(1), 1.0), MS(400));
        assert_eq!(machine.ended(&busy(None), MS(1), 1.0), MS(800));
        assert_eq!(*machine.step(), Step::Watch("7".into()));
    }

    #[test]
    fn what_is_forbidden_or_absent_is_asked_for_seldom() {
        for ended in [Ended::Refused(why()), Ended::Absent(None)] {
            let mut machine = watching();
            assert_eq!(machine.ended(&ended, MS(1), 1.0), MS(9_000));
            assert_eq!((machine.step(), machine.failures()), (&Step::List(Cause::Seldom), 0));
        }
    }
}
