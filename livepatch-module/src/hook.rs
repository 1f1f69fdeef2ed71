//! What a panic says goes to the component.

use crate::abi;
use crate::host::Host;
use std::any::Any;
use std::panic::{self, PanicHookInfo};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

static HOST: AtomicPtr<abi::Host> = AtomicPtr::new(ptr::null_mut());

/// What a panic says that is of no importance.
const REHEARSAL: &str = "this is a rehearsal";

/// Makes panics of this module tell the component. (The standard library's own hook would leave a thread-local variable with a
/// destructor behind, which keeps the C library from unloading the module.)
pub(crate) fn install(host: *const abi::Host) {
    HOST.store(host.cast_mut(), Ordering::Release);
    panic::set_hook(Box::new(tell));
}

/// Panics once, when nobody waits for it: the first time on a thread takes as long as all the rest of a rollback. (The thread-local
/// variables of the module are made then, and nothing of the unwinder and its tables is in the caches.)
pub(crate) fn rehearse() {
    let caught = panic::catch_unwind(|| panic!("{}", std::hint::black_box(REHEARSAL)));
    debug_assert!(caught.is_err(), "what was thrown is caught");
}

/// What `panic!` was given.
fn reason(payload: &dyn Any) -> Option<&str> {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied())
}

/// Tells the component why, and no more: this is within the pause of an upgrade.
fn tell(info: &PanicHookInfo<'_>) {
    let host = HOST.load(Ordering::Acquire);
    // SAFETY: null, or the component's table, which outlasts the module.
    let Some(table) = (unsafe { host.as_ref() }) else {
        return;
    };
    let reason = reason(info.payload()).unwrap_or("no reason told");
    let place = info.location().map(ToString::to_string);
    let text = format!("panic at {}: {reason}", place.unwrap_or_default());
    if reason != REHEARSAL {
        // SAFETY: the component checks the thread in what must be called on its own.
        unsafe { Host::new(table) }.fail(&text);
    }
}
