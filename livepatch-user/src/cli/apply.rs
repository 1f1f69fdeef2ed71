//! `apply` and `check`: on one process, on several, and on all or none.

use super::many::{Many, Results, TAKEN_BACK, UNTOUCHED};
use super::options::{Apply, Check};
use super::told::{Told, complain, say};
use super::{conclude, each, fail, told};
use crate::apply::{self, apply};
use crate::fit::Patch;
use crate::interrupt;
use crate::revert::revert;
use crate::select::{Selected, Selection};
use crate::status::Status;
use crate::stop::on_tracer_thread;
use crate::trust::{Admitted, Policy, admit};
use std::time::Duration;

/// `livepatch apply`.
pub(super) fn apply_all(options: &Apply) -> Status {
    let how = apply::Options {
        dry_run: options.dry_run,
        ..options.switch.apply(&options.check.debug_dirs)
    };
    with_bundle(&options.check, |admitted| {
        if options.all_or_nothing && !how.dry_run {
            return all_or_nothing(&options.check, admitted, &how);
        }
        let work = |target| apply_one(target, admitted, &how);
        each(&options.check.targets, options.check.output, &work)
    })
}

/// `livepatch check`.
pub(super) fn check_all(check: &Check) -> Status {
    let how = apply::Options {
        debug_dirs: check.debug_dirs.clone(),
        timeout: Duration::ZERO,
        bytes_only: false,
        ignored: Vec::new(),
        dry_run: true,
        hook_time: Duration::ZERO,
    };
    with_bundle(check, |admitted| {
        let work = |target| apply_one(target, admitted, &how);
        each(&check.targets, check.output, &work)
    })
}

/// What a patch has superseded does not come back when it is reverted.
#[derive(Debug, thiserror::Error)]
#[error(
    "`--all-or-nothing` cannot take back a patch that supersedes others: those would not come back"
)]
struct Supersedes;

/// Reads the bundle once, for all processes.
fn with_bundle(check: &Check, work: impl FnOnce(&Admitted) -> Status) -> Status {
    let policy = Policy::read(&check.trust.sources()).map_err(Into::into);
    match policy.and_then(|policy| admit(&policy, &check.bundle)) {
        Ok(admitted) => work(&admitted),
        Err(error) => {
            let status = error.status();
            Told::failure(None, status, &error, error.help()).tell(check.output);
            status
        }
    }
}

fn apply_one(target: Selected, admitted: &Admitted, how: &apply::Options) -> Told {
    let patch = Patch {
        bundle: &admitted.bundle,
        digest: admitted.digest,
    };
    told(target, on_tracer_thread(|| apply(target.pid, patch, how)))
}

/// Applies the patch to every process or to none: what does not fit is known before anything is changed, and what is found out
/// later is made up for by reverting.
fn all_or_nothing(check: &Check, admitted: &Admitted, how: &apply::Options) -> Status {
    let output = check.output;
    if !admitted.bundle.manifest.supersedes.is_empty() {
        Told::failure(None, Status::Refused, &Supersedes, None).tell(output);
        return Status::Refused;
    }
    let selection = match check.targets.select() {
        Ok(selection) => selection,
        Err(error) => return fail(output, error.status(), &error),
    };
    let many = Many {
        targets: &selection.processes,
        at_once: check.targets.at_once(),
        output,
    };
    let dry = apply::Options {
        dry_run: true,
        ..how.clone()
    };
    let mut fits = many.run(true, &|target| apply_one(target, admitted, &dry));
    if fits.status() != Status::Done {
        fits.0.iter_mut().for_each(left_alone);
        let failed = fits.0.iter().filter(|told| told.status != Status::Done);
        if !output.json {
            failed.for_each(|told| complain(&told.text, told.help.as_deref()));
        }
        let note = nothing_applied(fits.status());
        return conclude(&fits, &selection, output, &[note.to_owned()]);
    }
    let mut results = many.run(false, &|target| apply_one(target, admitted, how));
    if results.status() == Status::Done {
        return conclude(&results, &selection, output, &[]);
    }
    if !results.0.iter().any(is_applied) {
        let note = nothing_applied(results.status());
        return conclude(&results, &selection, output, &[note.to_owned()]);
    }
    let note = take_back(&many, &selection, &mut results, admitted, how);
    conclude(&results, &selection, output, &[note])
}

fn is_applied(told: &Told) -> bool {
    told.result == "applied"
}

/// A process that would have taken the patch, had all.
fn left_alone(told: &mut Told) {
    if told.result == "would-apply" {
        UNTOUCHED.clone_into(&mut told.result);
    }
}

fn nothing_applied(status: Status) -> &'static str {
    match status {
        Status::Interrupted => "nothing was applied: interrupted",
        _ => "nothing was applied: it does not fit every process",
    }
}

/// Reverts what this run has applied; returns what to say of it.
fn take_back(
    many: &Many<'_>,
    selection: &Selection,
    results: &mut Results,
    admitted: &Admitted,
    how: &apply::Options,
) -> String {
    let done: Vec<usize> = (0..results.0.len())
        .filter(|&index| is_applied(&results.0[index]))
        .collect();
    let targets: Vec<Selected> = done
        .iter()
        .map(|&index| selection.processes[index])
        .collect();
    if !many.output.json {
        let (some, all) = (done.len(), results.0.len());
        say(&format!("taking it back from {some} of {all}:"));
    }
    let _finishing = interrupt::finishing();
    let name = admitted.bundle.manifest.name.as_str();
    let back = Many {
        targets: &targets,
        ..*many
    };
    let reverted = back.run(false, &|target| {
        let result = on_tracer_thread(|| revert(target.pid, Some(name), how.into()));
        still_applied(told(target, result))
    });
    let left = reverted.0.iter().filter(|told| told.status != Status::Done);
    let left = left.count();
    for (index, told) in done.iter().zip(reverted.0) {
        results.0[*index] = told;
    }
    match left {
        0 => format!(
            "`{name}` was taken back where it had been applied: it could not be applied to all"
        ),
        _ => format!(
            "`{name}` STAYS applied to {left} processes: it could neither be applied to all nor taken back there"
        ),
    }
}

/// What could not be taken back was changed and could not be undone.
fn still_applied(told: Told) -> Told {
    let (status, result) = match (told.status, told.result.as_str()) {
        (Status::Done, "reverted") => (Status::Done, TAKEN_BACK),
        (Status::Done, _) => return told,
        _ => (Status::Broken, "broken"),
    };
    Told {
        status,
        result: result.to_owned(),
        ..told
    }
}
