//! Runs the `docker` program, for what testcontainers does not do: builds, labels, the look whether an image is there.
//! It keeps nothing and decides nothing.

use std::ffi::OsStr;
use std::process::{Output, Stdio};
use std::time::{Duration, SystemTime};

use tokio::process::Command;

use super::{ContainerError, PeerImage};

/// The version of the engine that answers, as a check that one does.
///
/// # Errors
/// [`ContainerError::NoProgram`]; [`ContainerError::NoEngine`], with the first line of the reason.
pub async fn engine_version() -> Result<String, ContainerError> {
    let asking = run(&["version", "--format", "{{.Server.Version}}"]);
    let Ok(output) = tokio::time::timeout(ANSWERS_WITHIN, asking).await else {
        let why = format!("it takes connections, and says nothing within {} s", ANSWERS_WITHIN.as_secs());
        return Err(ContainerError::NoEngine { why });
    };
    let output = output?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    let why = words.lines().next().unwrap_or("it said nothing");
    // What the program asks its reader is what our own sentence says.
    Err(ContainerError::NoEngine {
        why: why.trim_end_matches(" Is the docker daemon running?").trim_end_matches('.').to_owned(),
    })
}

/// Whether the image is there; never pulls it.
pub async fn has_image(image: &PeerImage) -> Result<bool, ContainerError> {
    engine_version().await?;
    Ok(run(&["image", "inspect", "--format", "{{.Id}}", &image.to_string()]).await?.status.success())
}

/// What the command wrote to its output.
pub(super) async fn output_of(arguments: &[&str]) -> Result<String, ContainerError> {
    let output = run(arguments).await?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let why = super::last_lines(&String::from_utf8_lossy(&output.stderr));
    Err(ContainerError::Docker { command: arguments.first().copied().unwrap_or_default().to_owned(), why })
}

/// The last lines of a container's output since a moment, and whether there may have been more.
pub(super) async fn logs_since(id: &str, moment: SystemTime) -> Result<(Vec<u8>, bool), ContainerError> {
    let since = moment.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let since = format!("{}.{:09}", since.as_secs(), since.subsec_nanos());
    let output = run(&["logs", "--since", &since, "--tail", &MOST_LINES.to_string(), id]).await?;
    let octets = [output.stdout, output.stderr].concat();
    let clipped = octets.iter().filter(|octet| **octet == b'\n').count() >= MOST_LINES;
    Ok((octets, clipped))
}

pub(super) async fn run(arguments: &[impl AsRef<OsStr>]) -> Result<Output, ContainerError> {
    Command::new(PROGRAM)
        .args(arguments)
        .stdin(Stdio::null())
        // Who gives up waiting for a build wants it ended.
        .kill_on_drop(true)
        .output()
        .await
        .map_err(ContainerError::NoProgram)
}

/// Lines of a container's output that are asked for: more than is ever shown.
const MOST_LINES: usize = 200;

/// An engine tells its version in a fraction of a second; one on a machine that is busy building has time enough.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// podman has no such name unless its own `podman-docker` gives it one; then it is meant.
const PROGRAM: &str = "docker";
