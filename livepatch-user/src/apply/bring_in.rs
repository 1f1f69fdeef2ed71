//! Placing a patch and switching to it, or leaving nothing behind.

use super::vigil::{Vigil, told};
use super::{Options, fits};
use crate::commit::{CommitError, Standing, StopTheWorld, Strategy, space_of};
use crate::error::Error;
use crate::exchange::{Exchange, gather};
use crate::fit::{Fit, overwritten};
use crate::frames::{Frames, Unwinder};
use crate::hands::borrow;
use crate::hooks::Hooks;
use crate::image::Images;
use crate::install::{Mapped, install};
use crate::installed::Installed;
use crate::link::Image;
use crate::memory::Memory;
use crate::placed::Placed;
use crate::record::{CODE_OFFSET, Record};
use crate::release::discard;
use crate::report::Applied;
use crate::revert::undo;
use crate::session::Session;
use crate::stack::stack_check;
use crate::status::Status;
use crate::stop::StopError;
use crate::supersede::Ground;
use crate::unwind::ForbiddenRange;
use livepatch_bundle::{Phase, RunAddr};
use std::time::Instant;

/// Places the patch and makes the switch, or leaves nothing behind.
pub(super) fn bring_in(context: &Context<'_>, fit: &Fit<'_>) -> Result<Applied, Error> {
    let deadline = Instant::now() + context.options.timeout;
    match attempt(context, fit, false, deadline) {
        Err(Failure::Entered(held)) if Instant::now() < deadline => {
            tracing::debug!("the switch was taken back: {held}");
            attempt(context, fit, true, deadline)
        }
        outcome => outcome,
    }
    .map_err(Error::from)
}

/// Why an attempt failed.
enum Failure {
    /// A stack that was suspended meanwhile held old code at the switch, which was taken back.
    Entered(Error),
    /// Anything else.
    Other(Error),
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Entered(error) | Failure::Other(error) => error,
        }
    }
}

/// `in_stop`: suspended stacks are searched for in the stop.
fn attempt(
    context: &Context<'_>,
    fit: &Fit<'_>,
    in_stop: bool,
    deadline: Instant,
) -> Result<Applied, Failure> {
    let Context {
        session, images, ..
    } = *context;
    let (mapped, thread_pointer) = place(session, fit).map_err(Failure::Other)?;
    let space = space_of(&session.memory);
    let watched = |forbidden: Vec<ForbiddenRange>| {
        let vigil = Vigil::begin(context, &space, &forbidden, thread_pointer, in_stop)?;
        Ok((vigil, forbidden))
    };
    let ready = forbidden(context, fit, mapped).and_then(watched);
    let switched = ready
        .map_err(|error| (error, Vec::new()))
        .and_then(|(mut vigil, forbidden)| {
            let (applied, runs) = switch(context, fit, mapped, forbidden, &mut vigil, deadline)?;
            Ok((applied, runs, vigil))
        });
    match switched {
        Ok((applied, runs, mut vigil)) => match vigil.after() {
            Ok(()) => settle(context, fit, applied, &runs).map_err(Failure::Other),
            Err(held) => Err(take_back(context, fit, &applied, &runs, held)),
        },
        Err((error, runs)) => {
            let kept = match (error.status(), fit.plan.record(mapped.base)) {
                (Status::Broken, _) | (_, Err(_)) => Ok(()),
                (_, Ok(record)) if context.unwinders.is_empty() || record.unwind.1 == 0 => Ok(()),
                (_, Ok(record)) => Frames(context.placed(mapped.base, &record)).deregister(),
            };
            if let Err(known) = kept {
                let base = mapped.base;
                tracing::warn!(
                    "the patch's memory at {base} stays mapped: {known}; nothing leads there"
                );
                return Err(Failure::Other(error));
            }
            let error = take_out(session, images, mapped, &runs, told(error));
            Err(Failure::Other(error))
        }
    }
}

/// Code that may be on no stack at the switch.
fn forbidden(
    context: &Context<'_>,
    fit: &Fit<'_>,
    mapped: Mapped,
) -> Result<Vec<ForbiddenRange>, Error> {
    if context.options.bytes_only {
        return Ok(overwritten(&fit.plan.record(mapped.base)?));
    }
    let own = fit.forbidden.iter().cloned();
    Ok(own.chain(context.ground.forbidden()).collect())
}

/// Takes the switch back, since a suspended stack held old code when it was made.
fn take_back(
    context: &Context<'_>,
    fit: &Fit<'_>,
    applied: &Applied,
    runs: &[Exchange],
    held: Error,
) -> Failure {
    let pid = context.session.pid();
    match undo(pid, applied.base, runs, context.options) {
        Ok(()) => Failure::Entered(held),
        Err(_) if context.session.target.has_ended() => Failure::Other(held),
        Err(why) => Failure::Other(Error::Broken {
            state: format!(
                "`{}` is in force in process {pid} although old code is suspended: it could not be taken back: {why}",
                fit.plan.name()
            ),
            source: Box::new(held),
        }),
    }
}

/// Runs the hooks after the switch; if one says no, takes the patch back.
fn settle(
    context: &Context<'_>,
    fit: &Fit<'_>,
    applied: Applied,
    runs: &[Exchange],
) -> Result<Applied, Error> {
    let record = fit.plan.record(applied.base)?;
    let hooks = context.hooks(context.placed(applied.base, &record));
    let Err(aborted) = hooks.run(Phase::PostApply) else {
        return Ok(applied);
    };
    let (pid, source) = (context.session.pid(), Box::new(aborted.error));
    match undo(pid, applied.base, runs, context.options) {
        Ok(()) => Err(*source),
        Err(_) if context.session.target.has_ended() => Err(*source),
        Err(why) => Err(Error::Broken {
            state: format!(
                "`{}` is in force in process {pid} although a hook failed: it could not be taken back: {why}",
                record.name
            ),
            source,
        }),
    }
}

/// Also tells where the thread that helped keeps its own data.
fn place(session: &Session, fit: &Fit<'_>) -> Result<(Mapped, RunAddr), Error> {
    let mut hands = borrow(session)?;
    let thread_pointer = hands.thread_pointer();
    let link = |base: RunAddr| -> Result<Image, Error> { Ok(fit.plan.image(base)?) };
    let mapped = install(
        &mut hands,
        fit.plan.name(),
        fit.plan.layout(),
        &fit.places,
        &link,
    );
    let returned = hands.give_back();
    let mapped = mapped?;
    returned?;
    Ok((mapped, thread_pointer))
}

/// What the switch needs to know about the process.
pub(super) struct Context<'a> {
    pub(super) session: &'a Session,
    pub(super) images: &'a Images<'a>,
    pub(super) patches: &'a [Installed],
    pub(super) ground: &'a Ground,
    pub(super) unwinders: &'a [Unwinder],
    pub(super) options: &'a Options,
}

impl<'a> Context<'a> {
    /// The patch that was placed at `base`.
    fn placed<'r>(&self, base: RunAddr, record: &'r Record) -> Placed<'r>
    where
        'a: 'r,
    {
        Placed {
            session: self.session,
            images: self.images,
            patches: self.patches,
            base,
            record,
        }
    }

    fn hooks<'r>(&self, placed: Placed<'r>) -> Hooks<'r> {
        Hooks {
            placed,
            time: self.options.hook_time,
        }
    }
}

/// Compares what was mapped with what was linked, runs the hooks before the switch, and makes it. On failure also tells which runs were touched.
fn switch(
    context: &Context<'_>,
    fit: &Fit<'_>,
    mapped: Mapped,
    forbidden: Vec<ForbiddenRange>,
    vigil: &mut Vigil<'_>,
    deadline: Instant,
) -> Result<(Applied, Vec<Exchange>), (Error, Vec<Exchange>)> {
    let Context {
        session,
        images,
        patches,
        ground,
        unwinders,
        ..
    } = *context;
    let early = |error: Error| (error, Vec::new());
    let record = fit
        .plan
        .record(mapped.base)
        .map_err(|error| early(error.into()))?;
    let prelude = read_back(session, fit, mapped).map_err(early)?;
    let runs = gather(&ground.layers(&record.functions), &session.memory).map_err(|source| {
        early(Error::Entries {
            pid: session.pid(),
            source,
        })
    })?;
    prepare_pages(session, &runs);
    let symbolize = |address| {
        images
            .at(address)?
            .symbol_at(address)
            .map(|(name, offset)| format!("{name}+{offset:#x}"))
    };
    let mut strategy = StopTheWorld {
        target: &session.target,
        memory: &session.memory,
        check: stack_check(images, patches, forbidden),
        symbolize: &symbolize,
        timeout: deadline.saturating_duration_since(Instant::now()),
        leads_to: Some((mapped.base, prelude)),
    };
    let placed = context.placed(mapped.base, &record);
    Frames(placed)
        .register(unwinders)
        .map_err(|error| (error, runs.clone()))?;
    let hooks = context.hooks(placed);
    if let Err(aborted) = hooks.run(Phase::PreApply) {
        if aborted.succeeded > 0 {
            hooks.make_up(Phase::PostRevert);
        }
        return Err((aborted.error, runs));
    }
    let in_stop = &mut |standing: &[Standing]| {
        vigil.in_stop(standing)?;
        hooks.run_in_stop(Phase::AtApply, standing)
    };
    match strategy.switch(&runs, in_stop) {
        Ok(stop) => {
            let applied = Applied {
                fits: fits(fit, &record),
                base: mapped.base,
                stop,
                superseded: Vec::new(),
            };
            Ok((applied, runs))
        }
        Err(error) => {
            if hooks.has(Phase::PreApply) && !error.is_broken() {
                hooks.make_up(Phase::PostRevert);
            }
            Err((error.into(), runs))
        }
    }
}

/// Compares the whole patch; returns what it begins with.
fn read_back(session: &Session, fit: &Fit<'_>, mapped: Mapped) -> Result<Vec<u8>, Error> {
    let Image { mut text, data } = fit.plan.image(mapped.base)?;
    text.extend(data);
    let found = session.memory.read_vec(mapped.base, text.len());
    if found.is_ok_and(|found| found == text) {
        text.truncate(CODE_OFFSET as usize);
        Ok(text)
    } else {
        Err(Error::ReadBack { pid: session.pid() })
    }
}

/// Gives the target its private copies of the pages to be written, by writing what they hold already, so that the stop
/// need not wait for it. If that is refused, so will the switch be, which can say more.
fn prepare_pages(session: &Session, runs: &[Exchange]) {
    for run in runs {
        session
            .memory
            .write_forced(run.address, &run.before, None)
            .ok();
    }
}

/// Unmaps what was placed, after a failed switch. If the switch broke something, everything stays as it is.
fn take_out(
    session: &Session,
    images: &Images<'_>,
    mapped: Mapped,
    runs: &[Exchange],
    error: Error,
) -> Error {
    // The process has gone, or what lies there now may be somebody else's.
    let is_ours = !matches!(
        &error,
        Error::Commit(
            CommitError::Stop(StopError::Gone(_) | StopError::Replaced(_))
                | CommitError::Displaced { .. }
        )
    );
    if !is_ours || error.status() == Status::Broken || session.target.has_ended() {
        return error;
    }
    match discard(
        session,
        images,
        mapped,
        runs.iter().flat_map(Exchange::pages),
    ) {
        Ok(_) => error,
        Err(left) => {
            tracing::warn!(
                "the patch's memory at {} stays mapped: {left}; nothing leads there",
                mapped.base
            );
            error
        }
    }
}
