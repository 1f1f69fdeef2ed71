//! What commands tell: the same facts for people and as JSON (described in `docs/json.md`).

use crate::installed::State;
use crate::printable::one_line;
use crate::status::Status;
use livepatch_bundle::RunAddr;
use serde::Serialize;
use std::fmt;
use std::time::Duration;

/// The outcome of `apply`, `check` or `revert` on one process.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The process.
    pub pid: i32,
    /// Its name, as `ps` shows it.
    pub process: String,
    /// The patch.
    pub patch: String,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What came of a command.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "result", rename_all = "kebab-case")]
pub enum Outcome {
    /// The patch is in force.
    Applied(Applied),
    /// It was in force already.
    AlreadyApplied,
    /// It would fit.
    WouldApply(WouldApply),
    /// It is taken back.
    Reverted(Reverted),
}

/// Where a patch fits.
#[derive(Clone, Debug, Serialize)]
pub struct Fits {
    /// The file of the module.
    pub module: String,
    /// The replaced functions.
    pub functions: Vec<Replaced>,
    /// Bytes that it maps in the target.
    pub mapped_bytes: u64,
}

/// Where a patch fits, and what it would meet there.
#[derive(Clone, Debug, Serialize)]
pub struct WouldApply {
    /// Where.
    #[serde(flatten)]
    pub fits: Fits,
    /// What holds it back at the moment.
    #[serde(flatten)]
    pub now: Now,
}

/// What the threads do at the moment, as far as can be seen while they run.
#[derive(Clone, Debug, Serialize)]
pub struct Now {
    /// The threads that are in a function that changes.
    pub inside: Vec<Inside>,
    /// How many threads could not be looked at, since they run, or for other reasons.
    pub unseen: usize,
}

/// A thread in a function that changes.
#[derive(Clone, Debug, Serialize)]
pub struct Inside {
    /// Its number.
    pub thread: i32,
    /// The function.
    pub function: String,
}

/// A replaced function.
#[derive(Clone, Debug, Serialize)]
pub struct Replaced {
    /// Its name.
    pub name: String,
    /// Its entry.
    pub entry: RunAddr,
    /// Where its new code is.
    pub new: RunAddr,
}

impl From<&crate::record::Redirect> for Replaced {
    fn from(redirect: &crate::record::Redirect) -> Self {
        Self {
            name: one_line(&redirect.name).into_owned(),
            entry: redirect.entry,
            new: redirect.new,
        }
    }
}

/// An applied patch.
#[derive(Clone, Debug, Serialize)]
pub struct Applied {
    /// Where it is.
    #[serde(flatten)]
    pub fits: Fits,
    /// Where it lies in the target.
    pub base: RunAddr,
    /// The stop.
    #[serde(flatten)]
    pub stop: Stop,
    /// The patches that it replaced in the same stop.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub superseded: Vec<Superseded>,
}

/// A patch that another one replaced.
#[derive(Clone, Debug, Serialize)]
pub struct Superseded {
    /// Its name.
    pub patch: String,
    /// Bytes that were given back.
    pub freed_bytes: u64,
    /// Why its memory stays, when it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retired: Option<String>,
}

/// A reverted patch.
#[derive(Clone, Debug, Serialize)]
pub struct Reverted {
    /// How many functions are as before.
    pub functions: usize,
    /// The stop; nothing when the patch was retired before and only its memory was left.
    #[serde(flatten)]
    pub stop: Option<Stop>,
    /// Bytes that were given back.
    pub freed_bytes: u64,
    /// Why the memory stays, when it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retired: Option<String>,
}

/// How the target was stopped.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Stop {
    /// From the first thread's stop to the last one's release, in the attempt that succeeded, in microseconds.
    pub stopped_us: u64,
    /// How often the target was stopped.
    pub attempts: u32,
    /// How many threads it had.
    pub threads: usize,
}

/// One line of `list`.
#[derive(Clone, Debug, Serialize)]
pub struct Listed {
    /// The process.
    pub pid: i32,
    /// Its name.
    pub process: String,
    /// The patch.
    pub patch: String,
    /// The SHA-256 of its bundle, in hexadecimal digits.
    pub bundle: String,
    /// Its description.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Its state.
    #[serde(flatten)]
    pub state: State,
    /// The later patches that lie on it: they replace some of its functions, or use what it brought in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub under: Vec<String>,
    /// The file of the module.
    pub module: String,
    /// The replaced functions.
    pub functions: Vec<Replaced>,
    /// Where it lies.
    pub base: RunAddr,
    /// Bytes mapped.
    pub mapped_bytes: u64,
    /// Seconds since the epoch when it was applied.
    pub applied_at: u64,
}

/// A failure, as `--json` tells it.
#[derive(Clone, Debug, Serialize)]
pub struct FailureReport {
    /// The process, if it was about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
    /// `busy`, `refused`, `error`, `interrupted` or `broken`.
    pub result: Status,
    /// The exit status.
    pub status: u8,
    /// The messages, outermost first.
    pub errors: Vec<String>,
    /// What to do next, when it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            pid,
            process,
            patch,
            outcome,
        } = self;
        match outcome {
            Outcome::Applied(applied) => {
                let functions = Count(applied.fits.functions.len(), "function");
                write!(
                    f,
                    "applied `{patch}` to process {pid} ({process}): {functions} of `{}`, ",
                    applied.fits.module
                )?;
                write!(f, "{}", applied.stop)?;
                for old in &applied.superseded {
                    write!(f, "; superseded `{}`", old.patch)?;
                    if let Some(reason) = &old.retired {
                        write!(f, ", whose memory stays: {reason}")?;
                    }
                }
                Ok(())
            }
            Outcome::AlreadyApplied => write!(
                f,
                "`{patch}` is applied to process {pid} ({process}) already"
            ),
            Outcome::WouldApply(WouldApply { fits, now }) => {
                let functions = Count(fits.functions.len(), "function");
                write!(
                    f,
                    "`{patch}` fits process {pid} ({process}): {functions} of `{}`{now}",
                    fits.module
                )
            }
            Outcome::Reverted(reverted) => {
                let functions = Count(reverted.functions, "function");
                write!(
                    f,
                    "reverted `{patch}` in process {pid} ({process}): {functions}"
                )?;
                if let Some(stop) = &reverted.stop {
                    write!(f, ", {stop}")?;
                }
                match &reverted.retired {
                    Some(reason) => write!(f, "; its memory stays: {reason}"),
                    None => write!(
                        f,
                        "; {} freed",
                        Count(reverted.freed_bytes as usize, "byte")
                    ),
                }
            }
        }
    }
}

impl fmt::Display for Now {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// So many threads are named.
        const NAMED: usize = 8;
        for (index, one) in self.inside.iter().take(NAMED).enumerate() {
            let begin = if index == 0 { "; at the moment" } else { "," };
            let function = one_line(&one.function);
            write!(f, "{begin} thread {} is in `{function}`", one.thread)?;
        }
        if let Some(more @ 1..) = self.inside.len().checked_sub(NAMED) {
            write!(f, " and {more} more")?;
        }
        if self.unseen > 0 {
            let threads = Count(self.unseen, "thread");
            write!(f, "; {threads} cannot be looked at without a stop")?;
        }
        Ok(())
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} stopped for {} µs",
            Count(self.threads, "thread"),
            self.stopped_us
        )?;
        if self.attempts > 1 {
            write!(f, " at attempt {}", self.attempts)?;
        }
        Ok(())
    }
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            pid,
            process,
            patch,
            state,
            under,
            module,
            ..
        } = self;
        let functions = Count(self.functions.len(), "function");
        let under = match &under[..] {
            [] => String::new(),
            later => format!(" under `{}`", later.join("`, `")),
        };
        write!(
            f,
            "{pid} {process}  {patch}  {state}{under}  {functions} of {module}, {} at {}",
            Count(self.mapped_bytes as usize, "byte"),
            self.base
        )?;
        for function in &self.functions {
            write!(
                f,
                "\n    {}  {} -> {}",
                function.name, function.entry, function.new
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Active => f.write_str("active"),
            Self::Retired { reason } => write!(f, "retired ({reason})"),
            Self::Inactive => {
                f.write_str("inactive (being prepared, or left by an interrupted run)")
            }
            Self::Partial { active, of } => write!(
                f,
                "partial ({active} of {of} entries, left by an interrupted run)"
            ),
            Self::Gone => f.write_str("gone (the module is no longer mapped)"),
            Self::Overwritten { entry } => write!(
                f,
                "overwritten (somebody else changed the entry at {entry})"
            ),
        }
    }
}

/// A number with its noun.
pub struct Count(pub usize, pub &'static str);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {}{}",
            self.0,
            self.1,
            match (self.0, self.1.ends_with('s')) {
                (1, _) => "",
                (_, true) => "es",
                (_, false) => "s",
            }
        )
    }
}

impl Stop {
    /// The figures of a stop.
    #[must_use]
    pub fn new(stopped: Duration, attempts: u32, threads: usize) -> Self {
        Self {
            stopped_us: u64::try_from(stopped.as_micros()).unwrap_or(u64::MAX),
            attempts,
            threads,
        }
    }
}
