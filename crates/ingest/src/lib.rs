//! See the module list.

pub mod limits;
pub mod source;
pub mod tree;
