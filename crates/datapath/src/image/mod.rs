//! What the kernel is told, as one immutable value: for each pod of this node what it may exchange with everyone, ports and
//! reasons included.
//!
//! Input: a world, the pods of this node with their devices, options. Output: an [`Image`], or why not ([`Refused`]). The
//! same input gives the same image, whatever the order of objects (I9). It has no policy meaning of its own: it asks
//! `engine` for verdicts (`row`) and writes down the answers. Numbers in an image are its own; `plan` gives them the
//! kernel's.

mod answer;
mod atoms;
mod compile;
mod flat;
mod kept;
mod out;
mod row;
mod table;

pub use answer::{Answer, RuleName};
pub use compile::Options;
pub(crate) use kept::Touched;
pub use kept::{Compiled, Compiler};
pub use table::{Place, PortStep, Table};

use std::collections::BTreeMap;
use std::net::IpAddr;
use thiserror::Error;
use watertight_model::{Cidr, PodId, World};

/// Everyone whom no policy can tell apart, by place in the image. Never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity(pub u32);

/// A pod of this node and the device on the host's end of its cable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Local {
    /// The pod, in the world that is compiled.
    pub pod: PodId,
    /// Index of the device in the host's network namespace.
    pub ifindex: u32,
    /// MAC of the pod's own end. `None`: not known; then ARP senders are held to their address only, and no link-local
    /// address is the pod's own.
    pub mac: Option<[u8; 6]>,
    /// Addresses of the pod, if they are known before its status is (from the CNI). Empty: those of the world.
    pub addresses: Vec<IpAddr>,
}

/// Who has an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Its identity; `None`: two pods claim it, so it is nobody's, and closed.
    pub identity: Option<Identity>,
    /// Device, for a pod of this node.
    pub ifindex: Option<u32>,
    /// A Service's address: the backend decides.
    pub service: bool,
}

/// What holds for a pod in one direction.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Set {
    /// Table for every identity that is not in `entries`.
    pub default: u32,
    /// Tables by identity, ascending.
    pub entries: Vec<(Identity, u32)>,
}

/// A pod of this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// `namespace/name`.
    pub name: String,
    /// Index into [`Image::sets`].
    pub egress: u32,
    /// Index into [`Image::sets`].
    pub ingress: u32,
    /// An enforced policy has a say in egress: doubt is closed.
    pub egress_restricted: bool,
    /// As for egress.
    pub ingress_restricted: bool,
    /// MAC of the pod's own end.
    pub mac: Option<[u8; 6]>,
}

/// Something that a user should know about an image; it takes nothing away from its soundness.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Note {
    /// Policies of this kind are not evaluated; count.
    NotEvaluated(String, usize),
    /// Two pods claim this address; it is closed.
    Contested(IpAddr),
    /// The annotation `watertight.dev/mode` has a value that is not `shadow` or `enforce`; it is enforced.
    UnknownMode(String),
}

/// All that the kernel is told. Lists are in canonical order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Who has which address: pods, nodes, Services.
    pub addresses: BTreeMap<IpAddr, Owner>,
    /// Everyone else, by longest prefix; holds `0.0.0.0/0` and `::/0`. A longer prefix has inherited from shorter ones.
    pub prefixes: BTreeMap<Cidr, Identity>,
    /// Pods of this node, by device.
    pub slots: BTreeMap<u32, Slot>,
    /// What holds for pods, without repeats.
    pub sets: Vec<Set>,
    /// Ports, without repeats.
    pub tables: Vec<Table>,
    /// What decides, without repeats.
    pub answers: Vec<Answer>,
    /// For the user.
    pub notes: Vec<Note>,
}

/// An image that would not fit is refused before anything is published; the last one stays.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("too many {what}: {have}, at most {bound}; most are due to {object}")]
pub struct Refused {
    /// Of what.
    pub what: &'static str,
    /// How many there are.
    pub have: usize,
    /// How many fit.
    pub bound: usize,
    /// The object to blame: a policy, a pod, a Service.
    pub object: String,
}

impl Image {
    /// Compiles. Costs grow with the pods of this node and the rules that concern them, and linearly with the cluster.
    pub fn compile(world: &World, locals: &[Local], options: &Options) -> Result<Self, Refused> {
        compile::compile(world, locals, options)
    }
}
