//! What a panic says goes to the component.

use crate::abi;
use crate::host::{Host, Level};
use std::any::Any;
use std::panic::{self, PanicHookInfo};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

static HOST: AtomicPtr<abi::Host> = AtomicPtr::new(ptr::null_mut());

/// Makes panics of this module tell the component. (The standard library's own hook would leave a thread-local variable with a
/// destructor behind, which keeps the C library from unloading the module.)
pub(crate) fn install(host: *const abi::Host) {
    HOST.store(host.cast_mut(), Ordering::Release);
    panic::set_hook(Box::new(tell));
}

/// What `panic!` was given.
fn reason(payload: &dyn Any) -> Option<&str> {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied())
}

fn tell(info: &PanicHookInfo<'_>) {
    let host = HOST.load(Ordering::Acquire);
    // SAFETY: null, or the component's table, which outlasts the module.
    let Some(table) = (unsafe { host.as_ref() }) else {
        return;
    };
    let reason = reason(info.payload()).unwrap_or("no reason told");
    let place = info.location().map(ToString::to_string);
    let text = format!("panic at {}: {reason}", place.unwrap_or_default());
    // SAFETY: the component checks the thread in what must be called on its own.
    let host = unsafe { Host::new(table) };
    host.log(Level::Error, &text);
    host.fail(&text);
}
