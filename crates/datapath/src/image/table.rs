//! Ports of one pair: a step function over protocol and port. Total by construction: no port falls between two steps.

use crate::abi;
use watertight_model::{L4, Protocol, Reason};

/// TCP, UDP and SCTP ports in a row, then everything else: protocol * 65536 + port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place(pub u32);

impl Place {
    /// Where this stands.
    pub fn of(l4: L4) -> Self {
        match l4 {
            L4::Port(protocol, port) => Self(abi::place(Some((protocol, port)))),
            L4::Other => Self(abi::place(None)),
        }
    }

    /// What stands here.
    pub fn l4(self) -> L4 {
        let port = u16::try_from(self.0 & 0xffff).unwrap_or(0);
        match self.0 >> 16 {
            0 => L4::Port(Protocol::Tcp, port),
            1 => L4::Port(Protocol::Udp, port),
            2 => L4::Port(Protocol::Sctp, port),
            _ => L4::Other,
        }
    }

    /// The places at which every table has a step: where a protocol begins.
    pub(super) const PROTOCOLS: [Place; 4] = [Place(0), Place(1 << 16), Place(2 << 16), Place(3 << 16)];
}

/// What holds from one place to the next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortStep {
    /// First place.
    pub from: Place,
    /// Enforced.
    pub allow: bool,
    /// With the policies in shadow.
    pub shadow_allow: bool,
    /// Index into [`super::Image::answers`].
    pub answer: u32,
    /// As `answer`, with the policies in shadow.
    pub shadow_answer: u32,
    /// Denied by a cluster tier.
    pub tier_deny: bool,
}

/// Steps in ascending order; the first begins at place 0.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Table(Vec<PortStep>);

impl Table {
    /// From steps in ascending order of which the first begins at 0; equal neighbours become one.
    pub(super) fn new(mut steps: Vec<PortStep>) -> Self {
        debug_assert!(steps.first().is_some_and(|s| s.from == Place(0)) && steps.is_sorted_by_key(|s| s.from));
        steps.dedup_by(|later, earlier| PortStep { from: earlier.from, ..*later } == *earlier);
        Self(steps)
    }

    /// The steps.
    pub fn steps(&self) -> &[PortStep] {
        &self.0
    }
}

/// True for the reasons that a Service's own address meets as well as its backend (semantics row 90).
pub(super) fn denies_by_tier(reason: Reason) -> bool {
    match reason {
        Reason::AdminDeny | Reason::BaselineDeny => true,
        Reason::OwnAddress
        | Reason::NotSubject
        | Reason::LocalNode
        | Reason::DefaultAllow
        | Reason::AdminAccept
        | Reason::PolicyAllow
        | Reason::PolicyDeny
        | Reason::BaselineAccept
        | Reason::Unclear => false,
    }
}
