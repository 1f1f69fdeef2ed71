//! What the main task offers to a module, safely.

use crate::abi;
use crate::failure::HostError;
use std::ffi::{CString, c_char};
use std::marker::PhantomData;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

/// A socket of the component; it survives upgrades, and so does its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SocketId(pub u64);

crate::state! {
    /// Nanoseconds of CLOCK_MONOTONIC.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
    pub struct Instant {
        /// The nanoseconds.
        pub nanos: u64,
    }
}

impl std::ops::Add<Duration> for Instant {
    type Output = Self;

    fn add(self, time: Duration) -> Self {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        Self {
            nanos: self.nanos.saturating_add(nanos),
        }
    }
}

impl Instant {
    /// The time from `earlier` to this; zero when it is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.nanos.saturating_sub(earlier.nanos))
    }
}

/// How much a line of the log matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Something failed.
    Error,
    /// Something is not as it should be.
    Warning,
    /// Worth knowing.
    Notice,
    /// For those who look for a fault.
    Debug,
}

/// What happens to a socket's messages while the queue is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// They stay in the socket.
    #[default]
    BackPressure,
    /// They are read and counted as dropped.
    Drop,
}

/// A UDP socket to open.
#[derive(Clone, Debug)]
pub struct Udp<'a> {
    /// Unique in the component.
    pub name: &'a str,
    /// The call-back that gets its messages.
    pub entry: &'a str,
    /// What to bind to.
    pub bind: SocketAddrV4,
    /// Bind to this interface alone, by its index.
    pub interface: Option<u32>,
    /// The group to join on that interface.
    pub multicast: Option<Ipv4Addr>,
    /// What a full queue does to it.
    pub policy: Policy,
}

/// What the main task offers. Not to be kept, nor to be given to other threads.
#[derive(Clone, Copy, Debug)]
pub struct Host<'a> {
    table: &'a abi::Host,
    one_thread: PhantomData<*const ()>,
}

impl<'a> Host<'a> {
    /// # Safety
    /// The table must be a component's, and the caller on its main task's thread.
    pub(crate) unsafe fn new(table: &'a abi::Host) -> Self {
        Self {
            table,
            one_thread: PhantomData,
        }
    }

    /// The monotonic clock.
    #[must_use]
    pub fn now(&self) -> Instant {
        // SAFETY: the table is a component's.
        let nanos = unsafe { (self.table.now)(self.table) };
        Instant { nanos }
    }

    /// Writes a line to the component's log.
    pub fn log(&self, level: Level, text: &str) {
        let (data, len) = parts(text);
        // SAFETY: the table is a component's; data and length are those of a text.
        unsafe { (self.table.log)(self.table, level as u32, data, len) };
    }

    /// Tells why the operation that is running fails.
    pub(crate) fn fail(&self, reason: &str) {
        let (data, len) = parts(reason);
        // SAFETY: as in `log`.
        unsafe { (self.table.fail)(self.table, data, len) };
    }

    /// Opens a UDP socket.
    ///
    /// # Errors
    /// When the system refuses, or the name is taken.
    pub fn open_udp(&self, udp: &Udp<'_>) -> Result<SocketId, HostError> {
        self.open(udp.name, udp.entry, |socket| {
            socket.kind = abi::UDP4;
            socket.address = address(udp.bind, udp.interface.unwrap_or(0));
            socket.multicast = udp.multicast.map_or(0, u32::from);
            socket.policy = udp.policy as u32;
        })
    }

    /// Opens a Unix datagram socket at a path.
    ///
    /// # Errors
    /// As [`Self::open_udp`].
    pub fn open_unix(&self, name: &str, entry: &str, path: &str) -> Result<SocketId, HostError> {
        let path = c_text(path, "open a socket")?;
        self.open(name, entry, |socket| {
            socket.kind = abi::UNIX_DATAGRAM;
            socket.path = path.as_ptr();
        })
    }

    /// Opens a netlink socket for routes, and joins groups (rtnetlink(7), as bits).
    ///
    /// # Errors
    /// As [`Self::open_udp`].
    pub fn open_netlink(
        &self,
        name: &str,
        entry: &str,
        groups: u32,
    ) -> Result<SocketId, HostError> {
        self.open(name, entry, |socket| {
            socket.kind = abi::NETLINK_ROUTE;
            socket.groups = groups;
        })
    }

    fn open(
        &self,
        name: &str,
        entry: &str,
        fill: impl FnOnce(&mut abi::Socket),
    ) -> Result<SocketId, HostError> {
        let what = "open a socket";
        let (name, entry) = (c_text(name, what)?, c_text(entry, what)?);
        let mut socket = abi::Socket {
            size: abi::size32::<abi::Socket>(),
            kind: 0,
            name: name.as_ptr(),
            entry: entry.as_ptr(),
            address: abi::Address::default(),
            policy: abi::BACK_PRESSURE,
            path: std::ptr::null(),
            groups: 0,
            multicast: 0,
            receive_buffer: 0,
            ttl: 0,
        };
        fill(&mut socket);
        let mut id = 0;
        // SAFETY: the table is a component's; the structure's texts live until the end of this function.
        let result = unsafe { (self.table.open)(self.table, &raw const socket, &raw mut id) };
        done(result, what).map(|()| SocketId(id))
    }

    /// Listens for connections of TCP; each is a socket of its own with the same call-back.
    ///
    /// # Errors
    /// As [`Self::open_udp`].
    pub fn listen_tcp(
        &self,
        name: &str,
        entry: &str,
        at: SocketAddrV4,
    ) -> Result<SocketId, HostError> {
        self.open(name, entry, |socket| {
            socket.kind = abi::TCP4;
            socket.address = address(at, 0);
        })
    }

    /// The socket of that name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<SocketId> {
        let name = CString::new(name).ok()?;
        let mut id = 0;
        // SAFETY: the table is a component's, the name a terminated text.
        let result = unsafe { (self.table.find)(self.table, name.as_ptr(), &raw mut id) };
        (result == abi::OK).then_some(SocketId(id))
    }

    /// Closes a socket.
    ///
    /// # Errors
    /// When there is none.
    pub fn close(&self, socket: SocketId) -> Result<(), HostError> {
        // SAFETY: the table is a component's.
        let result = unsafe { (self.table.close)(self.table, socket.0) };
        done(result, "close a socket")
    }

    /// Sends a datagram; on a netlink socket the address is not used.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn send(&self, socket: SocketId, to: SocketAddrV4, data: &[u8]) -> Result<(), HostError> {
        let (to, len) = (address(to, 0), data.len() as u64);
        // SAFETY: the table is a component's; address and data live until the call returns.
        let result =
            unsafe { (self.table.send)(self.table, socket.0, &raw const to, data.as_ptr(), len) };
        done(result, "send")
    }

    /// Sends to a connection: all of it, in order, now or when the other end reads on.
    ///
    /// # Errors
    /// When 1 MiB waits already, or the connection is broken.
    pub fn write(&self, connection: SocketId, data: &[u8]) -> Result<(), HostError> {
        let (to, len) = (std::ptr::null(), data.len() as u64);
        // SAFETY: the table is a component's; the data lives until the call returns.
        let result = unsafe { (self.table.send)(self.table, connection.0, to, data.as_ptr(), len) };
        done(result, "send")
    }

    /// Sends a datagram to a Unix socket.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn send_path(&self, socket: SocketId, path: &str, data: &[u8]) -> Result<(), HostError> {
        let (path, len) = (c_text(path, "send")?, data.len() as u64);
        // SAFETY: the table is a component's; path and data live until the call returns.
        let result = unsafe {
            (self.table.send_path)(self.table, socket.0, path.as_ptr(), data.as_ptr(), len)
        };
        done(result, "send")
    }

    /// Sets the timer of this key to go off once at `deadline`, also when a new version runs by then.
    ///
    /// # Errors
    /// When there is no such call-back, or there are too many timers.
    pub fn timer(&self, key: u64, deadline: Instant, entry: &str) -> Result<(), HostError> {
        let entry = c_text(entry, "set a timer")?;
        // SAFETY: the table is a component's, the name a terminated text.
        let result = unsafe { (self.table.timer)(self.table, key, deadline.nanos, entry.as_ptr()) };
        done(result, "set a timer")
    }

    /// Stops the timer of this key; one whose event is queued already still comes.
    pub fn cancel(&self, key: u64) {
        // SAFETY: the table is a component's. That there is no such timer is what is wanted.
        let _ = unsafe { (self.table.cancel)(self.table, key) };
    }

    /// Makes a signal of the process an event.
    ///
    /// # Errors
    /// When the signal is one that the component keeps for itself.
    pub fn signal(&self, number: u32, entry: &str) -> Result<(), HostError> {
        let entry = c_text(entry, "watch a signal")?;
        // SAFETY: the table is a component's, the name a terminated text.
        let result = unsafe { (self.table.signal)(self.table, number, entry.as_ptr()) };
        done(result, "watch a signal")
    }

    /// Answers a command; status 0 is success.
    ///
    /// # Errors
    /// When whoever asked is gone.
    pub fn reply(&self, command: u64, status: i32, text: &str) -> Result<(), HostError> {
        let (data, len) = parts(text);
        // SAFETY: the table is a component's; data and length are those of a text.
        let result = unsafe { (self.table.reply)(self.table, command, status, data, len) };
        done(result, "reply")
    }
}

fn parts(text: &str) -> (*const c_char, u64) {
    (text.as_ptr().cast(), text.len() as u64)
}

fn c_text(text: &str, what: &'static str) -> Result<CString, HostError> {
    CString::new(text).map_err(|_| HostError(what))
}

fn address(address: SocketAddrV4, interface: u32) -> abi::Address {
    abi::Address {
        ip: (*address.ip()).into(),
        port: address.port(),
        reserved: 0,
        interface,
    }
}

fn done(result: abi::Result, what: &'static str) -> Result<(), HostError> {
    match result {
        abi::OK => Ok(()),
        _ => Err(HostError(what)),
    }
}
