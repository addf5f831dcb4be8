//! The polite end of a client's conversation: data connections are read to their end, what was uploaded is removed, QUIT
//! is sent and its reply read, so that no RST is of our making and absence is proved by an answered command.

use std::sync::Arc;
use std::time::Duration;

use ftpspec_net::{Act as NetAct, Connection};
use ftpspec_transcript::{By, Event, What};
use ftpspec_wire::Alert;

use crate::Player;
use crate::waiting::{is_end, is_final_reply};

/// How long the peer is given for its part of an end that no scenario is about.
const PARTING: Duration = Duration::from_secs(3);

/// The same, where somebody has pressed Ctrl-C.
const HASTE: Duration = Duration::from_secs(1);

impl Player {
    /// Ends everything. `met` says whether the script got to its end: only then is the control connection trusted to
    /// answer.
    pub async fn part(mut self, met: bool) {
        self.trying = true;
        let data: Vec<_> =
            self.connections.iter().filter(|(_, it)| !self.is_a_control(it)).map(|(_, it)| it.clone()).collect();
        let mut let_go = false;
        for connection in &data {
            if !connection.is_over() {
                self.do_or_leave(connection, vec![NetAct::Release, NetAct::Part]).await;
                let_go = true;
            }
        }
        for name in std::mem::take(&mut self.controls) {
            self.session = name;
            if let_go {
                // The reply to its transfer may have waited for this.
                self.hear().await;
            }
            self.leave(met).await;
        }
        for connection in &data {
            if !connection.is_over() {
                let name = Arc::clone(connection.name());
                _ = self.wait_quietly(PARTING.min(self.limits.data), 0, |event| is_end(event, &name)).await;
            }
        }
    }

    /// As [`Player::part`] of a script that broke off, for somebody who is waiting: a peer that does not answer QUIT soon
    /// is closed upon without its answer.
    pub async fn part_in_haste(mut self) {
        self.limits = self.limits.at_most(HASTE);
        self.part(false).await;
    }

    fn is_a_control(&self, connection: &Connection) -> bool {
        self.controls.iter().any(|name| self.newest.get(name) == Some(connection.name()))
    }

    /// Leaves the control connection of the session in hand.
    async fn leave(&mut self, met: bool) {
        let Ok(control) = self.control() else { return };
        let name = Arc::clone(control.name());
        let alert = |event: &Event| {
            event.connection.as_ref() == Some(&name)
                && event.by == By::Peer
                && matches!(event.what, What::Alert { level: Alert::FATAL, .. })
        };
        if self.log.look(|events| events.iter().any(alert)) {
            // The peer is about to close (8446 §6.2), and may have plaintext to say before: another word of ours would
            // only make a RST of its FIN.
            _ = self.wait_quietly(PARTING.min(self.limits.reply), 0, |event| is_end(event, &name)).await;
        }
        let (ended, quit, stored) = self.log.look(|events| {
            let sent = |due: &str| {
                events
                    .iter()
                    .any(|event| event.by == By::Us && matches!(&event.what, What::Command { verb, .. } if verb == due))
            };
            let ended = events.iter().any(|event| {
                event.connection.as_ref() == Some(&name)
                    && (is_end(event, &name) || matches!(event.what, What::Fin { .. } | What::Rst))
            });
            (ended, sent("QUIT"), sent("STOR") || sent("APPE"))
        });
        if ended {
            return;
        }
        // After 234 without a handshake, or in a broken one, nothing that we could say would be understood.
        let can_talk = self.log.look(|events| {
            let last = events.iter().rev().find(|event| {
                event.connection.as_ref() == Some(&name)
                    && matches!(
                        event.what,
                        What::HandshakeStarted
                            | What::Handshake(_)
                            | What::HandshakeFailed { .. }
                            | What::Plaintext { .. }
                    )
                    || alert(event)
            });
            last.is_none_or(|event| matches!(event.what, What::Handshake(_) | What::Plaintext { in_session: true, .. }))
        });
        if can_talk {
            if stored
                && met
                && let Some(upload) = self.variables.get("upload").cloned()
            {
                let line = [b"DELE ".as_slice(), &upload].concat();
                if self.say(line).await {
                    self.hear().await;
                }
            }
            if !quit && self.say(b"QUIT".to_vec()).await {
                self.hear().await;
            }
        }
        if !can_talk || self.log.look(|events| !events.iter().any(|event| is_end(event, &name))) {
            self.do_or_leave(&control, vec![NetAct::Part]).await;
            _ = self.wait_quietly(PARTING.min(self.limits.reply), 0, |event| is_end(event, &name)).await;
        }
    }

    /// Waits for the end of our acts only so long: what a peer that reads nothing has not taken, it never takes. A
    /// connection that we let go of ends by itself.
    async fn do_or_leave(&self, connection: &Connection, acts: Vec<NetAct>) {
        _ = tokio::time::timeout(PARTING.min(self.limits.reply), connection.together(acts)).await;
    }

    async fn say(&mut self, line: Vec<u8>) -> bool {
        let limit = PARTING.min(self.limits.reply);
        tokio::time::timeout(limit, self.send_line(line)).await.is_ok_and(|said| said.is_ok())
    }

    /// Waits for the reply to our last command, or for the end.
    async fn hear(&mut self) {
        let Ok(control) = self.control() else { return };
        let name = Arc::clone(control.name());
        // From our command on: replies before it were for others.
        let from = self.log.look(|events| {
            events
                .iter()
                .rposition(|event| event.by == By::Us && matches!(event.what, What::Command { .. }))
                .unwrap_or(0)
        });
        _ = self
            .wait_quietly(PARTING.min(self.limits.reply), from, |event| is_final_reply(event) || is_end(event, &name))
            .await;
    }
}
