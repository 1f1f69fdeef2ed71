//! `livepatch kernel load` and `livepatch kernel check`.

use super::KernelError;
use super::check::{Kpatch, check};
use super::companion;
use super::log::Log;
use super::report::{Functions, KernelReport, Means, Outcome, Switched};
use super::running::Running;
use super::transition::{Ended, Livepatch, Patience, Progress, soon, unload_module};
use livepatch_bundle::KernelManifest;
use nix::kmod::init_module;
use std::path::Path;
use std::time::{Duration, Instant};

/// How to load a patch.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// What to do about tasks that stay in old code.
    pub patience: Patience,
    /// Switch all functions at once, by the companion.
    pub atomic: bool,
}

/// Tells whether a patch fits the running kernel.
///
/// # Errors
/// All reasons why it does not.
pub fn would_load(path: &Path, atomic: bool) -> Result<KernelReport, KernelError> {
    let (patch, running) = (Kpatch::read(path)?, Running::default());
    let fit = check(&patch, &running, atomic)?;
    Ok(report(
        &patch.manifest,
        Outcome::WouldLoad(Functions::from(&fit)),
    ))
}

/// Loads a patch.
///
/// # Errors
/// See the variants; nothing has changed, unless [`KernelError::HalfWay`] or [`KernelError::Stays`] says otherwise.
pub fn load(
    path: &Path,
    options: Options,
    progress: Progress<'_>,
) -> Result<KernelReport, KernelError> {
    let (patch, running) = (Kpatch::read(path)?, Running::default());
    if !nix::unistd::geteuid().is_root() {
        return Err(KernelError::NotRoot);
    }
    let fit = check(&patch, &running, options.atomic)?;
    let functions = Functions::from(&fit);
    let start = Instant::now();
    let (means, ended, replaced) = if options.atomic {
        companion::apply(&patch, &fit, &running, options.patience.timeout)?;
        (Means::Atomic, Ended::Complete, Vec::new())
    } else {
        let (ended, replaced) = enable(&patch, &running, options.patience, progress)?;
        (Means::Transition, ended, replaced)
    };
    let switched = Switched {
        functions,
        switch_ms: milliseconds(start.elapsed()),
        means,
        replaced,
        forced: ended == Ended::Forced,
    };
    Ok(report(&patch.manifest, Outcome::Loaded(switched)))
}

fn report(manifest: &KernelManifest, outcome: Outcome) -> KernelReport {
    KernelReport {
        kernel: true,
        patch: manifest.name.clone(),
        module: manifest.module.clone(),
        outcome,
    }
}

/// Loads the module, which begins the transition, and follows it.
fn enable(
    patch: &Kpatch,
    running: &Running,
    patience: Patience,
    progress: Progress<'_>,
) -> Result<(Ended, Vec<String>), KernelError> {
    let before = Livepatch::all(running);
    if let Some(other) = before.iter().find(|one| one.is_in_transition()) {
        return Err(KernelError::OtherTransition(other.module.clone()));
    }
    let module = &patch.manifest.module;
    insert(&patch.bytes, module)?;
    let livepatch = Livepatch::of(running, module);
    let followed = livepatch.follow(true, patience, progress);
    if let Err(KernelError::Busy { .. }) = &followed {
        livepatch.unload()?;
    }
    let ended = followed?;
    let gone = before.into_iter().filter(|_| patch.manifest.replace);
    let mut replaced = Vec::new();
    for other in gone {
        // The kernel took it out of force; a module that was forced once stays loaded.
        let _ = other.unload();
        replaced.push(other.module);
    }
    Ok((ended, replaced))
}

/// Loads a module from the bytes that were checked, and tells what the kernel's log says if it is not taken.
pub(super) fn insert(bytes: &[u8], module: &str) -> Result<(), KernelError> {
    let mut log = Log::now();
    init_module(bytes, c"").map_err(|errno| KernelError::Insert {
        module: module.to_owned(),
        errno,
        log: log.about(module),
    })
}

/// Loads a module that does nothing, does something with it, and unloads it if that fails.
pub(super) fn with_module<T>(
    bytes: &[u8],
    module: &str,
    work: impl FnOnce() -> Result<T, KernelError>,
) -> Result<T, KernelError> {
    insert(bytes, module)?;
    work().inspect_err(|_| {
        // What failed is worth more than that the module stays; `kernel list` shows it.
        let _ = unload_module(module, soon());
    })
}

/// A time in whole milliseconds.
pub(super) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
