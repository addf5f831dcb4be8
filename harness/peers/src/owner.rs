//! Who a process is, in a word that can be read after its end: what it started and left behind bears it, and whoever comes
//! next can tell whether its owner lives. It ends and removes nothing.

use std::fs;

/// The label of a container with the word of the process that removes it.
pub(crate) const OWNER: &str = "ftpspec.owner";

/// The label of a container with the place in which that word means something.
pub(crate) const PLACE: &str = "ftpspec.place";

/// The word of this process: its id, and when it started.
pub(crate) fn this_process() -> String {
    let id = std::process::id();
    // Where there is no /proc there is no place either, and nothing is ever swept.
    format!("{id}:{}", start_time(id).unwrap_or_default())
}

/// The host and the process namespace in which the word means something; none where the system does not tell.
pub(crate) fn place() -> Option<String> {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{} {}", host.trim(), namespace.to_str()?))
}

/// A process is the one that the word was made of only if it started when that one did: ids are given anew.
pub(crate) fn is_dead(owner: &str) -> bool {
    let Some((id, started)) = owner.split_once(':') else { return false };
    let (Ok(id), Ok(started)) = (id.parse(), started.parse()) else { return false };
    start_time(id) != Some(started)
}

/// When a process started, in clock ticks since the machine did: field 22 of its `stat` (proc(5)).
fn start_time(id: u32) -> Option<u64> {
    start_time_in(&fs::read_to_string(format!("/proc/{id}/stat")).ok()?)
}

fn start_time_in(stat: &str) -> Option<u64> {
    // Field 2, the program's name in brackets, may hold blanks and brackets of its own.
    let (_, from_field_3) = stat.rsplit_once(')')?;
    let state = from_field_3.split_whitespace().next()?;
    // A zombie runs no more; only its parent has not yet looked.
    if state == "Z" {
        return None;
    }
    from_field_3.split_whitespace().nth(22 - 3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_time_is_found_behind_any_program_name() {
        let stat = "7 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20 21";
        assert_eq!(start_time_in(stat), Some(4711));
        assert_eq!(start_time_in(&stat.replace(" S ", " Z ")), None);
        assert_eq!(start_time_in("7 (a) S 1"), None);
        assert_eq!(start_time_in(""), None);
    }

    #[test]
    fn this_process_is_alive_and_another_with_its_id_is_not() {
        let me = this_process();
        assert!(!is_dead(&me));
        assert!(is_dead(&format!("{me}0")));
    }

    #[test]
    fn a_process_that_has_ended_is_dead() {
        let mut child = std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let owner = format!("{}:{}", child.id(), start_time(child.id()).unwrap());
        assert!(!is_dead(&owner));
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(is_dead(&owner));
    }

    #[test]
    fn an_owner_that_cannot_be_read_is_left_alone() {
        for owner in ["", "7", "7:", "x:1", "7:x"] {
            assert!(!is_dead(owner), "{owner}");
        }
    }
}
