//! `livepatch kernel` and `livepatch revert --kernel`.

use super::options::{Output, Revert};
use super::told::Told;
use crate::kernel::running::Running;
use crate::kernel::transition::{Patience, Progress};
use crate::kernel::{KernelError, load, persist, report::KernelReport};
use crate::status::Status;
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use livepatch_cli::duration;
use serde::Serialize;
use std::fmt;
use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::time::Duration;

/// How long tasks may take to leave code that changes, unless said otherwise.
pub(super) const TIMEOUT: Duration = Duration::from_secs(60);

/// `livepatch kernel`.
#[derive(Debug, Args)]
pub struct Kernel {
    #[command(subcommand)]
    /// What to do.
    command: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Bring a patch into force.
    #[command(after_help = "Example:\n  livepatch kernel load fix.kpatch")]
    Load(Load),
    /// Do everything of `load` but the loading: tell whether the patch fits the running kernel.
    #[command(after_help = "Example:\n  livepatch kernel check fix.kpatch")]
    Check(Check),
    /// Take a patch out of force and unload its module.
    #[command(after_help = "Example:\n  livepatch kernel revert fix")]
    Revert(Back),
    /// List the patches of the running kernel.
    #[command(after_help = "Example:\n  livepatch kernel list --json")]
    List(Output),
    /// Keep a patch over reboots: a systemd unit loads it when the kernel that it is for boots. Nothing is loaded now.
    #[command(after_help = "Example:\n  livepatch kernel install fix.kpatch")]
    Install(Install),
    /// Undo `install`. What is in force stays so.
    #[command(after_help = "Example:\n  livepatch kernel uninstall fix")]
    Uninstall(Uninstall),
}

#[derive(Debug, Args)]
struct Load {
    /// The patch that `patchgen --kernel` made.
    #[arg(required_unless_present = "installed")]
    patch: Option<PathBuf>,
    /// Load what `livepatch kernel install` keeps for the running kernel.
    #[arg(long, conflicts_with = "patch")]
    installed: bool,
    /// Switch all functions at once with the machine stopped, by the companion module `livepatch_kmod`. Default: the kernel
    /// switches task by task.
    #[arg(long, conflicts_with_all = ["wait", "force"])]
    atomic: bool,
    #[command(flatten)]
    patience: Tasks,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
struct Check {
    /// The patch that `patchgen --kernel` made.
    patch: PathBuf,
    /// Check for `load --atomic`.
    #[arg(long)]
    atomic: bool,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
struct Back {
    /// The patch, or its module.
    name: String,
    #[command(flatten)]
    patience: Tasks,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
struct Install {
    /// The patch that `patchgen --kernel` made.
    patch: PathBuf,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
struct Uninstall {
    /// The patch, or its module.
    name: String,
    #[command(flatten)]
    output: Output,
}

/// What to do about tasks that stay in code that changes.
#[derive(Clone, Copy, Debug, Args)]
struct Tasks {
    /// How long tasks may take to leave code that changes; with a unit: ms, s, m. Then the switch is taken back and the tasks
    /// are named.
    #[arg(long, default_value = "60s", value_parser = duration, value_name = "TIME")]
    timeout: Duration,
    /// Wait for as long as it takes; overrides `--timeout`.
    #[arg(long, conflicts_with = "force")]
    wait: bool,
    /// After `--timeout`, switch the tasks that are left where they stand. RISK: they go on in old code after others run new
    /// code, and the module can never be unloaded.
    #[arg(long)]
    force: bool,
}

impl From<Tasks> for Patience {
    fn from(tasks: Tasks) -> Self {
        Self {
            timeout: tasks.timeout,
            wait: tasks.wait,
            force: tasks.force,
        }
    }
}

/// Files that were written or removed.
#[derive(Debug, Serialize)]
struct Files {
    kernel: bool,
    result: &'static str,
    files: Vec<PathBuf>,
}

impl fmt::Display for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files = self
            .files
            .iter()
            .map(|path| format!("`{}`", path.display()));
        write!(
            f,
            "{} {}",
            self.result,
            files.collect::<Vec<_>>().join(", ")
        )
    }
}

impl Kernel {
    /// How the command tells its results.
    pub(super) fn output(&self) -> Output {
        match &self.command {
            Verb::Load(options) => options.output,
            Verb::Check(options) => options.output,
            Verb::Revert(options) => options.output,
            Verb::List(output) => *output,
            Verb::Install(options) => options.output,
            Verb::Uninstall(options) => options.output,
        }
    }
}

/// Runs `livepatch kernel`.
pub(super) fn run(options: &Kernel) -> Status {
    let output = options.output();
    match &options.command {
        Verb::Load(options) => load_all(options),
        Verb::Check(options) => tell(load::would_load(&options.patch, options.atomic), output),
        Verb::Revert(options) => go_back(&options.name, options.patience.into(), output),
        Verb::List(output) => list(*output),
        Verb::Install(options) => {
            let kept = persist::install(&options.patch, &persist::Places::default());
            tell_files("installed", kept.map(|path| vec![path]), output)
        }
        Verb::Uninstall(options) => {
            let removed = persist::uninstall(&options.name, &persist::Places::default());
            tell_files("removed", removed, output)
        }
    }
}

/// `livepatch revert --kernel`.
pub(super) fn revert(options: &Revert) -> Status {
    let name = options.name.as_deref().unwrap_or_default();
    let patience = Patience {
        timeout: options.switch.timeout,
        wait: false,
        force: false,
    };
    go_back(name, patience, options.output)
}

/// Lists the patches of the kernel.
pub(super) fn list(output: Output) -> Status {
    for patch in crate::kernel::list::list() {
        Told::kernel("listed", &patch).tell(output);
    }
    Status::Done
}

fn go_back(name: &str, patience: Patience, output: Output) -> Status {
    let reverted =
        with_progress(|progress| crate::kernel::revert::revert(name, patience, progress));
    tell(reverted, output)
}

fn load_all(options: &Load) -> Status {
    let how = load::Options {
        patience: options.patience.into(),
        atomic: options.atomic,
    };
    let one = |path: &PathBuf| {
        let loaded = with_progress(|progress| load::load(path, how, progress));
        tell(loaded, options.output)
    };
    if let Some(path) = &options.patch {
        return one(path);
    }
    let kept = Running::default().release();
    let kept = kept.map(|release| persist::kept_for(&release, &persist::Places::default()));
    match kept {
        Ok(paths) => paths.iter().map(one).max().unwrap_or(Status::Done),
        Err(error) => fail(&error, options.output),
    }
}

/// Shows how many tasks are left, where somebody watches.
fn with_progress<T>(work: impl FnOnce(Progress<'_>) -> T) -> T {
    if !io::stderr().is_terminal() {
        return work(None);
    }
    let style = ProgressStyle::with_template("{spinner} {msg} ({elapsed})");
    let bar = ProgressBar::new_spinner();
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    let tell = |left| {
        bar.set_message(format!("{left} tasks are in code that changes"));
        bar.tick();
    };
    let result = work((!bar.is_hidden()).then_some(&tell));
    bar.finish_and_clear();
    result
}

fn tell(result: Result<KernelReport, KernelError>, output: Output) -> Status {
    let report = match result {
        Ok(report) => report,
        Err(error) => return fail(&error, output),
    };
    Told::kernel("done", &report).tell(output);
    Status::Done
}

fn tell_files(
    result: &'static str,
    files: Result<Vec<PathBuf>, KernelError>,
    output: Output,
) -> Status {
    let files = match files {
        Ok(files) => files,
        Err(error) => return fail(&error, output),
    };
    let kernel = true;
    Told::kernel(
        result,
        &Files {
            kernel,
            result,
            files,
        },
    )
    .tell(output);
    Status::Done
}

fn fail(error: &KernelError, output: Output) -> Status {
    let status = error.status();
    Told::failure(None, status, error, error.help()).tell(output);
    status
}
