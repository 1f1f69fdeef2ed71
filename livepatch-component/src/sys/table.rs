//! What the main task offers to modules: `struct lp_host`, from C to [`Services`].
//!
//! Modules are trusted code but may be wrong: lengths and pointers are taken at their word, as of any C library's caller, but a
//! call on another thread, an unknown socket or a name without a call-back is refused.

use crate::module::mapper::Symbol;
use crate::services::{Opening, ServiceError, Services};
use crate::sockets::Kind;
use livepatch_module::abi::{self, FAILED, OK};
use std::ffi::{CStr, OsStr, c_char, c_void};
use std::marker::PhantomData;
use std::mem::offset_of;
use std::os::unix::ffi::OsStrExt;
use std::{ptr, slice};

/// The table, on the main task's thread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Table {
    host: &'static abi::Host,
    one_thread: PhantomData<*const ()>,
}

/// The table for attaching a module on another thread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attaching(&'static abi::Host);

// SAFETY: what a module may do on another thread (log, alloc, free) is safe there, and everything else is refused there.
unsafe impl Send for Attaching {}

impl Attaching {
    pub(crate) fn host(self) -> &'static abi::Host {
        self.0
    }
}

impl Table {
    /// Makes the table, for as long as the process lives.
    pub(crate) fn new(services: &'static Services) -> Self {
        let host = Box::leak(Box::new(abi::Host {
            size: abi::size32::<abi::Host>(),
            abi: abi::ABI,
            context: ptr::from_ref(services).cast_mut().cast(),
            log,
            fail,
            now,
            alloc,
            free,
            open,
            find,
            close,
            send,
            send_path,
            timer,
            cancel,
            signal,
            reply,
        }));
        Self {
            host,
            one_thread: PhantomData,
        }
    }

    pub(crate) fn raw(&self) -> *const abi::Host {
        self.host
    }

    pub(crate) fn attaching(self) -> Attaching {
        Attaching(self.host)
    }

    /// The table for `show --symbols`.
    pub(crate) fn symbols(self) -> Vec<Symbol> {
        macro_rules! functions {
            ($($name:ident),*) => {
                [$((stringify!($name), self.host.$name as usize)),*]
            };
        }
        let functions = functions!(
            log, fail, now, alloc, free, open, find, close, send, send_path, timer, cancel, signal,
            reply
        );
        let functions = functions.into_iter();
        functions
            .map(|(name, address)| Symbol::new(name, address))
            .collect()
    }
}

const _: () = assert!(
    offset_of!(abi::Host, reply) + size_of::<usize>() == size_of::<abi::Host>(),
    "every function of the table is listed in `symbols`"
);

/// # Safety
/// `host` must be a table that [`Table::new`] made.
unsafe fn services(host: *const abi::Host) -> &'static Services {
    // SAFETY: the caller's promise; the services live as long as the process.
    let context = unsafe { (*host).context };
    // SAFETY: as above.
    unsafe { &*context.cast::<Services>() }
}

/// Runs a service where it may run; tells the log why not.
fn serve(
    services: &Services,
    what: &str,
    work: impl FnOnce() -> Result<(), ServiceError>,
) -> abi::Result {
    if services.is_stubbed() {
        return OK;
    }
    let done = match services.is_main_thread() {
        true => work(),
        false => Err(ServiceError::OtherThread),
    };
    match done {
        Ok(()) => OK,
        Err(error) => {
            services.complain(what, &error);
            FAILED
        }
    }
}

/// # Safety
/// `data` must be null or valid for `len` bytes for as long as the result is used.
unsafe fn bytes<'a>(data: *const u8, len: u64) -> &'a [u8] {
    match usize::try_from(len) {
        Ok(len) if len > 0 && !data.is_null() => {
            // SAFETY: the caller's promise.
            unsafe { slice::from_raw_parts(data, len) }
        }
        _ => &[],
    }
}

/// # Safety
/// `name` must be null or a terminated text for as long as the result is used.
unsafe fn name<'a>(name: *const c_char) -> Result<&'a str, ServiceError> {
    if name.is_null() {
        return Err(ServiceError::NoName);
    }
    // SAFETY: the caller's promise.
    let name = unsafe { CStr::from_ptr(name) };
    name.to_str().map_err(|_| ServiceError::NoName)
}

unsafe extern "C" fn log(host: *const abi::Host, level: u32, text: *const c_char, len: u64) {
    // SAFETY: a module calls with the table that it was given, and with a text of that length.
    let services = unsafe { services(host) };
    // SAFETY: the module gives a text, and its length where one is given.
    let text = unsafe { bytes(text.cast(), len) };
    services.log(level, &String::from_utf8_lossy(text));
}

unsafe extern "C" fn fail(host: *const abi::Host, text: *const c_char, len: u64) {
    // SAFETY: as in `log`.
    let services = unsafe { services(host) };
    // SAFETY: the module gives a text, and its length where one is given.
    let text = unsafe { bytes(text.cast(), len) };
    let text = String::from_utf8_lossy(text);
    match services.is_main_thread() {
        true => services.fail(&text),
        false => services.log(0, &text),
    }
}

unsafe extern "C" fn now(_host: *const abi::Host) -> u64 {
    crate::clock::now()
}

unsafe extern "C" fn alloc(host: *const abi::Host, size: u64, align: u64) -> *mut c_void {
    // SAFETY: as in `log`.
    let services = unsafe { services(host) };
    match (usize::try_from(size), usize::try_from(align)) {
        (Ok(size), Ok(align)) => services.arena.alloc(size, align),
        _ => ptr::null_mut(),
    }
}

unsafe extern "C" fn free(host: *const abi::Host, pointer: *mut c_void) {
    // SAFETY: as in `log`.
    let services = unsafe { services(host) };
    if services.arena.holds(pointer.addr()) {
        services.arena.free(pointer.addr());
    } else {
        // SAFETY: memory that a Rust module had of the C library before it was attached, or null.
        unsafe { libc::free(pointer) };
    }
}

unsafe extern "C" fn open(
    host: *const abi::Host,
    socket: *const abi::Socket,
    id: *mut u64,
) -> abi::Result {
    // SAFETY: as in `log`.
    let services = unsafe { services(host) };
    serve(services, "open a socket", || {
        // SAFETY: the module gives null or a structure of the size that its note and this one tell.
        let socket = unsafe { socket.as_ref() }.ok_or(ServiceError::NoName)?;
        if socket.size < abi::size32::<abi::Socket>() || id.is_null() {
            return Err(ServiceError::NoName);
        }
        // SAFETY: a text that lives until this returns.
        let name_text = unsafe { name(socket.name) }?;
        // SAFETY: as above.
        let entry = unsafe { name(socket.entry) }?;
        let kind = match socket.kind {
            abi::UDP4 => Kind::Udp {
                address: socket.address,
                multicast: socket.multicast,
                ttl: socket.ttl,
            },
            abi::UNIX_DATAGRAM => {
                // SAFETY: as above.
                let path = unsafe { name(socket.path) }?;
                Kind::Unix { path: path.into() }
            }
            abi::NETLINK_ROUTE => Kind::Netlink {
                groups: socket.groups,
            },
            abi::TCP4 => Kind::Tcp {
                address: socket.address,
            },
            other => return Err(ServiceError::UnknownKind(other)),
        };
        let opened = services.open(&Opening {
            name: name_text,
            entry,
            kind,
            drops: socket.policy == abi::DROP,
            receive_buffer: socket.receive_buffer,
        })?;
        // SAFETY: checked not to be null.
        unsafe { id.write(opened) };
        Ok(())
    })
}

unsafe extern "C" fn find(
    host: *const abi::Host,
    text: *const c_char,
    id: *mut u64,
) -> abi::Result {
    // SAFETY: as in `log`.
    let services = unsafe { services(host) };
    // SAFETY: the module gives a text, and its length where one is given.
    let text = unsafe { name(text) };
    let found = match text {
        Ok(text) if services.is_main_thread() => services.find(text),
        _ => None,
    };
    let Some(found) = found.filter(|_| !id.is_null()) else {
        return FAILED;
    };
    // SAFETY: checked not to be null.
    unsafe { id.write(found) };
    OK
}

unsafe extern "C" fn close(host: *const abi::Host, id: u64) -> abi::Result {
    // SAFETY: as in `log`.
    let services = unsafe { services(host) };
    serve(services, "close a socket", || services.close(id))
}

unsafe extern "C" fn send(
    host: *const abi::Host,
    id: u64,
    to: *const abi::Address,
    data: *const u8,
    len: u64,
) -> abi::Result {
    // SAFETY: as in `log`, and the address is null or one.
    let services = unsafe { services(host) };
    // SAFETY: the module gives null or an address.
    let to = unsafe { to.as_ref() };
    // SAFETY: the module gives as many bytes as the length tells.
    let data = unsafe { bytes(data, len) };
    serve(services, "send", || services.send(id, to, data))
}

unsafe extern "C" fn send_path(
    host: *const abi::Host,
    id: u64,
    path: *const c_char,
    data: *const u8,
    len: u64,
) -> abi::Result {
    // SAFETY: as in `log`.
    let services = unsafe { services(host) };
    // SAFETY: the module gives null or a terminated text.
    let path = unsafe { name(path) };
    // SAFETY: the module gives as many bytes as the length tells.
    let data = unsafe { bytes(data, len) };
    serve(services, "send", || {
        let path = OsStr::from_bytes(path?.as_bytes());
        services.send_path(id, path.as_ref(), data)
    })
}

unsafe extern "C" fn timer(
    host: *const abi::Host,
    key: u64,
    deadline_ns: u64,
    entry: *const c_char,
) -> abi::Result {
    // SAFETY: as in `log`.
    let services = unsafe { services(host) };
    // SAFETY: the module gives null or a terminated text.
    let entry = unsafe { name(entry) };
    serve(services, "set a timer", || {
        services.timer(key, deadline_ns, entry?)
    })
}

unsafe extern "C" fn cancel(host: *const abi::Host, key: u64) -> abi::Result {
    // SAFETY: as in `log`.
    let services = unsafe { services(host) };
    serve(services, "cancel a timer", || {
        services.cancel(key);
        Ok(())
    })
}

unsafe extern "C" fn signal(
    host: *const abi::Host,
    number: u32,
    entry: *const c_char,
) -> abi::Result {
    // SAFETY: as in `log`.
    let services = unsafe { services(host) };
    // SAFETY: the module gives null or a terminated text.
    let entry = unsafe { name(entry) };
    serve(services, "watch a signal", || {
        services.signal(number, entry?)
    })
}

unsafe extern "C" fn reply(
    host: *const abi::Host,
    source: u64,
    status: i32,
    text: *const c_char,
    len: u64,
) -> abi::Result {
    // SAFETY: as in `log`.
    let services = unsafe { services(host) };
    // SAFETY: the module gives a text, and its length where one is given.
    let text = unsafe { bytes(text.cast(), len) };
    serve(services, "reply", || {
        services.reply(source, status, &String::from_utf8_lossy(text));
        Ok(())
    })
}
