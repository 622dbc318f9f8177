//! Images of a world that changes: each from the one before, where that is all it takes.
//!
//! Input: worlds as a watch brings them. Output: for each an image ([`Compiled`]), and what of it is new. A pod that comes,
//! goes, moves or is relabelled costs what it touches; if policies, namespaces, nodes or Services changed, everything is made
//! anew, from one pod per kind. An image kept this way says the same as a fresh one ([`Image::compile`], the judge, which shares
//! neither this bookkeeping nor its numbers), but numbers may differ, and it may still say what holds for kinds of pods that
//! nobody is of any more. Those are few: past a bound everything is made anew.

mod ask;
mod changes;
mod few;
mod follow;
mod made;
#[cfg(test)]
mod tests;

use super::{Identity, Image, Local, Options, Refused};
use made::Kept;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use watertight_model::World;

/// An image, and how it differs from the one before it.
#[derive(Debug)]
pub struct Compiled {
    pub(super) image: Image,
    /// Names this image among all of this process.
    serial: u64,
    since: Option<(u64, Touched)>,
}

/// What differs between two images of one compiler, beyond sets, tables and answers that are appended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Touched {
    /// Addresses whose owner may be another.
    pub(crate) addresses: BTreeSet<IpAddr>,
    /// Devices whose slot may be another.
    pub(crate) slots: BTreeSet<u32>,
    /// Entries that sets have got; their identities were nobody's before.
    pub(crate) entries: Vec<(u32, Identity)>,
}

static SERIAL: AtomicU64 = AtomicU64::new(1);

impl Compiled {
    fn new(image: Image) -> Self {
        Self { image, serial: SERIAL.fetch_add(1, Ordering::Relaxed), since: None }
    }

    /// The image.
    pub fn image(&self) -> &Image {
        &self.image
    }

    pub(crate) fn serial(&self) -> u64 {
        self.serial
    }

    /// Number of the image before and what is new since; `None`: everything may be.
    pub(crate) fn since(&self) -> Option<(u64, &Touched)> {
        self.since.as_ref().map(|(serial, touched)| (*serial, touched))
    }

    /// True if only what changed was looked at.
    pub fn is_partial(&self) -> bool {
        self.since.is_some()
    }

    fn next(&mut self, touched: Touched) {
        let before = self.serial;
        self.serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        self.since = Some((before, touched));
    }
}

/// Compiles one world after another for one node.
pub struct Compiler {
    options: Options,
    kept: Option<Kept>,
    /// What the last calls left over.
    left: Vec<Left>,
}

/// Large, and of no use any more.
enum Left {
    World { _world: Arc<World> },
    Kept { _kept: Box<Kept> },
}

impl Compiler {
    /// Nothing compiled yet.
    pub fn new(options: Options) -> Self {
        Self { options, kept: None, left: Vec::new() }
    }

    /// Compiles the next world. Refused: nothing of it is kept, and the next call makes everything anew.
    pub fn compile(&mut self, world: &Arc<World>, locals: &[Local]) -> Result<&Compiled, Refused> {
        if self.left.len() > 8 {
            self.rest();
        }
        let followed = match self.kept.take() {
            None => None,
            Some(mut kept) => {
                self.left.push(Left::World { _world: kept.world.clone() });
                match kept.follow(world, locals) {
                    Ok(()) => Some(kept),
                    Err(follow::Anew) => {
                        self.left.push(Left::Kept { _kept: Box::new(kept) });
                        None
                    }
                }
            }
        };
        let kept = match followed {
            Some(kept) => kept,
            None => Kept::new(world, locals, &self.options)?,
        };
        Ok(&self.kept.insert(kept).compiled)
    }

    /// Frees what the last calls left over: for when the image is in force and nobody waits.
    pub fn rest(&mut self) {
        self.left.clear();
    }
}
