//! Stacks that no thread runs on: where their saved registers lead.

use super::check::{StackCheck, hit_at};
use super::error::WalkError;
use super::region::AddressSpace;
use super::registers::{Number, RegisterFile};
use super::site::{Pc, follows_call};
use super::snapshot::StackSnapshot;
use super::walk::WalkEnd;
use livepatch_bundle::RunAddr;
use std::ops::ControlFlow;

/// What a walk from saved registers meets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Walked {
    /// Forbidden code.
    Inside {
        /// Where the return address lies; for the first frame, the stack pointer.
        at: RunAddr,
        /// The return address.
        pc: RunAddr,
        /// What it is in.
        label: String,
    },
    /// None, as far as it goes.
    Outside,
    /// It needs a register that is not known.
    Lost(Number),
}

impl StackCheck {
    /// Unwinds from registers that were saved by a call.
    pub(crate) fn walk_saved(&mut self, start: RegisterFile, space: &dyn AddressSpace) -> Walked {
        let mut stack = StackSnapshot::on_demand(space);
        let (forbidden, mut hit) = (&self.forbidden, None);
        let end = self.unwinder.walk_call(start, &mut stack, |registers, pc| {
            hit = hit_at(forbidden, pc).map(|label| Walked::Inside {
                at: registers.sp().offset(-8),
                pc: pc.address,
                label: label.to_owned(),
            });
            match hit {
                Some(_) => ControlFlow::Break(()),
                None => ControlFlow::Continue(()),
            }
        });
        match (hit, end) {
            (Some(hit), _) => hit,
            (None, WalkEnd::Gap(gap)) => match gap.error {
                WalkError::LostRegister { number, .. } => Walked::Lost(number),
                _ => Walked::Outside,
            },
            (None, _) => Walked::Outside,
        }
    }

    /// Whether the address is in the code of a known image.
    pub(crate) fn is_code(&self, address: RunAddr) -> bool {
        self.unwinder.is_code(address)
    }

    /// Whether the address is in a known image, behind a call.
    pub(crate) fn is_return_address(&self, address: RunAddr, space: &dyn AddressSpace) -> bool {
        self.is_code(address.offset(-1)) && follows_call(address, space)
    }

    /// What the return address is in, if it is forbidden.
    pub(crate) fn label_of(&self, address: RunAddr) -> Option<String> {
        let exact = false;
        hit_at(&self.forbidden, Pc { address, exact }).map(str::to_owned)
    }
}
