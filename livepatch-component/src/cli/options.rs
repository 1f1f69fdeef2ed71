//! Options of the command line.

use crate::control::protocol::{How, Upgrade};
use crate::sys::arena::Backing;
use clap::{Args, Parser, Subcommand};
use livepatch_cli::duration;
use nix::unistd::geteuid;
use std::path::PathBuf;
use std::time::Duration;

const EXIT_STATUSES: &str = "Exit statuses:
  0  done
  1  error; the version that ran runs on, with its data and its queue
  2  wrong usage
  3  the module was busy, or another upgrade is under way; as before
  4  refused before anything of the new version ran on the component's data (not found, not trusted, not compatible, no way
     back; with `--trial`, it failed in the copy)
  5  something has changed and could not be undone: a new version crashed the process or hung, and without `--standby`
     the version before was started again with new data; or it was told to go on and could not

Example:
  livepatch component upgrade rip 0.0.2";

/// Run services whose logic is a module, and upgrade it while they run.
#[derive(Debug, Parser)]
#[command(name = "livepatch component", version, about, after_help = EXIT_STATUSES)]
pub(super) struct Options {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run a component: the main task, with this module.
    #[command(
        after_help = "Example:\n  livepatch component run rip 0.0.1 --repository /usr/lib/rip"
    )]
    Run(Run),
    /// Show a running component: version, data, queue, sockets, what old versions left.
    #[command(after_help = "Example:\n  livepatch component show rip --symbols")]
    Show(Show),
    /// Upgrade to another version while events wait; if it fails, the version that ran goes on.
    #[command(
        after_help = "Examples:\n  livepatch component upgrade rip 0.0.2 --probation 5s\n  livepatch component upgrade --group answer=2.0 ask=2.0"
    )]
    Upgrade(UpgradeOptions),
    /// Go back to the version before.
    #[command(after_help = "Example:\n  livepatch component rollback rip")]
    Rollback(Rollback),
    /// End a component.
    #[command(after_help = "Example:\n  livepatch component stop rip")]
    Stop(Target),
    /// Show what was done to a component.
    #[command(after_help = "Example:\n  livepatch component history rip --json")]
    History(Target),
    /// Sign a module, so that components whose policy asks for that load it.
    #[command(
        after_help = "Example:\n  livepatch component sign --key release.key librip_0.0.2.so"
    )]
    Sign(Sign),
    /// Give words to the module: what it understands is its own.
    #[command(after_help = "Example:\n  livepatch component command rip show routes")]
    #[command(name = "command")]
    Tell(Words),
}

/// Where components are found, and how results are told.
#[derive(Clone, Debug, Args)]
pub(super) struct Place {
    /// Where control sockets, histories and copies of modules are. Default: /run/livepatch/components for root, else
    /// livepatch/components in $XDG_RUNTIME_DIR.
    #[arg(long, value_name = "DIR", env = "LIVEPATCH_COMPONENTS")]
    directory: Option<PathBuf>,
    /// Results as a JSON object on the standard output.
    #[arg(long)]
    pub(super) json: bool,
}

impl Place {
    pub(super) fn directory(&self) -> PathBuf {
        if let Some(directory) = &self.directory {
            return directory.clone();
        }
        let runtime = std::env::var_os("XDG_RUNTIME_DIR").filter(|_| !geteuid().is_root());
        let base = runtime.map_or_else(|| PathBuf::from("/run"), PathBuf::from);
        base.join("livepatch/components")
    }
}

/// Which component.
#[derive(Clone, Debug, Args)]
pub(super) struct Target {
    /// The component.
    #[arg(value_parser = name)]
    pub(super) name: String,
    #[command(flatten)]
    pub(super) place: Place,
}

#[derive(Debug, Args)]
pub(super) struct Run {
    #[command(flatten)]
    pub(super) target: Target,
    /// A version in the repository, or the path of a module.
    pub(super) version: String,
    /// The directory of modules, `libNAME_VERSION.so`.
    #[arg(long, value_name = "DIR")]
    pub(super) repository: Option<PathBuf>,
    /// The most events that wait; beyond, messages stay in their sockets or are dropped, as the module chose for each.
    #[arg(long, default_value_t = 65536, value_name = "N")]
    pub(super) queue: usize,
    /// The most memory for module data, in MiB; addresses only are reserved.
    #[arg(long, default_value_t = 16384, value_name = "MIB", value_parser = clap::value_parser!(u32).range(2..=1 << 20))]
    pub(super) memory: u32,
    /// What module data lies in.
    #[arg(
        long,
        default_value = "auto",
        value_name = "KIND",
        env = "LIVEPATCH_COMPONENT_BACKING"
    )]
    pub(super) backing: Backing,
    /// The most old versions that may stay mapped because they cannot be unloaded; then upgrades are refused.
    #[arg(long, default_value_t = 16, value_name = "N")]
    pub(super) leftovers: usize,
    /// Which modules are trusted (`require-signature`). Default: /etc/livepatch/config.toml, if there is one.
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// The trusted keys: a public key, or a directory of them. Default: what the policy names, or /etc/livepatch/keys.d.
    #[arg(long, value_name = "PATH")]
    pub(super) keys: Option<PathBuf>,
    /// Be the main task itself. RISK: nothing starts it again when a module crashes it. Default: a supervisor does.
    #[arg(long)]
    pub(super) unsupervised: bool,
}

#[derive(Debug, Args)]
pub(super) struct Show {
    #[command(flatten)]
    pub(super) target: Target,
    /// Also the symbol mapper's tables: call-backs, library, data.
    #[arg(long)]
    pub(super) symbols: bool,
}

#[derive(Debug, Args)]
pub(super) struct UpgradeOptions {
    /// The component and the version (of its repository, or the path of a module); with `--group`, `NAME=VERSION` for each, in
    /// order.
    #[arg(required = true, num_args = 1.., value_name = "NAME VERSION")]
    pub(super) names: Vec<String>,
    /// Upgrade several components, one after the other: all, or none.
    #[arg(long)]
    pub(super) group: bool,
    /// Find out whether it could be done, and do not.
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Refuse when the old version could not go on with the new one's data.
    #[arg(long)]
    pub(super) reversible: bool,
    #[command(flatten)]
    pub(super) how: HowOptions,
    #[command(flatten)]
    pub(super) place: Place,
}

impl UpgradeOptions {
    /// The one component that is meant, if it is one.
    pub(super) fn single(&self) -> Option<(Target, Upgrade)> {
        let [name, version] = &self.names[..] else {
            return None;
        };
        let target = Target {
            name: name.clone(),
            place: self.place.clone(),
        };
        (!self.group).then(|| (target, self.upgrade(version)))
    }

    /// What is to be said of it when it is done so far.
    pub(super) fn outlook(&self) -> Option<String> {
        self.how.outlook().filter(|_| !self.dry_run)
    }

    /// The upgrade to a version.
    pub(super) fn upgrade(&self, version: &str) -> Upgrade {
        Upgrade {
            version: here(version),
            dry_run: self.dry_run,
            reversible: self.reversible,
            how: self.how.how(),
        }
    }
}

/// A path means the same to the component, which may be elsewhere.
fn here(version: &str) -> String {
    let path = std::path::absolute(version);
    match path {
        Ok(path) if version.contains('/') => path.display().to_string(),
        _ => version.to_owned(),
    }
}

#[derive(Debug, Args)]
pub(super) struct Rollback {
    #[command(flatten)]
    pub(super) target: Target,
    #[command(flatten)]
    pub(super) how: HowOptions,
}

#[derive(Debug, Args)]
pub(super) struct Words {
    #[command(flatten)]
    place: Place,
    /// The component, and the words: options that follow the name are words, too.
    #[arg(
        required = true,
        num_args = 2..,
        value_names = ["NAME", "WORD"],
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    words: Vec<String>,
}

impl Words {
    /// The component, and what its module is told.
    pub(super) fn addressed(&self) -> Result<(Target, Vec<String>), String> {
        let (first, words) = self.words.split_first().ok_or("a name is missing")?;
        let target = Target {
            name: name(first)?,
            place: self.place.clone(),
        };
        Ok((target, words.to_vec()))
    }
}

#[derive(Debug, Args)]
pub(super) struct Sign {
    /// The private key, made by `patchgen keygen`.
    #[arg(long, value_name = "FILE")]
    pub(super) key: PathBuf,
    /// The module; a signature that it has is replaced.
    pub(super) module: PathBuf,
    /// What was signed as a JSON object on the standard output.
    #[arg(long)]
    pub(super) json: bool,
}

/// How a switch is made.
#[derive(Clone, Debug, Args)]
pub(super) struct HowOptions {
    /// For each operation of a module; with a unit: ms, s, m.
    #[arg(long, default_value = "1s", value_parser = deadline, value_name = "TIME")]
    deadline: Duration,
    /// Run the migration and the validation of data in a copy of the process first; the pause is longer by that.
    #[arg(long)]
    trial: bool,
    /// Keep a copy of the process that goes on, with its data and its queue, if the new version crashes or hangs. Default: then the
    /// supervisor starts the old version with new data.
    #[arg(long)]
    standby: bool,
    /// Unload the old version before the new one is loaded, as in the paper; the pause is longer by that.
    #[arg(long)]
    strict_order: bool,
    /// Let the new version begin with new data. RISK: the old data is gone.
    #[arg(long)]
    fresh: bool,
    /// Ask the new version so long whether all is well, and go back if it is not. Default: not at all.
    #[arg(long, default_value = "0s", value_parser = duration, value_name = "TIME")]
    probation: Duration,
}

impl HowOptions {
    /// What is to be said of an upgrade that is done so far.
    pub(super) fn outlook(&self) -> Option<String> {
        let probation = self.probation;
        (!probation.is_zero()).then(|| {
            format!("on probation for {probation:?}: may still go back, `component show` tells")
        })
    }

    pub(super) fn how(&self) -> How {
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        How {
            deadline_ns: nanos(self.deadline),
            trial: self.trial,
            standby: self.standby,
            strict_order: self.strict_order,
            fresh: self.fresh,
            probation_ns: nanos(self.probation),
            decision: None,
        }
    }
}

/// No operation is done in no time.
fn deadline(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("a deadline is more than 0".to_owned()),
        time => Ok(time),
    }
}

/// A component's name is part of file names.
pub(super) fn name(text: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._+~-".contains(c);
    let is_name = !text.is_empty() && text.len() < 32 && !text.starts_with('.');
    match is_name && text.chars().all(is_plain) {
        true => Ok(text.to_owned()),
        false => Err("use up to 31 letters, digits and `._+~-`".to_owned()),
    }
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
    fn deadlines_are_not_zero() {
        assert_eq!(deadline("1ms"), Ok(Duration::from_millis(1)));
        for bad in ["0", "0s", "0.0ms", "x"] {
            assert!(deadline(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn names_are_plain() {
        assert!(name("rip").is_ok());
        for bad in ["", ".", "../x", "a/b", "a b", "a\n", &"x".repeat(32)] {
            assert!(name(bad).is_err(), "{bad:?}");
        }
    }
}
