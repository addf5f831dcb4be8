//! The log of one variant: *one* append-only list of typed events for all its connections. Everything that is
//! asserted, snapshotted or drawn comes from here, and nothing from anywhere else. It has one door, [`Log::push`],
//! which redacts. It opens no socket and gives no verdict.

pub mod event;
mod log;
mod normal;
mod order;

pub use event::{By, Event, Handshake, Offers, Place, What};
pub use log::{Log, MOST_EVENTS, Secret};
pub use normal::{Following, Style, conversation, normal_form};
pub use order::{Order, order, unasked_replies};
