//! The addresses that travel inside commands and replies: PORT and 227 (RFC 959, 1123), EPRT, 229 and the protocol list
//! of 522 (RFC 2428). It reads and writes them, and never says whether an address may be connected to.
//!
//! The readers of replies take the octets behind the code as well as a whole line that begins with it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4};
use std::str::FromStr;

use thiserror::Error;

/// The address in a 227 reply: the first place where six numbers stand with commas between them. Brackets are optional,
/// because "an FTP client cannot assume that the parentheses … will be present" (RFC 1123 §4.1.2.6).
///
/// # Errors
/// [`AddressError`] if there is no such place, if a number is above 255, or if the port is 0.
pub fn parse_pasv_reply(text: &[u8]) -> Result<SocketAddrV4, AddressError> {
    let mut nearest = AddressError::NoNumbers;
    for run in text.split(|octet| !octet.is_ascii_digit() && *octet != b',') {
        let numbers = trim_commas(run);
        match numbers.split(|octet| *octet == b',').count() {
            6 => return host_port(numbers),
            // A number on its own belongs to the text: the code, a version, a count of seconds.
            0 | 1 => {}
            count => nearest = AddressError::NotSixNumbers { count },
        }
    }
    Err(nearest)
}

/// The port in a 229 reply, `(<d><d><d>port<d>)` with any delimiter of 33 to 126 (RFC 2428 §3). The address is the
/// control connection's. Text around the brackets is free.
///
/// # Errors
/// [`AddressError`] if no bracket holds this form, or if the port is not one of 1 to 65535.
pub fn parse_epsv_reply(text: &[u8]) -> Result<u16, AddressError> {
    in_first_bracket(text, epsv_port).map(|(port, _)| port)
}

/// What stands behind the bracket of a 229 reply; by the form of RFC 2428 §3 it is nothing.
///
/// # Errors
/// [`AddressError`] as from [`parse_epsv_reply`].
pub fn behind_epsv_bracket(text: &[u8]) -> Result<&[u8], AddressError> {
    in_first_bracket(text, epsv_port).map(|(_, behind)| behind)
}

/// The argument of PORT: `h1,h2,h3,h4,p1,p2` and nothing else (RFC 959 §5.3.2).
///
/// # Errors
/// [`AddressError`] if these are not six numbers of 0 to 255, or if the port is 0.
pub fn parse_port_argument(argument: &[u8]) -> Result<SocketAddrV4, AddressError> {
    if !argument.iter().all(|octet| octet.is_ascii_digit() || *octet == b',') {
        return Err(AddressError::NoNumbers);
    }
    host_port(argument)
}

/// The argument of EPRT: `<d>protocol<d>address<d>port<d>`, protocol 1 with an IPv4, 2 with an IPv6 address (RFC 2428
/// §2).
///
/// # Errors
/// [`AddressError`]; a form that is right with another protocol is [`AddressError::UnknownProtocol`], which 522
/// answers.
pub fn parse_eprt_argument(argument: &[u8]) -> Result<SocketAddr, AddressError> {
    let delimiter = *argument.first().filter(|octet| is_delimiter(**octet)).ok_or(AddressError::NotDelimited)?;
    let mut fields = argument.split(|octet| *octet == delimiter);
    let parts = [(); 5].map(|()| fields.next());
    let ([Some([]), Some(protocol), Some(address), Some(port), Some([])], None) = (parts, fields.next()) else {
        return Err(AddressError::NotDelimited);
    };
    let address = match number(protocol, u16::MAX.into()) {
        Some(1) => IpAddr::V4(parsed::<Ipv4Addr>(address)?),
        Some(2) => IpAddr::V6(parsed::<Ipv6Addr>(address)?),
        Some(other) => return Err(AddressError::UnknownProtocol { protocol: narrow(other) }),
        None => return Err(AddressError::NotDelimited),
    };
    Ok(SocketAddr::new(address, extended_port(port)?))
}

/// The protocols in the text of a 522 reply, `(1,2)` (RFC 2428 §2).
///
/// # Errors
/// [`AddressError::NoProtocolList`] if no bracket holds a list of numbers with commas between them.
pub fn parse_protocol_list(text: &[u8]) -> Result<Vec<u16>, AddressError> {
    in_first_bracket(text, |behind| {
        let end = behind.iter().position(|octet| *octet == b')').ok_or(AddressError::NoProtocolList)?;
        behind[..end]
            .split(|octet| *octet == b',')
            .map(|field| number(field, u16::MAX.into()).map(narrow).ok_or(AddressError::NoProtocolList))
            .collect()
    })
    .map_err(|_| AddressError::NoProtocolList)
}

/// An address as PORT and 227 write it, `h1,h2,h3,h4,p1,p2`.
pub fn pasv_digits(address: SocketAddrV4) -> String {
    let [h1, h2, h3, h4] = address.ip().octets();
    let [p1, p2] = address.port().to_be_bytes();
    format!("{h1},{h2},{h3},{h4},{p1},{p2}")
}

/// A port as 229 writes it, `(|||port|)`.
pub fn epsv_digits(port: u16) -> String {
    format!("(|||{port}|)")
}

/// An address as EPRT writes it, `|1|192.0.2.1|50000|`. An IPv6 address loses its zone, for which RFC 2428 has no
/// place.
pub fn eprt_argument(address: SocketAddr) -> String {
    let protocol = if address.is_ipv4() { 1 } else { 2 };
    format!("|{protocol}|{}|{}|", address.ip(), address.port())
}

/// Why octets hold no address.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AddressError {
    /// There are no numbers with commas between them.
    #[error("no numbers h1,h2,h3,h4,p1,p2")]
    NoNumbers,
    /// There are numbers with commas between them, but not six.
    #[error("{count} numbers where h1,h2,h3,h4,p1,p2 are due")]
    NotSixNumbers {
        /// How many there are.
        count: usize,
    },
    /// One of the six numbers is not one of 0 to 255.
    #[error("h1,h2,h3,h4,p1,p2 with a number that is not 0 to 255")]
    NumberTooLarge,
    /// There is no opening bracket.
    #[error("no bracket (|||port|)")]
    NoBracket,
    /// There is something else than fields between equal delimiters.
    #[error("no fields between equal delimiters")]
    NotDelimited,
    /// A 229 reply names a protocol or an address, which RFC 2428 §3 wants blank.
    #[error("protocol or address not blank")]
    NotBlank,
    /// The port is not one of 1 to 65535.
    #[error("port that is not 1 to 65535")]
    BadPort,
    /// EPRT names a protocol that is neither IPv4 (1) nor IPv6 (2).
    #[error("unknown network protocol {protocol}")]
    UnknownProtocol {
        /// The address family number.
        protocol: u16,
    },
    /// The address is not one of the protocol that EPRT names.
    #[error("no address of the protocol that is named")]
    BadNetworkAddress,
    /// There is no bracket with a list of protocol numbers.
    #[error("no list of protocols (1,2)")]
    NoProtocolList,
}

fn host_port(text: &[u8]) -> Result<SocketAddrV4, AddressError> {
    let fields: Vec<&[u8]> = text.split(|octet| *octet == b',').collect();
    let Ok(fields) = <[&[u8]; 6]>::try_from(fields.as_slice()) else {
        return Err(AddressError::NotSixNumbers { count: fields.len() });
    };
    let mut octets = [0; 6];
    for (octet, field) in octets.iter_mut().zip(fields) {
        let value = number(field, u8::MAX.into()).and_then(|value| u8::try_from(value).ok());
        *octet = value.ok_or(AddressError::NumberTooLarge)?;
    }
    let [h1, h2, h3, h4, p1, p2] = octets;
    match u16::from_be_bytes([p1, p2]) {
        0 => Err(AddressError::BadPort),
        port => Ok(SocketAddrV4::new(Ipv4Addr::new(h1, h2, h3, h4), port)),
    }
}

/// What `read` makes of the octets behind the first opening bracket that it can read; else its error for the first one.
/// RFC 2428 forbids brackets in the text before, but a banner may hold one.
fn in_first_bracket<'a, T>(
    text: &'a [u8],
    read: impl Fn(&'a [u8]) -> Result<T, AddressError>,
) -> Result<T, AddressError> {
    let mut first_error = None;
    for (at, _) in text.iter().enumerate().filter(|(_, octet)| **octet == b'(') {
        match read(&text[at + 1..]) {
            Ok(value) => return Ok(value),
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    Err(first_error.unwrap_or(AddressError::NoBracket))
}

/// Reads `<d><d><d>port<d>)` at the front, and gives what is left too.
fn epsv_port(behind: &[u8]) -> Result<(u16, &[u8]), AddressError> {
    let [delimiter, second, third, fields @ ..] = behind else {
        return Err(AddressError::NotDelimited);
    };
    if !is_delimiter(*delimiter) {
        return Err(AddressError::NotDelimited);
    }
    if [second, third] != [delimiter; 2] {
        let blank = behind.iter().filter(|octet| *octet == delimiter).count() < 4;
        return Err(if blank { AddressError::NotDelimited } else { AddressError::NotBlank });
    }
    let digits = fields.iter().take_while(|octet| octet.is_ascii_digit()).count();
    // A delimiter may be a digit itself; then the last digit is the delimiter.
    let digits = if delimiter.is_ascii_digit() { digits.saturating_sub(1) } else { digits };
    let (port, end) = fields.split_at(digits);
    let Some(rest) = end.strip_prefix(&[*delimiter, b')']) else {
        return Err(AddressError::NotDelimited);
    };
    Ok((extended_port(port)?, rest))
}

fn extended_port(text: &[u8]) -> Result<u16, AddressError> {
    match number(text, u16::MAX.into()) {
        None | Some(0) => Err(AddressError::BadPort),
        Some(port) => Ok(narrow(port)),
    }
}

fn is_delimiter(octet: u8) -> bool {
    (33..=126).contains(&octet)
}

/// A decimal number up to `most`. Leading zeros are accepted, as every FTP client does.
fn number(digits: &[u8], most: u32) -> Option<u32> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u32, |value, digit| {
        let digit = digit.is_ascii_digit().then(|| u32::from(digit - b'0'))?;
        Some(10 * value + digit).filter(|value| *value <= most)
    })
}

fn narrow(value: u32) -> u16 {
    u16::try_from(value).expect("number() was given u16::MAX as its limit")
}

fn parsed<T: FromStr>(text: &[u8]) -> Result<T, AddressError> {
    let text = std::str::from_utf8(text).map_err(|_| AddressError::BadNetworkAddress)?;
    text.parse().map_err(|_| AddressError::BadNetworkAddress)
}

fn trim_commas(run: &[u8]) -> &[u8] {
    let is_digit = |octet: &u8| octet.is_ascii_digit();
    match (run.iter().position(is_digit), run.iter().rposition(is_digit)) {
        (Some(first), Some(last)) => &run[first..=last],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::rfc_959("227 Entering Passive Mode (127,0,0,1,200,10)", "127.0.0.1:51210")]
    #[case::behind_the_code(" Entering Passive Mode (127,0,0,1,200,10)", "127.0.0.1:51210")]
    #[case::full_stop("227 Entering Passive Mode (127,0,0,1,200,10).", "127.0.0.1:51210")]
    #[case::comma_behind("227 Use 127,0,0,1,200,10, please", "127.0.0.1:51210")]
    #[case::comma_in_the_text("227 Entering Passive Mode, 127,0,0,1,200,10", "127.0.0.1:51210")]
    #[case::zos("227 Data transfer will passively listen to 9,1,2,3,233,174", "9.1.2.3:59822")]
    #[case::numbers_alone("227 127,0,0,1,0,21", "127.0.0.1:21")]
    #[case::equals_sign("227 =127,0,0,1,0,21", "127.0.0.1:21")]
    #[case::number_in_the_text("227 In 30 s, v2: (127,0,0,1,0,21)", "127.0.0.1:21")]
    #[case::leading_zeros("227 (127,000,000,001,000,021)", "127.0.0.1:21")]
    #[case::unspecified("227 (0,0,0,0,1,0)", "0.0.0.0:256")]
    fn an_address_is_found_in_a_227(#[case] text: &str, #[case] address: SocketAddrV4) {
        assert_eq!(parse_pasv_reply(text.as_bytes()), Ok(address));
    }

    #[rstest]
    #[case::none("227 Entering Passive Mode", AddressError::NoNumbers)]
    #[case::nothing("", AddressError::NoNumbers)]
    #[case::extended("229 Entering Extended Passive Mode (|||6446|)", AddressError::NoNumbers)]
    #[case::five("227 (127,0,0,1,200)", AddressError::NotSixNumbers { count: 5 })]
    #[case::seven("227 (127,0,0,1,200,10,1)", AddressError::NotSixNumbers { count: 7 })]
    #[case::too_large("227 (127,0,0,256,200,10)", AddressError::NumberTooLarge)]
    #[case::far_too_large("227 (127,0,0,99999999999999999999,200,10)", AddressError::NumberTooLarge)]
    #[case::empty_number("227 (127,0,,1,200,10)", AddressError::NumberTooLarge)]
    #[case::negative("227 (127,0,0,1,200,-10)", AddressError::NotSixNumbers { count: 5 })]
    #[case::port_0("227 (127,0,0,1,0,0)", AddressError::BadPort)]
    fn other_texts_of_227_are_refused(#[case] text: &str, #[case] due: AddressError) {
        assert_eq!(parse_pasv_reply(text.as_bytes()), Err(due));
    }

    #[rstest]
    #[case::rfc_2428("229 Entering Extended Passive Mode (|||6446|)", 6446)]
    #[case::behind_the_code(" Entering Extended Passive Mode (|||6446|)", 6446)]
    #[case::text_behind("229 ok (|||1|).", 1)]
    #[case::other_delimiter("229 ok (!!!65535!)", 65535)]
    #[case::bracket_as_delimiter("229 ok ()))6446))", 6446)]
    #[case::opening_bracket_as_delimiter("229 ok ((((6446()", 6446)]
    #[case::digit_as_delimiter("229 ok (11164461)", 6446)]
    #[case::digit_as_delimiter_and_first_digit("229 ok (1111001)", 100)]
    #[case::other_bracket_before("229 ok (RFC 2428) (|||6446|)", 6446)]
    fn a_port_is_found_in_a_229(#[case] text: &str, #[case] port: u16) {
        assert_eq!(parse_epsv_reply(text.as_bytes()), Ok(port));
    }

    #[rstest]
    #[case::nothing("229 ok (|||6446|)", "")]
    #[case::full_stop("229 ok (|||6446|).", ".")]
    #[case::another_bracket("229 ok (RFC 2428) (|||6446|) (IPv4)", " (IPv4)")]
    #[case::bracket_as_delimiter("229 ok ()))6446))x", "x")]
    fn what_stands_behind_the_bracket_of_a_229_is_given(#[case] text: &str, #[case] behind: &str) {
        assert_eq!(behind_epsv_bracket(text.as_bytes()), Ok(behind.as_bytes()));
    }

    #[rstest]
    #[case::none("229 Entering Extended Passive Mode |||6446|", AddressError::NoBracket)]
    #[case::nothing("", AddressError::NoBracket)]
    #[case::pasv_form("229 (127,0,0,1,200,10)", AddressError::NotDelimited)]
    #[case::unequal("229 (|||6446!)", AddressError::NotDelimited)]
    #[case::space("229 (   6446 )", AddressError::NotDelimited)]
    #[case::not_closed("229 (|||6446|", AddressError::NotDelimited)]
    #[case::cut("229 (||", AddressError::NotDelimited)]
    #[case::filled("229 (|1|127.0.0.1|6446|)", AddressError::NotBlank)]
    #[case::not_a_number("229 (|||a|)", AddressError::NotDelimited)]
    #[case::no_port("229 (||||)", AddressError::BadPort)]
    #[case::port_0("229 (|||0|)", AddressError::BadPort)]
    #[case::port_too_large("229 (|||65536|)", AddressError::BadPort)]
    #[case::port_far_too_large("229 (|||99999999999999999999|)", AddressError::BadPort)]
    fn other_texts_of_229_are_refused(#[case] text: &str, #[case] due: AddressError) {
        assert_eq!(parse_epsv_reply(text.as_bytes()), Err(due));
    }

    #[rstest]
    #[case("127,0,0,1,200,10", Ok(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 51210)))]
    #[case::brackets("(127,0,0,1,200,10)", Err(AddressError::NoNumbers))]
    #[case::spaces("127, 0, 0, 1, 200, 10", Err(AddressError::NoNumbers))]
    #[case::trailing_comma("127,0,0,1,200,10,", Err(AddressError::NotSixNumbers { count: 7 }))]
    #[case::empty("", Err(AddressError::NotSixNumbers { count: 1 }))]
    #[case::too_large("127,0,0,1,200,256", Err(AddressError::NumberTooLarge))]
    #[case::port_0("127,0,0,1,0,0", Err(AddressError::BadPort))]
    fn the_argument_of_port_is_strict(#[case] argument: &str, #[case] due: Result<SocketAddrV4, AddressError>) {
        assert_eq!(parse_port_argument(argument.as_bytes()), due);
    }

    #[rstest]
    #[case::ipv4("|1|132.235.1.2|6275|", "132.235.1.2:6275")]
    #[case::ipv6("|2|1080::8:800:200C:417A|5282|", "[1080::8:800:200c:417a]:5282")]
    #[case::mapped("|2|::ffff:192.0.2.1|5282|", "[::ffff:192.0.2.1]:5282")]
    #[case::other_delimiter("!1!192.0.2.1!21!", "192.0.2.1:21")]
    fn the_argument_of_eprt_is_read(#[case] argument: &str, #[case] address: SocketAddr) {
        assert_eq!(parse_eprt_argument(argument.as_bytes()), Ok(address));
    }

    #[rstest]
    #[case::empty("", AddressError::NotDelimited)]
    #[case::space("  1 192.0.2.1 21 ", AddressError::NotDelimited)]
    #[case::not_closed("|1|192.0.2.1|21", AddressError::NotDelimited)]
    #[case::text_behind("|1|192.0.2.1|21|x", AddressError::NotDelimited)]
    #[case::field_too_many("|1|192.0.2.1|21|5|", AddressError::NotDelimited)]
    #[case::field_too_few("|1|192.0.2.1|", AddressError::NotDelimited)]
    #[case::protocol_not_a_number("|x|192.0.2.1|21|", AddressError::NotDelimited)]
    #[case::protocol_unknown("|99|192.0.2.1|21|", AddressError::UnknownProtocol { protocol: 99 })]
    #[case::protocol_mismatch("|2|192.0.2.1|21|", AddressError::BadNetworkAddress)]
    #[case::host_name("|1|localhost|21|", AddressError::BadNetworkAddress)]
    #[case::not_utf8("|1|\u{e9}|21|", AddressError::BadNetworkAddress)]
    #[case::port_0("|1|192.0.2.1|0|", AddressError::BadPort)]
    #[case::port_too_large("|1|192.0.2.1|65536|", AddressError::BadPort)]
    fn other_arguments_of_eprt_are_refused(#[case] argument: &str, #[case] due: AddressError) {
        assert_eq!(parse_eprt_argument(argument.as_bytes()), Err(due));
    }

    #[rstest]
    #[case("522 Network protocol not supported, use (1,2)", Ok(vec![1, 2]))]
    #[case(" Network protocol not supported, use (1)", Ok(vec![1]))]
    #[case("522 (IPv6) not supported, use (1)", Ok(vec![1]))]
    #[case::empty("522 use ()", Err(AddressError::NoProtocolList))]
    #[case::space("522 use (1, 2)", Err(AddressError::NoProtocolList))]
    #[case::no_bracket("522 use 1,2", Err(AddressError::NoProtocolList))]
    #[case::not_closed("522 use (1,2", Err(AddressError::NoProtocolList))]
    #[case::too_large("522 use (65536)", Err(AddressError::NoProtocolList))]
    fn the_protocols_of_a_522_are_read(#[case] text: &str, #[case] due: Result<Vec<u16>, AddressError>) {
        assert_eq!(parse_protocol_list(text.as_bytes()), due);
    }

    proptest! {
        #[test]
        fn what_is_printed_parses_back(host: u32, port in 1_u16.., v6: u128, before in "[^0-9(]{0,20}") {
            let v4 = SocketAddrV4::new(Ipv4Addr::from_bits(host), port);
            prop_assert_eq!(parse_port_argument(pasv_digits(v4).as_bytes()), Ok(v4));
            prop_assert_eq!(parse_pasv_reply(format!("227 {before}{}", pasv_digits(v4)).as_bytes()), Ok(v4));
            prop_assert_eq!(parse_epsv_reply(format!("229 {before}{}", epsv_digits(port)).as_bytes()), Ok(port));
            for address in [SocketAddr::V4(v4), SocketAddr::new(Ipv6Addr::from_bits(v6).into(), port)] {
                prop_assert_eq!(parse_eprt_argument(eprt_argument(address).as_bytes()), Ok(address));
            }
        }

        #[test]
        fn any_delimiter_will_do(port in 1_u16.., delimiter in 33_u8..=126) {
            let d = char::from(delimiter);
            prop_assert_eq!(parse_epsv_reply(format!("229 ok ({d}{d}{d}{port}{d})").as_bytes()), Ok(port));
        }

        #[test]
        fn no_octets_panic(octets: Vec<u8>, like in "[(|)0-9,.: ]{0,40}") {
            for octets in [octets.as_slice(), like.as_bytes()] {
                let _ = parse_pasv_reply(octets);
                let _ = parse_epsv_reply(octets);
                let _ = parse_port_argument(octets);
                let _ = parse_eprt_argument(octets);
                let _ = parse_protocol_list(octets);
            }
        }
    }
}
