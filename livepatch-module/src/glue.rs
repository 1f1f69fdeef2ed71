//! Between the C interface and the safe one: pointers become references, results numbers, and panics end here.

use crate::abi::{self, AGAIN, FAILED, OK, PANIC};
use crate::event::Event;
use crate::failure::Failure;
use crate::host::Host;
use crate::module::{Callback, Held, Migrations, Module, OldState, Why};
use crate::schema::Schema;
use crate::{alloc, hook};
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The operations of a module.
#[must_use]
pub const fn operations<M: Module, O: Migrations<M>>() -> abi::Operations {
    abi::Operations {
        attach: Some(attach),
        init: Some(init::<M>),
        term: Some(term::<M>),
        hold: Some(hold::<M>),
        restart: Some(restart::<M>),
        migrate: Some(migrate::<M, O>),
        validate: Some(validate::<M>),
        health: Some(health::<M>),
        warm_up: Some(warm_up),
    }
}

/// A call-back of a module under its name.
#[must_use]
pub const fn entry<M: Module, C: Callback<M>>() -> abi::Entry {
    assert!(
        C::NAME[C::NAME.len() - 1] == 0,
        "a name ends with a zero byte"
    );
    abi::Entry {
        name: C::NAME.as_ptr().cast(),
        call: Some(callback::<M, C>),
    }
}

/// The note of a module.
#[must_use]
pub const fn note<M: Module, O: Migrations<M>>() -> abi::ElfNote {
    let mut accepts = [0; abi::ACCEPTS_MAX];
    let mut index = 0;
    while index < O::ACCEPTS.len() {
        accepts[index] = O::ACCEPTS[index];
        index += 1;
    }
    abi::ElfNote {
        owner_size: abi::NOTE_OWNER.len() as u32,
        size: abi::size32::<abi::Note>(),
        kind: abi::NOTE_TYPE,
        owner: *b"livepatch\0\0\0",
        note: abi::Note {
            abi: abi::ABI,
            module_size: abi::size32::<abi::Module>(),
            host_size: abi::size32::<abi::Host>(),
            event_size: abi::size32::<abi::Event>(),
            operations_size: abi::size32::<abi::Operations>(),
            accept_count: index as u32,
            schema: <M::State as Schema>::FINGERPRINT,
            accepts,
            name: text(M::NAME),
            version: text(M::VERSION),
        },
    }
}

/// A name as the interface has it.
#[must_use]
pub const fn text(name: &str) -> [u8; abi::NAME_MAX] {
    let (bytes, mut room) = (name.as_bytes(), [0; abi::NAME_MAX]);
    assert!(
        bytes.len() < abi::NAME_MAX,
        "names and versions have at most 31 bytes"
    );
    let mut index = 0;
    while index < bytes.len() {
        room[index] = bytes[index];
        index += 1;
    }
    room
}

/// Runs an operation of the module: what goes wrong is told to the component, and a panic goes no further.
///
/// # Safety
/// `host` must be a component's table, and the caller on its main task's thread.
unsafe fn run(
    host: *const abi::Host,
    work: impl FnOnce(&Host<'_>) -> Result<abi::Result, Failure>,
) -> abi::Result {
    // SAFETY: the caller's promise.
    let table = unsafe { &*host };
    // SAFETY: the caller's promise.
    let host = unsafe { Host::new(table) };
    match catch_unwind(AssertUnwindSafe(|| work(&host))) {
        Ok(Ok(result)) => result,
        Ok(Err(failure)) => {
            host.fail(&failure.to_string());
            FAILED
        }
        Err(payload) => {
            // The hook has told why. What any other payload does when it is dropped is not to be risked.
            if !payload.is::<String>() && !payload.is::<&str>() {
                std::mem::forget(payload);
            }
            PANIC
        }
    }
}

/// Gives the data to the component.
fn put<T>(value: T, to: *mut *mut c_void) -> abi::Result {
    let data = Box::into_raw(Box::new(value));
    // SAFETY: the component gives a place for a pointer.
    unsafe { to.write(data.cast()) };
    OK
}

unsafe extern "C" fn attach(host: *const abi::Host) {
    alloc::attach(host);
    hook::install(host);
    hook::rehearse();
}

unsafe extern "C" fn warm_up(_host: *const abi::Host) {
    hook::rehearse();
}

unsafe extern "C" fn init<M: Module>(host: *const abi::Host, to: *mut *mut c_void) -> abi::Result {
    // SAFETY: the component calls with its own table.
    unsafe { run(host, |host| M::init(host).map(|state| put(state, to))) }
}

unsafe extern "C" fn term<M: Module>(host: *const abi::Host, state: *mut c_void) -> abi::Result {
    // SAFETY: the component gives the data that this module's schema is the schema of, and nobody else uses it.
    let state = unsafe { &mut *state.cast::<M::State>() };
    // SAFETY: the component calls with its own table.
    unsafe { run(host, |host| M::term(host, state).map(|()| OK)) }
}

unsafe extern "C" fn hold<M: Module>(host: *const abi::Host, state: *mut c_void) -> abi::Result {
    // SAFETY: as in `term`.
    let state = unsafe { &mut *state.cast::<M::State>() };
    // SAFETY: the component calls with its own table.
    unsafe {
        run(host, |host| {
            M::hold(host, state).map(|held| match held {
                Held::Quiescent => OK,
                Held::Busy => AGAIN,
            })
        })
    }
}

unsafe extern "C" fn restart<M: Module>(
    host: *const abi::Host,
    state: *const c_void,
    why: u32,
) -> abi::Result {
    let why = match why {
        abi::UPGRADE => Why::Upgrade,
        _ => Why::Rollback,
    };
    // SAFETY: as in `term`.
    let state = unsafe { &*state.cast::<M::State>() };
    // SAFETY: the component calls with its own table.
    unsafe { run(host, |host| M::restart(host, state, why).map(|()| OK)) }
}

unsafe extern "C" fn migrate<M: Module, O: Migrations<M>>(
    host: *const abi::Host,
    from: u64,
    old: *const c_void,
    to: *mut *mut c_void,
) -> abi::Result {
    // SAFETY: the component gives data with its own fingerprint, which stays as it is meanwhile.
    let old = unsafe { OldState::new(from, old) };
    let work = |host: &Host<'_>| {
        let made = O::migrate(host, old);
        made.unwrap_or_else(|| Err("no migration from this schema".into()))
            .map(|state| put(state, to))
    };
    // SAFETY: the component calls with its own table.
    unsafe { run(host, work) }
}

unsafe extern "C" fn validate<M: Module>(
    host: *const abi::Host,
    state: *const c_void,
) -> abi::Result {
    // SAFETY: as in `term`.
    let state = unsafe { &*state.cast::<M::State>() };
    // SAFETY: the component calls with its own table.
    unsafe { run(host, |host| M::validate(host, state).map(|()| OK)) }
}

unsafe extern "C" fn health<M: Module>(
    host: *const abi::Host,
    state: *const c_void,
) -> abi::Result {
    // SAFETY: as in `term`.
    let state = unsafe { &*state.cast::<M::State>() };
    // SAFETY: the component calls with its own table.
    unsafe { run(host, |host| M::health(host, state).map(|()| OK)) }
}

unsafe extern "C" fn callback<M: Module, C: Callback<M>>(
    host: *const abi::Host,
    state: *mut c_void,
    event: *const abi::Event,
) -> abi::Result {
    // SAFETY: as in `term`.
    let state = unsafe { &mut *state.cast::<M::State>() };
    // SAFETY: the component's event is valid until the call-back returns.
    let event = unsafe { &*event };
    // SAFETY: and so is what it points to.
    let event = unsafe { Event::new(event) };
    let work = |host: &Host<'_>| match event {
        Some(event) => C::call(host, state, &event).map(|()| OK),
        None => Err("an event of an unknown kind".into()),
    };
    // SAFETY: the component calls with its own table.
    unsafe { run(host, work) }
}
