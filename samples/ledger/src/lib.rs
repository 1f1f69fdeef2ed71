//! A module in Rust: it keeps accounts, and tells of every message whether one before it was lost, and how late it came.
//!
//! Messages are 16 bytes, little endian: a number, from 1, and the time when it was sent (CLOCK_MONOTONIC, ns). Commands:
//! `listen PATH`, `fill COUNT`, `show`, and `worst`, which tells the longest delay since it was last asked, in nanoseconds.
//!
//! Each version (`versions/`) is a library of its own; this is what they share.

mod books;
pub mod one;
pub mod two;

pub use books::{Book, Counts};

use livepatch_module::{Event, Failure, Happened, Host, Instant};
use std::time::Duration;

/// Handles a message.
///
/// # Errors
/// When it is none.
pub fn message<B: Book>(host: &Host<'_>, book: &mut B, event: &Event<'_>) -> Result<(), Failure> {
    let Happened::Message { data, .. } = event.happened else {
        return Err("that is no message".into());
    };
    let words = data.split_at_checked(8);
    let words =
        words.and_then(|(number, time)| Some((number.try_into().ok()?, time.try_into().ok()?)));
    let (number, sent) = words.ok_or("a message has 16 bytes")?;
    let (number, sent) = (u64::from_le_bytes(number), u64::from_le_bytes(sent));
    let late = host.now().since(Instant { nanos: sent });
    book.counts().note(number, late);
    book.touch(number);
    Ok(())
}

/// Handles a command.
///
/// # Errors
/// When whoever asked is gone.
pub fn command<B: Book>(
    host: &Host<'_>,
    book: &mut B,
    event: &Event<'_>,
    version: &str,
) -> Result<(), Failure> {
    let Happened::Command { id, words } = event.happened else {
        return Err("that is no command".into());
    };
    let words: Vec<&str> = words.lines().collect();
    let (status, answer) = match obey(host, book, &words, version) {
        Ok(answer) => (0, answer),
        Err(failure) => (1, failure.to_string()),
    };
    Ok(host.reply(id, status, &answer)?)
}

fn obey<B: Book>(
    host: &Host<'_>,
    book: &mut B,
    words: &[&str],
    version: &str,
) -> Result<String, Failure> {
    match words {
        ["listen", path] => {
            host.open_unix("ledger", "message", path)?;
            Ok("listening".to_owned())
        }
        ["fill", count] => {
            let count = count.parse().map_err(|_| "how many accounts?")?;
            book.fill(count);
            Ok(format!("{count} accounts"))
        }
        ["worst"] => Ok(book.counts().take_worst().as_nanos().to_string()),
        ["show"] => Ok(show(book, version)),
        _ => Err("listen PATH, fill COUNT, worst or show".into()),
    }
}

fn show<B: Book>(book: &mut B, version: &str) -> String {
    let accounts = book.len();
    let Counts {
        count, lost, late, ..
    } = *book.counts();
    format!("{version} accounts {accounts} count {count} lost {lost} late {late}")
}

/// As a number of nanoseconds.
fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
