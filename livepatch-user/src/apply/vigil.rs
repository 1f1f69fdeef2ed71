//! When suspended stacks are searched for: before the switch, and in its stop or after it ([`crate::dormant`]).

use super::bring_in::Context;
use crate::commit::{Standing, Veto};
use crate::dormant::{DormantError, Position, Profilers, Search};
use crate::error::Error;
use crate::stack::stack_check;
use crate::unwind::{AddressSpace, ForbiddenRange};
use livepatch_bundle::RunAddr;

/// The search around one switch.
pub(super) struct Vigil<'a> {
    search: Search<'a>,
    /// Whether suspended stacks hold the switch back while nobody runs.
    in_stop: bool,
    /// Whether that was done at the last stop.
    searched: bool,
    /// Where the threads were at the switch.
    positions: Vec<Position>,
}

impl<'a> Vigil<'a> {
    /// Searches while the target runs. What is found is no reason to give up: it may be gone at the switch, which then looks itself.
    pub(super) fn begin(
        context: &Context<'a>,
        space: &'a dyn AddressSpace,
        forbidden: &[ForbiddenRange],
        thread_pointer: RunAddr,
        in_stop: bool,
    ) -> Result<Self, Error> {
        let check = stack_check(context.images, context.patches, forbidden.to_vec());
        let mut search = Search::new(
            context.session,
            space,
            check,
            forbidden,
            thread_pointer,
            Profilers::of(context.images),
            &context.options.ignored,
        );
        let in_stop = in_stop
            || match search.run(None) {
                Ok(()) => false,
                Err(Error::Dormant(DormantError::Held { .. })) => true,
                Err(error) => return Err(error),
            };
        Ok(Self {
            search,
            in_stop,
            searched: false,
            positions: Vec::new(),
        })
    }

    /// To be called in the stop.
    pub(super) fn in_stop(&mut self, standing: &[Standing]) -> Result<(), Veto> {
        self.positions.clear();
        self.positions.extend(standing.iter().map(position));
        if !self.in_stop {
            return Ok(());
        }
        let searched = self.search.run_in_stop(&self.positions);
        self.searched = searched.map_err(|error| Veto {
            again: matches!(error, Error::Dormant(DormantError::Held { .. })),
            error: Box::new(error),
        })?;
        Ok(())
    }

    /// To be called when the switch was made and the target runs again.
    pub(super) fn after(&mut self) -> Result<(), Error> {
        match self.searched {
            true => Ok(()),
            false => self.search.run(Some(&self.positions)),
        }
    }
}

fn position(standing: &Standing) -> Position {
    let registers = &standing.thread.registers;
    Position {
        stack: RunAddr(registers.rsp),
        top: standing.top,
        thread_pointer: RunAddr(registers.fs_base),
    }
}

/// What the switch says when a suspended stack held it back until the end.
pub(super) fn told(error: Error) -> Error {
    match error {
        Error::Commit(crate::commit::CommitError::Vetoed(veto))
            if matches!(*veto.error, Error::Dormant(_)) =>
        {
            *veto.error
        }
        other => other,
    }
}
