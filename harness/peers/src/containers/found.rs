//! The containers that bear our labels, whichever process started them. It only looks: what may be removed is decided in
//! [`super::sweep`].

use super::owner::is_gone;
use super::{ContainerError, PeerImage, docker};
use crate::owner::{self, OWNER, PLACE};

/// A container of ours, running or ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundPeer {
    /// The engine's id.
    pub id: String,
    /// What it was made from.
    pub image: PeerImage,
    /// The id of the process that removes it, where its label can be read.
    pub process: Option<u32>,
    /// Whether that process lives.
    pub owner: Owner,
}

/// Whether the process that removes a container lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// It is this process.
    Ourselves,
    /// It may be alive.
    Alive,
    /// It is dead, and the container was left behind.
    Dead,
    /// It is on another machine, or in another container: nobody can tell from here.
    Elsewhere,
}

/// All containers of ours that the engine has.
///
/// # Errors
/// No engine answers, or it refuses to list.
pub async fn found() -> Result<Vec<FoundPeer>, ContainerError> {
    docker::engine_version().await?;
    let filter = format!("label={OWNER}");
    let format = format!("{{{{.ID}}}}\t{{{{.Image}}}}\t{{{{.Label \"{OWNER}\"}}}}\t{{{{.Label \"{PLACE}\"}}}}");
    let list = ["ps", "--all", "--no-trunc", "--filter", &filter, "--format", &format];
    let here = owner::place();
    let lines = docker::output_of(&list).await?;
    Ok(lines.lines().filter_map(|line| from_line(line, here.as_deref())).collect())
}

/// What a container has written: its output, and the end of the log file that its peer's description names. Anything
/// that a client sent may stand in there. None if the container has gone since it was found: others remove theirs.
///
/// # Errors
/// No engine answers, or it refuses.
pub async fn logs_of(peer: &FoundPeer, log: Option<&str>) -> Result<Option<String>, ContainerError> {
    let output = docker::run(&["logs", &peer.id]).await?;
    if !output.status.success() {
        let why = super::last_lines(&String::from_utf8_lossy(&output.stderr));
        if is_gone(&why) {
            return Ok(None);
        }
        return Err(ContainerError::Docker { command: "logs".to_owned(), why });
    }
    let mut text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    if let Some(log) = log {
        // A container that has ended runs no command; what it wrote to its output is all there is.
        let tail = docker::run(&["exec", &peer.id, "tail", "-c", LONGEST_LOG, log]).await?;
        if tail.status.success() {
            text.push_str(&String::from_utf8_lossy(&tail.stdout));
        }
    }
    Ok(Some(text))
}

fn from_line(line: &str, here: Option<&str>) -> Option<FoundPeer> {
    let [id, image, label, place] = line.split('\t').collect::<Vec<_>>()[..] else { return None };
    let owner = match here {
        Some(here) if here == place && label == owner::this_process() => Owner::Ourselves,
        Some(here) if here == place && owner::is_dead(label) => Owner::Dead,
        Some(here) if here == place => Owner::Alive,
        _ => Owner::Elsewhere,
    };
    let process = label.split(':').next().and_then(|id| id.parse().ok());
    let Ok(image) = image.parse();
    Some(FoundPeer { id: id.to_owned(), image, process, owner })
}

/// Octets. A log grows without end; what a person looks for is at its end.
const LONGEST_LOG: &str = "1048576";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_ours_dead_or_elsewhere_by_its_labels() {
        let here = "host pid:[1]";
        let me = owner::this_process();
        let line = |label: &str, place: &str| format!("4f\tlocalhost/ftpspec-vsftpd:trixie\t{label}\t{place}");
        let owner_of = |label: &str, place: &str| from_line(&line(label, place), Some(here)).unwrap().owner;
        assert_eq!(owner_of(&me, here), Owner::Ourselves);
        assert_eq!(owner_of(&format!("{me}0"), here), Owner::Dead);
        assert_eq!(owner_of("", here), Owner::Alive, "what cannot be read is left alone");
        assert_eq!(owner_of(&me, "other pid:[1]"), Owner::Elsewhere);
        assert_eq!(from_line(&line(&me, here), None).unwrap().owner, Owner::Elsewhere);

        let peer = from_line(&line("7:1", here), Some(here)).unwrap();
        assert_eq!((peer.process, peer.image.embedded_peer(), peer.image.tag()), (Some(7), Some("vsftpd"), "trixie"));
        assert_eq!(from_line("nonsense", Some(here)), None);
    }
}
