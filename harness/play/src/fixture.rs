//! The files that every subject of ours holds, and that scenarios name: `${fixture.text}`. Small ones are written out,
//! large ones are computed, so that the repository stays small and every side has the same octets.

use std::sync::{Arc, OnceLock};

/// How large the large file is: more than both socket buffers of a loopback connection together (some 4 MB to send, 6 MB
/// to receive, as Linux grows them), so that a sender cannot be done before the receiver reads.
pub const LARGE: usize = 12 << 20;

/// One file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fixture {
    /// Its name in scenarios.
    pub name: &'static str,
    /// Its name on disk, below the folder of fixtures.
    pub file: &'static str,
}

/// All of them. `empty-directory` is a folder with nothing in it, `missing` is not there.
pub const FIXTURES: &[Fixture] = &[
    Fixture { name: "empty", file: "empty.bin" },
    Fixture { name: "one-octet", file: "one-octet.bin" },
    Fixture { name: "text", file: "text.txt" },
    Fixture { name: "text-crlf", file: "text-crlf.txt" },
    Fixture { name: "size-16383", file: "size-16383.bin" },
    Fixture { name: "size-16384", file: "size-16384.bin" },
    Fixture { name: "size-16385", file: "size-16385.bin" },
    Fixture { name: "size-65536", file: "size-65536.bin" },
    Fixture { name: "size-101701", file: "size-101701.bin" },
    Fixture { name: "large", file: "large.bin" },
    Fixture { name: "empty-directory", file: "empty-directory" },
    Fixture { name: "missing", file: "missing.bin" },
];

/// The octets of a fixture; none for a folder and for what is not there.
#[must_use]
pub fn content(name: &str) -> Option<Arc<[u8]>> {
    static LARGE_FILE: OnceLock<Arc<[u8]>> = OnceLock::new();
    match name {
        "empty" => Some(Arc::from([])),
        "one-octet" => Some(Arc::from(*b"1")),
        "text" => Some(Arc::from(text("\n").into_bytes())),
        "text-crlf" => Some(Arc::from(text("\r\n").into_bytes())),
        "large" => Some(Arc::clone(LARGE_FILE.get_or_init(|| Arc::from(noise(LARGE))))),
        // Around the size of a TLS record, and one that no power of two divides.
        name => {
            let size = name.strip_prefix("size-")?.parse().ok().filter(|size| *size <= LARGE)?;
            Some(Arc::from(noise(size)))
        }
    }
}

/// The recorded octets of this name, `${octets.NAME}`: hexadecimal digits; what stands behind a `#` says where they come
/// from.
#[must_use]
pub fn recorded(name: &str) -> Option<Vec<u8>> {
    let file = ftpspec_data::file(&format!("fixtures/octets/{name}.hex"))?;
    let text = std::str::from_utf8(file.octets).ok()?;
    let digits: String = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default())
        .flat_map(|line| line.chars().filter(|octet| !octet.is_whitespace()))
        .collect();
    hex::decode(digits).ok()
}

/// Forty lines, so that a half of it ends within a line.
fn text(end: &str) -> String {
    (1..=40).map(|line| format!("{line:02} The quick brown fox jumps over the lazy dog.{end}")).collect()
}

/// Octets that neither compress nor repeat within a TLS record: xorshift64, from a fixed seed.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut octets = Vec::with_capacity(length + 8);
    while octets.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        octets.extend_from_slice(&state.to_le_bytes());
    }
    octets.truncate(length);
    octets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_has_its_octets_and_folders_have_none() {
        let lengths: Vec<_> = FIXTURES.iter().map(|fixture| content(fixture.name).map(|octets| octets.len())).collect();
        assert_eq!(
            lengths,
            [
                Some(0),
                Some(1),
                Some(1920),
                Some(1960),
                Some(16383),
                Some(16384),
                Some(16385),
                Some(65536),
                Some(101_701),
                Some(LARGE),
                None,
                None
            ]
        );
    }
}
