//! Calling a function of the target on the borrowed thread (a hook, an IFUNC's resolver).
//!
//! The function runs on a stack of its own, in scratch memory. It returns to the `syscall` instruction, so that its end is
//! a stop at a system call like any other; that call is not made. Should the function fault, the fault is
//! reported to us before the program hears of it, and forgotten (only a fault signal that the program ignores is ignored no
//! more afterwards: the kernel sees to that first).

use super::drive::{ASYNCHRONOUS_SIGNALS, CALL};
use super::{Borrowed, RemoteError};
use crate::memory::Registers;
use crate::process::Status;
use crate::sys::ptrace;
use livepatch_bundle::RunAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Bytes of stack that a function gets.
const STACK: u64 = 256 << 10;

/// Room for all extended registers: with AMX they take 11 KiB.
const EXTENDED: usize = 64 << 10;

/// The flags of a function's start (psABI 3.2.1: the direction flag is clear).
const DIRECTION: u64 = 1 << 10;

impl Borrowed<'_> {
    /// Calls `function` with up to six integer arguments and returns what it returns in `rax`.
    ///
    /// The function runs beside the other threads and must not need a lock that the borrowed thread may hold.
    ///
    /// # Errors
    /// When it faults, does not return, or the thread has a shadow stack, which our return address is not on.
    pub fn call(&mut self, function: RunAddr, arguments: [u64; 6]) -> Result<u64, RemoteError> {
        self.call_within(CALL, function, arguments, &mut |_| true)
    }

    /// As [`Self::call`], of a function that must return within `time`. One that does not is interrupted where `may_leave`
    /// says so of its registers, or a second later.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn call_within(
        &mut self,
        time: Duration,
        function: RunAddr,
        arguments: [u64; 6],
        may_leave: &mut dyn FnMut(&Registers) -> bool,
    ) -> Result<u64, RemoteError> {
        self.refuse_shadow_stack()?;
        // A function starts with the stack pointer 8 below a multiple of 16, at its return address.
        let top = self.stack(STACK)?.0;
        self.write_scratch(RunAddr(top - 8), &self.gate.0.to_le_bytes())?;
        let mut extended = vec![0; EXTENDED];
        let len = ptrace::extended_registers(self.tid(), &mut extended)
            .map_err(|source| self.failed("read the extended registers", source))?;
        extended.truncate(len);
        self.extended = extended;
        self.deadline = Some(Instant::now() + time);
        let mut result = self.run(function, arguments, top);
        if matches!(result, Err(RemoteError::Stuck { .. }))
            && let Err(error) = self.leave(may_leave)
        {
            result = Err(error);
        }
        self.deadline = None;
        self.settle().and(result)
    }

    /// Runs the function until it returns, and stands where it would make a system call of its result.
    fn run(
        &mut self,
        function: RunAddr,
        arguments: [u64; 6],
        top: u64,
    ) -> Result<u64, RemoteError> {
        self.arm(
            &self.at_start(function, arguments, top),
            ASYNCHRONOUS_SIGNALS,
        )?;
        loop {
            self.run_to_syscall()?;
            let registers = self.look()?;
            if registers.rip == self.after_gate() && registers.rsp == top {
                // Whatever number the result is, no call is made: -1 makes the kernel skip it.
                self.arm(&registers, ASYNCHRONOUS_SIGNALS)?;
                self.run_to_syscall()?;
                return Ok(registers.orig_rax);
            }
            // The exit of a system call that the function made.
            self.run_to_syscall()?;
            if self
                .deadline
                .is_some_and(|deadline| Instant::now() >= deadline)
            {
                let (pid, tid) = (self.pid(), self.tid());
                return Err(RemoteError::Stuck { pid, tid });
            }
        }
    }

    /// The registers with which the function starts.
    fn at_start(&self, function: RunAddr, arguments: [u64; 6], top: u64) -> Registers {
        let [rdi, rsi, rdx, rcx, r8, r9] = arguments;
        let home = *self.registers();
        Registers {
            rip: function.0,
            rsp: top - 8,
            rbp: 0,
            rax: 0,
            eflags: home.eflags & !DIRECTION,
            rdi,
            rsi,
            rdx,
            rcx,
            r8,
            r9,
            ..home
        }
    }

    fn refuse_shadow_stack(&self) -> Result<(), RemoteError> {
        let directory = PathBuf::from(format!("/proc/{}/task/{}", self.pid(), self.tid()));
        match Status::read(&directory) {
            Ok(status) if !status.shadow_stack => Ok(()),
            Ok(_) => Err(self.astray("it has a shadow stack".into())),
            Err(source) => Err(self.failed("read the status", source)),
        }
    }
}
