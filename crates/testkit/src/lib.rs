//! Builders, random worlds and judges, for the tests of every other crate. Never part of the binary.
//!
//! [`build`] and [`rules`] make a world in a few lines; [`random`] draws worlds and flows from a seed; [`compare`] holds a
//! candidate against the oracle on random worlds and [`mod@shrink`]s what they disagree on, [`mod@describe`] prints it;
//! [`metamorphic`] holds a candidate against itself; [`edits`] changes a world object by object; [`small`] enumerates all
//! small policies; [`case`] runs the literate cases of `cases/` against any judge.

pub mod build;
pub mod case;
pub mod compare;
pub mod describe;
pub mod edits;
pub mod metamorphic;
pub mod random;
pub mod rules;
pub mod shrink;
pub mod small;
pub mod synthetic;

pub use build::WorldBuilder;
