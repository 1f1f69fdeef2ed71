//! Walking a stack, frame by frame, with a cross-check at each.

use super::error::WalkError;
use super::registers::RegisterFile;
use super::site::Pc;
use super::snapshot::StackSnapshot;
use super::unwinder::{Stepped, Unwinder};
use livepatch_bundle::RunAddr;
use std::ops::ControlFlow;

/// More frames than a stack of 64 MiB can hold in practice.
const MAX_FRAMES: usize = 1 << 21;
/// Signal frames that may lead to a lower address (to or from an alternate stack); each costs the kernel's frame of
/// several hundred bytes, and every other step moves up, so this bounds the walk.
const MAX_SWITCHES: usize = 64;

/// How a walk ended.
#[derive(Debug)]
pub(crate) enum WalkEnd {
    /// At a frame that nothing called.
    Complete {
        /// How many frames there were.
        frames: usize,
        /// Where the outermost frame begins, when all frames lie below it on one stack.
        top: Option<RunAddr>,
    },
    /// The visitor said so.
    Stopped,
    /// Here nothing certain can be said about the rest.
    Gap(Gap),
}

/// The place where unwinding gives out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gap {
    pub(crate) error: WalkError,
    /// Frames before it.
    pub(crate) frames: usize,
    /// Return addresses that are not accounted for lie at or above it.
    pub(crate) sp: RunAddr,
    /// Registers of the frame there, if it was stopped between two instructions: they may hold anything, and it may
    /// use the red zone.
    pub(crate) registers: Option<RegisterFile>,
}

struct Walk {
    registers: RegisterFile,
    /// Was stopped between two instructions, rather than in a call.
    exact: bool,
    frames: usize,
    switches: usize,
    /// A signal frame was passed: the frames may lie on several stacks.
    interrupted: bool,
    /// The frame before this one; a step puts the frame after it here.
    other: RegisterFile,
    other_exact: bool,
}

impl Unwinder {
    /// Walks from `registers` up and shows every frame to `visit`, innermost first.
    pub(crate) fn walk(
        &mut self,
        registers: RegisterFile,
        stack: &mut StackSnapshot<'_>,
        mut visit: impl FnMut(Pc) -> ControlFlow<()>,
    ) -> WalkEnd {
        self.walk_from(Walk::new(registers, true), stack, |_, pc| visit(pc))
    }

    /// The same from registers that were saved by a call, whose return address is the instruction pointer; shows the registers
    /// of each frame, too.
    pub(crate) fn walk_call(
        &mut self,
        registers: RegisterFile,
        stack: &mut StackSnapshot<'_>,
        visit: impl FnMut(&RegisterFile, Pc) -> ControlFlow<()>,
    ) -> WalkEnd {
        self.walk_from(Walk::new(registers, false), stack, visit)
    }

    fn walk_from(
        &mut self,
        mut walk: Walk,
        stack: &mut StackSnapshot<'_>,
        mut visit: impl FnMut(&RegisterFile, Pc) -> ControlFlow<()>,
    ) -> WalkEnd {
        loop {
            if visit(&walk.registers, walk.pc()).is_break() {
                return WalkEnd::Stopped;
            }
            match walk.advance(self, stack) {
                Ok(true) => {}
                Ok(false) => return walk.complete(),
                Err(error) => return WalkEnd::Gap(walk.gap(error)),
            }
        }
    }
}

impl Walk {
    fn new(registers: RegisterFile, exact: bool) -> Self {
        Self {
            registers,
            exact,
            frames: 0,
            switches: 0,
            interrupted: false,
            other: registers,
            other_exact: exact,
        }
    }

    fn pc(&self) -> Pc {
        Pc {
            address: self.registers.pc(),
            exact: self.exact,
        }
    }

    fn complete(&self) -> WalkEnd {
        WalkEnd::Complete {
            frames: self.frames + 1,
            top: (!self.interrupted).then(|| self.registers.sp()),
        }
    }

    /// Goes to the caller; false at the outermost frame.
    fn advance(
        &mut self,
        unwinder: &mut Unwinder,
        stack: &mut StackSnapshot<'_>,
    ) -> Result<bool, WalkError> {
        let stepped = unwinder.step(self.pc(), &self.registers, &mut self.other, stack)?;
        if stepped == Stepped::Outermost {
            return Ok(false);
        }
        self.check(stepped)?;
        std::mem::swap(&mut self.registers, &mut self.other);
        self.other_exact = self.exact;
        self.exact = stepped == Stepped::Signal;
        self.interrupted |= self.exact;
        self.frames += 1;
        Ok(true)
    }

    /// The caller's frame lies above. It may start where its callee stopped only if that one had not yet pushed or
    /// has already popped its return address (`vfork` keeps it in a register).
    fn check(&mut self, stepped: Stepped) -> Result<(), WalkError> {
        let pc = self.registers.pc();
        let (sp, cfa) = (self.registers.sp(), self.other.sp());
        let moves_up = cfa > sp || (cfa == sp && self.exact);
        let signal = stepped == Stepped::Signal;
        self.switches += usize::from(!moves_up);
        let allowed = moves_up || (signal && self.switches <= MAX_SWITCHES);
        if !allowed || !cfa.0.is_multiple_of(8) {
            return Err(WalkError::Direction { pc, sp, cfa });
        }
        if self.other.pc().0 == 0 && !signal {
            return Err(WalkError::StrangeEnd { pc });
        }
        if self.frames >= MAX_FRAMES {
            return Err(WalkError::TooDeep { limit: MAX_FRAMES });
        }
        Ok(())
    }

    /// A return address that is none says that the frame *below* was misunderstood; everything else that this one
    /// was. The former is found before a step is made, so that `other` still is the frame below.
    fn gap(&self, error: WalkError) -> Gap {
        let misled = matches!(
            error,
            WalkError::NotAfterCall { .. } | WalkError::UnknownCode { .. }
        );
        let (registers, exact) = match misled && !self.exact {
            true => (self.other, self.other_exact),
            false => (self.registers, self.exact),
        };
        Gap {
            error,
            frames: self.frames,
            sp: registers.sp(),
            registers: exact.then_some(registers),
        }
    }
}
