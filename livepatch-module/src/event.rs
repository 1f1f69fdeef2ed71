//! Events as a module sees them.

use crate::abi;
use crate::host::{Instant, SocketId};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::slice;

/// What happened.
#[derive(Clone, Copy, Debug)]
pub enum Happened<'a> {
    /// A message came.
    Message {
        /// To this socket.
        socket: SocketId,
        /// From this address; unspecified where the socket has other ones.
        from: SocketAddrV4,
        /// From this path, of a Unix socket that has one.
        path: &'a str,
        /// The message.
        data: &'a [u8],
    },
    /// Somebody connected to a listener of TCP.
    Connected {
        /// The new connection.
        connection: SocketId,
        /// Who.
        from: SocketAddrV4,
        /// Through which listener.
        listener: SocketId,
    },
    /// The other end of a connection sends no more, or it broke. It is to be closed when all is answered.
    Ended {
        /// Which.
        connection: SocketId,
    },
    /// A timer went off.
    Timer {
        /// Which.
        key: u64,
        /// When it was to.
        deadline: Instant,
    },
    /// The component was sent a signal.
    Signal {
        /// Which.
        number: u32,
        /// The value of sigqueue(3).
        value: u64,
    },
    /// Somebody used `livepatch component command`.
    Command {
        /// What to give to [`Host::reply`](crate::Host::reply).
        id: u64,
        /// The words, separated by line feeds.
        words: &'a str,
    },
}

/// One event of the queue.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// Its place in the order of all events of the component, from 1.
    pub place: u64,
    /// When it was queued.
    pub time: Instant,
    /// What happened.
    pub happened: Happened<'a>,
}

impl<'a> Event<'a> {
    /// `None` for a kind that this version does not know.
    ///
    /// # Safety
    /// The event's pointers must be valid for their lengths for `'a`.
    pub(crate) unsafe fn new(raw: &'a abi::Event) -> Option<Self> {
        // SAFETY: the caller's promise.
        let data = unsafe { bytes(raw.data, raw.len) };
        // SAFETY: the caller's promise.
        let path = unsafe { bytes(raw.path.cast(), raw.path_len) };
        let happened = match raw.kind {
            abi::MESSAGE => Happened::Message {
                socket: SocketId(raw.source),
                from: SocketAddrV4::new(Ipv4Addr::from(raw.from.ip), raw.from.port),
                path: std::str::from_utf8(path).unwrap_or_default(),
                data,
            },
            abi::CONNECTED => Happened::Connected {
                connection: SocketId(raw.source),
                from: SocketAddrV4::new(Ipv4Addr::from(raw.from.ip), raw.from.port),
                listener: SocketId(raw.value),
            },
            abi::ENDED => Happened::Ended {
                connection: SocketId(raw.source),
            },
            abi::TIMER => Happened::Timer {
                key: raw.source,
                deadline: Instant { nanos: raw.value },
            },
            abi::SIGNAL => Happened::Signal {
                number: u32::try_from(raw.source).ok()?,
                value: raw.value,
            },
            abi::COMMAND => Happened::Command {
                id: raw.source,
                words: std::str::from_utf8(data).ok()?,
            },
            _ => return None,
        };
        Some(Self {
            place: raw.place,
            time: Instant { nanos: raw.time_ns },
            happened,
        })
    }
}

/// # Safety
/// `data` must be null or valid for `len` bytes for `'a`.
unsafe fn bytes<'a>(data: *const u8, len: u64) -> &'a [u8] {
    match usize::try_from(len) {
        Ok(len) if len > 0 && !data.is_null() => {
            // SAFETY: the caller's promise.
            unsafe { slice::from_raw_parts(data, len) }
        }
        _ => &[],
    }
}
