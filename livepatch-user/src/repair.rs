//! Taking back what a run that was killed left, before anything else is done to the process.

use crate::arena::forget_stop;
use crate::error::Error;
use crate::installed::{Found, Installed, State};
use crate::leftovers::{Leftovers, is_interrupted};
use crate::process::Pid;
use crate::reversal::at;
use crate::revert::Options;
use crate::session::Session;
use livepatch_bundle::RunAddr;
use std::path::PathBuf;

/// Takes back and removes what a run left that was killed, other than the patch that is `meant` anyway. Tells whether
/// there was anything. The caller holds the lock.
///
/// # Errors
/// When a patch that is in force in part cannot be taken back.
pub(crate) fn repair(
    session: &Session,
    found: &Found,
    options: &Options,
    debug_dirs: &[PathBuf],
    meant: Option<&Installed>,
) -> Result<bool, Error> {
    let pid = session.pid();
    let is_meant = |base| meant.is_some_and(|meant| meant.prelude.base == base);
    let interrupted = found.patches.iter().rev();
    let interrupted: Vec<RunAddr> = interrupted
        .filter(|patch| is_interrupted(&patch.state))
        .map(|patch| patch.prelude.base)
        .filter(|base| !is_meant(*base))
        .collect();
    forget_stop(session, &found.patches);
    // Stacks first: they hold return addresses into the patch whose functions were called, which would keep it.
    let leftovers = Leftovers::find(session, found);
    let any = !interrupted.is_empty() || !leftovers.is_empty();
    if !leftovers.is_empty() {
        leftovers.clear(session)?;
    }
    for base in &interrupted {
        take_back(pid, *base, options, debug_dirs)?;
    }
    Ok(any)
}

/// Takes back and removes what a run left that was killed, and nothing else.
///
/// # Errors
/// When the process may not be written, or a patch that is in force in part cannot be taken back.
pub fn make_whole(pid: Pid, options: Options, debug_dirs: &[PathBuf]) -> Result<(), Error> {
    let (session, _lock) = Session::open_locked(pid, options.timeout)?;
    session.refuse_confined()?;
    let images = session.images(debug_dirs);
    let found = session.patches(&images);
    repair(&session, &found, &options, debug_dirs, None).map(drop)
}

/// Takes back the patch at `base`. One of which no entry leads to the patch does no harm if it stays.
fn take_back(
    pid: Pid,
    base: RunAddr,
    options: &Options,
    debug_dirs: &[PathBuf],
) -> Result<(), Error> {
    at(pid, base, options, debug_dirs, |reversal| {
        let name = &reversal.patch().record.name;
        match reversal.run() {
            Ok(_) => tracing::info!("`{name}`, which an interrupted run left, was taken back"),
            Err(error) if reversal.patch().state == State::Inactive => {
                tracing::warn!("`{name}`, which an interrupted run left, stays mapped: {error}");
            }
            Err(error) => return Err(error),
        }
        Ok(())
    })
    .map(drop)
}
