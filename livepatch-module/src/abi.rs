//! The C interface between a component and its modules: `include/livepatch_module.h` in Rust.
//!
//! Both sides assert every size, and a test of this crate compiles the header and compares every offset.

#![expect(
    missing_docs,
    reason = "the header documents these; the same names stand here in the same order"
)]

use std::ffi::{c_char, c_void};

/// The version of the interface.
pub const ABI: u32 = 1;
/// How many schemas a note may accept.
pub const ACCEPTS_MAX: usize = 8;
/// The room of a name or a version in a note, with the terminating zero.
pub const NAME_MAX: usize = 32;
/// The owner of the ELF note.
pub const NOTE_OWNER: &[u8] = b"livepatch\0";
/// The type of the ELF note.
pub const NOTE_TYPE: u32 = 1;
/// What a module exports.
pub const SYMBOL: &str = "livepatch_module";

/// The result of an operation or a call-back.
pub type Result = i32;
pub const OK: Result = 0;
pub const AGAIN: Result = 1;
pub const FAILED: Result = -1;
pub const PANIC: Result = -2;

pub const MESSAGE: u32 = 1;
pub const TIMER: u32 = 2;
pub const SIGNAL: u32 = 3;
pub const COMMAND: u32 = 4;
pub const CONNECTED: u32 = 5;
pub const ENDED: u32 = 6;

pub const UPGRADE: u32 = 1;
pub const ROLLBACK: u32 = 2;

pub const UDP4: u32 = 1;
pub const UNIX_DATAGRAM: u32 = 2;
pub const NETLINK_ROUTE: u32 = 3;
pub const TCP4: u32 = 4;

pub const BACK_PRESSURE: u32 = 0;
pub const DROP: u32 = 1;

#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Address {
    pub ip: u32,
    pub port: u16,
    pub reserved: u16,
    pub interface: u32,
}

#[repr(C)]
#[derive(Debug)]
pub struct Event {
    pub size: u32,
    pub kind: u32,
    pub source: u64,
    pub place: u64,
    pub time_ns: u64,
    pub value: u64,
    pub from: Address,
    pub reserved: u32,
    pub path: *const c_char,
    pub path_len: u64,
    pub data: *const u8,
    pub len: u64,
}

#[repr(C)]
#[derive(Debug)]
pub struct Socket {
    pub size: u32,
    pub kind: u32,
    pub name: *const c_char,
    pub entry: *const c_char,
    pub address: Address,
    pub policy: u32,
    pub path: *const c_char,
    pub groups: u32,
    pub multicast: u32,
    pub receive_buffer: u32,
    pub ttl: u32,
}

#[repr(C)]
#[derive(Debug)]
pub struct Host {
    pub size: u32,
    pub abi: u32,
    pub context: *mut c_void,
    pub log: unsafe extern "C" fn(*const Host, u32, *const c_char, u64),
    pub fail: unsafe extern "C" fn(*const Host, *const c_char, u64),
    pub now: unsafe extern "C" fn(*const Host) -> u64,
    pub alloc: unsafe extern "C" fn(*const Host, u64, u64) -> *mut c_void,
    pub free: unsafe extern "C" fn(*const Host, *mut c_void),
    pub open: unsafe extern "C" fn(*const Host, *const Socket, *mut u64) -> Result,
    pub find: unsafe extern "C" fn(*const Host, *const c_char, *mut u64) -> Result,
    pub close: unsafe extern "C" fn(*const Host, u64) -> Result,
    pub send: unsafe extern "C" fn(*const Host, u64, *const Address, *const u8, u64) -> Result,
    pub send_path: unsafe extern "C" fn(*const Host, u64, *const c_char, *const u8, u64) -> Result,
    pub timer: unsafe extern "C" fn(*const Host, u64, u64, *const c_char) -> Result,
    pub cancel: unsafe extern "C" fn(*const Host, u64) -> Result,
    pub signal: unsafe extern "C" fn(*const Host, u32, *const c_char) -> Result,
    pub reply: unsafe extern "C" fn(*const Host, u64, i32, *const c_char, u64) -> Result,
}

pub type Callback = unsafe extern "C" fn(*const Host, *mut c_void, *const Event) -> Result;

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    pub name: *const c_char,
    pub call: Option<Callback>,
}

pub type Attach = unsafe extern "C" fn(*const Host);
pub type WarmUp = unsafe extern "C" fn(*const Host);
pub type Init = unsafe extern "C" fn(*const Host, *mut *mut c_void) -> Result;
pub type Operation = unsafe extern "C" fn(*const Host, *mut c_void) -> Result;
pub type Restart = unsafe extern "C" fn(*const Host, *const c_void, u32) -> Result;
pub type Migrate =
    unsafe extern "C" fn(*const Host, u64, *const c_void, *mut *mut c_void) -> Result;
pub type Inspect = unsafe extern "C" fn(*const Host, *const c_void) -> Result;

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Operations {
    pub attach: Option<Attach>,
    pub init: Option<Init>,
    pub term: Option<Operation>,
    pub hold: Option<Operation>,
    pub restart: Option<Restart>,
    pub migrate: Option<Migrate>,
    pub validate: Option<Inspect>,
    pub health: Option<Inspect>,
    pub warm_up: Option<WarmUp>,
}

#[repr(C)]
#[derive(Debug)]
pub struct Module {
    pub size: u32,
    pub abi: u32,
    pub name: *const c_char,
    pub version: *const c_char,
    pub schema: u64,
    pub operations: *const Operations,
    pub entries: *const Entry,
    pub entry_count: u64,
}

// SAFETY: a module's description is constant data: nothing ever writes through its pointers.
unsafe impl Sync for Module {}
// SAFETY: as for `Module`; the name points to constant text.
unsafe impl Sync for Entry {}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Note {
    pub abi: u32,
    pub module_size: u32,
    pub host_size: u32,
    pub event_size: u32,
    pub operations_size: u32,
    pub accept_count: u32,
    pub schema: u64,
    pub accepts: [u64; ACCEPTS_MAX],
    pub name: [u8; NAME_MAX],
    pub version: [u8; NAME_MAX],
}

#[repr(C)]
#[derive(Debug)]
pub struct ElfNote {
    pub owner_size: u32,
    pub size: u32,
    pub kind: u32,
    pub owner: [u8; 12],
    pub note: Note,
}

/// The size of a structure as the interface has it.
#[must_use]
pub const fn size32<T>() -> u32 {
    assert!(size_of::<T>() < 4096, "the interface has small structures");
    size_of::<T>() as u32
}

const _: () = assert!(size_of::<Address>() == 12);
const _: () = assert!(size_of::<Event>() == 88);
const _: () = assert!(size_of::<Socket>() == 64);
const _: () = assert!(size_of::<Host>() == 128);
const _: () = assert!(size_of::<Entry>() == 16);
const _: () = assert!(size_of::<Operations>() == 72);
const _: () = assert!(size_of::<Module>() == 56);
const _: () = assert!(size_of::<Note>() == 160);
const _: () = assert!(std::mem::offset_of!(ElfNote, note) == 24);
