// SPDX-License-Identifier: GPL-2.0
//! The kernel behind the C shim (`kbuild/shim.h`), and the functions that the shim calls. All `unsafe` of the crate is here.

use crate::kernel::{Errno, Kernel, Means};
use crate::name::{MAX_NAME, Name};
use crate::policy::Policy;
use crate::report::Report;
use crate::walk::{Cause, Task, Walk};
use core::cell::UnsafeCell;
use core::ffi::{c_char, c_int, c_void};
use core::fmt::{self, Write};
use core::ops::Range;

unsafe extern "C" {
    fn lpk_module_text(name: *const c_char, start: *mut usize, end: *mut usize) -> c_int;
    fn lpk_pin(name: *const c_char) -> c_int;
    fn lpk_unpin(name: *const c_char);
    fn lpk_is_entry(address: usize) -> bool;
    fn lpk_hook(slot: usize, patch: usize, old: usize, new: usize, kprobe: *mut bool) -> c_int;
    fn lpk_unhook(slot: usize) -> c_int;
    fn lpk_stop(walk: *mut c_void, patch: isize, on: bool) -> c_int;
    fn lpk_settle();
    fn lpk_pause();
    fn lpk_now() -> u64;
    fn lpk_bug(text: *const u8, length: usize);
}

/// A name that ends at a zero, as C wants it.
struct CName([c_char; MAX_NAME + 1]);

impl CName {
    fn new(name: &str) -> Self {
        let mut bytes = [0; MAX_NAME + 1];
        for (to, from) in bytes.iter_mut().take(MAX_NAME).zip(name.bytes()) {
            *to = from as c_char;
        }
        Self(bytes)
    }
}

fn check(code: c_int) -> Result<(), Errno> {
    match code {
        0 => Ok(()),
        code => Err(Errno(code.saturating_neg())),
    }
}

struct Linux;

impl Kernel for Linux {
    fn module_text(&mut self, module: &str) -> Option<Range<usize>> {
        let name = CName::new(module);
        let (mut start, mut end) = (0, 0);
        // SAFETY: the name ends at a zero; the shim writes one number to each place.
        let code = unsafe { lpk_module_text(name.0.as_ptr(), &mut start, &mut end) };
        check(code).ok().map(|()| start..end)
    }

    fn pin(&mut self, module: &str) -> Result<(), Errno> {
        let name = CName::new(module);
        // SAFETY: the name ends at a zero.
        check(unsafe { lpk_pin(name.0.as_ptr()) })
    }

    fn unpin(&mut self, module: &str) {
        let name = CName::new(module);
        // SAFETY: the name ends at a zero; the policy pinned the module.
        unsafe { lpk_unpin(name.0.as_ptr()) }
    }

    fn is_entry(&mut self, address: usize) -> bool {
        // SAFETY: the shim only looks the address up.
        unsafe { lpk_is_entry(address) }
    }

    fn hook(&mut self, slot: usize, patch: usize, old: usize, new: usize) -> Result<Means, Errno> {
        let mut kprobe = false;
        // SAFETY: the shim checks its indices; `old` is a function's entry and `new` lies in a pinned module's text.
        let code = unsafe { lpk_hook(slot, patch, old, new, &mut kprobe) };
        check(code).map(|()| if kprobe { Means::Kprobe } else { Means::Ftrace })
    }

    fn unhook(&mut self, slot: usize) -> Result<(), Errno> {
        // SAFETY: the policy hooked the slot.
        check(unsafe { lpk_unhook(slot) })
    }

    fn stop(&mut self, walk: &mut Walk<'_>, switch: Option<(usize, bool)>) -> Result<(), Errno> {
        let walk: *mut Walk<'_> = walk;
        let (patch, on) = switch.map_or((-1, false), |(patch, on)| (patch.cast_signed(), on));
        // SAFETY: the shim gives the pointer back to the functions below, one call at a time, before it returns.
        check(unsafe { lpk_stop(walk.cast(), patch, on) })
    }

    fn settle(&mut self) {
        // SAFETY: we are in process context and may sleep.
        unsafe { lpk_settle() }
    }

    fn pause(&mut self) {
        // SAFETY: we are in process context and may sleep.
        unsafe { lpk_pause() }
    }

    fn now(&mut self) -> u64 {
        // SAFETY: no obligations.
        unsafe { lpk_now() }
    }
}

struct Global(UnsafeCell<Policy>);
// SAFETY: the shim holds its mutex around every call that uses it.
unsafe impl Sync for Global {}
static POLICY: Global = Global(UnsafeCell::new(Policy::new()));

/// Text written to a buffer of the shim; what does not fit is left out.
struct Buffer<'a> {
    bytes: &'a mut [u8],
    length: usize,
}

impl Write for Buffer<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.length.checked_add(text.len()).ok_or(fmt::Error)?;
        let place = self.bytes.get_mut(self.length..end).ok_or(fmt::Error)?;
        place.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

/// Carries out a command and writes the report; returns 0 or a negative error number.
///
/// # Safety
/// `command` is valid for `length` bytes, `report` for `*room`, and nobody else uses them; the shim's mutex is held.
#[unsafe(no_mangle)]
unsafe extern "C" fn lpk_rs_command(
    command: *const u8,
    length: usize,
    report: *mut u8,
    room: *mut usize,
) -> c_int {
    // SAFETY: by this function's contract.
    let command = unsafe { core::slice::from_raw_parts(command, length) };
    // SAFETY: by this function's contract.
    let room = unsafe { &mut *room };
    // SAFETY: by this function's contract.
    let bytes = unsafe { core::slice::from_raw_parts_mut(report, *room) };
    // SAFETY: the mutex is held.
    let policy = unsafe { &mut *POLICY.0.get() };
    let result = policy.run(&mut Linux, command);
    let mut buffer = Buffer { bytes, length: 0 };
    let _ = write!(buffer, "{}", Report(result));
    *room = buffer.length;
    result.map_or_else(|error| error.errno().saturating_neg(), |_| 0)
}

/// Writes what is in force to a buffer and returns its length.
///
/// # Safety
/// `to` is valid for `room` bytes and nobody else uses it; the shim's mutex is held.
#[unsafe(no_mangle)]
unsafe extern "C" fn lpk_rs_show(to: *mut u8, room: usize) -> usize {
    // SAFETY: by this function's contract.
    let bytes = unsafe { core::slice::from_raw_parts_mut(to, room) };
    // SAFETY: the mutex is held.
    let policy = unsafe { &*POLICY.0.get() };
    let mut buffer = Buffer { bytes, length: 0 };
    let _ = policy.show(&mut buffer);
    buffer.length
}

/// A module with this code is about to be unloaded.
///
/// # Safety
/// The shim's mutex is held.
#[unsafe(no_mangle)]
unsafe extern "C" fn lpk_rs_module_going(start: usize, end: usize) {
    // SAFETY: the mutex is held.
    let policy = unsafe { &mut *POLICY.0.get() };
    policy.module_going(&mut Linux, &(start..end));
}

/// The walk that [`Linux::stop`] gave to the shim.
///
/// # Safety
/// `walk` is what [`lpk_stop`] was given and has not returned from, and no other reference to it is in use.
unsafe fn walk<'a>(walk: *mut c_void) -> &'a mut Walk<'a> {
    // SAFETY: by this function's contract.
    unsafe { &mut *walk.cast() }
}

/// The stack of another task follows.
///
/// # Safety
/// As [`walk`]; `comm` is valid for 16 bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn lpk_rs_task(to: *mut c_void, pid: c_int, comm: *const [u8; 16]) {
    // SAFETY: by this function's contract.
    let comm = Name::of_field(unsafe { &*comm });
    // SAFETY: by this function's contract.
    unsafe { walk(to) }.task(Task { pid, comm });
}

/// A frame of the task's stack; whether there is reason to go on.
///
/// # Safety
/// As [`walk`].
#[unsafe(no_mangle)]
unsafe extern "C" fn lpk_rs_frame(to: *mut c_void, address: usize) -> bool {
    // SAFETY: by this function's contract.
    unsafe { walk(to) }.frame(address)
}

/// The task's stack cannot be followed (`known`), or its task is not known.
///
/// # Safety
/// As [`walk`].
#[unsafe(no_mangle)]
unsafe extern "C" fn lpk_rs_object(to: *mut c_void, known: bool) {
    let cause = if known {
        Cause::Unreliable
    } else {
        Cause::Unknown
    };
    // SAFETY: by this function's contract.
    unsafe { walk(to) }.object(cause);
}

/// Whether nothing stands in the way.
///
/// # Safety
/// As [`walk`].
#[unsafe(no_mangle)]
unsafe extern "C" fn lpk_rs_is_clear(to: *mut c_void) -> bool {
    // SAFETY: by this function's contract.
    unsafe { walk(to) }.is_clear()
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    let mut bytes = [0; 256];
    let mut buffer = Buffer {
        bytes: &mut bytes,
        length: 0,
    };
    let _ = write!(buffer, "{info}");
    let length = buffer.length;
    // SAFETY: the buffer has that many bytes.
    unsafe { lpk_bug(bytes.as_ptr(), length) };
    // It does not return. objtool does not know that, and would see this function fall into the next.
    // SAFETY: the trap is never reached.
    unsafe { core::arch::asm!("ud2", options(noreturn, nomem, nostack)) }
}
