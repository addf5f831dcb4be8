//! A partner's endpoint, described in a file: what is done to it and what never is, and what a person is told where
//! something is wrong.

#![allow(clippy::unwrap_used)] // in a test a panic is the message

#[cfg(feature = "containers")]
mod container;
mod cures;
mod front;
mod left;
#[path = "../binary/program.rs"]
#[allow(dead_code, reason = "each test program uses its part")]
mod program;
mod reference;
mod refused;
mod wrong;
