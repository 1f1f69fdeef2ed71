//! `livepatch revert --kernel`.

use super::KernelError;
use super::companion;
use super::list::list_in;
use super::load::milliseconds;
use super::report::{KernelReport, Means, Outcome, Reverted};
use super::running::Running;
use super::transition::{Ended, Livepatch, Patience, Progress, soon, unload_module};
use std::time::Instant;

/// Takes a patch out of force and unloads its module. `name` is the patch's or the module's.
///
/// # Errors
/// See the variants; [`KernelError::Busy`] leaves the patch in force.
pub fn revert(
    name: &str,
    patience: Patience,
    progress: Progress<'_>,
) -> Result<KernelReport, KernelError> {
    if !nix::unistd::geteuid().is_root() {
        return Err(KernelError::NotRoot);
    }
    let running = Running::default();
    let patches = list_in(&running);
    let mut found = patches.iter().filter(|patch| patch.is_called(name));
    let patch = found
        .next()
        .ok_or_else(|| KernelError::NoPatch(name.to_owned()))?;
    let start = Instant::now();
    let ended = match patch.means {
        Means::Atomic => {
            companion::revert(&patch.patch, patience.timeout)?;
            unload_module(&patch.module, soon())?;
            Ended::Complete
        }
        Means::Transition => disable(&running, &patch.module, patience, progress)?,
    };
    Ok(KernelReport {
        kernel: true,
        patch: patch.patch.clone(),
        module: patch.module.clone(),
        outcome: Outcome::Reverted(Reverted {
            switch_ms: milliseconds(start.elapsed()),
            means: patch.means,
            forced: ended == Ended::Forced,
        }),
    })
}

fn disable(
    running: &Running,
    module: &str,
    patience: Patience,
    progress: Progress<'_>,
) -> Result<Ended, KernelError> {
    let all = Livepatch::all(running);
    let other = all
        .iter()
        .find(|one| one.module != module && one.is_in_transition());
    if let Some(other) = other {
        return Err(KernelError::OtherTransition(other.module.clone()));
    }
    let livepatch = Livepatch::of(running, module);
    let ended = livepatch.disable(patience, progress)?;
    if ended == Ended::Complete {
        livepatch.unload()?;
    }
    Ok(ended)
}
