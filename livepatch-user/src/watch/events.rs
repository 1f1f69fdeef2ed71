//! Process events as the kernel writes them.
//!
//! ```text
//! nlmsghdr    16 bytes
//! cn_msg      20 bytes   idx u32 = 1, val u32 = 1, seq u32, ack u32, len u16, flags u16
//! proc_event  +0 what u32  +4 cpu u32  +8 timestamp u64  +16 data
//!   none (0)         +16 err u32
//!   fork (1)         +16 parent_pid, parent_tgid, child_pid, child_tgid
//!   exec (2)         +16 process_pid, process_tgid
//!   exit (80000000)  +16 process_pid, process_tgid, ...
//! ```

use crate::process::Pid;
use crate::sys::connector;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use thiserror::Error;

const NLMSG_DONE: u16 = 3;
const PROC_CN_MCAST_LISTEN: u32 = 1;
const HEADERS: usize = 36;
const EXIT: u32 = 0x8000_0000;

/// What happened to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The kernel answers: it listens to us, or says why not (an error number).
    Answer(u32),
    /// A process was copied.
    Fork {
        /// The original.
        parent: Pid,
        /// The copy.
        child: Pid,
    },
    /// A process runs another program.
    Exec(Pid),
    /// A process ended.
    Exit(Pid),
}

impl Event {
    /// Decodes a message; `None` for events of threads and those that we do not need.
    pub(super) fn parse(message: &[u8]) -> Option<Self> {
        let event = message.get(HEADERS..)?;
        let word = |at: usize| {
            let bytes = event.get(at..at + 4)?.try_into();
            Some(u32::from_le_bytes(bytes.expect("four bytes")))
        };
        let pid = |at| Some(Pid(word(at)?.cast_signed()));
        let of_process = |at| (word(at)? == word(at + 4)?).then_some(());
        match word(0)? {
            0 => Some(Self::Answer(word(16)?)),
            1 => {
                of_process(24)?;
                let (parent, child) = (pid(20)?, pid(28)?);
                Some(Self::Fork { parent, child })
            }
            2 => Some(Self::Exec(pid(20)?)),
            EXIT => {
                of_process(16)?;
                Some(Self::Exit(pid(20)?))
            }
            _ => None,
        }
    }
}

/// Why there are no process events.
#[derive(Debug, Error)]
pub enum EventsError {
    /// The socket cannot be had.
    #[error(
        "the kernel gives no process events (netlink connector; needs CAP_NET_ADMIN and CONFIG_PROC_EVENTS)"
    )]
    Socket(#[source] io::Error),
    /// The kernel does not answer: it has no process events, or not for containers.
    #[error(
        "the kernel does not answer the request for process events; run `livepatch watch` outside of containers"
    )]
    Silent,
}

/// Process events as they come.
#[derive(Debug)]
pub(super) struct Events(OwnedFd);

impl Events {
    /// Asks for process events and waits for the kernel's answer.
    pub(super) fn listen() -> Result<Self, EventsError> {
        let socket = connector::open().map_err(EventsError::Socket)?;
        connector::send(&socket, &request()).map_err(EventsError::Socket)?;
        let events = Self(socket);
        // The kernel answers before anything else comes, if it does.
        let mut fds = [nix::poll::PollFd::new(
            events.as_fd(),
            nix::poll::PollFlags::POLLIN,
        )];
        match nix::poll::poll(&mut fds, 5000_u16) {
            Ok(1) => Ok(events),
            _ => Err(EventsError::Silent),
        }
    }

    /// The events that are there, and whether some were lost.
    pub(super) fn take(&self) -> (Vec<Event>, bool) {
        let (mut found, mut lost) = (Vec::new(), false);
        let mut buffer = [0; 4096];
        loop {
            match connector::receive(&self.0, &mut buffer) {
                Ok(Some(len)) => found.extend(Event::parse(&buffer[..len])),
                Ok(None) => {}
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => lost = true,
                Err(_) => return (found, lost),
            }
        }
    }
}

impl AsFd for Events {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn request() -> Vec<u8> {
    let len = (HEADERS + 4) as u32;
    let mut message = Vec::new();
    message.extend(len.to_le_bytes());
    message.extend(NLMSG_DONE.to_le_bytes());
    message.extend([0; 10]);
    for word in [1, 1, 0, 0, 4, PROC_CN_MCAST_LISTEN] {
        message.extend(u32::to_le_bytes(word));
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(what: u32, data: &[u32]) -> Vec<u8> {
        let mut bytes = vec![0; HEADERS];
        let words = [&[what, 0, 0, 0], data].concat();
        bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        bytes
    }

    #[test]
    fn events_of_processes_are_told_from_those_of_threads() {
        let fork = Event::Fork {
            parent: Pid(10),
            child: Pid(20),
        };
        assert_eq!(Event::parse(&message(1, &[11, 10, 20, 20])), Some(fork));
        assert_eq!(
            Event::parse(&message(1, &[10, 10, 21, 10])),
            None,
            "a thread"
        );
        assert_eq!(
            Event::parse(&message(2, &[20, 20])),
            Some(Event::Exec(Pid(20)))
        );
        assert_eq!(
            Event::parse(&message(EXIT, &[20, 20, 0])),
            Some(Event::Exit(Pid(20)))
        );
        assert_eq!(Event::parse(&message(EXIT, &[21, 20, 0])), None, "a thread");
        assert_eq!(Event::parse(&message(0, &[1])), Some(Event::Answer(1)));
        assert_eq!(Event::parse(&message(4, &[1, 1])), None);
    }

    #[test]
    fn short_messages_are_none() {
        let whole = message(2, &[20, 20]);
        for len in 0..whole.len() {
            assert_eq!(Event::parse(&whole[..len]), None, "{len}");
        }
    }

    #[test]
    fn the_request_is_what_the_kernel_wants() {
        let request = request();
        assert_eq!((request.len(), request[0], request[4]), (40, 40, 3));
        assert_eq!(request[16..24], [1, 0, 0, 0, 1, 0, 0, 0]);
        assert_eq!(request[32..34], [4, 0], "the length of what follows");
    }
}
