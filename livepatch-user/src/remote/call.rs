//! Calling a function of the target on the borrowed thread (a hook, an IFUNC's resolver).
//!
//! The function runs on a stack of its own, in scratch memory. It returns to code in the patch that it belongs to
//! ([`Borrowed::return_through`]), which keeps its result in `rbx` and calls `rt_sigreturn` with the frame above the return
//! address: so the thread finds home should we die meanwhile. While we live, that system call is not made; its entry is
//! how we hear of the function's end. Without such code the function returns to a `syscall` instruction.
//!
//! Should the function fault, the fault is reported to us before the program hears of it, and forgotten (only a fault
//! signal that the program ignores is ignored no more afterwards: the kernel sees to that first).

use super::drive::{ASYNCHRONOUS_SIGNALS, CALL};
use super::frame::Frame;
use super::home::extended_registers;
use super::{Borrowed, RemoteError};
use crate::memory::Registers;
use crate::process::Status;
use crate::stop::restart;
use livepatch_bundle::RunAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Bytes of stack that a function gets.
const STACK: u64 = 256 << 10;

/// From the code that functions return to, to the end of its system call.
const RETURN_LEN: u64 = 10;

/// Where a function starts and ends.
#[derive(Clone, Copy)]
struct Course {
    /// The stack pointer at its start, which leads to its return address.
    stack: u64,
    /// The instruction pointer at the system call with which it ends.
    end: u64,
    /// Whether its result is in `rbx`, and not the call's number.
    kept: bool,
}

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
        // First, since the way back from a call puts the extended registers back and forgets them.
        let top = self.stack(STACK)?.0;
        let extended = extended_registers(self.tid());
        self.extended =
            extended.ok_or_else(|| self.astray("it has no extended registers".into()))?;
        let course = self.course(top)?;
        self.deadline = Some(Instant::now() + time);
        let mut result = self.run(function, arguments, course);
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
        course: Course,
    ) -> Result<u64, RemoteError> {
        self.arm(
            &self.at_start(function, arguments, course.stack),
            ASYNCHRONOUS_SIGNALS,
        )?;
        loop {
            self.run_to_syscall()?;
            let registers = self.look()?;
            if registers.rip == course.end && registers.rsp == course.stack + 8 {
                // Whatever number the result is, no call is made: -1 makes the kernel skip it.
                self.arm(&registers, ASYNCHRONOUS_SIGNALS)?;
                self.run_to_syscall()?;
                return Ok(match course.kept {
                    true => registers.rbx,
                    false => registers.orig_rax,
                });
            }
            self.keep_wait(&registers);
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

    /// Where the function's system call takes from the kernel what it keeps of the one that the thread was found in, that one is
    /// issued again at the end: a relative timeout then begins anew.
    fn keep_wait(&mut self, made: &Registers) {
        let home = &mut self.lone.thread.registers;
        if restart::uses_restart_block(made.orig_rax.cast_signed())
            && restart::has_restart_block(home)
            && restart::uses_restart_block(home.orig_rax.cast_signed())
        {
            home.rax = restart::ISSUED_AGAIN;
        }
    }

    /// Lays a return address on the stack that ends at `top`: a function starts with the stack pointer 8 below a multiple of 16, at it.
    fn course(&self, top: u64) -> Result<Course, RemoteError> {
        let frame = self.stub.and_then(|stub| {
            let frame = Frame::below(top, self.registers(), self.mask, &self.extended, stub)?;
            Some((frame, stub))
        });
        let Some((frame, stub)) = frame else {
            let stack = top - 8;
            self.write_scratch(RunAddr(stack), &self.gate.0.to_le_bytes())?;
            let end = self.after_gate();
            let kept = false;
            return Ok(Course { stack, end, kept });
        };
        self.write_scratch(frame.at, &frame.bytes)?;
        Ok(Course {
            stack: frame.at.0,
            end: stub.0 + RETURN_LEN,
            kept: true,
        })
    }

    /// Lets functions return through the code at `stub`, in the prelude of a patch that is mapped (`record`).
    pub fn return_through(&mut self, stub: RunAddr) {
        self.stub = Some(stub);
    }

    /// The registers with which the function starts.
    fn at_start(&self, function: RunAddr, arguments: [u64; 6], stack: u64) -> Registers {
        let [rdi, rsi, rdx, rcx, r8, r9] = arguments;
        let home = *self.registers();
        Registers {
            rip: function.0,
            rsp: stack,
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
