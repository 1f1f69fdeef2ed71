//! System calls on behalf of the target, on a borrowed thread.
//!
//! [`Borrowed`] stops one thread, preferably one that sleeps, so that no running one ever stands. The thread's
//! registers are pointed at a `syscall` instruction that is mapped anyway and stepped over it; no code is
//! written. Scratch memory is a mapping of its own: what lies below a stack pointer need not be free stack
//! (goroutines, fibers). At the end registers and signal mask are put back and looked at again.
//!
//! # Signals
//! While borrowed, the thread blocks every signal, so that none is taken in the middle of a call: they stay
//! in the kernel's queues, with all they carry, and are delivered when the mask is back. `SIGSTOP` cannot be
//! blocked; it is passed on and takes effect. An interrupted system call ends as it would have without us: `rax` and
//! `orig_rax` are put back while the thread stands before the kernel's decision to restart (see
//! [`crate::stop::restart`]). A signal mask that a call had put in place for its own duration (`ppoll`) is gone
//! when the call is issued again, which puts it in place again.
//!
//! # What a dying tracer leaves behind
//! When the tracer dies, the thread runs on as it stands. Between two calls it stands as it was found. During a call it ends the
//! call and finds home alone, by the signal frame that `home` has laid for it: at every moment between two of our
//! system calls it stands either at home, or on its way to `rt_sigreturn` with that frame. Where no frame can be laid it does not
//! survive. Everything that takes it away from home and back is in `drive`, whose order of steps matters.

mod borrow;
mod call;
mod choose;
mod drive;
mod error;
mod fit;
mod frame;
mod gate;
mod home;
mod rseq;
mod scratch;

pub use borrow::Borrowed;
pub use error::RemoteError;
pub use scratch::SCRATCH_NAME;
