//! `livepatch apply` and `livepatch check`.

mod bring_in;
mod glimpse;
mod vigil;

use crate::arena;
use crate::error::Error;
use crate::fit::{Fit, Patch, fit, overwritten};
use crate::frames;
use crate::image::Images;
use crate::install::InstallError;
use crate::installed::{Installed, State};
use crate::interrupt;
use crate::plan::Site;
use crate::process::Pid;
use crate::record::Record;
use crate::repair::repair;
use crate::report::{Fits, Outcome, Replaced, Report, Superseded, WouldApply};
use crate::revert::clear_away;
use crate::session::Session;
use crate::stack::stack_check;
use crate::status::Status;
use crate::supersede::Ground;
use bring_in::{Context, bring_in};
use glimpse::glimpse;
use livepatch_bundle::RunAddr;
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
    /// Words at these addresses hold no return address of a suspended stack.
    pub ignored: Vec<RunAddr>,
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
    if !options.bytes_only {
        refuse_goroutines(pid, images)?;
    }
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
        let forbidden = fit.forbidden.iter().cloned().chain(ground.forbidden());
        let check = stack_check(images, patches, forbidden.collect());
        return Ok(report(Outcome::WouldApply(WouldApply {
            fits: fits(&fit, &record),
            now: glimpse(session, check),
        })));
    }
    let context = Context {
        session,
        images,
        patches,
        ground: &ground,
        unwinders: &unwinders,
        options,
    };
    interrupt::check(pid)?;
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

/// Goroutines' stacks move, and are laid out by rules of their own.
fn refuse_goroutines(pid: Pid, images: &Images<'_>) -> Result<(), Error> {
    match images.iter().find(|image| image.is_go()) {
        None => Ok(()),
        Some(image) => Err(Error::Goroutines {
            pid,
            module: image.label(),
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

fn fits(fit: &Fit<'_>, record: &Record) -> Fits {
    Fits {
        module: fit.module.clone(),
        functions: record.functions.iter().map(Replaced::from).collect(),
        mapped_bytes: fit.plan.layout().len(),
    }
}
