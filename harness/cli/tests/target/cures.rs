//! Whoever cannot be met, and whoever must not be told the password, is named in one sentence that says what is wrong
//! and what to do about it; no number of the system's and no chain of errors stands in it.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use ftpspec_peers::pki::Pki;
use rstest::rstest;

use super::front::{PASSWORD, server};
use super::program::{Ran, command, finished, ran, ran_in};

#[test]
fn a_refused_connection() {
    let place = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let ran = ran(&["run", "--server", &format!("ftp://{place}")]);
    assert_eq!(
        trouble(&ran),
        format!(
            "there is no FTP server to test: {place} cannot be connected to (connection refused); look at host and \
             port, whether the server runs, and what filters between here and there"
        )
    );
}

#[test]
fn a_host_that_never_answers_is_waited_for_no_longer_than_is_said() {
    let silent = Silent::new();
    let ran = ran(&["run", "--timeout", "1", "--server", &format!("ftp://{}", silent.place)]);
    assert_eq!(
        trouble(&ran),
        format!(
            "there is no FTP server to test: {} cannot be connected to (no answer in 1s); look at host and port, \
             whether the server runs, and what filters between here and there",
            silent.place
        )
    );
}

#[test]
fn somebody_who_takes_connections_and_never_greets() {
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = mute.local_addr().unwrap();
    let ran = ran(&["run", "--timeout", "1", "--server", &format!("ftp://{place}")]);
    assert_eq!(
        trouble(&ran),
        format!(
            "there is no FTP server to test: {place} gave no greeting (what came: nothing); see that host and port \
             are those of an FTP server, and that a server with implicit TLS is given as ftps://"
        )
    );
}

#[test]
fn a_name_that_nobody_has() {
    let ran = ran(&["run", "--server", "ftp://ftpspec.invalid"]);
    let told = trouble(&ran);
    assert!(told.starts_with("the name ftpspec.invalid cannot be resolved ("), "{told}");
    assert!(told.ends_with("): look at its spelling, or say where to connect (--connect-to)"), "{told}");
    assert!(!told.contains("lookup"), "{told}");
}

#[test]
fn a_name_that_nobody_has_to_connect_to() {
    let ran = ran(&["run", "--server", "ftp://localhost", "--connect-to", "ftpspec.invalid:21"]);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert!(ran.stderr.starts_with("error: the name in --connect-to ftpspec.invalid:21 cannot be resolved ("));
    assert!(ran.stderr.ends_with("): look at its spelling, or write an address\n"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("lookup"), "{}", ran.stderr);
}

#[rstest]
#[case("-6", "127.0.0.1", "127.0.0.1 has no IPv6 address: leave -6 away, or say where to connect (--connect-to)")]
#[case("-4", "[::1]", "::1 has no IPv4 address: leave -4 away, or say where to connect (--connect-to)")]
fn a_host_without_an_address_of_the_family(#[case] option: &str, #[case] host: &str, #[case] told: &str) {
    assert_eq!(trouble(&ran(&["run", option, "--server", &format!("ftp://{host}")])), told);
}

#[rstest]
#[case("--server", "./none", "`./none` in --server is no file; a server's URL begins with ftp://")]
#[case("--server", "folder", "error: cannot be read: it is a folder; name a file in it\n ─▸ folder\n")]
#[case("--target", "none", NOT_THERE)]
#[case("--target", "folder", "error: cannot be read: it is a folder; name a file in it\n ─▸ folder\n")]
#[case("--baseline", "none", NOT_THERE)]
#[case("--baseline", "folder", "error: cannot be read: it is a folder; name a file in it\n ─▸ folder\n")]
#[case("--scenarios", "none", NOT_THERE)]
#[case("--scenarios", "file", "a file stands where a folder is due; name the folder that it lies in\n ─▸ file\n")]
fn a_file_that_is_not_there_or_is_none(#[case] option: &str, #[case] path: &str, #[case] told: &str) {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("folder")).unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    let ran = ran_in(folder.path(), &["run", option, path]);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{}", ran.stderr);
    assert!(ran.stderr.contains(told), "{}", ran.stderr);
    assert!(!ran.stderr.contains("os error"), "{}", ran.stderr);
}

#[test]
fn a_file_of_certificates_or_of_a_password_that_cannot_be_read() {
    let not_there = "no such file or folder; a path begins in the folder where ftpspec runs";
    let folder = "it is a folder; name a file in it";
    for option in ["--ca-file", "--password-file"] {
        for (path, why) in [("none", not_there), ("/", folder)] {
            let ran = ran(&["run", "--server", "ftp://me@localhost", option, path]);
            let due = format!("error: {option} {path} cannot be read: {why}\n");
            assert_eq!((ran.code, ran.stderr), (2, due));
        }
    }
}

#[test]
fn a_wrong_password_is_sent_once() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let pki = Arc::new(Pki::cached().unwrap());
    let entered = runtime.enter();
    let refuses = server(&pki, "- {on: PASS, script: [answer: 530]}");
    drop(entered);
    let told = trouble(&logs_in(refuses.address(), &pki));
    assert!(told.starts_with("no session came about: login: PASS was answered 530"), "{told}");
    let cure = "; look at user and password: the login is not tried a second time, so that no account is locked";
    assert!(told.ends_with(cure), "{told}");
    assert_eq!(refuses.fired(), 1, "PASS came once");
}

#[test]
fn a_certificate_that_is_not_accepted_is_told_with_its_cure_and_the_password_is_kept() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let pki = Arc::new(Pki::generate(folder.path()).unwrap());
    for (certificate, why, cure) in [
        (
            "server-expired",
            "certificate has expired",
            "have it renewed, see that this machine's clock is right, or accept any certificate (--insecure)",
        ),
        (
            "server-wrong-name",
            "hostname mismatch: the certificate is for elsewhere.test",
            "if it is the right server, name it in the URL as its certificate does, with --connect-to if that name \
             leads elsewhere, or accept any certificate (--insecure)",
        ),
        (
            "server-foreign-ca",
            "unable to get local issuer certificate",
            "if it is the right server, name the authority that signed its certificate (--ca-file, or ca-file in a \
             target), or accept any certificate (--insecure)",
        ),
    ] {
        for ending in ["pem", "key"] {
            let from = folder.path().join(format!("{certificate}.{ending}"));
            fs::copy(from, folder.path().join(format!("server.{ending}"))).unwrap();
        }
        let entered = runtime.enter();
        let partner = server(&pki, "- {on: PASS, script: [answer: 530]}");
        drop(entered);
        let due = format!(
            "no session came about: the server's certificate was not accepted ({why}), and no password was sent; {cure}"
        );
        assert_eq!(trouble(&logs_in(partner.address(), &pki)), due);
        assert_eq!(partner.fired(), 0, "{certificate}: no PASS came");
    }
}

#[cfg(feature = "containers")]
mod docker {
    use std::os::unix::net::UnixListener;
    use std::process::Command;

    use super::*;

    #[test]
    fn a_machine_without_docker() {
        let empty = tempfile::tempdir().unwrap();
        let told = "peers in containers are started with the program docker, which cannot be run (no such file or \
                    folder): install it, or one of that name, and see that PATH leads to it";
        let run = finished(command(&["run", "--server", "peer:vsftpd"]).env("PATH", empty.path()));
        assert_eq!(trouble(&run), format!("peer:vsftpd: {told}"));
        let build = finished(command(&["peers", "build", "vsftpd"]).env("PATH", empty.path()));
        assert_eq!((build.code, build.stderr), (3, format!("error: {told}\n")));
    }

    #[test]
    fn an_engine_that_is_not_there() {
        if !is_installed() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let told = trouble(&asks_engine_at(&folder.path().join("docker.sock")));
        assert!(told.starts_with("peer:vsftpd: no container engine answers ("), "{told}");
        assert!(told.ends_with("): start it, and see that it is yours to use"), "{told}");
    }

    #[test]
    fn an_engine_that_never_answers() {
        if !is_installed() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("docker.sock");
        let _mute = UnixListener::bind(&place).unwrap();
        let told = trouble(&asks_engine_at(&place));
        assert!(told.starts_with("peer:vsftpd: no container engine answers ("), "{told}");
        assert!(told.ends_with("): start it, and see that it is yours to use"), "{told}");
    }

    #[test]
    fn an_image_of_the_users_own_that_is_not_there() {
        use ftpspec_peers::containers::engine_version;
        let engine = tokio::runtime::Runtime::new().unwrap().block_on(engine_version());
        if engine.is_err() {
            assert!(!is_required(), "{engine:?}");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let text = "title: mine\nstart: {container: \"registry.invalid/my-ftpd:3\"}\n\
                    configurations: {it: {provides: []}}\n";
        fs::write(folder.path().join("mine.yaml"), text).unwrap();
        assert_eq!(
            trouble(&ran_in(folder.path(), &["run", "--server", "mine.yaml"])),
            "starting mine: the image registry.invalid/my-ftpd:3 is not there, and ftpspec fetches none: build it, or \
             fetch it with docker pull registry.invalid/my-ftpd:3"
        );
    }

    fn asks_engine_at(socket: &std::path::Path) -> Ran {
        let mut command = command(&["run", "--server", "peer:vsftpd"]);
        finished(command.env("DOCKER_HOST", format!("unix://{}", socket.display())))
    }

    fn is_installed() -> bool {
        let installed = Command::new("docker").arg("--version").output();
        assert!(installed.is_ok() || !is_required(), "{installed:?}");
        installed.is_ok()
    }

    fn is_required() -> bool {
        std::env::var_os("FTPSPEC_REQUIRE_CONTAINERS").is_some_and(|value| value == "1")
    }
}

/// The binary against a server there, with a password.
fn logs_in(place: SocketAddr, pki: &Pki) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    fs::write(&password, format!("{PASSWORD}\n")).unwrap();
    let (url, ca) = (format!("ftp://me@localhost:{}", place.port()), pki.dir().join("ca.pem"));
    let [password, ca] = [&password, &ca].map(|path| path.to_str().unwrap());
    ran(&["run", "server/data/retr-close-notify", "-4", "--server", &url, "--password-file", password, "--ca-file", ca])
}

/// The one thing that a run with status 3 says went wrong, without its line breaks.
fn trouble(ran: &Ran) -> String {
    assert_eq!(ran.code, 3, "{}{}", ran.stdout, ran.stderr);
    let (_, behind) = ran.stdout.split_once("\ntrouble\n").unwrap_or_else(|| panic!("{}{}", ran.stdout, ran.stderr));
    let told = behind.split("\n\n").next().unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(!told.contains("os error"), "{told}");
    told
}

/// A place whose queue is full: a SYN to it is dropped, as a filter would.
struct Silent {
    place: SocketAddr,
    _listener: tokio::net::TcpListener,
    _queue: Vec<TcpStream>,
    _runtime: tokio::runtime::Runtime,
}

impl Silent {
    fn new() -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let entered = runtime.enter();
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        drop(entered);
        let place = listener.local_addr().unwrap();
        let queue: Vec<_> = (0..MOST_QUEUED)
            .map_while(|_| TcpStream::connect_timeout(&place, Duration::from_millis(300)).ok())
            .collect();
        assert!(queue.len() < MOST_QUEUED, "the queue fills");
        Self { place, _listener: listener, _queue: queue, _runtime: runtime }
    }
}

/// More connections than a queue of one ever holds.
const MOST_QUEUED: usize = 16;

const NOT_THERE: &str =
    "error: cannot be read: no such file or folder; a path begins in the folder where ftpspec runs\n ─▸ none\n";
