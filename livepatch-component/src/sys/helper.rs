//! Threads that work beside the main task, and never make it wait: it goes on when one has ended, and looks now and then until it has.

use mio::Waker;
use std::io;
use std::os::unix::thread::JoinHandleExt;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// A thread that makes a `T`.
#[derive(Debug)]
pub(crate) struct Helper<T> {
    thread: libc::pthread_t,
    has_ended: bool,
    shared: Arc<Shared<T>>,
}

#[derive(Debug)]
struct Shared<T> {
    made: Mutex<Option<T>>,
    is_done: AtomicBool,
    waker: Arc<Waker>,
}

/// Tells the main task that the work is done, also when it panicked.
struct Tell<T>(Arc<Shared<T>>);

impl<T> Drop for Tell<T> {
    fn drop(&mut self) {
        self.0.is_done.store(true, Ordering::Release);
        // The loop looks again when anything happens.
        let _ = self.0.waker.wake();
    }
}

impl<T: Send + 'static> Helper<T> {
    /// Starts a thread, which steps back behind the main task.
    ///
    /// # Errors
    /// When the system has none.
    pub(crate) fn start(
        waker: &Arc<Waker>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            made: Mutex::new(None),
            is_done: AtomicBool::new(false),
            waker: Arc::clone(waker),
        });
        let tell = Tell(Arc::clone(&shared));
        let thread = thread::Builder::new().spawn(move || {
            step_back();
            let made = work();
            let shared = &tell.0;
            *shared.made.lock().unwrap_or_else(PoisonError::into_inner) = Some(made);
        })?;
        Ok(Self {
            thread: thread.into_pthread_t(),
            has_ended: false,
            shared,
        })
    }
}

impl<T> Helper<T> {
    /// Whether its work is done; it may not have ended yet.
    pub(crate) fn is_done(&self) -> bool {
        self.shared.is_done.load(Ordering::Acquire)
    }

    /// Whether the thread is gone. Does not wait for it.
    pub(crate) fn has_ended(&mut self) -> bool {
        if !self.has_ended && self.is_done() {
            // SAFETY: a thread that was neither joined nor detached before; its value is of no interest.
            let result = unsafe { libc::pthread_tryjoin_np(self.thread, ptr::null_mut()) };
            self.has_ended = result == 0;
        }
        self.has_ended
    }

    /// What it made, once it has ended; nothing when it panicked. Waits for it.
    pub(crate) fn finish(mut self) -> Option<T> {
        if !self.has_ended {
            // SAFETY: as in `has_ended`; no thread joins itself, since only the main task has these.
            let result = unsafe { libc::pthread_join(self.thread, ptr::null_mut()) };
            self.has_ended = result == 0;
        }
        let mut made = self
            .shared
            .made
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        made.take()
    }
}

impl<T> Drop for Helper<T> {
    fn drop(&mut self) {
        if !self.has_ended {
            // SAFETY: as in `has_ended`.
            unsafe { libc::pthread_detach(self.thread) };
        }
    }
}

/// Has the calling thread step back: the main task is to run whenever it can.
fn step_back() {
    let usual = libc::sched_param { sched_priority: 0 };
    // SAFETY: changes the policy of this thread alone, which it may have from a main task that runs in real time. That it may not be
    // changed is of no harm, here and below.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_OTHER, &raw const usual) };
    // SAFETY: changes the priority of this thread alone.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 19) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use mio::{Poll, Token};
    use std::time::{Duration, Instant};

    #[test]
    fn a_helper_tells_when_it_is_done_even_if_it_panics() {
        let poll = Poll::new().expect("the system has epoll");
        let waker = Waker::new(poll.registry(), Token(0)).expect("one waker");
        let waker = Arc::new(waker);
        let end = Instant::now() + Duration::from_secs(60);
        for (fails, made) in [(false, Some(7)), (true, None)] {
            let work = move || {
                if fails {
                    panic!("as it was made to")
                } else {
                    7
                }
            };
            let mut helper = Helper::start(&waker, work).expect("a thread");
            while !helper.has_ended() {
                assert!(Instant::now() < end, "it never ended");
                thread::yield_now();
            }
            assert!(helper.is_done());
            assert_eq!(helper.finish(), made);
        }
    }
}
