//! Enforcement in the kernel: what policies mean, compiled for the pods of one node, and the BPF programs that hold to it.
//!
//! ```text
//!   World + local pods --image--> Image --plan--> ordered map writes --kernel--> one word published
//!                                   |                                               |
//!                                  walk (user space, the judge's witness)         packets
//! ```
//!
//! The whole of it, as a node agent uses it:
//!
//! ```no_run
//! # #[cfg(target_os = "linux")]
//! # fn node(world: &watertight_model::World, pod: watertight_model::PodId) -> Result<(), Box<dyn std::error::Error>> {
//! use watertight_datapath::kernel::Loader;
//! use watertight_datapath::{Image, Local, Options};
//!
//! // Loads the programs, or takes over what an earlier process left under this directory of a bpffs.
//! let mut loader = Loader::open("/sys/fs/bpf/watertight".as_ref())?;
//! // A pod's device is closed from here on (the gate at pod start), until an image that holds the pod is applied.
//! loader.attach(17)?;
//! let locals = [Local { pod, ifindex: 17, mac: Some([2, 0, 0, 0, 0, 1]), addresses: Vec::new() }];
//! let image = Image::compile(world, &locals, &Options::default())?;
//! let applied = loader.apply(&image)?; // written, published, and read back
//! assert_eq!(applied.epoch, loader.status()?.epoch);
//! for edge in loader.edges()? {
//!     println!("{:?} {:?}", edge.key, loader.answer(edge.key.answer)); // who talks to whom, and which rule decided
//! }
//! loader.detach(17)?; // the pod is gone
//! # Ok(()) }
//! ```
//!
//! * [`Image::compile`]: pure. Refuses what does not fit ([`Refused`]); the last image stays in force.
//! * [`walk`]: what an image says about a packet that opens a flow.
//! * [`plan`]: from what the kernel has to what it should have, as ordered writes. Two banks, one switch: a packet sees one
//!   policy version or the next, never a mix.
//! * [`kernel`] (Linux): loading, attaching, applying, reading back; edges, drops, counters. Everything is pinned: the process
//!   may go, enforcement stays.
//!
//! Design, bounds and every drop reason: `docs/datapath.md`.

pub mod abi;
pub mod bounds;
pub mod image;
#[cfg(target_os = "linux")]
pub mod kernel;
pub mod plan;
pub mod walk;

pub use abi::{Count, Drop};
pub use image::{Answer, Compiled, Compiler, Identity, Image, Local, Note, Options, Refused};
