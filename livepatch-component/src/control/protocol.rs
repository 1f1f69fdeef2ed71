//! What is asked and answered.

use crate::history::Record;
use crate::module::mapper::Symbols;
use crate::sockets::Traffic;
use livepatch_cli::Status;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// No request is longer, in bytes.
pub(crate) const REQUEST_MAX: usize = 64 << 10;

/// How often a version is asked during its probation.
const CHECKS: u64 = 10;

/// What a client asks for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "kebab-case")]
pub enum Request {
    /// What runs, and how it is.
    Show {
        /// Also the symbol mapper's tables.
        #[serde(default)]
        symbols: bool,
    },
    /// Another version.
    Upgrade(Upgrade),
    /// The version before.
    Rollback {
        /// How.
        #[serde(default)]
        how: How,
    },
    /// Lets an upgrade with a [`How::decision`] stand; from the connection that asked for it.
    Commit {},
    /// Takes such an upgrade back.
    CallOff {},
    /// What was done so far.
    History {},
    /// Words for the module.
    Command {
        /// The words.
        words: Vec<String>,
    },
    /// The end.
    Stop {},
}

/// Which version to upgrade to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Upgrade {
    /// A version of the repository, or the path of a module.
    pub version: String,
    /// Only find out whether it could be done.
    #[serde(default)]
    pub dry_run: bool,
    /// Refuse what could not be taken back: the old version must be able to go on with the new one's data.
    #[serde(default)]
    pub reversible: bool,
    /// How.
    #[serde(default)]
    pub how: How,
}

/// How a switch is made.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct How {
    /// For each operation, in nanoseconds.
    pub deadline_ns: u64,
    /// Run `migrate` and `validate` in a copy of the process first.
    pub trial: bool,
    /// Keep a copy of the process that goes on if the new version crashes or hangs.
    pub standby: bool,
    /// Unload the old version before the new one is loaded, as the paper does.
    pub strict_order: bool,
    /// Let the new version begin with new data.
    pub fresh: bool,
    /// How long the new version is watched, in nanoseconds; 0 for not at all.
    pub probation_ns: u64,
    /// The upgrade is one of a group: it is taken back unless [`Request::Commit`] comes, or this symbolic link to `stands` is there when the
    /// connection ends.
    pub decision: Option<PathBuf>,
}

impl Default for How {
    fn default() -> Self {
        Self {
            deadline_ns: 1_000_000_000,
            trial: false,
            standby: false,
            strict_order: false,
            fresh: false,
            probation_ns: 0,
            decision: None,
        }
    }
}

impl How {
    /// The time between two questions whether all is well.
    pub(crate) fn between_checks(&self) -> Duration {
        Duration::from_nanos(self.probation_ns / CHECKS)
    }

    /// Whether a copy of the process stays when the switch is done.
    pub(crate) fn standby_stays(&self) -> bool {
        self.standby && self.probation_ns > 0 && self.decision.is_none()
    }

    /// Whether the old version stays beside the new one for a while.
    pub(crate) fn is_on_trust(&self) -> bool {
        self.probation_ns > 0 || self.decision.is_some()
    }

    pub(crate) fn deadline(&self) -> Duration {
        Duration::from_nanos(self.deadline_ns)
    }
}

/// The answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Reply {
    /// How it ended.
    pub result: Status,
    /// The exit status.
    pub status: u8,
    /// Why not, the outermost cause first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,
    /// For `show`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<Shown>,
    /// For `history`, and the one of an upgrade.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Record>,
    /// What the module answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
}

impl Reply {
    /// That it went well.
    #[must_use]
    pub fn done() -> Self {
        Self::of(Status::Done)
    }

    pub(crate) fn of(result: Status) -> Self {
        Self {
            result,
            status: result.code(),
            errors: Vec::new(),
            component: None,
            history: Vec::new(),
            answer: None,
        }
    }

    /// Why it did not.
    pub(crate) fn failed(result: Status, error: &dyn std::error::Error) -> Self {
        Self {
            errors: chain(error),
            ..Self::of(result)
        }
    }
}

/// An error and its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> Vec<String> {
    let mut errors = vec![error.to_string()];
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        // Transparent errors repeat what they wrap.
        if errors.last() != Some(&text) {
            errors.push(text);
        }
        source = cause.source();
    }
    errors
}

/// A component as `show` has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Shown {
    /// Its name.
    pub name: String,
    /// The process of its main task.
    pub pid: u32,
    /// The version that runs.
    pub version: String,
    /// Where that came from.
    pub module: String,
    /// SHA-256 of the module.
    pub digest: String,
    /// The trusted key that signed it.
    pub signer: Option<String>,
    /// The fingerprint of the data.
    pub schema: String,
    /// The version to which `rollback` goes.
    pub previous: Option<String>,
    /// Since when it is watched, if it is.
    pub on_probation: bool,
    /// The queue.
    pub queue: ShownQueue,
    /// Events that were handled.
    pub handled: u64,
    /// Events whose call-back failed.
    pub failed: u64,
    /// The sockets.
    pub sockets: Vec<ShownSocket>,
    /// Timers that are set.
    pub timers: usize,
    /// Bytes of module data.
    pub data_bytes: u64,
    /// Bytes of memory for it.
    pub memory_bytes: u64,
    /// What that memory is: `anonymous` or `memfd`.
    #[serde(default)]
    pub backing: String,
    /// Old versions whose code is still there, and why.
    pub leftovers: Vec<String>,
    /// How often the supervisor had to start it again.
    pub restarts: u64,
    /// The symbol mapper's tables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub symbols: Option<Symbols>,
}

/// The queue as `show` has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShownQueue {
    /// Events that wait.
    pub waiting: usize,
    /// The most that ever did.
    pub high: usize,
    /// The most there may be.
    pub bound: usize,
    /// Events that were ever queued.
    pub total: u64,
}

/// A socket as `show` has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShownSocket {
    /// Its name.
    pub name: String,
    /// The call-back that gets its messages.
    pub entry: String,
    /// What happens to messages when the queue is full: `back-pressure` or `drop`.
    pub policy: String,
    /// What came through it.
    #[serde(flatten)]
    pub traffic: Traffic,
}
