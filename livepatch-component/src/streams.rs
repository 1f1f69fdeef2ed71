//! TCP: listeners, and connections, which outlive every version with what the system has not taken of their output yet.

use crate::sockets::to_address;
use livepatch_module::abi;
use socket2::{Domain, Socket, Type};
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use thiserror::Error;

/// The most bytes of output that wait in a connection.
const OUTPUT_MAX: usize = 1 << 20;
/// Connections that the system keeps until they are accepted.
const BACKLOG: i32 = 1024;

/// Whoever is at the other end does not read.
#[derive(Debug, Error)]
#[error("{0} bytes wait already, and whoever is at the other end does not read")]
struct Clogged(usize);

/// A connection.
#[derive(Debug)]
pub(crate) struct Stream {
    socket: TcpStream,
    peer: abi::Address,
    output: VecDeque<u8>,
    /// Whether the other end sends no more.
    has_ended: bool,
}

/// What came through a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Came {
    /// So many bytes.
    Bytes(usize),
    /// Nothing more will.
    End,
    /// Nothing now.
    Nothing,
}

impl AsRef<TcpStream> for Stream {
    fn as_ref(&self) -> &TcpStream {
        &self.socket
    }
}

impl Stream {
    /// # Errors
    /// When the connection is broken already.
    fn new(socket: TcpStream, peer: SocketAddr) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        // Modules send whole answers.
        socket.set_nodelay(true)?;
        let peer = match peer {
            SocketAddr::V4(peer) => abi::Address {
                ip: (*peer.ip()).into(),
                port: peer.port(),
                ..abi::Address::default()
            },
            SocketAddr::V6(_) => abi::Address::default(),
        };
        Ok(Self {
            socket,
            peer,
            output: VecDeque::new(),
            has_ended: false,
        })
    }

    pub(crate) fn peer(&self) -> abi::Address {
        self.peer
    }

    /// Reads what came. A connection that broke has ended.
    pub(crate) fn read(&mut self, room: &mut [u8]) -> Came {
        if self.has_ended {
            return Came::Nothing;
        }
        loop {
            match self.socket.read(room) {
                Ok(length) if length > 0 => return Came::Bytes(length),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Came::Nothing,
                Ok(_) | Err(_) => {
                    self.has_ended = true;
                    return Came::End;
                }
            }
        }
    }

    /// Sends all of it, now or as soon as the system takes it; or nothing.
    ///
    /// # Errors
    /// When too much waits, or the connection is broken.
    pub(crate) fn write(&mut self, data: &[u8]) -> io::Result<()> {
        self.flush()?;
        if self.output.len() + data.len() > OUTPUT_MAX.max(data.len()) {
            return Err(io::Error::other(Clogged(self.output.len())));
        }
        self.output.extend(data);
        self.flush()
    }

    /// Sends what waits, as far as the system takes it.
    ///
    /// # Errors
    /// When the connection is broken; nothing waits any more.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        while !self.output.is_empty() {
            let (first, _) = self.output.as_slices();
            match self.socket.write(first) {
                Ok(length) => drop(self.output.drain(..length)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.output.clear();
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Whether output waits.
    pub(crate) fn is_clogged(&self) -> bool {
        !self.output.is_empty()
    }
}

/// Listens at an address.
///
/// # Errors
/// When the system refuses.
pub(crate) fn listen(address: abi::Address) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM.nonblocking(), None)?;
    socket.set_reuse_address(true)?;
    if address.interface != 0 {
        let name = nix::net::if_::if_indextoname(address.interface)?;
        socket.bind_device(Some(name.to_bytes()))?;
    }
    socket.bind(&to_address(&address))?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Takes a connection; `None` when nobody waits for one.
///
/// # Errors
/// When one broke meanwhile, or there are too many files.
pub(crate) fn accept(listener: &TcpListener) -> io::Result<Option<Stream>> {
    match listener.accept() {
        Ok((socket, peer)) => Stream::new(socket, peer).map(Some),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_other_end_does_not_read_waits_within_bounds() {
        let local = abi::Address {
            ip: 0x7f00_0001,
            ..abi::Address::default()
        };
        let listener = listen(local).expect("a port");
        let address = listener.local_addr().expect("it has one");
        let mut other = TcpStream::connect(address).expect("it listens");
        let mut stream = accept(&listener).expect("works").expect("it waits");
        assert_eq!(stream.peer().ip, local.ip);
        let piece: Vec<u8> = (0..=255).cycle().take(100_000).collect();
        let mut sent: Vec<u8> = Vec::new();
        let error = loop {
            match stream.write(&piece) {
                Ok(()) => sent.extend(&piece),
                Err(error) => break error,
            }
        };
        assert!(error.to_string().contains("does not read"), "{error}");
        let mut read = vec![0; sent.len()];
        let mut done = 0;
        while done < read.len() {
            stream.flush().expect("the connection is there");
            done += other.read(&mut read[done..]).expect("there is more");
        }
        assert!(read == sent, "all comes, in order, once");
        assert!(!stream.is_clogged());
        drop(other);
        while stream.read(&mut [0; 8]) == Came::Nothing {
            std::thread::yield_now();
        }
        assert_eq!(stream.read(&mut [0; 8]), Came::Nothing, "it ends once");
    }
}
