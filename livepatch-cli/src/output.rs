//! Writing to the standard streams, which may be closed, full, or a pipe that nobody reads: that must neither end a program in the middle of its work
//! (`println!` panics) nor be taken for success.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering};

static LOST: AtomicBool = AtomicBool::new(false);

/// Writes to the standard output. What could not be written is remembered ([`is_lost`]), unless the reader has gone, which is its own choice.
pub fn out(text: Arguments<'_>) {
    let mut stream = io::stdout().lock();
    note(stream.write_fmt(text).and_then(|()| stream.flush()));
}

/// Writes to the standard error, if that is possible.
pub fn err(text: Arguments<'_>) {
    let _ = io::stderr().lock().write_fmt(text);
}

fn note(written: io::Result<()>) {
    if written.is_err_and(|error| error.kind() != ErrorKind::BrokenPipe) {
        LOST.store(true, Ordering::Relaxed);
    }
}

/// Whether some of the standard output could not be written; says so on the standard error.
#[must_use]
pub fn is_lost() -> bool {
    let lost = LOST.load(Ordering::Relaxed);
    if lost {
        err(format_args!(
            "error: the standard output cannot be written, so results are lost\n"
        ));
    }
    lost
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
