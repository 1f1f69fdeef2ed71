//! What `livepatch watch` tells: a line for each event, with a level where the journal reads it (sd-daemon(3)), or an object for machines.

use super::look::Tried;
use crate::printable::{json, one_line};
use livepatch_cli::{errln, outln};
use serde::Serialize;
use std::error::Error;
use std::time::SystemTime;

/// How much an event matters (syslog(3)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    Error = 3,
    Warning = 4,
    Notice = 5,
}

/// Something that happened, as `--json` tells it.
#[derive(Serialize)]
struct Entry<'a> {
    /// Since 1970.
    time_ms: u128,
    event: &'a str,
    level: Level,
    message: &'a str,
    #[serde(flatten)]
    result: Option<ResultOf<'a>>,
}

/// What came of a patch in a process.
#[derive(Serialize)]
struct ResultOf<'a> {
    pid: i32,
    patch: &'a str,
    result: &'a str,
    status: u8,
}

/// Where events go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Log {
    /// As JSON to the standard output; else to the standard error.
    pub(super) json: bool,
}

impl Log {
    /// Something is as it should be.
    pub(super) fn note(self, event: &str, message: &str) {
        self.write(event, Level::Notice, message, None);
    }

    /// Something is not.
    pub(super) fn problem(self, level: Level, message: &str) {
        self.write("problem", level, message, None);
    }

    /// What came of a patch in a process.
    pub(super) fn result(self, level: Level, tried: &Tried) {
        let result = ResultOf {
            pid: tried.pid,
            patch: &tried.patch,
            result: &tried.result,
            status: tried.status.code(),
        };
        self.write("result", level, &tried.text, Some(result));
    }

    fn write(self, event: &str, level: Level, message: &str, result: Option<ResultOf<'_>>) {
        if !self.json {
            return to_standard_error(level, message);
        }
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let entry = Entry {
            time_ms: since.unwrap_or_default().as_millis(),
            event,
            level,
            message,
            result,
        };
        let entry = serde_json::to_string(&entry).expect("plain data");
        outln!("{}", json(&entry));
    }
}

fn to_standard_error(level: Level, message: &str) {
    let journal = std::env::var_os("JOURNAL_STREAM").is_some();
    let mark = match journal {
        true => format!("<{}>", level as u8),
        false => String::new(),
    };
    errln!("{mark}{}", one_line(&message.replace('\n', ";")));
}

/// An error and its causes in one line.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
