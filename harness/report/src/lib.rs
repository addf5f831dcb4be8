//! The reports: each renders the run's events, or the fold of them, and knows no other.
//!
//! Everything that a peer sent is hostile, and every report passes it through [`escape`] on its way out: no octet of a
//! peer's may move a cursor, end an XML element or turn the reading direction. A report never judges, never counts
//! again what the fold has counted, and never opens a socket. What it is given in full it may clip, but never hide: a
//! clipped text ends in `…`.

pub mod escape;
pub mod json;
pub mod junit;
pub mod layout;
pub mod terminal;

mod atomic;
#[cfg(test)]
mod sample;

pub use atomic::{WriteError, write_atomically};
