//! `livepatch revert`.
//!
//! The same stop as for `apply`, with the patch's code as what no thread may be inside. Live data may still point into the
//! patch (a call-back, a string), which no stack check finds: then its memory stays, marked *retired*, and a later
//! `revert` frees it.

use crate::apply;
use crate::error::Error;
use crate::exchange::Exchange;
use crate::image::Images;
use crate::installed::{Found, Installed};
use crate::interrupt;
use crate::process::Pid;
use crate::repair::repair;
use crate::report::{Outcome, Report, Reverted};
use crate::reversal::{Reversal, at};
use crate::session::Session;
use livepatch_bundle::RunAddr;
use std::time::Duration;

/// How `revert` does its work.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How long to wait for a quiet moment.
    pub timeout: Duration,
    /// Whether threads may be inside the patch; its memory then stays.
    pub bytes_only: bool,
    /// How long a hook may take.
    pub hook_time: Duration,
}

/// Takes a patch back: the one named `name`, or the only one.
///
/// # Errors
/// Why not; [`Error::status`] tells whether anything changed.
pub fn revert(pid: Pid, name: Option<&str>, options: Options) -> Result<Report, Error> {
    let (session, _lock) = Session::open_locked(pid, options.timeout)?;
    session.refuse_confined()?;
    let images = session.images(&[]);
    let found = session.patches(&images);
    let wanted = choose(pid, &found.patches, name).ok();
    let meant = wanted.map(|index| &found.patches[index]);
    if repair(&session, &found, &options, &[], meant)? {
        // What was read is out of date.
        drop(images);
        return revert_in(&Session::open(pid)?, name, options);
    }
    revert_found(&session, &images, found, name, options)
}

fn revert_in(session: &Session, name: Option<&str>, options: Options) -> Result<Report, Error> {
    let images = session.images(&[]);
    let found = session.patches(&images);
    revert_found(session, &images, found, name, options)
}

fn revert_found(
    session: &Session,
    images: &Images<'_>,
    found: Found,
    name: Option<&str>,
    options: Options,
) -> Result<Report, Error> {
    let pid = session.pid();
    if let (true, Some(error)) = (
        found.patches.is_empty(),
        found.unreadable.into_iter().next(),
    ) {
        return Err(Error::Record { pid, source: error });
    }
    let patches = found.patches;
    let index = choose(pid, &patches, name)?;
    let reversal = Reversal {
        session,
        images,
        patches: &patches,
        index,
        options,
        may_refuse: true,
        back: None,
    };
    let reverted = reversal.run()?;
    Ok(Report {
        pid: pid.0,
        process: session.target.name.clone(),
        patch: patches[index].record.name.clone(),
        outcome: Outcome::Reverted(reverted),
    })
}

/// Takes the patch at `base` back, which was just applied with `runs` and must not stay; its own hooks are not asked. The
/// caller holds the lock.
///
/// # Errors
/// Why not; then it is in force.
pub(crate) fn undo(
    pid: Pid,
    base: RunAddr,
    runs: &[Exchange],
    options: &apply::Options,
) -> Result<(), Error> {
    let _finishing = interrupt::finishing();
    at(
        pid,
        base,
        &options.into(),
        &options.debug_dirs,
        |reversal| {
            let back = Some(runs);
            Reversal { back, ..reversal }.run().map(drop)
        },
    )?
    .ok_or(Error::NoPatch { pid, name: None })
}

/// Gives back the memory of the patch at `base`, to which no entry leads any more, or marks it as retired. The caller holds
/// the lock.
///
/// # Errors
/// Why not; then its memory stays.
pub(crate) fn clear_away(
    pid: Pid,
    base: RunAddr,
    options: &apply::Options,
) -> Result<Reverted, Error> {
    let _finishing = interrupt::finishing();
    at(
        pid,
        base,
        &options.into(),
        &options.debug_dirs,
        |reversal| reversal.run(),
    )?
    .ok_or(Error::NoPatch { pid, name: None })
}

impl From<&apply::Options> for Options {
    fn from(options: &apply::Options) -> Self {
        Self {
            timeout: options.timeout,
            bytes_only: options.bytes_only,
            hook_time: options.hook_time,
        }
    }
}

/// The patch that is meant. One that is in force comes before one of which only memory is left.
fn choose(pid: Pid, patches: &[Installed], name: Option<&str>) -> Result<usize, Error> {
    let meant = |index: &usize| name.is_none_or(|name| patches[*index].record.name == name);
    let (left, in_force): (Vec<usize>, Vec<usize>) = (0..patches.len())
        .filter(meant)
        .partition(|&index| patches[index].is_left_over());
    match (&in_force[..], &left[..], name) {
        ([only], _, _) | ([], [only], _) | ([.., only], _, Some(_)) | ([], [only, ..], _) => {
            Ok(*only)
        }
        ([], [], _) => Err(Error::NoPatch {
            pid,
            name: name.map(str::to_owned),
        }),
        (several, _, None) => {
            let names: Vec<_> = several
                .iter()
                .map(|&index| patches[index].record.name.as_str())
                .collect();
            Err(Error::SeveralPatches {
                pid,
                names: names.join(", "),
            })
        }
    }
}
