//! The conversations of a run while they happen: one at a time goes on before one's eyes, those that are held at the same
//! time are kept until it is over. It orders lines, and knows nothing of what they say.

/// Every conversation of which something has yet to be shown, in the order in which they began.
#[derive(Debug, Default)]
pub(super) struct Live {
    conversations: Vec<Conversation>,
    /// Whether what was shown last asks for an empty line below it.
    close: bool,
}

/// What there is of one, and has not been shown.
#[derive(Debug)]
struct Conversation {
    index: usize,
    heading: String,
    /// Whether its heading was shown.
    begun: bool,
    lines: Vec<String>,
    over: bool,
    verdict: Option<String>,
    /// Whether its verdict was shown: there is nothing more of it.
    told: bool,
}

impl Live {
    pub(super) fn started(&mut self, index: usize, heading: String) {
        let silent =
            Conversation { index, heading, begun: false, lines: Vec::new(), over: false, verdict: None, told: false };
        self.conversations.push(silent);
    }

    pub(super) fn line(&mut self, index: usize, line: String) {
        if let Some(conversation) = self.of(index) {
            conversation.lines.push(line);
        }
    }

    pub(super) fn over(&mut self, index: usize) {
        if let Some(conversation) = self.of(index) {
            conversation.over = true;
        }
    }

    pub(super) fn verdict(&mut self, index: usize, verdict: String) {
        if let Some(conversation) = self.of(index) {
            conversation.over = true;
            conversation.verdict = Some(verdict);
        }
    }

    /// What is to be shown now.
    pub(super) fn due(&mut self) -> String {
        let mut out = String::new();
        loop {
            let speaker = self.conversations.iter().position(|it| it.begun && !it.over);
            if let Some(at) = speaker {
                self.show(at, &mut out);
                return out;
            }
            self.show_what_is_over(&mut out);
            // Who has said nothing yet does not keep the others waiting.
            let Some(at) = self.conversations.iter().position(|it| !it.over && !it.lines.is_empty()) else {
                return out;
            };
            self.show(at, &mut out);
        }
    }

    /// Everything that is left, when nothing more will come.
    pub(super) fn rest(&mut self) -> String {
        for conversation in &mut self.conversations {
            conversation.over = true;
        }
        let mut out = self.due();
        if std::mem::take(&mut self.close) {
            out.push('\n');
        }
        out
    }

    fn show_what_is_over(&mut self, out: &mut String) {
        // One of which some lines were shown already is gone on with first.
        for begun in [true, false] {
            for at in 0..self.conversations.len() {
                if self.conversations[at].over && self.conversations[at].begun == begun {
                    self.show(at, out);
                }
            }
        }
        self.conversations.retain(|it| !it.told);
    }

    /// Shows what there is of one.
    fn show(&mut self, at: usize, out: &mut String) {
        let conversation = &mut self.conversations[at];
        if !conversation.begun && !conversation.lines.is_empty() {
            conversation.begun = true;
            if self.close {
                out.push('\n');
            }
            out.push_str(&conversation.heading);
        }
        let before = out.len();
        out.extend(conversation.lines.drain(..));
        if let Some(verdict) = conversation.verdict.take_if(|_| conversation.over) {
            out.push_str(&verdict);
            conversation.told = true;
        }
        self.close |= out.len() > before;
    }

    fn of(&mut self, index: usize) -> Option<&mut Conversation> {
        self.conversations.iter_mut().find(|it| it.index == index)
    }
}
