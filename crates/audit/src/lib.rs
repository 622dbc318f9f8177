//! See the module list.

pub mod cni;
