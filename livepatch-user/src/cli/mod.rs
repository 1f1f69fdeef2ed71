//! The command `livepatch`: from the command line to reports and an exit status.

mod options;

pub use options::Options;

use crate::apply::{self, apply};
use crate::error::Error;
use crate::fit::Patch;
use crate::guardian;
use crate::list::{list, patched_processes};
use crate::printable;
use crate::process::Pid;
use crate::report::{FailureReport, Report};
use crate::revert::{self, revert};
use crate::status::Status;
use crate::stop::on_tracer_thread;
use crate::trust::{Admitted, BundleRefusal, Policy, Sources};
use options::{Apply, Check, Command, Consistency, List, Output, Revert};
use std::fmt::Display;
use std::io::Write;

/// Prints a line. Nobody may be left to read it (`livepatch list | head -1`), which changes nothing of what was done.
macro_rules! say {
    ($($argument:tt)*) => {
        let _ = writeln!(std::io::stdout(), $($argument)*);
    };
}

/// Runs a command and returns its exit status.
#[must_use]
pub fn run(options: &Options) -> Status {
    match &options.command {
        Command::Apply(Apply {
            check,
            dry_run,
            switch,
        }) => {
            let options = apply::Options {
                debug_dirs: check.debug_dirs.clone(),
                timeout: switch.timeout,
                bytes_only: switch.consistency == Consistency::Function,
                dry_run: *dry_run,
                hook_time: switch.hook_timeout,
            };
            apply_all(check, &options)
        }
        Command::Check(check) => {
            let options = apply::Options {
                debug_dirs: check.debug_dirs.clone(),
                timeout: std::time::Duration::ZERO,
                bytes_only: false,
                dry_run: true,
                hook_time: std::time::Duration::ZERO,
            };
            apply_all(check, &options)
        }
        Command::Revert(options) => revert_all(options),
        Command::List(options) => list_all(options),
    }
}

/// Whether the command writes into processes, so that a guardian must do it.
#[must_use]
pub fn writes(options: &Options) -> bool {
    match &options.command {
        Command::Apply(apply) => !apply.dry_run,
        Command::Revert(_) => true,
        Command::Check(_) | Command::List(_) => false,
    }
}

/// Runs the command in a guardian process and returns its exit status.
#[must_use]
pub fn run_guarded(output: Output) -> u8 {
    guardian::run().unwrap_or_else(|error| {
        tell_failure(output, None, Status::Error, &error, None);
        Status::Error.code()
    })
}

/// How the command tells its results.
#[must_use]
pub fn output(options: &Options) -> Output {
    match &options.command {
        Command::Apply(apply) => apply.check.output,
        Command::Check(check) => check.output,
        Command::Revert(revert) => revert.output,
        Command::List(list) => list.output,
    }
}

fn apply_all(check: &Check, options: &apply::Options) -> Status {
    let admitted = match admit(check) {
        Ok(admitted) => admitted,
        Err(error) => {
            let status = error.status();
            tell_failure(check.output, None, status, &error, error.help());
            return status;
        }
    };
    let patch = Patch {
        bundle: &admitted.bundle,
        digest: admitted.digest,
    };
    each(&check.pids, check.output, |pid| apply(pid, patch, options))
}

fn revert_all(options: &Revert) -> Status {
    let how = revert::Options {
        timeout: options.switch.timeout,
        bytes_only: options.switch.consistency == Consistency::Function,
        hook_time: options.switch.hook_timeout,
    };
    each(&options.pids, options.output, |pid| {
        revert(pid, options.name.as_deref(), how)
    })
}

fn list_all(options: &List) -> Status {
    let named: Vec<Pid> = options.pids.iter().copied().map(Pid).collect();
    let pids = if named.is_empty() {
        patched_processes()
    } else {
        named
    };
    let mut worst = Status::Done;
    for pid in pids {
        match list(pid) {
            Ok(patches) => patches.iter().for_each(|patch| tell(options.output, patch)),
            // A process that ends while all are listed is no failure.
            Err(_) if options.pids.is_empty() => {}
            Err(error) => worst = worst.max(tell_error(options.output, pid, &error)),
        }
    }
    worst
}

fn each(
    pids: &[i32],
    output: Output,
    work: impl Fn(Pid) -> Result<Report, Error> + Sync,
) -> Status {
    let mut worst = Status::Done;
    for &pid in pids {
        match on_tracer_thread(|| work(Pid(pid))) {
            Ok(report) => tell(output, &report),
            Err(error) => worst = worst.max(tell_error(output, Pid(pid), &error)),
        }
    }
    worst
}

fn admit(check: &Check) -> Result<Admitted, BundleRefusal> {
    let sources = Sources {
        config: check.trust.config.clone(),
        keys: check.trust.keys.clone(),
    };
    Policy::read(&sources)?.admit(&check.bundle)
}

fn tell<T: Display + serde::Serialize>(output: Output, fact: &T) {
    let text = if output.json {
        to_json(fact)
    } else {
        fact.to_string()
    };
    say!("{}", printable::lines(&text));
}

fn to_json<T: serde::Serialize>(fact: &T) -> String {
    let text = serde_json::to_string(fact).expect("reports are plain data");
    printable::json(&text).into_owned()
}

fn tell_error(output: Output, pid: Pid, error: &Error) -> Status {
    let status = error.status();
    tell_failure(output, Some(pid), status, error, error.help());
    status
}

fn tell_failure(
    output: Output,
    pid: Option<Pid>,
    result: Status,
    error: &dyn std::error::Error,
    help: Option<String>,
) {
    let mut errors = vec![error.to_string()];
    let mut source = error.source();
    while let Some(cause) = source {
        // Transparent errors repeat what they wrap.
        if errors.last().is_none_or(|last| *last != cause.to_string()) {
            errors.push(cause.to_string());
        }
        source = cause.source();
    }
    if output.json {
        let report = FailureReport {
            pid: pid.map(|pid| pid.0),
            result,
            status: result.code(),
            errors,
            help,
        };
        say!("{}", to_json(&report));
        return;
    }
    eprintln!("livepatch: {}", printable::lines(&errors[0]));
    for cause in &errors[1..] {
        eprintln!("  caused by: {}", printable::lines(cause));
    }
    if let Some(help) = help {
        eprintln!("help: {}", printable::lines(&help));
    }
}
