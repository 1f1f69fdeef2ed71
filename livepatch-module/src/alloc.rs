//! The global allocator of a Rust module: all that it allocates is module data, which outlasts it.

use crate::abi;
use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

/// The component that runs this module; null until it is attached.
static HOST: AtomicPtr<abi::Host> = AtomicPtr::new(ptr::null_mut());

/// Remembers the component, which outlasts the module.
pub(crate) fn attach(host: *const abi::Host) {
    HOST.store(host.cast_mut(), Ordering::Release);
}

/// Allocates from the component; [`export!`](crate::export) makes it the module's global allocator.
#[derive(Debug)]
pub struct HostAllocator;

// SAFETY: the component's `alloc` gives memory of the size and alignment asked for, or null, and `free` takes it back; what was
// allocated before there was a component is known to `free` by its address and goes to the C library, as `System` would do it.
unsafe impl GlobalAlloc for HostAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let host = HOST.load(Ordering::Acquire);
        // SAFETY: null, or the component's table, which outlasts the module.
        match unsafe { host.as_ref() } {
            None => {
                // SAFETY: the caller's promise is the same.
                unsafe { System.alloc(layout) }
            }
            Some(table) => {
                let (size, align) = (layout.size() as u64, layout.align() as u64);
                // SAFETY: the table is valid, and any size and alignment may be asked for.
                unsafe { (table.alloc)(host, size, align) }.cast()
            }
        }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        let host = HOST.load(Ordering::Acquire);
        // SAFETY: as in `alloc`.
        match unsafe { host.as_ref() } {
            None => {
                // SAFETY: without a component everything came from `System`.
                unsafe { System.dealloc(pointer, layout) }
            }
            Some(table) => {
                // SAFETY: the pointer came from `alloc`, either way.
                unsafe { (table.free)(host, pointer.cast()) }
            }
        }
    }
}
