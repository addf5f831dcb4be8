//! Cuts a stream into TLS records by their headers, without keys and without a TLS library, so that every record is
//! seen whatever library works behind it, and text where a record was due is recognised by its first octet. It never
//! looks inside a record, and never takes an octet that is not TLS.

use crate::pending::Pending;

/// The five octets at the front of a record (RFC 5246 §6.2.1, RFC 8446 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHeader {
    /// The content type; [`content_type_name`](crate::content_type_name) names it.
    pub content_type: u8,
    /// The version field. In TLS 1.3 it is 0x0301 or 0x0303 and says nothing (RFC 8446 §5.1).
    pub version: u16,
    /// Octets behind the header.
    pub length: u16,
}

/// The header of a record, or of its first octets; `None` if five octets are not there, or cannot begin a record.
pub fn header(record: &[u8]) -> Option<RecordHeader> {
    let (head, _) = record.split_first_chunk::<RECORD_HEADER_LENGTH>()?;
    if !can_begin_record(head) {
        return None;
    }
    let [content_type, major, minor, high, low] = *head;
    Some(RecordHeader {
        content_type,
        version: u16::from_be_bytes([major, minor]),
        length: u16::from_be_bytes([high, low]),
    })
}

/// Cuts records out of octets that arrive in pieces of any size.
///
/// After each [`push`](Self::push) call [`next`](Self::next) until it gives no record. The reader holds at most one
/// record beyond what one push brought; once it has said [`Cut::NotTls`] it keeps [`MAX_NOT_TLS`] octets and drops what
/// follows, until [`take_rest`](Self::take_rest).
#[derive(Clone, Debug, Default)]
pub struct RecordReader {
    pending: Pending,
    not_tls: bool,
}

impl RecordReader {
    /// A reader that has read nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes octets as they arrived.
    pub fn push(&mut self, octets: &[u8]) {
        let kept = match self.not_tls {
            true => octets.len().min(MAX_NOT_TLS.saturating_sub(self.pending.rest().len())),
            false => octets.len(),
        };
        self.pending.push(&octets[..kept]);
    }

    /// The next record, whole. That the octets cannot be TLS is said as early as they allow: text at its first octet.
    #[expect(clippy::should_implement_trait, reason = "after NeedMore there may be more, once octets have arrived")]
    pub fn next(&mut self) -> Cut {
        let rest = self.pending.rest();
        if !can_begin_record(rest) {
            self.not_tls = true;
            return Cut::NotTls;
        }
        let Some(header) = header(rest) else {
            return Cut::NeedMore;
        };
        let length = RECORD_HEADER_LENGTH + usize::from(header.length);
        if rest.len() < length {
            return Cut::NeedMore;
        }
        Cut::Record(self.pending.consume(length))
    }

    /// The octets that are not consumed: part of a record, records not asked for yet, or what is not TLS.
    pub fn pending(&self) -> &[u8] {
        self.pending.rest()
    }

    /// Takes the octets that are not consumed; the reader is as new afterwards. For the moment when TLS ends and the
    /// connection lives on, as after CCC.
    pub fn take_rest(&mut self) -> Vec<u8> {
        self.not_tls = false;
        self.pending.take()
    }

    /// Whether the octets that are not consumed are a record's, or may still become one: a connection that ends now
    /// ends in the middle of a record.
    pub fn inside_record(&self) -> bool {
        !self.pending.rest().is_empty() && can_begin_record(self.pending.rest())
    }
}

/// What the next octets are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cut {
    /// A record with its header.
    Record(Vec<u8>),
    /// No octets, or the beginning of a record.
    NeedMore,
    /// The first octets cannot begin a TLS record; nothing is consumed.
    NotTls,
}

/// Whether octets, as many as have arrived, can be the beginning of a record: a type of 20 to 24, major version 3, and
/// at most [`MAX_RECORD_PAYLOAD`].
pub(crate) fn can_begin_record(octets: &[u8]) -> bool {
    // The length is known to be too large one octet before it is complete: unknown octets count as 0.
    let length =
        octets.iter().copied().skip(3).chain([0, 0]).take(2).fold(0, |length, octet| length << 8 | usize::from(octet));
    octets.first().is_none_or(|content_type| CONTENT_TYPES.contains(content_type))
        && octets.get(1).is_none_or(|major| *major == MAJOR_VERSION)
        && length <= MAX_RECORD_PAYLOAD
}

/// Octets of a record's header.
pub const RECORD_HEADER_LENGTH: usize = 5;

/// Octets behind a record's header: 2^14 + 2048, the limit up to TLS 1.2 (RFC 5246 §6.2.3). TLS 1.3 allows 2^14 + 256
/// (RFC 8446 §5.2); its libraries hold their peers to that, and the header does not tell the version.
pub const MAX_RECORD_PAYLOAD: usize = (1 << 14) + 2048;

/// Octets kept of a stream that is not TLS: enough evidence for a page of HTML or a long banner.
pub const MAX_NOT_TLS: usize = 1 << 16;

/// change_cipher_spec to application_data (RFC 8446 §5.1), and heartbeat (RFC 6520 §3).
const CONTENT_TYPES: std::ops::RangeInclusive<u8> = 20..=24;

/// SSL 3.0 and every TLS so far.
const MAJOR_VERSION: u8 = 3;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::{Cut, MAX_NOT_TLS, MAX_RECORD_PAYLOAD, RecordHeader, RecordReader, header};

    #[test]
    fn records_are_cut_whole() {
        let mut reader = RecordReader::new();
        reader.push(b"\x16\x03\x01\x00\x02ab\x15\x03\x03\x00");
        assert_eq!(reader.next(), Cut::Record(b"\x16\x03\x01\x00\x02ab".to_vec()));
        assert_eq!(reader.next(), Cut::NeedMore);
        assert!(reader.inside_record());
        reader.push(b"\x02\x01\x00");
        assert_eq!(reader.next(), Cut::Record(b"\x15\x03\x03\x00\x02\x01\x00".to_vec()));
        assert_eq!(reader.next(), Cut::NeedMore);
        assert!(!reader.inside_record());
    }

    #[test]
    fn text_behind_the_last_record_is_left_alone() {
        let mut reader = RecordReader::new();
        reader.push(b"\x15\x03\x03\x00\x02\x01\x00200 clear\r\n");
        assert!(matches!(reader.next(), Cut::Record(_)));
        assert_eq!(reader.next(), Cut::NotTls);
        assert!(!reader.inside_record());
        assert_eq!(reader.pending(), b"200 clear\r\n");
        assert_eq!(reader.take_rest(), b"200 clear\r\n");
        assert_eq!(reader.next(), Cut::NeedMore);
    }

    #[rstest]
    #[case::nothing(b"", Cut::NeedMore)]
    #[case::text(b"5", Cut::NotTls)]
    #[case::type_19(b"\x13", Cut::NotTls)]
    #[case::type_25(b"\x19", Cut::NotTls)]
    #[case::type_alone(b"\x18", Cut::NeedMore)]
    #[case::major_version(b"\x16\x02", Cut::NotTls)]
    #[case::version(b"\x16\x03\x04", Cut::NeedMore)]
    #[case::length_begun(b"\x16\x03\x01\x48", Cut::NeedMore)]
    #[case::length_too_large_at_its_first_octet(b"\x16\x03\x01\x49", Cut::NotTls)]
    #[case::longest(b"\x17\x03\x03\x48\x00", Cut::NeedMore)]
    #[case::too_long(b"\x17\x03\x03\x48\x01", Cut::NotTls)]
    #[case::empty_record(b"\x17\x03\x03\x00\x00", Cut::Record(b"\x17\x03\x03\x00\x00".to_vec()))]
    fn it_is_decided_as_early_as_the_octets_allow(#[case] octets: &[u8], #[case] due: Cut) {
        let mut reader = RecordReader::new();
        reader.push(octets);
        assert_eq!(reader.next(), due);
        assert_eq!(reader.next(), if matches!(due, Cut::Record(_)) { Cut::NeedMore } else { due });
    }

    #[rstest]
    #[case(b"\x16\x03\x01\x00\x39\x01", Some(RecordHeader { content_type: 22, version: 0x0301, length: 57 }))]
    #[case::cut(b"\x16\x03\x01\x00", None)]
    #[case::text(b"550 T", None)]
    fn a_header_is_read(#[case] octets: &[u8], #[case] due: Option<RecordHeader>) {
        assert_eq!(header(octets), due);
    }

    #[test]
    fn a_stream_that_is_not_tls_is_kept_within_its_limit() {
        let mut reader = RecordReader::new();
        for _ in 0..100 {
            reader.push(&[b'a'; 4096]);
            assert_eq!(reader.next(), Cut::NotTls);
        }
        assert_eq!(reader.pending().len(), MAX_NOT_TLS);
    }

    proptest! {
        #[test]
        fn chunking_does_not_matter(
            records in prop::collection::vec((20_u8..=24, 0_u8..=4, prop::collection::vec(any::<u8>(), 0..40)), 0..6),
            rest: Vec<u8>,
            size in 1_usize..50,
        ) {
            let mut stream = Vec::new();
            for (content_type, minor, payload) in &records {
                stream.extend([*content_type, 3, *minor, 0, u8::try_from(payload.len()).expect("below 40")]);
                stream.extend(payload);
            }
            stream.extend(rest);
            let at_once = cut([stream.as_slice()]);
            prop_assert!(at_once.0.len() >= records.len());
            prop_assert_eq!(&cut(stream.chunks(size)), &at_once);
            prop_assert_eq!([at_once.0.concat(), at_once.2].concat(), stream);
        }

        #[test]
        fn a_reader_holds_less_than_one_record(octets in prop::collection::vec(any::<u8>(), 0..100)) {
            let mut reader = RecordReader::new();
            for _ in 0..1000 {
                reader.push(&octets);
                while let Cut::Record(_) = reader.next() {}
                prop_assert!(reader.pending().len() < MAX_NOT_TLS.max(5 + MAX_RECORD_PAYLOAD) + octets.len());
            }
        }
    }

    /// The records, what came behind them, and the octets that are left.
    fn cut<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Vec<u8>>, Cut, Vec<u8>) {
        let mut reader = RecordReader::new();
        let mut records = Vec::new();
        for piece in pieces {
            reader.push(piece);
            while let Cut::Record(record) = reader.next() {
                records.push(record);
            }
        }
        let last = reader.next();
        (records, last, reader.take_rest())
    }
}
