//! The component's sockets: they outlive every version of the module. All but those of TCP keep the borders of messages.

use crate::module::mapper::EntryId;
use crate::streams::{self, Came, Stream};
use livepatch_module::abi;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType,
    SockaddrStorage, bind, recvmsg, setsockopt, socket, sockopt,
};
use serde::{Deserialize, Serialize};
use socket2::{Domain, InterfaceIndexOrAddress, SockAddr, Socket, Type};
use std::collections::BTreeMap;
use std::io::{self, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};

/// The longest message, in bytes.
const MESSAGE_MAX: usize = 64 << 10;
/// What a socket's receive buffer is to hold, in bytes: the kernel's default is full after 256 small datagrams.
const RECEIVE_BUFFER: usize = 16 << 20;

/// What to open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Udp {
        address: abi::Address,
        multicast: u32,
        ttl: u32,
    },
    Unix {
        path: PathBuf,
    },
    Netlink {
        groups: u32,
    },
    /// A listener of TCP.
    Tcp {
        address: abi::Address,
    },
}

/// What came through a socket since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Messages that were queued.
    pub received: u64,
    /// Messages that were sent.
    pub sent: u64,
    /// Messages that were dropped because the queue was full, as the socket's policy has it.
    pub dropped: u64,
    /// Messages that the kernel dropped because the socket's buffer was full (`SO_RXQ_OVFL`).
    pub dropped_by_kernel: u64,
    /// Messages that were longer than 64 KiB.
    pub truncated: u64,
}

/// A socket of the component.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) entry: EntryId,
    /// Whether messages are dropped when the queue is full; otherwise they stay here.
    pub(crate) drops: bool,
    /// Whether there may be something to read.
    pub(crate) is_ready: bool,
    /// Whether the module has closed it, and output waits.
    pub(crate) leaves: bool,
    pub(crate) traffic: Traffic,
    socket: Descriptor,
    /// To be removed when the socket is closed.
    path: Option<PathBuf>,
}

/// What it is to the system.
#[derive(Debug)]
enum Descriptor {
    Unix(UnixDatagram),
    Listener(TcpListener),
    Stream(Stream),
    Other(OwnedFd),
}

impl AsFd for Descriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Unix(socket) => socket.as_fd(),
            Self::Listener(socket) => socket.as_fd(),
            Self::Stream(stream) => stream.as_ref().as_fd(),
            Self::Other(socket) => socket.as_fd(),
        }
    }
}

/// All sockets, by number.
pub(crate) type Sockets = BTreeMap<u64, Source>;

/// Room for one message; used for all.
#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) data: Box<[u8]>,
    control: Vec<u8>,
}

impl Default for Room {
    fn default() -> Self {
        Self {
            data: vec![0; MESSAGE_MAX].into(),
            control: nix::cmsg_space!(u32),
        }
    }
}

/// Who sent a message.
#[derive(Debug, Default)]
pub(crate) struct Sender {
    pub(crate) address: abi::Address,
    pub(crate) path: Option<Box<str>>,
}

/// What came through a socket.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// A message, or bytes of a connection, of this length.
    Message(usize, Sender),
    /// Somebody connects.
    Connection(Stream),
    /// The other end of a connection sends no more.
    End,
}

impl Drop for Source {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // It may be gone already.
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Source {
    /// Opens a socket.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn open(
        name: &str,
        entry: EntryId,
        kind: &Kind,
        drops: bool,
        receive_buffer: u32,
    ) -> io::Result<Self> {
        let (socket, path) = match kind {
            Kind::Udp {
                address,
                multicast,
                ttl,
            } => (
                Descriptor::Other(udp(*address, *multicast, *ttl)?.into()),
                None,
            ),
            Kind::Unix { path } => (Descriptor::Unix(unix(path)?), Some(path.clone())),
            Kind::Netlink { groups } => (Descriptor::Other(netlink(*groups)?), None),
            Kind::Tcp { address } => {
                let listener = Descriptor::Listener(streams::listen(*address)?);
                return Ok(Self::new(name, entry, listener));
            }
        };
        let buffer = match receive_buffer {
            0 => RECEIVE_BUFFER,
            bytes => bytes as usize,
        };
        // Beyond the limit of `net.core.rmem_max` with the right to do so, else as much as that allows.
        let forced = setsockopt(&socket, sockopt::RcvBufForce, &buffer);
        if forced.is_err() {
            setsockopt(&socket, sockopt::RcvBuf, &buffer)?;
        }
        setsockopt(&socket, sockopt::RxqOvfl, &1)?;
        let mut source = Self::new(name, entry, socket);
        (source.drops, source.path) = (drops, path);
        Ok(source)
    }

    fn new(name: &str, entry: EntryId, socket: Descriptor) -> Self {
        Self {
            name: name.to_owned(),
            entry,
            drops: false,
            is_ready: true,
            leaves: false,
            traffic: Traffic::default(),
            socket,
            path: None,
        }
    }

    /// A connection that came through this listener.
    pub(crate) fn connection(&self, id: u64, stream: Stream) -> Self {
        let name = format!("{}#{id}", self.name);
        Self::new(&name, self.entry, Descriptor::Stream(stream))
    }

    /// Sends what waits; tells whether more does. What is wrong with a connection is told when it is read.
    pub(crate) fn flush(&mut self) -> bool {
        match &mut self.socket {
            Descriptor::Stream(stream) => stream.flush().is_ok() && stream.is_clogged(),
            _ => false,
        }
    }

    pub(crate) fn descriptor(&self) -> RawFd {
        self.socket.as_fd().as_raw_fd()
    }

    /// Takes what came; `None` when nothing did. A message lies in the room.
    ///
    /// # Errors
    /// When the socket has one to tell; it can be read on.
    pub(crate) fn receive(&mut self, room: &mut Room) -> io::Result<Option<Arrival>> {
        match &mut self.socket {
            Descriptor::Unix(socket) => match socket.recv_from(&mut room.data) {
                Ok((length, address)) => Ok(Some(Arrival::Message(length, unix_sender(&address)))),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.is_ready = false;
                    Ok(None)
                }
                Err(error) => Err(error),
            },
            Descriptor::Listener(socket) => {
                let accepted = streams::accept(socket);
                self.is_ready = matches!(accepted, Ok(Some(_)));
                Ok(accepted?.map(Arrival::Connection))
            }
            Descriptor::Stream(stream) => {
                let came = stream.read(&mut room.data);
                self.is_ready = matches!(came, Came::Bytes(_));
                let from = Sender {
                    address: stream.peer(),
                    path: None,
                };
                Ok(match came {
                    Came::Bytes(length) => Some(Arrival::Message(length, from)),
                    Came::End => Some(Arrival::End),
                    Came::Nothing => None,
                })
            }
            Descriptor::Other(_) => self.receive_counted(room),
        }
    }

    /// With the count of what the kernel had to drop; the sender of a Unix socket waits instead.
    fn receive_counted(&mut self, room: &mut Room) -> io::Result<Option<Arrival>> {
        let mut parts = [IoSliceMut::new(&mut room.data)];
        let flags = MsgFlags::MSG_DONTWAIT;
        let control = Some(&mut room.control[..]);
        let received =
            recvmsg::<SockaddrStorage>(self.socket.as_fd().as_raw_fd(), &mut parts, control, flags);
        let message = match received {
            Ok(message) => message,
            Err(Errno::EAGAIN) => {
                self.is_ready = false;
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        for control in message.cmsgs().into_iter().flatten() {
            if let ControlMessageOwned::RxqOvfl(count) = control {
                // The kernel counts in 32 bits, from the socket's beginning.
                let last = self.traffic.dropped_by_kernel as u32;
                self.traffic.dropped_by_kernel += u64::from(count.wrapping_sub(last));
            }
        }
        if message.flags.contains(MsgFlags::MSG_TRUNC) {
            self.traffic.truncated += 1;
        }
        Ok(Some(Arrival::Message(
            message.bytes,
            message.address.map(ip_sender).unwrap_or_default(),
        )))
    }

    /// Sends a datagram, or bytes to a connection; without an address, to whom the socket always sends (the kernel, of a netlink socket).
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn send(&mut self, to: Option<&SockAddr>, data: &[u8]) -> io::Result<()> {
        if let Descriptor::Stream(stream) = &mut self.socket {
            stream.write(data)?;
            self.traffic.sent += 1;
            return Ok(());
        }
        let socket = socket2::SockRef::from(&self.socket);
        let sent = match to {
            Some(to) => socket.send_to(data, to)?,
            None => socket.send(data)?,
        };
        self.traffic.sent += 1;
        match sent == data.len() {
            true => Ok(()),
            false => Err(io::ErrorKind::WriteZero.into()),
        }
    }

    /// Whether addresses of messages are left to the socket.
    pub(crate) fn is_netlink(&self) -> bool {
        let family = nix::sys::socket::getsockopt(&self.socket, sockopt::SockType);
        family.is_ok_and(|kind| kind == SockType::Raw)
    }
}

/// The address to send to.
pub(crate) fn to_address(address: &abi::Address) -> SockAddr {
    SocketAddrV4::new(Ipv4Addr::from(address.ip), address.port).into()
}

fn ip_sender(address: SockaddrStorage) -> Sender {
    let ip = address.as_sockaddr_in();
    let address = ip.map(|ip| abi::Address {
        ip: ip.ip().into(),
        port: ip.port(),
        ..abi::Address::default()
    });
    Sender {
        address: address.unwrap_or_default(),
        path: None,
    }
}

fn unix_sender(address: &SocketAddr) -> Sender {
    let path = address.as_pathname().and_then(Path::to_str);
    Sender {
        path: path.map(Into::into),
        ..Sender::default()
    }
}

fn udp(address: abi::Address, multicast: u32, ttl: u32) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM.nonblocking(), None)?;
    let interface = address.interface;
    if interface != 0 {
        socket.set_reuse_address(true)?;
        let name = nix::net::if_::if_indextoname(interface)?;
        socket.bind_device(Some(name.to_bytes()))?;
    }
    if multicast != 0 {
        let group = Ipv4Addr::from(multicast);
        socket.join_multicast_v4_n(&group, &InterfaceIndexOrAddress::Index(interface))?;
        socket.set_multicast_loop_v4(false)?;
    }
    socket.set_multicast_ttl_v4(ttl.clamp(1, 255))?;
    socket.bind(&to_address(&address))?;
    Ok(socket)
}

fn unix(path: &Path) -> io::Result<UnixDatagram> {
    let socket = Socket::new(Domain::UNIX, Type::DGRAM.nonblocking(), None)?;
    let address = SockAddr::unix(path)?;
    match socket.bind(&address) {
        // Of a process that crashed, when nobody is there any more.
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_stale(path) => {
            std::fs::remove_file(path)?;
            socket.bind(&address)?;
        }
        other => other?,
    }
    Ok(socket.into())
}

/// Whether it is a socket to which nobody listens.
fn is_stale(path: &Path) -> bool {
    let asked = UnixDatagram::unbound().and_then(|socket| socket.connect(path));
    asked.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

fn netlink(groups: u32) -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let protocol = SockProtocol::NetlinkRoute;
    let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, protocol)?;
    bind(socket.as_fd().as_raw_fd(), &NetlinkAddr::new(0, groups))?;
    Ok(socket)
}
