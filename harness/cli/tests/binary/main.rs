//! The promises of the command line, kept by the binary itself: each test runs `ftpspec` as a person or a CI system
//! would, and looks at what comes out.

#![allow(clippy::unwrap_used)] // in a test a panic is the message

mod choosing;
mod clients;
#[cfg(feature = "containers")]
mod containers;
mod conversation;
mod exit_status;
mod interrupted;
mod lint;
mod program;
mod remote;
mod reports;
mod selftest;
mod serve;
mod terminal;
mod texts;
