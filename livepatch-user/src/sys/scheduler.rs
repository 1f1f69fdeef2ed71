//! The calling thread's place among the threads that want a CPU: sched(7), `sched_setscheduler(2)`.

use super::checked;
use std::io;
use std::mem::zeroed;

/// A scheduling policy with its priority.
#[derive(Clone, Copy)]
pub struct Policy {
    number: i64,
    parameters: libc::sched_param,
}

impl std::fmt::Debug for Policy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "policy {} priority {}",
            self.number, self.parameters.sched_priority
        )
    }
}

impl Policy {
    /// The lowest real-time priority: before every thread of the ordinary policies. Threads and processes that are started meanwhile
    /// do not inherit it.
    #[must_use]
    pub fn before_ordinary() -> Self {
        // SAFETY: a plain structure of integers.
        let mut parameters: libc::sched_param = unsafe { zeroed() };
        parameters.sched_priority = 1;
        Self {
            number: i64::from(libc::SCHED_RR | libc::SCHED_RESET_ON_FORK),
            parameters,
        }
    }

    /// Whether it is a real-time policy.
    #[must_use]
    pub fn is_real_time(&self) -> bool {
        self.parameters.sched_priority > 0
    }

    /// The calling thread's.
    ///
    /// # Errors
    /// The system's.
    pub fn current() -> io::Result<Self> {
        // SAFETY: a plain structure of integers, which the call fills.
        let mut parameters: libc::sched_param = unsafe { zeroed() };
        // SAFETY: 0 is the calling thread; the structure outlives the call.
        checked(unsafe { libc::syscall(libc::SYS_sched_getparam, 0, &raw mut parameters) })?;
        // SAFETY: the call takes numbers only.
        let number = checked(unsafe { libc::syscall(libc::SYS_sched_getscheduler, 0) })?;
        Ok(Self { number, parameters })
    }

    /// Gives it to the calling thread.
    ///
    /// # Errors
    /// `EPERM` without `CAP_SYS_NICE`, or in a control group without real-time budget.
    pub fn take(&self) -> io::Result<()> {
        // SAFETY: 0 is the calling thread; the structure outlives the call, which only reads it.
        let result = unsafe {
            libc::syscall(
                libc::SYS_sched_setscheduler,
                0,
                self.number,
                &raw const self.parameters,
            )
        };
        checked(result).map(drop)
    }
}
