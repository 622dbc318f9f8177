//! Assertions: who must, must not and may reach whom, written beside the manifests.
//!
//! Input: files of `apiVersion: watertight.dev/v1`, `kind: Assertions`, as bytes, and an engine. Output: an [`Outcome`] per
//! assertion, with the flow that breaks it. Decides no verdict (the engine does), reads no file, draws nothing.
//!
//! Reading order: [`file`](mod@file) (what an assertion is), [`parse`](mod@parse) (text to assertions, every fault at its
//! place), [`members`] (whom an assertion means in a world, which a live probe asks as well), [`judge`](mod@judge) (the
//! static check).

pub mod closing;
pub mod file;
pub mod judge;
pub mod members;
pub mod parse;

pub use closing::{Edit, closing};
pub use file::{Assertion, Assertions, Depends, Exception, Mode, Namespaces, Ports, Who, WhoKind};
pub use judge::{Outcome, Status, Why, Witness, judge};
pub use members::{Members, Unmatched};
pub use parse::parse;
