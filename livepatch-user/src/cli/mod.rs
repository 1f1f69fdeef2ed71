//! The command `livepatch`: from the command line to reports and an exit status.

mod apply;
mod component;
mod hint;
mod kernel;
mod many;
mod options;
mod told;

pub use options::Options;

use crate::crew::{self, CrewError};
use crate::error::Error;
use crate::guardian::{self, GuardianError};
use crate::interrupt;
use crate::list::{Patched, list, patched_processes};
use crate::process::Pid;
use crate::repair::make_whole;
use crate::report::{Count, Report};
use crate::revert::{self, revert};
use crate::select::{Selected, Selection, Wanted, select};
use crate::status::Status;
use crate::stop::on_tracer_thread;
use crate::symbols::symbols;
use crate::trust::Sources;
use crate::watch;
use crate::watchdog::{self, Stuck};
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, FromArgMatches};
use livepatch_cli::errln;
use livepatch_cli::manual::{Man, complete, write_pages};
use many::{Many, Results};
use options::{Command, Consistency, List, Output, Revert, Switch, Symbols, Targets, Trust};
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use thiserror::Error as ThisError;
use told::{Told, say};

/// Reads the command line; ends the process with status 2 when it is wrong.
#[must_use]
pub fn parse() -> Options {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let matches = Options::command().try_get_matches_from(&arguments);
    let matches = matches.unwrap_or_else(|error| hint::with_hint(error, &arguments).exit());
    let mut options = Options::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    if let Command::Revert(revert) = &mut options.command
        && revert.kernel
    {
        if !names_timeout(&matches) {
            revert.switch.timeout = kernel::TIMEOUT;
        }
        return options;
    }
    let targets = match &options.command {
        Command::Apply(apply) => &apply.check.targets,
        Command::Check(check) => &check.targets,
        Command::Revert(revert) => &revert.targets,
        Command::List(_)
        | Command::Watch(_)
        | Command::Symbols(_)
        | Command::Kernel(_)
        | Command::Component(_)
        | Command::Completions(_)
        | Command::Man(_) => {
            return options;
        }
    };
    if targets.is_empty() {
        let text = "say which processes: `--pid PID`, `--exe PATH` or `--lib LIBRARY`";
        let kind = clap::error::ErrorKind::MissingRequiredArgument;
        Options::command().error(kind, text).exit();
    }
    options
}

/// Whether the command line of a verb says `--timeout`.
fn names_timeout(matches: &ArgMatches) -> bool {
    let verb = matches.subcommand().map(|(_, verb)| verb);
    let source = verb.and_then(|verb| verb.value_source("timeout"));
    source == Some(ValueSource::CommandLine)
}

/// Runs a command and returns its exit status.
#[must_use]
pub fn run(options: &Options) -> Status {
    match &options.command {
        Command::Apply(apply) => apply::apply_all(apply),
        Command::Check(check) => apply::check_all(check),
        Command::Revert(options) if options.kernel => kernel::revert(options),
        Command::Revert(options) => revert_all(options),
        Command::List(options) => list_all(options),
        Command::Watch(options) => keep_watch(options),
        Command::Symbols(options) => write_symbols(options),
        Command::Kernel(options) => kernel::run(options),
        Command::Component(options) => component::run(options),
        Command::Completions(options) => {
            complete(options, component::described(Options::command()));
            Status::Done
        }
        Command::Man(options) => write_manual(options),
    }
}

/// Takes back what the same command left half done, whose guardian was killed.
#[must_use]
pub fn make_good(options: &Options) -> Status {
    let (targets, switch, debug_dirs) = match &options.command {
        Command::Apply(apply) => (
            &apply.check.targets,
            &apply.switch,
            &apply.check.debug_dirs[..],
        ),
        Command::Revert(revert) => (&revert.targets, &revert.switch, &[][..]),
        _ => return Status::Done,
    };
    let how = revert::Options::from(&switch.apply(debug_dirs));
    let Ok(selection) = targets.select() else {
        return Status::Error;
    };
    let work = |target: Selected| match on_tracer_thread(|| make_whole(target.pid, how, debug_dirs))
    {
        Ok(()) => Told::nothing(target.pid, "whole", String::new()),
        Err(error) => told(target, Err(error)),
    };
    let many = Many {
        targets: &selection.processes,
        at_once: targets.at_once(),
        output: Output { json: true },
    };
    many.run(true, &work).status()
}

/// Whether the command writes into processes, so that a guardian must do it.
#[must_use]
pub fn writes(options: &Options) -> bool {
    match &options.command {
        Command::Apply(apply) => !apply.dry_run,
        Command::Revert(revert) => !revert.kernel,
        Command::Check(_)
        | Command::List(_)
        | Command::Watch(_)
        | Command::Symbols(_)
        | Command::Kernel(_)
        | Command::Component(_)
        | Command::Completions(_)
        | Command::Man(_) => false,
    }
}

/// Runs the command in a guardian process and returns its exit status.
#[must_use]
pub fn run_guarded(output: Output) -> u8 {
    guardian::run().unwrap_or_else(|error| {
        let status = match error {
            GuardianError::Start(_) => Status::Error,
            GuardianError::Killed { .. } => Status::Broken,
        };
        Told::failure(None, status, &error, None).tell(output);
        status.code()
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
        Command::Watch(watch) => watch.output,
        Command::Symbols(symbols) => symbols.output,
        Command::Kernel(kernel) => kernel.output(),
        Command::Component(_) | Command::Completions(_) | Command::Man(_) => Output { json: false },
    }
}

/// No process is meant.
#[derive(Debug, ThisError)]
enum NoTarget {
    #[error("no process runs or maps what was asked for{0}")]
    None(String),
    #[error("cannot look for processes")]
    Search(#[source] io::Error),
    #[error("interrupted: nothing was changed")]
    Interrupted,
}

impl NoTarget {
    fn status(&self) -> Status {
        match self {
            Self::Interrupted => Status::Interrupted,
            Self::None(_) | Self::Search(_) => Status::Error,
        }
    }
}

impl Targets {
    fn select(&self) -> Result<Selection, NoTarget> {
        let wanted = Wanted {
            pids: self.pids.iter().copied().map(Pid).collect(),
            executables: self.executables.clone(),
            libraries: self.libraries.clone(),
        };
        let selection = select(&wanted).map_err(NoTarget::Search)?;
        if interrupt::came() {
            return Err(NoTarget::Interrupted);
        }
        if selection.processes.is_empty() {
            return Err(NoTarget::None(unseen(selection.hidden)));
        }
        Ok(selection)
    }

    fn is_empty(&self) -> bool {
        self.pids.is_empty() && self.executables.is_empty() && self.libraries.is_empty()
    }

    /// Whether just one process is named, so that its result is all there is to tell.
    fn is_one(&self) -> bool {
        self.pids.len() == 1 && self.executables.is_empty() && self.libraries.is_empty()
    }

    fn at_once(&self) -> usize {
        at_once(self.jobs)
    }
}

/// How many processes to work on at a time.
fn at_once(jobs: Option<u16>) -> usize {
    let processors = || std::thread::available_parallelism().map_or(1, usize::from);
    jobs.map_or_else(processors, usize::from)
}

impl Switch {
    /// How `apply` does its work with these options.
    fn apply(&self, debug_dirs: &[PathBuf]) -> crate::apply::Options {
        crate::apply::Options {
            debug_dirs: debug_dirs.to_vec(),
            timeout: self.timeout,
            bytes_only: self.consistency == Consistency::Function,
            ignored: self.ignored.clone(),
            dry_run: false,
            hook_time: self.hook_timeout,
        }
    }
}

impl Trust {
    /// Where the policy and the keys are.
    fn sources(&self) -> Sources {
        Sources {
            config: self.config.clone(),
            keys: self.keys.clone(),
        }
    }
}

/// What to say of processes that could not be looked into.
fn hidden(count: usize) -> Option<String> {
    let processes = Count(count, "other process");
    (count > 0).then(|| format!("{processes} could not be looked into"))
}

/// The same behind a sentence.
fn unseen(count: usize) -> String {
    hidden(count).map_or_else(String::new, |hidden| format!("; {hidden}"))
}

/// Does the work on the processes that are meant, and tells what came of it.
fn each(targets: &Targets, output: Output, work: &dyn Fn(Selected) -> Told) -> Status {
    let selection = match targets.select() {
        Ok(selection) => selection,
        Err(error) => return fail(output, error.status(), &error),
    };
    if let ([target], true) = (&selection.processes[..], targets.is_one()) {
        watch_over_ourselves(target.pid, output);
        let told = work(*target);
        told.tell(output);
        return told.status;
    }
    let many = Many {
        targets: &selection.processes,
        at_once: targets.at_once(),
        output,
    };
    let results = many.run(false, work);
    conclude(&results, &selection, output, &[])
}

/// From now on this process works on `pid` alone; should that make it wait for ever, it says so and ends.
fn watch_over_ourselves(pid: Pid, output: Output) {
    watchdog::start(move || {
        let status = match watchdog::has_changed() {
            true => Status::Broken,
            false => Status::Error,
        };
        Told::failure(Some(pid), status, &Stuck, None).tell(output);
        status.code()
    });
}

/// Tells the summary, or all at once to machines.
fn conclude(results: &Results, selection: &Selection, output: Output, notes: &[String]) -> Status {
    let worst = results.status();
    if output.json {
        say(&results.document(worst, selection.hidden, notes));
        return worst;
    }
    for note in notes {
        say(note);
    }
    results.tell_help();
    let unseen = unseen(selection.hidden);
    say(&format!("{}{unseen}", results.summary()));
    worst
}

fn fail(output: Output, status: Status, error: &dyn std::error::Error) -> Status {
    Told::failure(None, status, error, None).tell(output);
    status
}

/// What came of work on a process; one that was found and ended meanwhile is no failure.
fn told(target: Selected, result: Result<Report, Error>) -> Told {
    match result {
        Ok(report) => Told::report(&report),
        Err(error) if error.status() != Status::Done && target.has_exited() => {
            let pid = target.pid;
            Told::nothing(pid, "exited", format!("process {pid} has exited"))
        }
        Err(error) => Told::error(target.pid, &error),
    }
}

fn revert_all(options: &Revert) -> Status {
    let how = revert::Options::from(&options.switch.apply(&[]));
    each(&options.targets, options.output, &|target| {
        let pid = target.pid;
        let result = on_tracer_thread(|| revert(pid, options.name.as_deref(), how));
        match result {
            // Found by what it runs, it need not have the patch.
            Err(Error::NoPatch { .. }) if target.found.is_some() && !target.has_exited() => {
                Told::nothing(
                    pid,
                    "not-applied",
                    format!("process {pid} has no such patch"),
                )
            }
            result => told(target, result),
        }
    })
}

fn keep_watch(options: &options::Watch) -> Status {
    let watched = watch::watch(watch::Options {
        directory: options.directory.clone(),
        metrics: options.metrics.clone(),
        revert_removed: options.revert_removed,
        sources: options.trust.sources(),
        apply: options.switch.apply(&options.debug_dirs),
        at_once: at_once(options.jobs),
        json: options.output.json,
    });
    match watched {
        Ok(()) => Status::Done,
        Err(error) => fail(options.output, Status::Error, &error),
    }
}

/// Manual pages cannot be written.
#[derive(Debug, ThisError)]
#[error("cannot write manual pages to `{}`", directory.display())]
struct NoManual {
    directory: PathBuf,
    source: io::Error,
}

fn write_manual(options: &Man) -> Status {
    let directory = &options.directory;
    match write_pages(directory, component::described(Options::command())) {
        Ok(()) => Status::Done,
        Err(source) => {
            let directory = directory.clone();
            let error = NoManual { directory, source };
            fail(Output { json: false }, Status::Error, &error)
        }
    }
}

fn write_symbols(options: &Symbols) -> Status {
    let pid = Pid(options.pid);
    watch_over_ourselves(pid, options.output);
    let told = match symbols(pid, &options.directory) {
        Ok(files) if files.is_empty() => {
            Told::nothing(pid, "no-patch", format!("process {pid} has no patch"))
        }
        Ok(files) => Told::files(pid, &files),
        Err(error) => Told::error(pid, &error),
    };
    told.tell(options.output);
    told.status
}

fn list_all(options: &List) -> Status {
    if !options.targets.is_empty() {
        let tell = |target: Selected| match list(target.pid) {
            Ok(patches) => Told::list(&patches),
            Err(_) if target.has_exited() => Told::list(&[]),
            Err(error) => Told::error(target.pid, &error),
        };
        return each(&options.targets, options.output, &tell);
    }
    kernel::list(options.output);
    let Patched { pids, hidden } = patched_processes();
    // A process that ends while all are listed, or hides, is no failure.
    let work = |index: usize| list(pids[index]).ok().map(|patches| Told::list(&patches));
    let mut told = vec![None; pids.len()];
    let mut done = |index: usize, result: Result<Option<Told>, CrewError>| match result {
        Ok(patches) => told[index] = patches,
        Err(error) => tracing::warn!("process {}: {error}", pids[index]),
    };
    crew::run(pids.len(), at_once(None), &work, &mut done);
    told.iter()
        .flatten()
        .for_each(|told: &Told| told.tell(options.output));
    tell_hidden(hidden, options.output);
    Status::Done
}

/// Tells how many processes may have patches that nobody sees.
fn tell_hidden(count: usize, output: Output) {
    match hidden(count) {
        Some(_) if output.json => {
            say(&serde_json::json!({ "result": "hidden", "hidden": count }).to_string());
        }
        Some(text) => errln!("livepatch: {text}"),
        None => {}
    }
}
