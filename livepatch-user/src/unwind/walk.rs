//! Walking a stack, frame by frame, with a cross-check at each.

use super::error::WalkError;
use super::registers::RegisterFile;
use super::snapshot::StackSnapshot;
use super::step::Step;
use super::unwinder::{Pc, Stepped, Unwinder};
use livepatch_bundle::RunAddr;
use std::ops::ControlFlow;

/// More frames than a stack of 64 MiB can hold in practice.
const MAX_FRAMES: usize = 1 << 21;
/// Signal frames that may lead to a lower address (to or from an alternate stack); each costs the kernel's frame of
/// several hundred bytes, and every other step moves up, so this bounds the walk.
const MAX_SWITCHES: usize = 64;

/// One frame of a walk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Visit {
    pub(crate) pc: Pc,
}

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
    /// Registers of the last frame that is certain.
    pub(crate) registers: RegisterFile,
    /// That frame was stopped between two instructions: its registers may hold anything, and it may use the red zone.
    pub(crate) exact: bool,
}

struct Walk {
    registers: RegisterFile,
    /// Was stopped between two instructions, rather than in a call.
    exact: bool,
    frames: usize,
    switches: usize,
    /// A signal frame was passed: the frames may lie on several stacks.
    switched: bool,
    /// The frame before: its registers, and whether it was exact.
    callee: Option<(RegisterFile, bool)>,
}

impl Unwinder {
    /// Walks from `registers` up and shows every frame to `visit`, innermost first.
    pub(crate) fn walk(
        &mut self,
        registers: RegisterFile,
        stack: &mut StackSnapshot<'_>,
        mut visit: impl FnMut(Visit) -> ControlFlow<()>,
    ) -> WalkEnd {
        let mut walk = Walk {
            registers,
            exact: true,
            frames: 0,
            switches: 0,
            switched: false,
            callee: None,
        };
        loop {
            if visit(Visit { pc: walk.pc() }).is_break() {
                return WalkEnd::Stopped;
            }
            let stepped = match self.step(walk.pc(), &walk.registers, stack) {
                Ok(stepped) => stepped,
                Err(error) => return WalkEnd::Gap(walk.gap(error)),
            };
            match walk.advance(&stepped) {
                Ok(true) => {}
                Ok(false) => {
                    return WalkEnd::Complete {
                        frames: walk.frames,
                        top: (!walk.switched).then(|| walk.registers.sp()),
                    };
                }
                Err(error) => return WalkEnd::Gap(walk.gap(error)),
            }
        }
    }
}

impl Walk {
    fn pc(&self) -> Pc {
        Pc {
            address: self.registers.pc(),
            exact: self.exact,
        }
    }

    /// Takes one step; false at the outermost frame.
    fn advance(&mut self, stepped: &Stepped) -> Result<bool, WalkError> {
        let Step::Caller(caller) = &stepped.step else {
            self.frames += 1;
            return Ok(false);
        };
        self.check_direction(caller, stepped.signal)?;
        if self.frames >= MAX_FRAMES {
            return Err(WalkError::TooDeep { limit: MAX_FRAMES });
        }
        self.frames += 1;
        if caller.pc().0 == 0 && !stepped.signal {
            return Ok(false);
        }
        self.callee = Some((self.registers, self.exact));
        self.registers = *caller;
        self.exact = stepped.signal;
        Ok(true)
    }

    /// The caller's frame lies above. It may start where its callee stopped only if that one had not yet pushed or
    /// has already popped its return address (`vfork` keeps it in a register).
    fn check_direction(&mut self, caller: &RegisterFile, signal: bool) -> Result<(), WalkError> {
        self.switched |= signal;
        let (sp, cfa) = (self.registers.sp(), caller.sp());
        let moves_up = cfa > sp || (cfa == sp && self.exact);
        if signal && !moves_up {
            self.switches += 1;
        }
        let allowed = moves_up || (signal && self.switches <= MAX_SWITCHES);
        let aligned = cfa.0.is_multiple_of(8);
        if allowed && aligned {
            return Ok(());
        }
        let pc = self.registers.pc();
        Err(WalkError::Direction { pc, sp, cfa })
    }

    /// A return address that is none says that the frame *below* was misunderstood; everything else that this one was.
    fn gap(&self, error: WalkError) -> Gap {
        let misled = matches!(
            error,
            WalkError::NotAfterCall { .. } | WalkError::UnknownCode { .. }
        );
        let (registers, exact) = match self.callee {
            Some(callee) if misled && !self.exact => callee,
            _ => (self.registers, self.exact),
        };
        Gap {
            error,
            frames: self.frames,
            sp: registers.sp(),
            registers,
            exact,
        }
    }
}
