//! A watch over ourselves: a target can make us wait for ever.
//!
//! A page of the target's memory, or of a file that it maps, may be served by a process (userfaultfd(2), FUSE) that does not answer. Whoever
//! reads it sleeps in the kernel, and only a signal that kills ends that. So a thread looks now and then whether some other thread of
//! ours has been in one and the same call since, and then ends the process: to the target that is as if it were
//! killed ([docs/kill.md](https://github.com/livepatch/livepatch/blob/main/docs/kill.md)).

use crate::process::read_text;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;
use thiserror::Error;

/// How often it looks.
const EVERY: Duration = Duration::from_secs(2);
/// Looks in a row that must see the same.
const LOOKS: u32 = 10;
/// Calls that wait for something else than memory or files.
const WAITS: [i64; 15] = [
    libc::SYS_futex,
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
    libc::SYS_wait4,
    libc::SYS_waitid,
    libc::SYS_poll,
    libc::SYS_ppoll,
    libc::SYS_select,
    libc::SYS_pselect6,
    libc::SYS_epoll_wait,
    libc::SYS_epoll_pwait,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_pause,
    libc::SYS_restart_syscall,
    libc::SYS_flock,
];

/// What is told then.
#[derive(Debug, Error)]
#[error(
    "the memory of the process, or a file that it maps, cannot be read: what should provide it (userfaultfd, FUSE) has not answered \
     for {} s",
    (EVERY * LOOKS).as_secs()
)]
pub struct Stuck;

/// Whether this process has begun to change its target.
static CHANGES: AtomicBool = AtomicBool::new(false);

/// To be called before the first change: if this process is stuck later, nobody knows what state the target is in.
pub fn begin_changes() {
    CHANGES.store(true, Ordering::Relaxed);
}

/// Whether [`begin_changes`] was called.
#[must_use]
pub fn has_changed() -> bool {
    CHANGES.load(Ordering::Relaxed)
}

/// Watches this process from now on: when one of its threads is stuck, `stuck` is called and the process ends. A process that
/// is watched can no longer be copied by [`fork`](crate::sys::fork::fork).
pub fn start(stuck: impl FnOnce() -> u8 + Send + 'static) {
    let watch = move || {
        let ourselves = nix::unistd::gettid().as_raw();
        let (mut before, mut looks) = (Vec::new(), 0);
        while looks < LOOKS {
            thread::sleep(EVERY);
            let now = waiting(ourselves);
            looks = if now.iter().any(|one| before.contains(one)) {
                looks + 1
            } else {
                0
            };
            if looks > 0 {
                before.retain(|one| now.contains(one));
            } else {
                before = now;
            }
        }
        crate::sys::fork::exit_now(stuck())
    };
    // Without it the work goes on as well.
    if let Err(error) = thread::Builder::new().name("watchdog".into()).spawn(watch) {
        tracing::debug!("nobody watches over this process: {error}");
    }
}

/// The threads that are in a call that should not take long: which, in what call with what arguments, and how often they have slept.
fn waiting(but: i32) -> Vec<(PathBuf, String, String)> {
    let tasks = fs::read_dir("/proc/self/task")
        .into_iter()
        .flatten()
        .flatten();
    let others = tasks.filter(|task| task.file_name().to_str() != Some(&but.to_string()));
    others
        .filter_map(|task| {
            let call = fs::read_to_string(task.path().join("syscall")).ok()?;
            let number: i64 = call.split(' ').next()?.parse().ok()?;
            let status = read_text(task.path().join("status")).ok()?;
            let slept = status
                .lines()
                .find(|line| line.starts_with("voluntary_ctxt"))?;
            (number >= 0 && !WAITS.contains(&number)).then(|| (task.path(), call, slept.to_owned()))
        })
        .collect()
}
