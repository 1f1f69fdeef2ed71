//! Writing to the standard streams, which may be closed, full, or a pipe that nobody reads: that must neither end a program in the middle of its work
//! (`println!` panics) nor be taken for success.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};
use std::sync::OnceLock;

/// Why a result could not be written; the first time counts.
static LOST: OnceLock<io::Error> = OnceLock::new();

/// Writes to the standard output. What could not be written is remembered ([`lost`]), unless the reader has gone, which is its own choice.
pub fn out(text: Arguments<'_>) {
    let mut stream = io::stdout().lock();
    note(stream.write_fmt(text).and_then(|()| stream.flush()));
}

/// Writes to the standard error, if that is possible.
pub fn err(text: Arguments<'_>) {
    let _ = io::stderr().lock().write_fmt(text);
}

fn note(written: io::Result<()>) {
    if let Err(error) = written
        && error.kind() != ErrorKind::BrokenPipe
    {
        LOST.get_or_init(|| error);
    }
}

/// Why some of the standard output could not be written.
#[must_use]
pub fn lost() -> Option<&'static io::Error> {
    LOST.get()
}

/// Whether some of the standard output could not be written; says so on the standard error.
#[must_use]
pub fn is_lost() -> bool {
    if lost().is_some() {
        err(format_args!(
            "error: the standard output cannot be written, so results are lost\n"
        ));
    }
    lost().is_some()
}

/// `print!` by [`out`](crate::output::out).
#[macro_export]
macro_rules! out {
    ($($text:tt)*) => { $crate::output::out(format_args!($($text)*)) };
}

/// `println!` by [`out`](crate::output::out).
#[macro_export]
macro_rules! outln {
    ($($text:tt)*) => { $crate::output::out(format_args!("{}\n", format_args!($($text)*))) };
}

/// `eprintln!` by [`err`](crate::output::err).
#[macro_export]
macro_rules! errln {
    ($($text:tt)*) => { $crate::output::err(format_args!("{}\n", format_args!($($text)*))) };
}
