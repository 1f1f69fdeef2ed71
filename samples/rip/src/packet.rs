//! RIPv2 messages (RFC 2453, section 4): what comes is checked, what goes is encoded.
//!
//! ```text
//!  0  command (1 request, 2 response)   1  version 2   2  zero, 2 bytes
//!  4  entries of 20 bytes: family, tag, address, mask, next hop, metric; at most 25.
//!     A first entry of family 0xffff and type 2 is a password of 16 bytes.
//! ```

use crate::state::Prefix;
use std::net::Ipv4Addr;

/// The metric of what cannot be reached.
pub(crate) const INFINITY: u32 = 16;
/// Entries of one message.
const ENTRIES: usize = 25;
const ENTRY: usize = 20;
const HEADER: usize = 4;
const IPV4: u16 = 2;
const AUTHENTICATION: u16 = 0xffff;
const PASSWORD: u16 = 2;

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Somebody wants to know routes.
    Request,
    /// Somebody tells routes.
    Response,
}

/// One route of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Where it leads.
    pub(crate) prefix: Prefix,
    /// Of the protocol that it came from.
    pub(crate) tag: u16,
    /// Another router on the same network; 0 for the sender.
    pub(crate) next_hop: u32,
    /// 1 to 16.
    pub(crate) metric: u32,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// All routes are asked for.
    RequestAll,
    /// These are.
    Request(Vec<Entry>),
    /// These are told.
    Response(Vec<Entry>),
}

/// Why a message is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bad {
    /// It has no such length.
    Length,
    /// It is of another version of the protocol.
    Version,
    /// It is neither request nor response.
    Command,
    /// The password is not ours, or there is one and we have none, or the other way round.
    Password,
}

fn word(bytes: &[u8], at: usize) -> u32 {
    let word = bytes.get(at..at + 4).and_then(|word| word.try_into().ok());
    word.map_or(0, u32::from_be_bytes)
}

fn half(bytes: &[u8], at: usize) -> u16 {
    let half = bytes.get(at..at + 2).and_then(|half| half.try_into().ok());
    half.map_or(0, u16::from_be_bytes)
}

/// Reads a message; entries that make no sense are left out, as the RFC has it.
///
/// # Errors
/// When the message as a whole is not to be used.
pub(crate) fn parse(bytes: &[u8], password: Option<&str>) -> Result<Message, Bad> {
    let body = bytes.len().checked_sub(HEADER).ok_or(Bad::Length)?;
    if body == 0 || body % ENTRY != 0 || body / ENTRY > ENTRIES {
        return Err(Bad::Length);
    }
    if bytes[1] != 2 {
        return Err(Bad::Version);
    }
    let command = match bytes[0] {
        1 => Command::Request,
        2 => Command::Response,
        _ => return Err(Bad::Command),
    };
    let mut entries: Vec<&[u8]> = bytes[HEADER..].chunks_exact(ENTRY).collect();
    let has_password = half(entries[0], 0) == AUTHENTICATION;
    if has_password != password.is_some() {
        return Err(Bad::Password);
    }
    if let Some(password) = password {
        let first = entries.remove(0);
        if half(first, 2) != PASSWORD || first[4..] != padded(password) {
            return Err(Bad::Password);
        }
    }
    if let (Command::Request, [one]) = (command, &entries[..])
        && half(one, 0) == 0
        && word(one, 16) == INFINITY
    {
        return Ok(Message::RequestAll);
    }
    let known = entries.into_iter().filter_map(entry);
    Ok(match command {
        Command::Request => Message::Request(known.collect()),
        Command::Response => {
            let sane = known.filter(|entry| (1..=INFINITY).contains(&entry.metric));
            Message::Response(sane.collect())
        }
    })
}

fn entry(bytes: &[u8]) -> Option<Entry> {
    if half(bytes, 0) != IPV4 {
        return None;
    }
    let (address, mask) = (word(bytes, 4), word(bytes, 8));
    // A mask is ones, then zeros.
    let length = mask.leading_ones();
    if mask.checked_shl(length).unwrap_or(0) != 0 {
        return None;
    }
    let prefix = Prefix::new(address, u8::try_from(length).ok()?);
    is_unicast(prefix).then(|| Entry {
        prefix,
        tag: half(bytes, 2),
        next_hop: word(bytes, 12),
        metric: word(bytes, 16),
    })
}

/// Networks that can be routed to: not net 0 but the default route, not net 127, no multicast.
fn is_unicast(prefix: Prefix) -> bool {
    let address = Ipv4Addr::from(prefix.network);
    let is_default = prefix.network == 0 && prefix.length == 0;
    is_default || (address.octets()[0] != 0 && !address.is_loopback() && address.octets()[0] < 224)
}

fn padded(password: &str) -> [u8; 16] {
    let mut room = [0; 16];
    let bytes = password.as_bytes();
    let length = bytes.len().min(room.len());
    room[..length].copy_from_slice(&bytes[..length]);
    room
}

/// Encodes routes, in as many messages as needed.
#[must_use]
pub(crate) fn encode(command: Command, entries: &[Entry], password: Option<&str>) -> Vec<Vec<u8>> {
    let most = ENTRIES - usize::from(password.is_some());
    let messages = entries.chunks(most);
    messages
        .map(|entries| {
            let mut bytes = begin(command, password);
            for entry in entries {
                put(&mut bytes, IPV4, entry);
            }
            bytes
        })
        .collect()
}

/// The request for all routes.
#[must_use]
pub(crate) fn request_all(password: Option<&str>) -> Vec<u8> {
    let mut bytes = begin(Command::Request, password);
    let all = Entry {
        prefix: Prefix::new(0, 0),
        tag: 0,
        next_hop: 0,
        metric: INFINITY,
    };
    put(&mut bytes, 0, &all);
    bytes
}

fn begin(command: Command, password: Option<&str>) -> Vec<u8> {
    let command = match command {
        Command::Request => 1,
        Command::Response => 2,
    };
    let mut bytes = vec![command, 2, 0, 0];
    if let Some(password) = password {
        bytes.extend(AUTHENTICATION.to_be_bytes());
        bytes.extend(PASSWORD.to_be_bytes());
        bytes.extend(padded(password));
    }
    bytes
}

fn put(bytes: &mut Vec<u8>, family: u16, entry: &Entry) {
    bytes.extend(family.to_be_bytes());
    bytes.extend(entry.tag.to_be_bytes());
    for word in [
        entry.prefix.network,
        entry.prefix.mask(),
        entry.next_hop,
        entry.metric,
    ] {
        bytes.extend(word.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(third: u8, metric: u32) -> Entry {
        let network = u32::from(Ipv4Addr::new(10, 0, third, 0));
        Entry {
            prefix: Prefix::new(network, 24),
            tag: 7,
            next_hop: 0,
            metric,
        }
    }

    #[test]
    fn what_is_encoded_is_understood() {
        let routes: Vec<Entry> = (0..60).map(|third| route(third, 3)).collect();
        for password in [None, Some("secret")] {
            let messages = encode(Command::Response, &routes, password);
            assert_eq!(messages.len(), 3);
            let mut read = Vec::new();
            for message in &messages {
                match parse(message, password) {
                    Ok(Message::Response(entries)) => read.extend(entries),
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!(read, routes);
            let all = parse(&request_all(password), password);
            assert_eq!(all, Ok(Message::RequestAll));
        }
    }

    #[test]
    fn passwords_must_be_the_same_on_both_sides() {
        let with = &encode(Command::Response, &[route(1, 1)], Some("secret"))[0];
        let without = &encode(Command::Response, &[route(1, 1)], None)[0];
        assert_eq!(parse(with, None), Err(Bad::Password));
        assert_eq!(parse(without, Some("secret")), Err(Bad::Password));
        assert_eq!(parse(with, Some("Secret")), Err(Bad::Password));
        assert!(parse(with, Some("secret")).is_ok());
    }

    #[test]
    fn what_makes_no_sense_is_left_out() {
        let bad = [(16, 17), (16, 0), (0, 127), (0, 224), (0, 0), (6, 5)];
        for (at, value) in bad {
            let mut message = encode(Command::Response, &[route(1, 1)], None).remove(0);
            // The last byte of the metric, the first of the address, a hole in the mask.
            let place = HEADER + if at == 16 { 19 } else { 4 + at };
            message[place] = value;
            assert_eq!(
                parse(&message, None),
                Ok(Message::Response(Vec::new())),
                "{at} {value}"
            );
        }
    }

    #[test]
    fn other_lengths_and_versions_are_refused() {
        let message = encode(Command::Response, &[route(1, 1)], None).remove(0);
        for length in 0..message.len() {
            assert_eq!(
                parse(&message[..length], None),
                Err(Bad::Length),
                "{length}"
            );
        }
        for version in [0, 1, 3] {
            let mut message = message.clone();
            message[1] = version;
            assert_eq!(parse(&message, None), Err(Bad::Version));
        }
        let mut other = message;
        other[0] = 9;
        assert_eq!(parse(&other, None), Err(Bad::Command));
    }
}
