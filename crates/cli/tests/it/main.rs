//! Tests of the command line, in this process except where transcripts want the real program.

mod behaviour;
mod common;
mod docs;
mod formats;
