//! YAML in, typed scenarios out: what to do, what to demand, which lies to tell, how to explain a failure.
//!
//! A file is read once, checked against one table of the grammar ([`schema`] prints the same table for editors),
//! expanded into its variants, decoded into [`model`], and looked over for scripts that cannot be played. A wrong file
//! gives [`Diagnostic`]s with line, column and caret, and nothing of it runs. The crate reads files and does no other
//! I/O; it never plays an act and never gives a verdict.

mod axes;
mod baseline;
mod catalogue;
mod client;
pub mod client_settings;
mod crosscheck;
mod decode;
mod description;
mod diagnostic;
mod expand;
mod grammar;
mod lint;
mod load;
pub mod model;
mod node;
mod schema;
mod select;
pub mod settings;
mod shape;
mod target;
mod variables;

pub use baseline::{Baseline, BaselineEntry, load_baseline};
pub use catalogue::Catalogue;
pub use client::{Argument, ClientDescription, load_client_description};
pub use crosscheck::{lint_all, lint_scenario};
pub use description::{Login as DescribedLogin, ServerDescription, Start, load_server_description};
pub use diagnostic::{Diagnostic, nearest};
pub use grammar::{ActDescription, acts};
pub use lint::variables;
pub use load::{load_client_rules, load_defect, load_diagnosis, load_rules, load_scenario, read_file, unreadable};
pub use schema::{SchemaKind, schema};
pub use select::{SelectError, Selected, Selector, SelectorError, select};
pub use target::{Pace, PasswordFrom, Target, load_target};
pub use variables::filler;
