//! House rules that a test can check: who may use whom, what pure crates may not name, sizes and widths of files, links and
//! places in the documentation. Tests only; nothing here is in the program.
//!
//! Each rule says in its failure what is wrong, where, and what to do. Exceptions are listed beside their rule, with a
//! reason; an exception that is no longer needed fails as well.

#[cfg(test)]
mod crates;
#[cfg(test)]
mod docs;
#[cfg(test)]
mod files;
#[cfg(test)]
mod tree;
