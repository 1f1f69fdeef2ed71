//! One livepatch at a time for each process.
//!
//! The lock is a Unix socket with an abstract name made of the process's number and start time (unix(7)): it leaves no
//! file, and the kernel takes it back however its holder ends. Whoever holds it against us can only delay us.

use crate::error::Error;
use crate::process::Pid;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::time::{Duration, Instant};

/// How often to look whether the other one has finished.
const PAUSE: Duration = Duration::from_millis(5);

/// Held while the process is worked on.
#[derive(Debug)]
pub struct Lock {
    _socket: UnixListener,
}

impl Lock {
    /// Waits until nobody else works on the process that started at `start_time` (clock ticks since boot), for `timeout` at
    /// most.
    ///
    /// # Errors
    /// [`Error::InUse`] when somebody still does.
    pub fn take(pid: Pid, start_time: u64, timeout: Duration) -> Result<Self, Error> {
        let name = format!("livepatch/{pid}/{start_time}");
        let deadline = Instant::now() + timeout;
        loop {
            match SocketAddr::from_abstract_name(&name)
                .and_then(|name| UnixListener::bind_addr(&name))
            {
                Ok(socket) => return Ok(Self { _socket: socket }),
                Err(error)
                    if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < deadline =>
                {
                    std::thread::sleep(PAUSE);
                }
                Err(source) => return Err(Error::InUse { pid, source }),
            }
        }
    }
}
