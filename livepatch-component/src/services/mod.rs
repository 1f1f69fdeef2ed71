//! What the main task offers to its module, and keeps for it.
//!
//! While a switch is under way every change is written down, so that it can be undone: what the old module stopped in TERM, and
//! what the new one began in RESTART. (A message that was sent is sent.)

mod journal;

use crate::module::mapper::{EntryId, Names};
use crate::sockets::{Kind, Sockets, Source, to_address};
use crate::streams::Stream;
use crate::sys::arena::Arena;
use crate::sys::module::Calls;
use crate::sys::signals::Set;
use crate::timers::{Timer, Timers};
use journal::Undo;
use livepatch_module::abi;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use socket2::SockAddr;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::thread::{self, ThreadId};
use thiserror::Error;

/// Signals that the component keeps for itself: they stop it.
pub(crate) const STOPPING: [u32; 2] = [libc::SIGTERM as u32, libc::SIGINT as u32];
/// Signals that cannot be waited for, or mean that something is broken.
const UNUSABLE: [i32; 8] = [
    libc::SIGKILL,
    libc::SIGSTOP,
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGILL,
    libc::SIGFPE,
    libc::SIGALRM,
    libc::SIGCHLD,
];
/// The tokens of sockets begin here.
pub(crate) const FIRST_SOCKET: usize = 1 << 16;
/// A component has no more sockets.
const SOCKETS_MAX: usize = 4096;

/// Why a module was not served.
#[derive(Debug, Error)]
pub(crate) enum ServiceError {
    #[error("this is not the main task's thread")]
    OtherThread,
    #[error("a name or an address is missing, or not UTF-8")]
    NoName,
    #[error("there is no socket {0}")]
    NoSocket(u64),
    #[error("there is a socket `{0}` already")]
    NameTaken(String),
    #[error("the module has no call-back `{0}`")]
    NoEntry(String),
    #[error("kind {0} of sockets is not known")]
    UnknownKind(u32),
    #[error("there are too many")]
    TooMany,
    #[error("signal {0} cannot be watched")]
    Signal(u32),
    #[error(transparent)]
    System(#[from] io::Error),
}

/// A socket to open.
#[derive(Debug)]
pub(crate) struct Opening<'a> {
    pub(crate) name: &'a str,
    pub(crate) entry: &'a str,
    pub(crate) kind: Kind,
    pub(crate) drops: bool,
    pub(crate) receive_buffer: u32,
}

/// An answer to a command.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) command: u64,
    pub(crate) status: i32,
    pub(crate) text: String,
}

/// The services and all that they keep.
#[derive(Debug)]
pub(crate) struct Services {
    component: String,
    thread: ThreadId,
    registry: Registry,
    pub(crate) arena: Arena,
    pub(crate) names: RefCell<Names>,
    /// The call-backs of the module that runs, or is about to.
    pub(crate) calls: RefCell<Calls>,
    pub(crate) sockets: RefCell<Sockets>,
    pub(crate) timers: RefCell<Timers>,
    pub(crate) signals: RefCell<BTreeMap<u32, EntryId>>,
    signal_descriptor: OwnedFd,
    answers: RefCell<Vec<Answer>>,
    failure: RefCell<Option<String>>,
    next_socket: Cell<u64>,
    stubbed: Cell<bool>,
    journal: RefCell<Option<Vec<Undo>>>,
}

impl Services {
    /// Services for a component, with this arena for module data.
    ///
    /// # Errors
    /// When the system has no room for them.
    pub(crate) fn new(component: &str, arena: Arena, registry: Registry) -> io::Result<Self> {
        let stopping = Set::of(STOPPING)?;
        stopping.block()?;
        Ok(Self {
            component: component.to_owned(),
            thread: thread::current().id(),
            registry,
            arena,
            names: RefCell::default(),
            calls: RefCell::default(),
            sockets: RefCell::default(),
            timers: RefCell::default(),
            signals: RefCell::default(),
            signal_descriptor: stopping.descriptor()?,
            answers: RefCell::default(),
            failure: RefCell::default(),
            next_socket: Cell::new(1),
            stubbed: Cell::new(false),
            journal: RefCell::default(),
        })
    }

    pub(crate) fn is_main_thread(&self) -> bool {
        thread::current().id() == self.thread
    }

    /// Whether every service only pretends, as in a trial.
    pub(crate) fn is_stubbed(&self) -> bool {
        self.is_main_thread() && self.stubbed.get()
    }

    /// Makes every service pretend from now on.
    pub(crate) fn stub(&self) {
        self.stubbed.set(true);
    }

    pub(crate) fn signal_descriptor(&self) -> &OwnedFd {
        &self.signal_descriptor
    }

    /// Writes a line to the log, the standard error.
    pub(crate) fn log(&self, level: u32, text: &str) {
        let level = match level {
            0 => "error: ",
            1 => "warning: ",
            2 => "",
            _ => "debug: ",
        };
        let text = text.replace(|c: char| c.is_control(), " ");
        let line = format!("livepatch-component: {}: {level}{text}\n", self.component);
        // In one piece, so that lines of several processes do not mix. Nobody may be left to read it.
        let _ = io::stderr().write_all(line.as_bytes());
    }

    /// Tells the log why something did not work.
    pub(crate) fn complain(&self, what: &str, error: &dyn std::error::Error) {
        self.log(1, &format!("cannot {what}: {error}"));
    }

    /// Notes why the operation that is running fails; the first reason counts.
    pub(crate) fn fail(&self, reason: &str) {
        let mut failure = self.failure.borrow_mut();
        failure.get_or_insert_with(|| reason.to_owned());
    }

    /// Why the last operation failed, if it told.
    pub(crate) fn take_failure(&self) -> Option<String> {
        self.failure.borrow_mut().take()
    }

    pub(crate) fn take_answers(&self) -> Vec<Answer> {
        self.answers.take()
    }

    fn entry(&self, name: &str) -> Result<EntryId, ServiceError> {
        let known = self.names.borrow().known(name);
        let known = known.filter(|entry| self.calls.borrow().has(*entry));
        known.ok_or_else(|| ServiceError::NoEntry(name.to_owned()))
    }

    pub(crate) fn open(&self, opening: &Opening<'_>) -> Result<u64, ServiceError> {
        let entry = self.entry(opening.entry)?;
        if self.find(opening.name).is_some() {
            return Err(ServiceError::NameTaken(opening.name.to_owned()));
        }
        if self.sockets.borrow().len() >= SOCKETS_MAX {
            return Err(ServiceError::TooMany);
        }
        let source = Source::open(
            opening.name,
            entry,
            &opening.kind,
            opening.drops,
            opening.receive_buffer,
        )?;
        let id = self.next_socket.get();
        self.register(id, &source)?;
        self.next_socket.set(id + 1);
        self.sockets.borrow_mut().insert(id, source);
        self.note(|| Undo::Opened(id));
        Ok(id)
    }

    fn register(&self, id: u64, source: &Source) -> io::Result<()> {
        let token = usize::try_from(id).map_err(io::Error::other)?;
        let mut descriptor = SourceFd(&source.descriptor());
        let token = Token(FIRST_SOCKET + token);
        // Connections are also told when they take output again; datagrams go or do not.
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.registry.register(&mut descriptor, token, interest)
    }

    /// Has the system tell of all sockets, whatever another process that shares them has changed.
    pub(crate) fn register_again(&self) {
        for (id, source) in &*self.sockets.borrow() {
            // It may be watched still, or not any more.
            let _ = self
                .registry
                .deregister(&mut SourceFd(&source.descriptor()));
            if let Err(error) = self.register(*id, source) {
                self.complain("watch a socket again", &error);
            }
        }
    }

    /// Keeps a connection that came through a listener; returns its number.
    pub(crate) fn adopt(&self, listener: u64, stream: Stream) -> Result<u64, ServiceError> {
        let id = self.next_socket.get();
        let source = {
            let sockets = self.sockets.borrow();
            if sockets.len() >= SOCKETS_MAX {
                return Err(ServiceError::TooMany);
            }
            let listener = sockets
                .get(&listener)
                .ok_or(ServiceError::NoSocket(listener))?;
            listener.connection(id, stream)
        };
        self.register(id, &source)?;
        self.next_socket.set(id + 1);
        self.sockets.borrow_mut().insert(id, source);
        Ok(id)
    }

    /// Something happened at a socket: it may have something to read, or take output again.
    pub(crate) fn wake(&self, id: u64) {
        let mut sockets = self.sockets.borrow_mut();
        let Some(source) = sockets.get_mut(&id) else {
            return;
        };
        source.is_ready = !source.leaves;
        if !source.flush() && source.leaves {
            sockets.remove(&id);
        }
    }

    pub(crate) fn find(&self, name: &str) -> Option<u64> {
        let sockets = self.sockets.borrow();
        let mut here = sockets.iter().filter(|(_, source)| !source.leaves);
        here.find(|(_, source)| source.name == name)
            .map(|(id, _)| *id)
    }

    pub(crate) fn close(&self, id: u64) -> Result<(), ServiceError> {
        let mut sockets = self.sockets.borrow_mut();
        let source = sockets.get_mut(&id).filter(|source| !source.leaves);
        let source = source.ok_or(ServiceError::NoSocket(id))?;
        if source.flush() {
            (source.leaves, source.is_ready) = (true, false);
            self.note(|| Undo::Leaves(id));
            return Ok(());
        }
        let source = sockets.remove(&id).ok_or(ServiceError::NoSocket(id))?;
        drop(sockets);
        self.registry
            .deregister(&mut SourceFd(&source.descriptor()))?;
        self.note(|| Undo::Closed(id, source));
        Ok(())
    }

    pub(crate) fn send(
        &self,
        id: u64,
        to: Option<&abi::Address>,
        data: &[u8],
    ) -> Result<(), ServiceError> {
        let to = to.map(to_address);
        self.send_to(id, |source| match source.is_netlink() {
            true => source.send(None, data),
            false => source.send(to.as_ref(), data),
        })
    }

    pub(crate) fn send_path(&self, id: u64, path: &Path, data: &[u8]) -> Result<(), ServiceError> {
        let to = SockAddr::unix(path)?;
        self.send_to(id, |source| source.send(Some(&to), data))
    }

    fn send_to(
        &self,
        id: u64,
        send: impl FnOnce(&mut Source) -> io::Result<()>,
    ) -> Result<(), ServiceError> {
        let mut sockets = self.sockets.borrow_mut();
        let source = sockets.get_mut(&id).filter(|source| !source.leaves);
        let source = source.ok_or(ServiceError::NoSocket(id))?;
        Ok(send(source)?)
    }

    pub(crate) fn timer(
        &self,
        key: u64,
        deadline_ns: u64,
        entry: &str,
    ) -> Result<(), ServiceError> {
        let entry = self.entry(entry)?;
        let timer = Timer { deadline_ns, entry };
        let before = self.timers.borrow_mut().set(key, Some(timer));
        let before = before.ok_or(ServiceError::TooMany)?;
        self.note(|| Undo::Timer(key, before));
        Ok(())
    }

    pub(crate) fn cancel(&self, key: u64) {
        if let Some(before) = self.timers.borrow_mut().set(key, None) {
            self.note(|| Undo::Timer(key, before));
        }
    }

    pub(crate) fn signal(&self, number: u32, entry: &str) -> Result<(), ServiceError> {
        let entry = self.entry(entry)?;
        let unusable = UNUSABLE.iter().any(|signal| *signal as u32 == number);
        if unusable || STOPPING.contains(&number) {
            return Err(ServiceError::Signal(number));
        }
        let before = self.signals.borrow_mut().insert(number, entry);
        self.watch_signals()?;
        self.note(|| Undo::Signal(number, before));
        Ok(())
    }

    /// Blocks the signals that are watched, and has the descriptor tell of them.
    fn watch_signals(&self) -> io::Result<()> {
        let signals = self.signals.borrow();
        let set = Set::of(STOPPING.into_iter().chain(signals.keys().copied()))?;
        set.block()?;
        set.change(&self.signal_descriptor)
    }

    pub(crate) fn reply(&self, command: u64, status: i32, text: &str) {
        self.answers.borrow_mut().push(Answer {
            command,
            status,
            text: text.to_owned(),
        });
    }

    /// The call-backs that something is bound to.
    pub(crate) fn bound(&self) -> Vec<EntryId> {
        let mut bound: Vec<EntryId> = self.timers.borrow().entries().collect();
        let sockets = self.sockets.borrow();
        let here = sockets.values().filter(|source| !source.leaves);
        bound.extend(here.map(|source| source.entry));
        bound.extend(self.signals.borrow().values());
        bound.sort();
        bound.dedup();
        bound
    }
}
