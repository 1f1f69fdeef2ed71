//! Saved states of suspended stacks, and where they lead.
//!
//! ```text
//! jmp_buf (glibc, sysdeps/x86_64/jmpbuf-offsets.h):   rbx, rbp*, r12, r13, r14, r15, rsp*, pc*     (* disguised by PTR_MANGLE)
//! ucontext_t (sys/ucontext.h):                        +40 r8-r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip
//!                                                     +224 fpregs, which getcontext points at +424 of the same
//! a bare stack pointer:                               leads to saved registers and the return address behind them
//! ```

use super::zones::Zones;
use super::{Dormant, Saved, thrown};
use crate::memory::Memory;
use crate::retire::{Found, reveal};
use crate::unwind::{AddressSpace, RegisterFile, StackCheck, Walked};
use livepatch_bundle::RunAddr;

/// DWARF numbers of the registers of a `jmp_buf`, in order; rsp and the return address follow.
const JUMP_BUFFER: [u16; 6] = [3, 6, 12, 13, 14, 15];
/// Whether they are disguised.
const DISGUISED: [bool; 6] = [false, true, false, false, false, false];
/// Where rsp is in a `jmp_buf`.
const JUMP_BUFFER_RSP: i64 = 48;
/// Bytes from `rsp` in a `ucontext_t` to the callee-saved registers: rbx, rbp, r12 to r15.
const UCONTEXT: [(u16, i64); 6] = [
    (3, -32),
    (6, -40),
    (12, -88),
    (13, -80),
    (14, -72),
    (15, -64),
];
/// From `rsp` to `fpregs`, and to what that points at.
const FPREGS: i64 = 64;
const FPREGS_MEMORY: i64 = 264;
/// Words that a switch routine pushes below the return address at most: six registers, floating point control words, and then some.
const MOST_PUSHED: i64 = 24;

/// A bare pointer so close below where it points is left over from a finished call on the same stack, which was deeper. Nobody keeps
/// the state of a stack in the part of it that its next call overwrites.
const LEFT_OVER: u64 = 16 << 10;

/// A word that may be the saved stack pointer of a suspended stack.
pub(super) struct Context {
    at: RunAddr,
    stack: RunAddr,
}

impl Context {
    /// `None` when the word points to a stack that a thread runs on, or is left over itself.
    pub(super) fn of(saved: &Found, zones: &mut Zones<'_>) -> Option<Self> {
        let aligned = saved.value.0.is_multiple_of(8);
        let dormant = zones.may_be_dormant(saved.value);
        let counts = aligned && dormant && !zones.is_left_over(saved.at);
        counts.then_some(Self {
            at: saved.at,
            stack: saved.value,
        })
    }

    fn is_left_over(&self) -> bool {
        self.at < self.stack && self.stack.0 - self.at.0 <= LEFT_OVER
    }
}

/// Follows saved states.
pub(super) struct Contexts<'c> {
    pub(super) check: &'c mut StackCheck,
    pub(super) space: &'c dyn AddressSpace,
    pub(super) guard: Option<u64>,
}

impl Contexts<'_> {
    /// The stack that was suspended by forbidden code itself: the word, an address in it, belongs to a saved state.
    pub(super) fn inside(&mut self, word: &Found, zones: &mut Zones<'_>) -> Option<Dormant> {
        let at = word.at.offset(-8);
        let (stack, saved) = match self.word(word.at)? == word.value.0 {
            true => (self.ucontext(at)?.sp(), Saved::Ucontext),
            false => (self.jump_buffer(at)?.sp(), Saved::JumpBuffer),
        };
        zones.may_be_dormant(stack).then(|| Dormant {
            at: word.at,
            value: word.value,
            label: self.check.label_of(word.value).unwrap_or_default(),
            saved,
            context: at,
        })
    }

    /// Unwinds from a saved state until forbidden code is met.
    pub(super) fn follow(&mut self, context: &Context, ignored: &[RunAddr]) -> Option<Dormant> {
        let known = self
            .jump_buffer(context.at)
            .map(|start| (start, Saved::JumpBuffer));
        let known = known.or_else(|| Some((self.ucontext(context.at)?, Saved::Ucontext)));
        let hit = match known.filter(|(start, _)| start.sp() == context.stack) {
            // What its own address is in has been told already.
            Some((start, _)) if self.check.label_of(start.pc()).is_some() => return None,
            Some((start, saved)) => (self.walk(start, &[])?, saved),
            None if context.is_left_over() => return None,
            None => (self.bare(context)?, Saved::StackPointer),
        };
        let ((at, value, label), saved) = hit;
        // A frame pointer among the very frames that it leads through is no saved state.
        let within = context.stack <= context.at && context.at <= at;
        (!within && !ignored.contains(&at)).then_some(Dormant {
            at,
            value,
            label,
            saved,
            context: context.at,
        })
    }

    /// The return address is behind what the switch routine pushed; which of those words is which register is not known.
    fn bare(&mut self, context: &Context) -> Option<(RunAddr, RunAddr, String)> {
        let mut pushed = Vec::new();
        for _ in 0..=MOST_PUSHED {
            let at = context.stack.offset(8 * pushed.len() as i64);
            let word = self.word(at)?;
            let start = RegisterFile::partial(RunAddr(word), at.offset(8));
            if self.check.is_return_address(RunAddr(word), self.space)
                && !thrown::is_handler(at, self.check, self.space)
                && let Some(hit) = self.walk(start, &pushed)
            {
                return Some(hit);
            }
            pushed.push(word);
        }
        None
    }

    /// Where the walk meets forbidden code. A register that it needs and that is not known may be any of `pushed`.
    fn walk(&mut self, start: RegisterFile, pushed: &[u64]) -> Option<(RunAddr, RunAddr, String)> {
        let lost = match self.check.walk_saved(start, self.space) {
            Walked::Inside { at, pc, label } => return Some((at, pc, label)),
            Walked::Outside => return None,
            Walked::Lost(register) => register,
        };
        pushed.iter().find_map(|&value| {
            let mut start = start;
            start.set(lost, value);
            match self.check.walk_saved(start, self.space) {
                Walked::Inside { at, pc, label } => Some((at, pc, label)),
                Walked::Outside | Walked::Lost(_) => None,
            }
        })
    }

    /// The registers of a `jmp_buf` whose `rsp` is at `at`.
    fn jump_buffer(&self, at: RunAddr) -> Option<RegisterFile> {
        let guard = self.guard?;
        let pc = RunAddr(reveal(self.word(at.offset(8))?, guard));
        if !self.check.is_return_address(pc, self.space) {
            return None;
        }
        let mut registers = RegisterFile::partial(pc, RunAddr(reveal(self.word(at)?, guard)));
        let start = at.offset(-JUMP_BUFFER_RSP);
        for (index, (number, disguised)) in JUMP_BUFFER.into_iter().zip(DISGUISED).enumerate() {
            let word = self.word(start.offset(8 * index as i64))?;
            registers.set(number, if disguised { reveal(word, guard) } else { word });
        }
        Some(registers)
    }

    /// The registers of a `ucontext_t` whose `rsp` is at `at`.
    fn ucontext(&self, at: RunAddr) -> Option<RegisterFile> {
        if self.word(at.offset(FPREGS))? != at.offset(FPREGS_MEMORY).0 {
            return None;
        }
        let pc = RunAddr(self.word(at.offset(8))?);
        if !self.check.is_return_address(pc, self.space) {
            return None;
        }
        let mut registers = RegisterFile::partial(pc, RunAddr(self.word(at)?));
        for (number, offset) in UCONTEXT {
            registers.set(number, self.word(at.offset(offset))?);
        }
        Some(registers)
    }

    fn word(&self, at: RunAddr) -> Option<u64> {
        Memory::read_u64(self.space, at).ok()
    }
}
