//! `livepatch apply` and `livepatch check`.

use crate::arena;
use crate::commit::{Standing, StopTheWorld, Strategy};
use crate::error::Error;
use crate::exchange::Run;
use crate::fit::{Fit, Patch, fit, overwritten};
use crate::frames::{self, Frames, Unwinder};
use crate::hands::borrow;
use crate::hooks::Hooks;
use crate::image::Images;
use crate::install::{InstallError, Mapped, install};
use crate::installed::{Installed, State};
use crate::link::Image;
use crate::memory::Memory;
use crate::placed::Placed;
use crate::plan::Site;
use crate::process::Pid;
use crate::record::Record;
use crate::release::discard;
use crate::repair::repair;
use crate::report::{Applied, Fits, Outcome, Replaced, Report, Superseded};
use crate::revert::{clear_away, undo};
use crate::session::Session;
use crate::stack::stack_check;
use crate::status::Status;
use crate::supersede::Ground;
use livepatch_bundle::{Phase, RunAddr};
use livepatch_match::{Code, text_branches_into};
use std::path::PathBuf;
use std::time::Duration;

/// How `apply` does its work.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where separate debug files are looked for, too.
    pub debug_dirs: Vec<PathBuf>,
    /// How long to wait for a quiet moment.
    pub timeout: Duration,
    /// Whether only the overwritten bytes must be on no stack.
    pub bytes_only: bool,
    /// Whether nothing is to be written.
    pub dry_run: bool,
    /// How long a hook may take.
    pub hook_time: Duration,
}

/// Applies `patch` to the process.
///
/// # Errors
/// Why not; [`Error::status`] tells whether anything changed.
pub fn apply(pid: Pid, patch: Patch<'_>, options: &Options) -> Result<Report, Error> {
    let (session, _lock) = if options.dry_run {
        (Session::open(pid)?, None)
    } else {
        let (session, lock) = Session::open_locked(pid, options.timeout)?;
        (session, Some(lock))
    };
    session.refuse_confined()?;
    let images = session.images(&options.debug_dirs);
    let found = session.patches(&images);
    if !options.dry_run && repair(&session, &found, &options.into(), &options.debug_dirs, None)? {
        // What was read is out of date.
        drop(images);
        let session = Session::open(pid)?;
        let images = session.images(&options.debug_dirs);
        let patches = session.patches(&images).patches;
        return apply_in(&session, &images, &patches, patch, options);
    }
    apply_in(&session, &images, &found.patches, patch, options)
}

/// Applies `patch`; the caller holds the lock.
fn apply_in(
    session: &Session,
    images: &Images<'_>,
    patches: &[Installed],
    patch: Patch<'_>,
    options: &Options,
) -> Result<Report, Error> {
    let pid = session.pid();
    let name = &patch.bundle.manifest.name;
    let report = |outcome| Report {
        pid: pid.0,
        process: session.target.name.clone(),
        patch: name.clone(),
        outcome,
    };
    if is_applied(patches, patch) {
        return Ok(report(Outcome::AlreadyApplied));
    }
    let ground = Ground::divide(pid, &patch.bundle.manifest.supersedes, patches)?;
    refuse_taken_name(pid, &ground.kept, name)?;
    let mut fit = fit(session, images, &ground, patch)?;
    let likely = fit.places.first().copied().ok_or(InstallError::NoPlace)?;
    let record = fit.plan.record(likely)?;
    if options.bytes_only {
        refuse_branches(fit.plan.sites(), &record)?;
    }
    let module = record.module.start;
    let unwinders =
        frames::needed(images, module, patch.bundle).map_err(|source| Error::Frames {
            pid,
            source: Box::new(source),
        })?;
    if options.dry_run {
        fit.plan.image(likely)?;
        return Ok(report(Outcome::WouldApply(fits(&fit, &record))));
    }
    let context = Context {
        session,
        images,
        patches,
        ground: &ground,
        unwinders: &unwinders,
        options,
    };
    let arena = arena::prepare(session, patches, fit.plan.needs())?;
    if let Some(ready) = &arena {
        fit.plan.set_arena(&ready.recorded);
    }
    let applied = bring_in(&context, &fit);
    if let (Err(error), Some(ready)) = (&applied, &arena)
        && error.status() != Status::Broken
    {
        ready.undo(session);
    }
    let mut applied = applied?;
    let going = ground.going.iter();
    applied.superseded = going.map(|patch| clear(pid, patch, options)).collect();
    Ok(report(Outcome::Applied(applied)))
}

/// Gives back the memory of a patch that was superseded. If that fails it stays, which does no harm.
fn clear(pid: Pid, patch: &Installed, options: &Options) -> Superseded {
    let name = patch.record.name.clone();
    match clear_away(pid, patch.prelude.base, options) {
        Ok(reverted) => Superseded {
            patch: name,
            freed_bytes: reverted.freed_bytes,
            retired: reverted.retired,
        },
        Err(error) => Superseded {
            patch: name,
            freed_bytes: 0,
            retired: Some(error.to_string()),
        },
    }
}

/// Places the patch and makes the switch, or leaves nothing behind.
fn bring_in(context: &Context<'_>, fit: &Fit<'_>) -> Result<Applied, Error> {
    let Context {
        session, images, ..
    } = *context;
    let mapped = place(session, fit)?;
    match switch(context, fit, mapped) {
        Ok((applied, runs)) => settle(context, fit, applied, &runs),
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
                return Err(error);
            }
            Err(take_out(session, images, mapped, &runs, error))
        }
    }
}

/// Runs the hooks after the switch; if one says no, takes the patch back.
fn settle(
    context: &Context<'_>,
    fit: &Fit<'_>,
    applied: Applied,
    runs: &[Run],
) -> Result<Applied, Error> {
    let record = fit.plan.record(applied.base)?;
    let hooks = context.hooks(context.placed(applied.base, &record));
    let Err(aborted) = hooks.run(Phase::PostApply) else {
        return Ok(applied);
    };
    let (pid, source) = (context.session.pid(), Box::new(aborted.error));
    match undo(pid, applied.base, runs, context.options) {
        Ok(()) => Err(*source),
        Err(why) => Err(Error::Broken {
            state: format!(
                "`{}` is in force in process {pid} although a hook failed: it could not be taken back: {why}",
                record.name
            ),
            source,
        }),
    }
}

/// Whether this very patch is in force already.
fn is_applied(patches: &[Installed], patch: Patch<'_>) -> bool {
    patches.iter().any(|installed| {
        installed.state == State::Active
            && installed.record.bundle == patch.digest
            && installed.record.name == patch.bundle.manifest.name
    })
}

/// No patch that stays may have the new one's name.
fn refuse_taken_name(pid: Pid, kept: &[Installed], name: &str) -> Result<(), Error> {
    let mut in_force = kept.iter().filter(|patch| !patch.is_left_over());
    match in_force.any(|patch| patch.record.name == name) {
        false => Ok(()),
        true => Err(Error::NameTaken {
            pid,
            name: name.to_owned(),
        }),
    }
}

/// Without the stack check a thread may go on in old code, which must not run into the jump.
fn refuse_branches(sites: &[Site], record: &Record) -> Result<(), Error> {
    for (site, range) in sites.iter().zip(overwritten(record)) {
        let entry = site.proven.entry;
        let code = Code {
            bytes: &site.old,
            base: entry.0,
            fields: None,
        };
        let inside = range.start.0 - entry.0..range.end.0 - entry.0;
        let branches = text_branches_into(&code, &inside);
        if branches.map_or(true, |branches| !branches.is_empty()) {
            let name = site.proven.name.clone();
            return Err(Error::LoopsToEntry { name, entry });
        }
    }
    Ok(())
}

fn place(session: &Session, fit: &Fit<'_>) -> Result<Mapped, Error> {
    let mut hands = borrow(session)?;
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
    Ok(mapped)
}

/// What the switch needs to know about the process.
struct Context<'a> {
    session: &'a Session,
    images: &'a Images<'a>,
    patches: &'a [Installed],
    ground: &'a Ground,
    unwinders: &'a [Unwinder],
    options: &'a Options,
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
) -> Result<(Applied, Vec<Run>), (Error, Vec<Run>)> {
    let Context {
        session,
        images,
        patches,
        ground,
        options,
        unwinders,
    } = *context;
    let early = |error: Error| (error, Vec::new());
    let record = fit
        .plan
        .record(mapped.base)
        .map_err(|error| early(error.into()))?;
    read_back(session, fit, mapped).map_err(early)?;
    let exchanges = ground.exchanges(&record.functions, &session.memory);
    let runs = exchanges.and_then(|exchanges| Run::gather(exchanges, &session.memory));
    let runs = runs.map_err(|source| {
        early(Error::Entries {
            pid: session.pid(),
            source,
        })
    })?;
    let forbidden = match options.bytes_only {
        true => overwritten(&record),
        false => fit
            .forbidden
            .iter()
            .cloned()
            .chain(ground.forbidden())
            .collect(),
    };
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
        timeout: options.timeout,
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
    let in_stop = &mut |standing: &[Standing]| hooks.run_in_stop(Phase::AtApply, standing);
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

fn read_back(session: &Session, fit: &Fit<'_>, mapped: Mapped) -> Result<(), Error> {
    let Image { mut text, data } = fit.plan.image(mapped.base)?;
    text.extend(data);
    let found = session.memory.read_vec(mapped.base, text.len());
    if found.is_ok_and(|found| found == text) {
        Ok(())
    } else {
        Err(Error::ReadBack { pid: session.pid() })
    }
}

/// Gives the target its private copies of the pages to be written, by writing what they hold already, so that the stop
/// need not wait for it. If that is refused, so will the switch be, which can say more.
fn prepare_pages(session: &Session, runs: &[Run]) {
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
    runs: &[Run],
    error: Error,
) -> Error {
    let gone = matches!(
        &error,
        Error::Commit(crate::commit::CommitError::Stop(
            crate::stop::StopError::Gone(_) | crate::stop::StopError::Replaced(_)
        ))
    );
    if gone || error.status() == Status::Broken {
        return error;
    }
    match discard(session, images, mapped, runs.iter().flat_map(Run::pages)) {
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

fn fits(fit: &Fit<'_>, record: &Record) -> Fits {
    Fits {
        module: fit.module.clone(),
        functions: record.functions.iter().map(Replaced::from).collect(),
        mapped_bytes: fit.plan.layout().len(),
    }
}
