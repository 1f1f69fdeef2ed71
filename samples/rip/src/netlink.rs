//! Routes and interfaces of the kernel: rtnetlink(7) messages, as bytes.

use crate::state::{Prefix, Route};

const REQUEST: u16 = 0x1;
const DUMP: u16 = 0x300;
const REPLACE: u16 = 0x100;
const CREATE: u16 = 0x400;

const ERROR: u16 = 2;
const DONE: u16 = 3;
const NEW_LINK: u16 = 16;
const DELETE_LINK: u16 = 17;
const GET_LINK: u16 = 18;
const NEW_ADDRESS: u16 = 20;
const DELETE_ADDRESS: u16 = 21;
const GET_ADDRESS: u16 = 22;
const NEW_ROUTE: u16 = 24;
const DELETE_ROUTE: u16 = 25;

const INET: u8 = 2;
const MAIN: u8 = 254;
const RTPROT_RIP: u8 = 189;
const UNIVERSE: u8 = 0;
const UNICAST: u8 = 1;

const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PRIORITY: u16 = 6;
const IFLA_IFNAME: u16 = 3;
const IFA_LOCAL: u16 = 2;

/// IFF_UP and IFF_RUNNING.
const USABLE: u32 = 0x1 | 0x40;
/// What RIP's routes cost beside those of others.
const PRIORITY: u32 = 120;
const HEADER: usize = 16;

/// The multicast groups of links and IPv4 addresses.
pub(crate) const GROUPS: u32 = 0x1 | 0x10;

/// What the kernel tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// An interface is there.
    Link {
        /// Its number.
        index: u32,
        /// Its name.
        name: String,
        /// Whether it can be used.
        is_up: bool,
    },
    /// An interface has gone.
    NoLink(u32),
    /// An interface has an address.
    Address {
        /// Its number.
        index: u32,
        /// The address.
        address: u32,
        /// The length of its network's mask.
        length: u8,
    },
    /// An interface has lost an address.
    NoAddress {
        /// Its number.
        index: u32,
        /// The address.
        address: u32,
    },
    /// The end of what was asked for.
    Done,
    /// A request failed with this error number.
    Failed(i32),
}

/// The request for all interfaces.
#[must_use]
pub(crate) fn links(sequence: u32) -> Vec<u8> {
    message(GET_LINK, REQUEST | DUMP, sequence, &[0; 16])
}

/// The request for all addresses.
#[must_use]
pub(crate) fn addresses(sequence: u32) -> Vec<u8> {
    message(
        GET_ADDRESS,
        REQUEST | DUMP,
        sequence,
        &[INET, 0, 0, 0, 0, 0, 0, 0],
    )
}

/// The request to have a route, in the place of any to the same network that is RIP's.
#[must_use]
pub(crate) fn add(route: &Route, sequence: u32) -> Vec<u8> {
    message(
        NEW_ROUTE,
        REQUEST | CREATE | REPLACE,
        sequence,
        &body(route),
    )
}

/// The request to have it no more.
#[must_use]
pub(crate) fn delete(route: &Route, sequence: u32) -> Vec<u8> {
    message(DELETE_ROUTE, REQUEST, sequence, &body(route))
}

fn body(route: &Route) -> Vec<u8> {
    let Prefix { network, length } = route.prefix;
    let mut body = vec![
        INET, length, 0, 0, MAIN, RTPROT_RIP, UNIVERSE, UNICAST, 0, 0, 0, 0,
    ];
    attribute(&mut body, RTA_DST, &network.to_be_bytes());
    attribute(&mut body, RTA_GATEWAY, &route.gateway.to_be_bytes());
    attribute(&mut body, RTA_OIF, &route.interface.to_ne_bytes());
    attribute(&mut body, RTA_PRIORITY, &PRIORITY.to_ne_bytes());
    body
}

fn attribute(body: &mut Vec<u8>, kind: u16, value: &[u8; 4]) {
    body.extend(8_u16.to_ne_bytes());
    body.extend(kind.to_ne_bytes());
    body.extend(value);
}

fn message(kind: u16, flags: u16, sequence: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(HEADER + body.len()).unwrap_or(0);
    let mut bytes = Vec::with_capacity(HEADER + body.len());
    bytes.extend(length.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend(sequence.to_ne_bytes());
    bytes.extend(0_u32.to_ne_bytes());
    bytes.extend(body);
    bytes
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_ne_bytes(word.try_into().ok()?))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let half = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_ne_bytes(half.try_into().ok()?))
}

/// Reads what the kernel told; what is not for us is left out.
#[must_use]
pub(crate) fn parse(mut bytes: &[u8]) -> Vec<Told> {
    let mut told = Vec::new();
    while let (Some(length), Some(kind)) = (u32_at(bytes, 0), u16_at(bytes, 4)) {
        let length = length as usize;
        let Some(body) = bytes.get(HEADER..length) else {
            break;
        };
        told.extend(one(kind, body));
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    told
}

fn one(kind: u16, body: &[u8]) -> Option<Told> {
    match kind {
        DONE => Some(Told::Done),
        ERROR => {
            let error = u32_at(body, 0)?.cast_signed();
            (error != 0).then_some(Told::Failed(-error))
        }
        NEW_LINK | DELETE_LINK => {
            let index = u32_at(body, 4)?;
            if kind == DELETE_LINK {
                return Some(Told::NoLink(index));
            }
            let name = find(body.get(16..)?, IFLA_IFNAME)?;
            let name = name.split(|byte| *byte == 0).next()?;
            Some(Told::Link {
                index,
                name: String::from_utf8(name.to_vec()).ok()?,
                is_up: u32_at(body, 8)? & USABLE == USABLE,
            })
        }
        NEW_ADDRESS | DELETE_ADDRESS if body.first() == Some(&INET) => {
            let local = find(body.get(8..)?, IFA_LOCAL)?;
            let address = u32::from_be_bytes(local.try_into().ok()?);
            let index = u32_at(body, 4)?;
            Some(match kind {
                DELETE_ADDRESS => Told::NoAddress { index, address },
                _ => Told::Address {
                    index,
                    address,
                    length: *body.get(1)?,
                },
            })
        }
        _ => None,
    }
}

/// The value of an attribute.
fn find(mut attributes: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let length = usize::from(u16_at(attributes, 0)?);
        let value = attributes.get(4..length)?;
        if u16_at(attributes, 2)? == wanted {
            return Some(value);
        }
        attributes = attributes.get(length.next_multiple_of(4)..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_and_addresses_are_understood() {
        let mut body = vec![0; 16];
        body[4] = 3;
        body[8] = 0x41;
        body.extend([9, 0, 3, 0, b'e', b't', b'h', b'0', 0, 0, 0, 0]);
        let mut bytes = message(NEW_LINK, 0, 1, &body);
        let mut body = vec![INET, 24, 0, 0, 3, 0, 0, 0];
        attribute(&mut body, IFA_LOCAL, &[10, 0, 0, 1]);
        bytes.extend(message(NEW_ADDRESS, 0, 1, &body));
        bytes.extend(message(DONE, 0, 1, &[0; 4]));
        let name = "eth0".to_owned();
        let expected = vec![
            Told::Link {
                index: 3,
                name,
                is_up: true,
            },
            Told::Address {
                index: 3,
                address: 0x0a00_0001,
                length: 24,
            },
            Told::Done,
        ];
        assert_eq!(parse(&bytes), expected);
        for length in 0..bytes.len() {
            // Whatever is cut off, there is an end.
            assert!(parse(&bytes[..length]).len() < 3);
        }
    }
}
