//! Text that may stand in the JUnit file. The crate that writes the file lets control characters and `]]>` pass as they
//! are; so nothing reaches it but these two types, and they can be made only by cleaning.

use crate::{escape, layout};

/// Text for an attribute: one line, every character of which XML 1.0 allows and a reader sees. It is never empty, for
/// some readers drop a test case with an empty name. Markup is escaped by the writer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Xml(String);

impl Xml {
    pub(super) fn new(text: &str) -> Self {
        let clean = escape::line(text);
        match clean.trim() {
            "" => Self("(empty)".to_owned()),
            text => Self(text.to_owned()),
        }
    }

    /// As `new`, but no longer than a reader can show on one line.
    pub(super) fn message(text: &str) -> Self {
        Self(layout::clip(&Self::new(text).0, LONGEST_MESSAGE))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn into_string(self) -> String {
        self.0
    }
}

/// Text for a CDATA section: lines, every character of which XML 1.0 allows and a reader sees. The sequence that would
/// end the section is split over two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cdata(String);

impl Cdata {
    pub(super) fn new(text: &str) -> Self {
        Self(escape::block(text).replace("]]>", "]]]]><![CDATA[>"))
    }

    pub(super) fn into_string(self) -> String {
        self.0
    }
}

/// Columns. Readers show a message on one line of a list; what is longer stands in full in the trace.
const LONGEST_MESSAGE: usize = 300;
