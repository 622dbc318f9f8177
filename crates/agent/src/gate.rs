//! The agent's side of the gate at a pod's start: which questions wait, and what they are told.
//!
//! In: a question of `watertight-cni`. Out: an answer when the device is guarded, or known to be closed, or when neither can be. The
//! network plugin has made the pod's device and nothing runs in it, so that waiting costs no packet.

use crate::api::{Answer, Gate};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

/// How long the API server may take to tell of a pod that the kubelet knows. After it the pod begins closed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// A question, and where its answer goes.
pub(crate) type Asked = (Gate, Sender<Answer>);

/// A question whose device is known.
pub(crate) struct Waiting {
    /// Index of the device on the node's side.
    pub(crate) ifindex: u32,
    /// The pod, for the log.
    pub(crate) pod: String,
    /// Since when it waits.
    pub(crate) since: Instant,
    /// Where the answer goes.
    pub(crate) tell: Sender<Answer>,
}

/// To be answered by the node, after the states that were sent before.
pub(crate) struct Confirm {
    /// Who waits.
    pub(crate) waiting: Waiting,
    /// It is to be closed, and why; `None`: guarded.
    pub(crate) closed: Option<String>,
}

/// What can be said of a device now.
pub(crate) enum Now {
    /// Its pod is known.
    Placed,
    /// It is closed, and why.
    Closed(String),
    /// Neither, and why.
    Unknown(String),
}

/// Those of which something can be said; the others go on waiting.
pub(crate) fn settled(waiting: &mut Vec<Waiting>, now: impl Fn(u32) -> Now) -> Vec<Confirm> {
    let mut out = Vec::new();
    for one in std::mem::take(waiting) {
        let late = one.since.elapsed() >= PATIENCE;
        match now(one.ifindex) {
            Now::Placed => out.push(Confirm { waiting: one, closed: None }),
            Now::Closed(why) if late => out.push(Confirm { waiting: one, closed: Some(why) }),
            Now::Unknown(why) if late => {
                // Whoever asked may have gone.
                let _ = one.tell.send(Answer::Failed(why));
            }
            Now::Closed(_) | Now::Unknown(_) => waiting.push(one),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, channel};

    fn waiting(ifindex: u32, for_s: u64) -> (Waiting, Receiver<Answer>) {
        let (tell, told) = channel();
        (Waiting { ifindex, pod: "a/b".to_owned(), since: Instant::now() - Duration::from_secs(for_s), tell }, told)
    }

    #[test]
    fn a_known_pod_is_answered_at_once_and_others_wait_a_while() {
        let ((one, _a), (two, _b), (three, _c)) = (waiting(1, 0), waiting(2, 0), waiting(3, 0));
        let mut all = vec![one, two, three];
        let now = |ifindex| match ifindex {
            1 => Now::Placed,
            2 => Now::Closed("not known".to_owned()),
            _ => Now::Unknown("held".to_owned()),
        };
        let out = settled(&mut all, now);
        assert_eq!(out.iter().map(|c| (c.waiting.ifindex, c.closed.clone())).collect::<Vec<_>>(), [(1, None)]);
        assert_eq!(all.iter().map(|w| w.ifindex).collect::<Vec<_>>(), [2, 3]);
    }

    #[test]
    fn after_a_while_it_is_closed_or_refused_and_never_open() {
        let ((two, _b), (three, told)) = (waiting(2, 6), waiting(3, 6));
        let mut all = vec![two, three];
        let now = |ifindex| match ifindex {
            2 => Now::Closed("not known".to_owned()),
            _ => Now::Unknown("held".to_owned()),
        };
        let out = settled(&mut all, now);
        assert_eq!(
            out.iter().map(|c| (c.waiting.ifindex, c.closed.as_deref())).collect::<Vec<_>>(),
            [(2, Some("not known"))]
        );
        assert!(all.is_empty());
        assert_eq!(told.recv().unwrap(), Answer::Failed("held".to_owned()));
    }
}
