//! Takes note of the end of traced threads while the tracing thread cannot.
//!
//! A thread that executes a program kills the others and waits for their end, which for a traced thread means until its tracer
//! has taken note of it; meanwhile nobody can attach to the process (`cred_guard_mutex` in `ptrace_attach`, and in older
//! kernels most of `/proc/PID`). A tracer that has attached to some threads and now attaches to another would wait
//! for the execution, and the execution for the tracer, for ever. Any thread of the tracer's process may take
//! note, so another one does.

use crate::process::{Pid, threads};
use crate::sys::wait;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often to look. Most stops are over before the first time.
const INTERVAL: Duration = Duration::from_millis(20);

/// A thread that works until this is dropped.
#[derive(Debug)]
pub(super) struct Undertaker {
    /// Dropped to end it.
    work: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Undertaker {
    pub(super) fn hire(pid: Pid) -> Self {
        let (work, end) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("undertaker".into())
            .spawn(move || {
                while end.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                    // Fails for threads that are not traced by us; those are not ours to bury.
                    threads(pid)
                        .unwrap_or_default()
                        .into_iter()
                        .for_each(wait::take_end);
                }
            });
        // Without it only an execution in the middle of the stop has to wait until livepatch is ended.
        Self {
            work: Some(work),
            thread: thread.ok(),
        }
    }
}

impl Drop for Undertaker {
    fn drop(&mut self) {
        self.work = None;
        if let Some(thread) = self.thread.take() {
            // It cannot panic.
            thread.join().ok();
        }
    }
}
