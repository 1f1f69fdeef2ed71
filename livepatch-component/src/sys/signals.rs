//! signalfd(2) for all signals: the safe wrappers that we know of leave real-time ones out.

use std::io;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;

/// A set of signals.
#[derive(Clone, Copy)]
pub(crate) struct Set(libc::sigset_t);

impl std::fmt::Debug for Set {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Set(..)")
    }
}

/// A signal that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Came {
    pub(crate) number: u32,
    /// Of sigqueue(3).
    pub(crate) value: u64,
}

/// Turns -1 into the error it stands for.
fn checked(result: libc::c_int) -> io::Result<libc::c_int> {
    match result {
        -1 => Err(io::Error::last_os_error()),
        other => Ok(other),
    }
}

impl Set {
    /// The set of these signals.
    ///
    /// # Errors
    /// When one of them does not exist.
    pub(crate) fn of(numbers: impl IntoIterator<Item = u32>) -> io::Result<Self> {
        let mut set = MaybeUninit::uninit();
        // SAFETY: the set is ours to fill.
        checked(unsafe { libc::sigemptyset(set.as_mut_ptr()) })?;
        for number in numbers {
            let number = libc::c_int::try_from(number).map_err(io::Error::other)?;
            // SAFETY: the set was filled above.
            checked(unsafe { libc::sigaddset(set.as_mut_ptr(), number) })?;
        }
        // SAFETY: filled above.
        Ok(Self(unsafe { set.assume_init() }))
    }

    /// Blocks these signals on this thread, and those it starts.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn block(&self) -> io::Result<()> {
        // SAFETY: a valid set; the old one is not asked for.
        let result =
            unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const self.0, ptr::null_mut()) };
        match result {
            0 => Ok(()),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    }

    /// A descriptor that tells of these signals.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn descriptor(&self) -> io::Result<OwnedFd> {
        let flags = libc::SFD_NONBLOCK | libc::SFD_CLOEXEC;
        // SAFETY: a valid set; a new descriptor is asked for.
        let descriptor = checked(unsafe { libc::signalfd(-1, &raw const self.0, flags) })?;
        // SAFETY: it was just made and is nobody else's.
        Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
    }

    /// Makes the descriptor tell of these signals.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn change(&self, descriptor: &OwnedFd) -> io::Result<()> {
        // SAFETY: a valid set, for a signalfd of ours.
        checked(unsafe { libc::signalfd(descriptor.as_raw_fd(), &raw const self.0, 0) })?;
        Ok(())
    }
}

/// The next signal, if one came.
///
/// # Errors
/// When the descriptor cannot be read.
pub(crate) fn next(descriptor: &OwnedFd) -> io::Result<Option<Came>> {
    let mut info = MaybeUninit::<libc::signalfd_siginfo>::uninit();
    let size = size_of::<libc::signalfd_siginfo>();
    // SAFETY: the structure has room for the one that is asked for.
    let read = unsafe { libc::read(descriptor.as_raw_fd(), info.as_mut_ptr().cast(), size) };
    match usize::try_from(read) {
        Ok(read) if read == size => {
            // SAFETY: the kernel filled all of it.
            let info = unsafe { info.assume_init() };
            Ok(Some(Came {
                number: info.ssi_signo,
                value: info.ssi_ptr,
            }))
        }
        Ok(_) => Ok(None),
        Err(_) => {
            let error = io::Error::last_os_error();
            match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(None),
                _ => Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_time_signals_keep_their_count() {
        // On a thread of its own, whose mask nobody else has.
        let thread = std::thread::spawn(|| {
            let number = libc::SIGRTMIN() as u32 + 3;
            let set = Set::of([number]).expect("it exists");
            set.block().expect("allowed");
            let descriptor = set.descriptor().expect("there is room");
            // SAFETY: always succeeds.
            let me = unsafe { libc::pthread_self() };
            for _ in 0..5 {
                // SAFETY: the signal is blocked on this thread, to which it is sent.
                unsafe { libc::pthread_kill(me, number as libc::c_int) };
            }
            let mut count = 0;
            while let Some(came) = next(&descriptor).expect("readable") {
                assert_eq!(came.number, number);
                count += 1;
            }
            assert_eq!(count, 5);
        });
        thread.join().expect("the thread's checks hold");
    }
}
