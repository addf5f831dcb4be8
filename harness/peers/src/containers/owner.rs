//! Whose a container is. A process may be killed before it removes what it started; the labels say who started a
//! container, and whoever comes next removes those whose owner is dead. It never touches a container whose owner may be
//! alive, nor one that it cannot judge: of another machine, or of another container that shares the engine.

use std::fs;

use super::{ContainerError, Owner, docker, found};

/// The label of a run, whose id the caller chooses.
pub(super) const RUN: &str = "ftpspec.run";
/// The label with process id and start time of who removes the container.
pub(super) const OWNER: &str = "ftpspec.owner";
/// The label with the host and the process namespace in which the owner's id means something.
pub(super) const PLACE: &str = "ftpspec.place";

/// Removes the containers that dead runs left behind, and gives their ids.
///
/// # Errors
/// No engine answers, or it refuses to list or remove.
pub async fn sweep() -> Result<Vec<String>, ContainerError> {
    remove_all(Owner::Dead).await
}

/// Removes the containers that this process started and did not remove, as when a signal came while one was starting;
/// gives their ids. Nothing may use them any more.
///
/// # Errors
/// As [`sweep`].
pub async fn remove_own() -> Result<Vec<String>, ContainerError> {
    remove_all(Owner::Ourselves).await
}

async fn remove_all(whose: Owner) -> Result<Vec<String>, ContainerError> {
    let mut removed = Vec::new();
    for peer in found().await?.into_iter().filter(|peer| peer.owner == whose) {
        if remove(&peer.id).await? {
            removed.push(peer.id);
        }
    }
    Ok(removed)
}

/// The value of [`OWNER`] for this process.
pub(super) fn this_process() -> String {
    let id = std::process::id();
    // Where there is no /proc there is no place either, and nothing is ever swept.
    format!("{id}:{}", start_time(id).unwrap_or_default())
}

/// The value of [`PLACE`] for this process; none where the system does not tell.
pub(super) fn place() -> Option<String> {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{} {}", host.trim(), namespace.to_str()?))
}

/// Whether the container went; not if another run that sweeps was faster.
async fn remove(id: &str) -> Result<bool, ContainerError> {
    match docker::output_of(&["rm", "--force", "--volumes", id]).await {
        Ok(_) => Ok(true),
        Err(ContainerError::Docker { why, .. }) if is_gone(&why) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether the engine's words say that there is no such container any more, or will not be in a moment.
pub(super) fn is_gone(why: &str) -> bool {
    ["No such container", "already in progress", "marked for removal"].iter().any(|words| why.contains(words))
}

/// A process is the one that was labelled only if it started when that one did: ids are given anew.
pub(super) fn is_dead(owner: &str) -> bool {
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
