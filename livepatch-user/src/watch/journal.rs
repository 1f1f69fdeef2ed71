//! Messages for a log: one line each, with a level where the journal reads them (sd-daemon(3)).

use crate::printable::one_line;
use std::error::Error;
use std::io::Write;

/// How much a message matters (syslog(3)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    Error = 3,
    Warning = 4,
    Notice = 5,
}

/// Writes a line to the standard error.
pub(super) fn log(level: Level, text: &str) {
    let journal = std::env::var_os("JOURNAL_STREAM").is_some();
    let mark = match journal {
        true => format!("<{}>", level as u8),
        false => String::new(),
    };
    // Nobody may be left to read it.
    let _ = writeln!(
        std::io::stderr(),
        "{mark}{}",
        one_line(&text.replace('\n', ";"))
    );
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
