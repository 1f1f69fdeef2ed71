//! The command line of `livepatch`.

use super::kernel::Kernel;
use clap::{Args, Parser, Subcommand, ValueEnum};
use livepatch_bundle::RunAddr;
use livepatch_cli::duration;
use livepatch_cli::manual::{Completions, Man};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

const EXIT_STATUSES: &str = "Exit statuses:
  0  done
  1  error, nothing changed
  2  wrong usage
  3  the target stayed busy, nothing changed
  4  refused (mismatch, unsound, not trusted), nothing changed
  5  changed and could not be undone; the message says what state the target is in
  130  interrupted (SIGINT, SIGTERM, SIGHUP), nothing changed; the command ends by that signal
With several processes the worst one tells, 5 before 130 before 1 before 4 before 3 before 0.

Example:
  livepatch apply --pid 1234 fix.lpatch";

/// Change functions of running processes, and take the change back.
#[derive(Debug, Parser)]
#[command(name = "livepatch", version, about, after_help = EXIT_STATUSES)]
pub struct Options {
    #[command(subcommand)]
    /// What to do.
    pub command: Command,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Apply a patch to running processes.
    #[command(after_help = "Example:\n  livepatch apply --pid 1234 fix.lpatch")]
    Apply(Apply),
    /// Do everything of `apply` but the writing: tell whether the patch fits.
    #[command(after_help = "Example:\n  livepatch check --pid 1234 fix.lpatch")]
    Check(Check),
    /// Take a patch back.
    #[command(after_help = "Example:\n  livepatch revert --pid 1234 fix")]
    Revert(Revert),
    /// Keep a directory of patches applied to every process that starts, or loads a library, from now on.
    #[command(
        after_help = "Example:\n  livepatch watch --metrics /var/lib/prometheus/node-exporter/livepatch.prom"
    )]
    Watch(Watch),
    /// Write the names of new code for perf and gdb.
    #[command(
        after_help = "Example:\n  livepatch symbols --pid 1234 --directory /tmp\n  gdb -p 1234 -x /tmp/livepatch-1234.gdb\n  perf buildid-cache --add /tmp/livepatch-1234-*.elf"
    )]
    Symbols(Symbols),
    /// Run services whose logic is a module, and upgrade it while they run: run, show, upgrade, rollback, stop, history, command.
    #[command(
        disable_help_flag = true,
        after_help = "Example:\n  livepatch component upgrade rip 0.0.2"
    )]
    Component(Component),
    /// List the patches of processes and of the kernel.
    #[command(after_help = "Example:\n  livepatch list --pid 1234")]
    List(List),
    /// Patch the running kernel.
    #[command(after_help = "Example:\n  livepatch kernel load fix.kpatch")]
    Kernel(Kernel),
    /// Print what makes a shell complete this command's options.
    #[command(
        after_help = "Example:\n  livepatch completions bash >/etc/bash_completion.d/livepatch"
    )]
    Completions(Completions),
    /// Write the manual pages.
    #[command(after_help = "Example:\n  livepatch man /usr/local/share/man/man1")]
    Man(Man),
}

/// What `livepatch-component` is given.
#[derive(Debug, Args)]
pub struct Component {
    /// Its verb and options: `livepatch component --help`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub arguments: Vec<OsString>,
}

/// Options of `apply`.
#[derive(Debug, Args)]
pub struct Apply {
    #[command(flatten)]
    /// What to patch with what.
    pub check: Check,
    /// Only check, as the verb `check` does.
    #[arg(long)]
    pub dry_run: bool,
    /// If it cannot be applied to every process, take it back where it was; what does not fit is found out before
    /// anything is changed. Default: it stays where it could be applied.
    #[arg(long)]
    pub all_or_nothing: bool,
    #[command(flatten)]
    /// How to switch.
    pub switch: Switch,
}

/// Options of `check`, and the first half of those of `apply`.
#[derive(Debug, Args)]
pub struct Check {
    #[command(flatten)]
    /// Which processes.
    pub targets: Targets,
    /// The patch that `patchgen` made.
    pub bundle: PathBuf,
    /// A directory with separate debug files by build ID, searched before /usr/lib/debug; may be repeated.
    #[arg(long = "debug-dir", value_name = "DIR")]
    pub debug_dirs: Vec<PathBuf>,
    #[command(flatten)]
    /// Whose bundles are applied.
    pub trust: Trust,
    #[command(flatten)]
    /// How to tell.
    pub output: Output,
}

/// Which processes; those that any of these options selects.
#[derive(Clone, Debug, Default, Args)]
pub struct Targets {
    /// The process; may be repeated.
    #[arg(long = "pid", value_name = "PID", value_parser = pid(), allow_negative_numbers = true)]
    pub pids: Vec<i32>,
    /// Every process that runs this executable, also one that was deleted or replaced since; may be repeated.
    #[arg(long = "exe", value_name = "PATH")]
    pub executables: Vec<PathBuf>,
    /// Every process that maps this library, by path, file name or soname, also one that was deleted or replaced since; may
    /// be repeated.
    #[arg(long = "lib", value_name = "LIBRARY")]
    pub libraries: Vec<OsString>,
    /// How many processes to work on at a time. Default: the number of processors.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub jobs: Option<u16>,
}

/// Whose bundles are applied.
#[derive(Clone, Debug, Args)]
pub struct Trust {
    /// The policy (`require-signature`). Default: /etc/livepatch/config.toml, if there is one; FILE replaces it.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The trusted keys: a public key, or a directory of them. Default: what the policy names, or
    /// /etc/livepatch/keys.d; PATH replaces them.
    #[arg(long, value_name = "PATH")]
    pub keys: Option<PathBuf>,
}

/// How the switch between old and new code is made.
#[derive(Clone, Debug, Args)]
pub struct Switch {
    /// How long to wait for a moment in which no thread is inside a function that changes; with a unit: ms, s, m.
    #[arg(long, default_value = "10s", value_parser = duration, value_name = "TIME")]
    pub timeout: Duration,
    /// `stack`: no thread may have a changed function on its stack. `function`: only the bytes that are overwritten
    /// are checked; RISK: a thread may return into old code after it has called new code.
    #[arg(long, value_enum, default_value_t = Consistency::Stack)]
    pub consistency: Consistency,
    /// The word at this address is left over from a coroutine that has ended, and holds nothing back; may be repeated. RISK: if
    /// the coroutine goes on, old code runs among new code.
    #[arg(long = "ignore-holder", value_name = "ADDRESS", value_parser = address)]
    pub ignored: Vec<RunAddr>,
    /// How long each hook of the patch may run before it is given up; with a unit: ms, s, m.
    #[arg(long, default_value = "5s", value_parser = duration, value_name = "TIME")]
    pub hook_timeout: Duration,
}

/// What may be on a thread's stack at the switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Consistency {
    /// Nothing of a changed function.
    Stack,
    /// Anything but the overwritten bytes.
    Function,
}

/// Options of `revert`.
#[derive(Debug, Args)]
pub struct Revert {
    #[command(flatten)]
    /// Which processes.
    pub targets: Targets,
    /// The patch; may be left out when there is only one.
    pub name: Option<String>,
    /// Take back a patch of the running kernel, which NAME names, as `livepatch kernel revert` does. Default of
    /// `--timeout`: 60s.
    #[arg(long, requires = "name", conflicts_with_all = ["pids", "executables", "libraries"])]
    pub kernel: bool,
    #[command(flatten)]
    /// How to switch.
    pub switch: Switch,
    #[command(flatten)]
    /// How to tell.
    pub output: Output,
}

/// Options of `list`.
#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    /// Which processes. Default: every process that may be looked into.
    pub targets: Targets,
    #[command(flatten)]
    /// How to tell.
    pub output: Output,
}

/// Options of `symbols`.
#[derive(Debug, Args)]
pub struct Symbols {
    /// The process.
    #[arg(long, value_name = "PID", value_parser = pid(), allow_negative_numbers = true)]
    pub pid: i32,
    /// The directory that gets an ELF file for each patch, `livepatch-PID.gdb`, which loads them, `livepatch-PID.build-ids` for `perf inject
    /// --known-build-ids`, and `perf-PID.map`, which bpftrace looks for in /tmp.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub directory: PathBuf,
    #[command(flatten)]
    /// How to tell.
    pub output: Output,
}

/// Options of `watch`.
#[derive(Debug, Args)]
pub struct Watch {
    /// The directory of bundles (`*.lpatch`), applied in the order of their names; bundles that come are applied, too.
    #[arg(default_value = "/etc/livepatch/patches.d")]
    pub directory: PathBuf,
    /// Keep this file up to date with figures for Prometheus (text format). Default: none.
    #[arg(long, value_name = "FILE")]
    pub metrics: Option<PathBuf>,
    /// Revert a patch everywhere when its bundle is removed from the directory. Default: it stays where it is.
    #[arg(long)]
    pub revert_removed: bool,
    /// A directory with separate debug files by build ID, searched before /usr/lib/debug; may be repeated.
    #[arg(long = "debug-dir", value_name = "DIR")]
    pub debug_dirs: Vec<PathBuf>,
    /// How many processes to work on at a time. Default: the number of processors.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub jobs: Option<u16>,
    #[command(flatten)]
    /// Whose bundles are applied.
    pub trust: Trust,
    #[command(flatten)]
    /// How to switch.
    pub switch: Switch,
    #[command(flatten)]
    /// How to tell what happens.
    pub output: Output,
}

/// How results are told.
#[derive(Clone, Copy, Debug, Args)]
pub struct Output {
    /// Results as JSON on the standard output: an object for the process; for several processes one document with a list; of `watch` an object
    /// for each event.
    #[arg(long)]
    pub json: bool,
}

/// Numbers that a process can have.
fn pid() -> clap::builder::RangedI64ValueParser<i32> {
    clap::value_parser!(i32).range(1..)
}

/// As messages write it: `0x` and hexadecimal digits.
fn address(text: &str) -> Result<RunAddr, String> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    u64::from_str_radix(digits, 16)
        .map(RunAddr)
        .map_err(|_| "use an address as the message has it, as in 0x7f0012345678".to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Options::command().debug_assert();
    }

    #[test]
    fn addresses_are_hexadecimal() {
        assert_eq!(address("0x7f00"), Ok(RunAddr(0x7f00)));
        assert_eq!(address("7f00"), Ok(RunAddr(0x7f00)));
        assert!(address("main").is_err() && address("0x").is_err());
    }
}
