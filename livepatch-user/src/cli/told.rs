//! What came of a command on one process, as it is told.

use super::options::Output;
use crate::error::Error;
use crate::printable;
use crate::process::Pid;
use crate::report::{FailureReport, Listed, Report};
use crate::status::Status;
use livepatch_cli::{errln, outln};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Prints a line. Nobody may be left to read it (`livepatch list | head -1`), which changes nothing of what was done.
pub(super) fn say(line: &str) {
    outln!("{line}");
}

/// What came of a command on one process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Told {
    pub(super) status: Status,
    /// In a word: `applied`, `reverted`, `busy`, `exited`, ...
    pub(super) result: String,
    /// For people: lines of success, or the messages of a failure, outermost first.
    pub(super) text: Vec<String>,
    /// What to do next.
    pub(super) help: Option<String>,
    /// For machines: one JSON object for each fact.
    pub(super) facts: Vec<String>,
}

impl Told {
    /// What a verb reported.
    pub(super) fn report(report: &Report) -> Self {
        let fact = to_json(report);
        Self {
            status: Status::Done,
            result: result_of(&fact),
            text: vec![report.to_string()],
            help: None,
            facts: vec![fact],
        }
    }

    /// A fact of the kernel.
    pub(super) fn kernel<T: Serialize + ToString>(result: &str, fact: &T) -> Self {
        Self {
            status: Status::Done,
            result: result.into(),
            text: vec![fact.to_string()],
            help: None,
            facts: vec![to_json(fact)],
        }
    }

    /// The patches of a process.
    pub(super) fn list(patches: &[Listed]) -> Self {
        Self {
            status: Status::Done,
            result: "listed".into(),
            text: patches.iter().map(ToString::to_string).collect(),
            help: None,
            facts: patches.iter().map(to_json).collect(),
        }
    }

    /// Nothing was to be done.
    pub(super) fn nothing(pid: Pid, result: &str, text: String) -> Self {
        Self {
            status: Status::Done,
            result: result.to_owned(),
            text: vec![text],
            help: None,
            facts: vec![serde_json::json!({ "pid": pid.0, "result": result }).to_string()],
        }
    }

    /// Files that were written.
    pub(super) fn files(pid: Pid, files: &[PathBuf]) -> Self {
        let names: Vec<String> = files
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        let fact = serde_json::json!({ "pid": pid.0, "result": "written", "files": names });
        Self {
            status: Status::Done,
            result: "written".into(),
            text: names,
            help: None,
            facts: vec![fact.to_string()],
        }
    }

    /// Why a verb failed on a process.
    pub(super) fn error(pid: Pid, error: &Error) -> Self {
        Self::failure(Some(pid), error.status(), error, error.help())
    }

    /// Why something failed.
    pub(super) fn failure(
        pid: Option<Pid>,
        status: Status,
        error: &dyn std::error::Error,
        help: Option<String>,
    ) -> Self {
        let mut errors = vec![error.to_string()];
        let mut source = error.source();
        while let Some(cause) = source {
            // Transparent errors repeat what they wrap.
            if errors.last().is_none_or(|last| *last != cause.to_string()) {
                errors.push(cause.to_string());
            }
            source = cause.source();
        }
        let fact = to_json(&FailureReport {
            pid: pid.map(|pid| pid.0),
            result: status,
            status: status.code(),
            errors: errors.clone(),
            help: help.clone(),
        });
        Self {
            status,
            result: result_of(&fact),
            text: errors,
            help,
            facts: vec![fact],
        }
    }

    /// Tells it where it is all that there is to tell.
    pub(super) fn tell(&self, output: Output) {
        if output.json {
            for fact in &self.facts {
                say(&printable::json(fact));
            }
        } else if self.status == Status::Done {
            for line in &self.text {
                say(&printable::lines(line));
            }
        } else {
            complain(&self.text, self.help.as_deref());
        }
    }
}

/// Prints an error with its causes.
pub(super) fn complain(errors: &[String], help: Option<&str>) {
    for (index, error) in errors.iter().enumerate() {
        let begin = if index == 0 {
            "livepatch"
        } else {
            "  caused by"
        };
        errln!("{begin}: {}", printable::lines(error));
    }
    if let Some(help) = help {
        errln!("help: {}", printable::lines(help));
    }
}

fn to_json<T: Serialize>(fact: &T) -> String {
    serde_json::to_string(fact).expect("reports are plain data")
}

/// The field `result` of a fact.
fn result_of(fact: &str) -> String {
    let fact: serde_json::Value = serde_json::from_str(fact).unwrap_or_default();
    fact["result"].as_str().unwrap_or("error").to_owned()
}
