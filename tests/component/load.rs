//! The sender: numbered messages at an absolute pace.

use super::machine;
use anyhow::{Context, Result};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::gettid;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};

/// A sender at work.
pub(crate) struct Load {
    ends: Arc<AtomicBool>,
    thread: JoinHandle<std::io::Result<u64>>,
}

/// Nanoseconds of CLOCK_MONOTONIC.
fn now() -> Result<u64> {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC)?;
    let (seconds, nanos) = (u64::try_from(now.tv_sec())?, u64::try_from(now.tv_nsec())?);
    Ok(seconds * 1_000_000_000 + nanos)
}

impl Load {
    /// Begins to send `rate` messages a second to a socket.
    pub(crate) fn start(path: &Path, rate: u64) -> Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(path).context("nobody listens")?;
        let ends = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&ends);
        let begin = now()?;
        let (tells, told_of) = mpsc::channel();
        let thread = thread::spawn(move || {
            // Whoever started this waits for it.
            let _ = tells.send(gettid());
            let mut number = 0;
            while !told.load(Ordering::Relaxed) {
                number += 1;
                let due = begin + number * 1_000_000_000 / rate;
                // Spins: no sleep is as exact.
                while now().is_ok_and(|now| now < due) {
                    std::hint::spin_loop();
                }
                let mut message = [0; 16];
                message[..8].copy_from_slice(&number.to_le_bytes());
                message[8..].copy_from_slice(&due.to_le_bytes());
                socket.send(&message)?;
            }
            Ok(number)
        });
        if machine::is_ours() {
            let sender = told_of.recv()?;
            machine::prefer(sender.as_raw().unsigned_abs(), machine::SENDER)?;
        }
        Ok(Self { ends, thread })
    }

    /// Ends; tells how many messages were sent.
    pub(crate) fn stop(self) -> Result<u64> {
        self.ends.store(true, Ordering::Relaxed);
        let sent = self.thread.join();
        let sent = sent.map_err(|_| anyhow::anyhow!("the sender panicked"))?;
        sent.context("the sender could not send")
    }
}
