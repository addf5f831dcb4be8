//! What the tapped stream promises, over loopback sockets and with both engines: every end is told for what it is, no
//! octet is lost where the protection changes, and nothing impolite is of our making.

mod closing;
mod early;
mod ends;
mod hostile;
mod observed;
mod payloads;
mod pki;
mod plaintext;
mod politeness;
mod resets;
mod rough;
mod stage;
mod together;
