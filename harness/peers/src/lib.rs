//! Whom we talk to: the embedded reference server, peers in containers and in processes, and the test PKI. Nothing here
//! gives a verdict.

mod address;
pub mod clients;
#[cfg(feature = "containers")]
pub mod containers;
pub mod files;
mod greeting;
mod owner;
pub mod pki;
mod place;
pub mod process;
pub mod reference;
mod words;
mod written;

pub use self::place::{Family, NoPlace};
pub use self::written::{Mark, Written};
