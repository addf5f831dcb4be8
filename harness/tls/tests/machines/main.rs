//! What the machines promise, over pipes in memory: each engine against each.

// Clippy takes a function for a test by its attribute only, not what it calls.
#![allow(clippy::unwrap_used)]

mod closing;
mod failures;
mod hostile;
mod old_clients;
mod pair;
mod pki;
mod plain_openssl;
mod records;
mod resumption;
mod session;
mod suites;
