//! Whether a thread can be borrowed.

use super::{RemoteError, choose, rseq};
use crate::process::{Pid, ProcessMemory, Stat, Status, Tid};
use crate::stop::{Cause, Lone, StopError, StoppedThread, restart};
use crate::sys::ptrace;
use std::path::PathBuf;
use std::time::Instant;

/// Whether a thread that stands will do, or why it will not at the moment.
pub(super) type Accept<'a> = &'a mut dyn FnMut(&StoppedThread) -> Result<(), &'static str>;

/// Why a thread was not borrowed.
pub(super) struct Unfit {
    pub(super) reason: &'static str,
    /// Whether there is no use in trying again.
    pub(super) lasting: bool,
}

const fn passing(reason: &'static str) -> Unfit {
    Unfit {
        reason,
        lasting: false,
    }
}

const fn lasting(reason: &'static str) -> Unfit {
    Unfit {
        reason,
        lasting: true,
    }
}

/// Stops the thread if it is fit.
pub(super) fn stop_if_fit(
    memory: &ProcessMemory,
    tid: Tid,
    deadline: Instant,
    accept: Accept<'_>,
) -> Result<Result<Lone, Unfit>, RemoteError> {
    let pid = memory.pid();
    let options = match options(pid, tid) {
        Ok(options) => options,
        Err(unfit) => return Ok(Err(unfit)),
    };
    let mut lone = match Lone::stop(memory, tid, options, deadline) {
        Ok(Some(lone)) => lone,
        Ok(None) => return Ok(Err(passing("has ended"))),
        Err(StopError::Refused { source, .. }) if options & ptrace::SUSPEND_SECCOMP != 0 => {
            return Ok(Err(lasting(match source.raw_os_error() {
                Some(libc::EINVAL) => {
                    "is confined by seccomp, which this kernel cannot suspend (CONFIG_CHECKPOINT_RESTORE)"
                }
                _ => "is confined by seccomp, which takes CAP_SYS_ADMIN to suspend",
            })));
        }
        Err(error) => return Err(error.into()),
    };
    if !memory.is_current() {
        return Err(StopError::Replaced(pid).into());
    }
    name_call(memory, &mut lone)?;
    let reason = unfit(memory, &lone);
    match reason.or_else(|| accept(&lone.thread).err().map(passing)) {
        None => Ok(Ok(lone)),
        Some(unfit) => {
            let (pid, tid) = (lone.pid, lone.thread.tid);
            lone.release().map_err(|error| RemoteError::Ptrace {
                pid,
                tid,
                action: "end the trace",
                source: error.source,
            })?;
            Ok(Err(unfit))
        }
    }
}

/// Makes a thread that stands in a stop of the whole process ready to be borrowed.
pub(super) fn prepare_in_stop(memory: &ProcessMemory, lone: &mut Lone) -> Result<(), RemoteError> {
    let (pid, tid) = (lone.pid, lone.thread.tid);
    name_call(memory, lone)?;
    let lone = &*lone;
    let options = options(pid, tid).and_then(|options| match unfit(memory, lone) {
        None => Ok(options),
        Some(unfit) => Err(unfit),
    });
    let options = options.map_err(|unfit| RemoteError::NoThread {
        pid,
        reasons: format!("thread {tid} {}", unfit.reason),
    })?;
    ptrace::set_options(tid, ptrace::TRACE_EXEC | options).map_err(|source| RemoteError::Ptrace {
        pid,
        tid,
        action: "set the options",
        source,
    })
}

fn name_call(memory: &ProcessMemory, lone: &mut Lone) -> Result<(), RemoteError> {
    let (pid, tid) = (lone.pid, lone.thread.tid);
    let named = lone.name_call(memory);
    named.map_err(|source| RemoteError::Ptrace {
        pid,
        tid,
        action: "set the registers",
        source,
    })
}

/// The options to attach with; filters are suspended only where there are any, since that takes a privilege.
fn options(pid: Pid, tid: Tid) -> Result<u64, Unfit> {
    let directory = PathBuf::from(format!("/proc/{pid}/task/{tid}"));
    let facts = Stat::read(&directory).and_then(|stat| Ok((stat, Status::read(&directory)?)));
    let (stat, status) = facts.map_err(|_| passing("has ended"))?;
    if stat.is_dead() {
        return Err(passing("has ended"));
    }
    if stat.is_kernel_helper() {
        return Err(lasting("belongs to the kernel"));
    }
    if stat.state == 'D' {
        return Err(passing("is in an uninterruptible sleep"));
    }
    let seccomp = if status.seccomp == 0 {
        0
    } else {
        ptrace::SUSPEND_SECCOMP
    };
    Ok(ptrace::TRACE_SYSGOOD | seccomp)
}

fn unfit(memory: &ProcessMemory, lone: &Lone) -> Option<Unfit> {
    let thread = &lone.thread;
    if matches!(thread.cause, Cause::Delivery(_)) {
        return Some(passing("is about to take a signal"));
    }
    if !crate::stop::is_64_bit(&thread.registers) {
        return Some(passing("executes 32-bit code"));
    }
    // Kernels before 6.4 cannot tell.
    if ptrace::dispatches_syscalls(thread.tid).unwrap_or(false) {
        return Some(lasting("dispatches its system calls in user space"));
    }
    if restart::is_in_syscall(&thread.registers) {
        let call = thread.registers.orig_rax.cast_signed();
        return match choose::has_own_mask(call) {
            true => own_mask_unfit(lone),
            false => None,
        };
    }
    // Kernels before 5.13 cannot tell where; the C library registers one since glibc 2.35.
    let area = ptrace::rseq_area(thread.tid).unwrap_or(0);
    rseq::is_inside(memory, area, thread.registers.rip)
        .then_some(passing("is inside a restartable sequence"))
}

/// Why a thread will not do whose call has a signal mask of its own in place. If only this mask keeps a signal back, that would end the call
/// with `EINTR` once the thread was moved away. Let go at once, the thread takes it before it issues the call again, as after
/// every stop.
fn own_mask_unfit(lone: &Lone) -> Option<Unfit> {
    if !tells_masks_apart() {
        let reason = "waits with a signal mask that this kernel does not tell";
        return Some(lasting(reason));
    }
    let (pid, tid) = (lone.pid, lone.thread.tid);
    let status = Status::read(&PathBuf::from(format!("/proc/{pid}/task/{tid}")));
    let kept_back = status.and_then(|status| Ok(status.pending & !ptrace::signal_mask(tid)?));
    match kept_back {
        Ok(0) => None,
        Ok(_) => Some(passing("keeps a signal back while it waits")),
        Err(_) => Some(passing("has ended")),
    }
}

/// Whether `PTRACE_GETSIGMASK` gives the lasting mask while a temporary one is in place: Linux 5.2 (fcfc2aa0185f).
fn tells_masks_apart() -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release
        .split('.')
        .map_while(|part| part.parse::<u32>().ok());
    (numbers.next(), numbers.next()) >= (Some(5), Some(2))
}
