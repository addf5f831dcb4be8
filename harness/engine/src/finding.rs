//! Looks for what can stand for fixtures that nobody named: a small file that can be read, an empty one, an empty folder.
//! It asks for names and sizes, reads at most one file, and changes nothing; how much it asks is bounded.

use std::collections::BTreeMap;

use ftpspec_play::{DATA, Player};
use ftpspec_scenario::model::{Act, Handshake, Receive, ReplyMatch, Script, Template};
use ftpspec_wire::CodePattern;

/// Paths by the fixture that they stand for: `any`, `empty`, `empty-directory`.
pub(crate) type Found = BTreeMap<String, String>;

/// A transfer that brings something, at protection level P, the usual way; `passive` opens its data connection.
pub(crate) fn transfer(passive: &str, command: &str) -> Script {
    let reply = |class| Act::Reply(ReplyMatch::Like(CodePattern::Class(class)));
    let acts = [
        Act::Open(Template(passive.to_owned())),
        Act::Send(Template(command.to_owned())),
        reply(1),
        Act::Handshake(Handshake::plain_on(DATA)),
        Act::Receive(Receive::default()),
        reply(2),
    ];
    acts.into_iter().map(Player::step).collect()
}

/// Looks through the folder of the login, then through the first folders in it.
pub(crate) async fn find(player: &mut Player, passive: &str) -> Found {
    let mut search = Search { player, passive, asked: 0, found: Found::new() };
    let folders = search.look_through("").await;
    for folder in folders.iter().take(MOST_FOLDERS) {
        search.look_through(folder).await;
    }
    search.found
}

struct Search<'a> {
    player: &'a mut Player,
    passive: &'a str,
    /// How often a size was asked for.
    asked: usize,
    found: Found,
}

impl Search<'_> {
    /// Looks through one folder; gives what may be folders in it.
    async fn look_through(&mut self, folder: &str) -> Vec<String> {
        let mut others = Vec::new();
        if self.found.len() == WANTED || self.asked == MOST_ASKED {
            return others;
        }
        let command = if folder.is_empty() { "NLST".to_owned() } else { format!("NLST {folder}") };
        if self.player.play(&transfer(self.passive, &command)).await.is_err() {
            // A reply may still be under way: nothing that comes now could be told from it.
            self.asked = MOST_ASKED;
            return others;
        }
        let listing = self.player.connection(DATA).map(|data| data.received().kept.clone()).unwrap_or_default();
        if listing.is_empty() && !folder.is_empty() {
            self.found.entry("empty-directory".to_owned()).or_insert_with(|| folder.to_owned());
        }
        for path in paths(&listing, folder) {
            if self.found.len() == WANTED || self.asked == MOST_ASKED {
                break;
            }
            self.asked += 1;
            let Ok(reply) = self.player.inquire(&format!("SIZE {path}")).await else { break };
            match (reply.code, size(&reply.lines)) {
                (213, Some(0)) => _ = self.found.entry("empty".to_owned()).or_insert(path),
                (213, Some(octets)) if octets <= SMALL && !self.found.contains_key("any") => {
                    // What cannot be read here would make each scenario fail that only wants some transfer.
                    if self.player.play(&transfer(self.passive, &format!("RETR {path}"))).await.is_err() {
                        self.asked = MOST_ASKED;
                        break;
                    }
                    self.found.insert("any".to_owned(), path);
                }
                (213, _) => {}
                _ => others.push(path),
            }
        }
        others
    }
}

/// `213 12`
fn size(lines: &[Vec<u8>]) -> Option<u64> {
    let line = std::str::from_utf8(lines.last()?).ok()?;
    line.split_once(' ').unwrap_or(("", line)).1.trim().parse().ok()
}

/// The paths in a listing of names. Some servers name a folder's files with the folder, some without.
fn paths(listing: &[u8], folder: &str) -> Vec<String> {
    let text = String::from_utf8_lossy(listing);
    let names = text.lines().map(str::trim).filter(|name| is_harmless(name));
    names
        .map(|name| {
            if folder.is_empty() || name.starts_with('/') || name.starts_with(&format!("{folder}/")) {
                name.to_owned()
            } else {
                format!("{folder}/{name}")
            }
        })
        .collect()
}

/// A name that is taken by every server as it stands: no option of `ls`, no pattern, nothing that a line cannot hold.
fn is_harmless(name: &str) -> bool {
    let odd = |letter: char| letter.is_control() || "*?[]{}~\\\"'`$;|<>&\u{fffd}".contains(letter);
    let last = name.rsplit('/').next().unwrap_or_default();
    !name.starts_with('-') && !matches!(last, "" | "." | "..") && name.len() <= LONGEST_NAME && !name.contains(odd)
}

/// A small file, an empty one, and an empty folder.
const WANTED: usize = 3;
/// A file that is read many times in a run must not cost anything.
const SMALL: u64 = 65_536;
/// How many sizes are asked for: a folder may hold many thousand files.
const MOST_ASKED: usize = 24;
/// How many folders are looked into.
const MOST_FOLDERS: usize = 3;
/// Longer names are lawful, and rare.
const LONGEST_NAME: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_paths_with_or_without_their_folder() {
        assert_eq!(paths(b"a\r\nb c\r\n", ""), ["a", "b c"]);
        assert_eq!(paths(b"a.bin\nin/b.bin\n/in/c.bin\n", "in"), ["in/a.bin", "in/b.bin", "/in/c.bin"]);
    }

    #[test]
    fn names_that_mean_something_else_to_some_server_are_passed_over() {
        assert_eq!(paths(b"-la\r\n.\r\nin/..\r\n*\r\n\x1b[2J\r\n\xff\r\nfine\r\n", ""), ["fine"]);
    }

    #[test]
    fn a_size_is_the_number_behind_the_code_or_alone() {
        assert_eq!(size(&[b"213 12".to_vec()]), Some(12));
        assert_eq!(size(&[b"12".to_vec()]), Some(12));
        assert_eq!(size(&[b"213 many".to_vec()]), None);
        assert_eq!(size(&[]), None);
    }
}
