//! What we say ourselves, where no scenario says it for us.

use super::program::{planted, ran};

/// As vsftpd, which takes its time on a busy machine.
const SPEAKS_LATE: &str = "\
title: Says something half a second behind its alert
source: by construction
rules:
  - on: AUTH
    script:
      - answer: 234
      - handshake: {on: control, else: [pause: 500ms, plain: \"500 OOPS\\r\\n\", FIN: control]}
told-as: plaintext-in-handshake
";

#[test]
fn behind_a_fatal_alert_the_peer_has_the_last_word() {
    let folder = planted(&[("defects/server/speaks-late.yaml", SPEAKS_LATE)]);
    let own = ["--scenarios", folder.path().to_str().unwrap(), "--defect", "speaks-late"];
    let ran = ran(&[&["run", "server/auth/old-versions-refused@offered=TLS-1.0", "-v"][..], &own].concat());
    let said: Vec<_> = ran.stdout.lines().skip_while(|line| !line.contains("<S alert")).skip(1).take(2).collect();
    assert_eq!(
        said,
        [r"  control  <S plaintext      500 OOPS\r\n, FIN", "  control  C> FIN"],
        "neither QUIT nor an end of ours before: {}",
        ran.stdout
    );
}
