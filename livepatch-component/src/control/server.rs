//! The component's side: connections that never make it wait, from users who may.

use super::protocol::{REQUEST_MAX, Reply, Request};
use livepatch_cli::Status;
use mio::net::{UnixListener, UnixStream};
use mio::{Interest, Registry, Token};
use nix::sys::socket::{getsockopt, sockopt};
use nix::unistd::geteuid;
use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::Path;
use thiserror::Error;

/// So many connections may be open.
const CONNECTIONS_MAX: usize = 64;

/// Why a request is not one.
#[derive(Debug, Error)]
enum BadRequest {
    #[error("user {0} may not control this component")]
    Stranger(u32),
    #[error("a request has at most {REQUEST_MAX} bytes")]
    TooLong,
    #[error("that is no request")]
    Garbage(#[source] serde_json::Error),
}

/// Who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Asker(pub(crate) usize);

#[derive(Debug)]
struct Connection {
    stream: UnixStream,
    input: Vec<u8>,
    output: Vec<u8>,
    /// Closed once the output is written.
    ends: bool,
    /// A request of it is being worked on.
    waits: bool,
    /// It asks nothing more.
    has_finished: bool,
}

/// All connections.
#[derive(Debug)]
pub(crate) struct Server {
    listener: UnixListener,
    connections: BTreeMap<Asker, Connection>,
    next: usize,
}

impl Server {
    /// Listens at `path`; connections get tokens from `first` up to `last`.
    ///
    /// # Errors
    /// When it cannot.
    pub(crate) fn new(path: &Path, registry: &Registry, token: Token) -> io::Result<Self> {
        let mut listener = UnixListener::bind(path)?;
        registry.register(&mut listener, token, Interest::READABLE)?;
        Ok(Self {
            listener,
            connections: BTreeMap::new(),
            next: 0,
        })
    }

    /// Takes new connections; `token` names the token of one.
    ///
    /// # Errors
    /// When the listener is broken.
    pub(crate) fn accept(
        &mut self,
        registry: &Registry,
        token: impl Fn(Asker) -> Token,
    ) -> io::Result<()> {
        loop {
            let mut stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                // It has gone again, or there are too many files: the next one may work.
                Err(_) => return Ok(()),
            };
            if self.connections.len() >= CONNECTIONS_MAX {
                continue;
            }
            let asker = Asker(self.next);
            self.next = (self.next + 1) % (1 << 15);
            if self.connections.contains_key(&asker) {
                continue;
            }
            let interest = Interest::READABLE | Interest::WRITABLE;
            registry.register(&mut stream, token(asker), interest)?;
            let refusal = stranger(&stream)
                .map(|user| Reply::failed(Status::Refused, &BadRequest::Stranger(user)));
            let connection = Connection {
                stream,
                input: Vec::new(),
                output: Vec::new(),
                ends: false,
                waits: false,
                has_finished: false,
            };
            self.connections.insert(asker, connection);
            if let Some(refusal) = refusal {
                self.answer(asker, &refusal);
                self.end(asker);
            }
        }
    }

    fn end(&mut self, asker: Asker) {
        if let Some(connection) = self.connections.get_mut(&asker) {
            connection.ends = true;
            if connection.output.is_empty() {
                self.connections.remove(&asker);
            }
        }
    }

    /// Reads of a connection, and writes what it could not take before; returns a request, if one is complete.
    pub(crate) fn progress(&mut self, asker: Asker) -> Option<Request> {
        let connection = self.connections.get_mut(&asker)?;
        if connection.flush().is_err() {
            self.connections.remove(&asker);
            return None;
        }
        if connection.ends {
            self.end(asker);
            return None;
        }
        let mut closed = connection.fill();
        connection.has_finished = closed;
        if connection.waits {
            if closed {
                self.connections.remove(&asker);
            }
            return None;
        }
        let request = connection.take_line().map(|line| parse(&line));
        match request {
            Some(Ok(request)) => {
                connection.waits = true;
                Some(request)
            }
            Some(Err(error)) => {
                self.answer(asker, &Reply::failed(Status::Error, &error));
                self.end(asker);
                None
            }
            None => {
                if connection.input.len() > REQUEST_MAX {
                    self.answer(asker, &Reply::failed(Status::Error, &BadRequest::TooLong));
                    closed = true;
                }
                if closed {
                    self.end(asker);
                }
                None
            }
        }
    }

    /// Whose next request is there already.
    pub(crate) fn waiting(&self) -> Option<Asker> {
        let mut connections = self.connections.iter();
        let waiting =
            connections.find(|(_, it)| !it.waits && !it.ends && it.input.contains(&b'\n'));
        waiting.map(|(asker, _)| *asker)
    }

    /// Answers a request; whoever has gone meanwhile gets nothing.
    pub(crate) fn answer(&mut self, asker: Asker, reply: &Reply) {
        let Some(connection) = self.connections.get_mut(&asker) else {
            return;
        };
        connection.waits = false;
        let line = serde_json::to_vec(reply).expect("replies are plain data");
        connection.output.extend(line);
        connection.output.push(b'\n');
        let is_last = connection.has_finished;
        if connection.flush().is_err() {
            self.connections.remove(&asker);
        } else if is_last {
            self.end(asker);
        }
    }

    /// Whether whoever asked is still there.
    pub(crate) fn has(&self, asker: Asker) -> bool {
        self.connections.contains_key(&asker)
    }
}

impl Connection {
    fn flush(&mut self) -> io::Result<()> {
        while !self.output.is_empty() {
            match self.stream.write(&self.output) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => drop(self.output.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads what is there, up to a bound; whether the other side has finished.
    fn fill(&mut self) -> bool {
        let mut room = [0; 4096];
        while self.input.len() <= REQUEST_MAX {
            match self.stream.read(&mut room) {
                Ok(0) => return true,
                Ok(count) => self.input.extend(&room[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return true,
            }
        }
        false
    }

    fn take_line(&mut self) -> Option<Vec<u8>> {
        let end = self.input.iter().position(|byte| *byte == b'\n')?;
        Some(self.input.drain(..=end).collect())
    }
}

fn parse(line: &[u8]) -> Result<Request, BadRequest> {
    serde_json::from_slice(line).map_err(BadRequest::Garbage)
}

/// The user of a connection who is neither root nor ours.
fn stranger(stream: &UnixStream) -> Option<u32> {
    let Ok(peer) = getsockopt(stream, sockopt::PeerCredentials) else {
        return Some(u32::MAX);
    };
    let user = peer.uid();
    (user != 0 && user != geteuid().as_raw()).then_some(user)
}
