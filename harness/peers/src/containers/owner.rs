//! Whose a container is. A process may be killed before it removes what it started; the labels say who started a
//! container, and whoever comes next removes those whose owner is dead. It never touches a container whose owner may be
//! alive, nor one that it cannot judge: of another machine, or of another container that shares the engine.

use super::{ContainerError, Owner, docker, found};

/// The label of a run, whose id the caller chooses.
pub(super) const RUN: &str = "ftpspec.run";

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
