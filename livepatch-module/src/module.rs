//! The safe interface for modules in Rust.

use crate::event::Event;
use crate::failure::Failure;
use crate::host::Host;
use crate::schema::Schema;

/// Whether a module is quiescent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// The data is consistent.
    Quiescent,
    /// Not now: the upgrade is called off and may be tried again.
    Busy,
}

/// Why a module is restarted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It is new.
    Upgrade,
    /// It was held for an upgrade that failed, or comes back.
    Rollback,
}

/// The logic of a component. [`export!`](crate::export) makes it a dynamic module.
pub trait Module: 'static {
    /// Of the component that it is for; at most 31 bytes.
    const NAME: &'static str;
    /// At most 31 bytes.
    const VERSION: &'static str;
    /// The module data, which the main task keeps.
    type State: Schema;

    /// INIT: the first load. Makes the data and begins to work.
    ///
    /// # Errors
    /// When it cannot work; the component does not start then.
    fn init(host: &Host<'_>) -> Result<Self::State, Failure>;

    /// TERM: stops work at once. Default: nothing is to be stopped.
    ///
    /// # Errors
    /// When that is not possible; the upgrade is called off.
    fn term(_host: &Host<'_>, _state: &mut Self::State) -> Result<(), Failure> {
        Ok(())
    }

    /// HOLD: leaves the data consistent. Default: it always is.
    ///
    /// # Errors
    /// When that is not possible; the upgrade is called off.
    fn hold(_host: &Host<'_>, _state: &mut Self::State) -> Result<Held, Failure> {
        Ok(Held::Quiescent)
    }

    /// RESTART: goes on with this data. Default: nothing is to be done.
    ///
    /// # Errors
    /// When it cannot go on; the upgrade is rolled back.
    fn restart(_host: &Host<'_>, _state: &Self::State, _why: Why) -> Result<(), Failure> {
        Ok(())
    }

    /// Whether the data makes sense, with no effect. Default: it does.
    ///
    /// # Errors
    /// When it does not; the upgrade is rolled back.
    fn validate(_host: &Host<'_>, _state: &Self::State) -> Result<(), Failure> {
        Ok(())
    }

    /// Whether all is well, asked during probation. Default: it is.
    ///
    /// # Errors
    /// When it is not; the component goes back to the version before.
    fn health(_host: &Host<'_>, _state: &Self::State) -> Result<(), Failure> {
        Ok(())
    }
}

/// A call-back of a module, as a type; [`export!`](crate::export) makes these.
pub trait Callback<M: Module> {
    /// Its name with a terminating zero.
    const NAME: &'static [u8];

    /// Handles an event.
    ///
    /// # Errors
    /// Told in the log and counted.
    fn call(host: &Host<'_>, state: &mut M::State, event: &Event<'_>) -> Result<(), Failure>;
}

/// Data of another schema, in which only its own type can be seen.
#[derive(Clone, Copy, Debug)]
pub struct OldState<'a> {
    fingerprint: u64,
    data: *const std::ffi::c_void,
    lives: std::marker::PhantomData<&'a ()>,
}

impl<'a> OldState<'a> {
    /// # Safety
    /// `data` must point to a value of the type whose fingerprint it is, valid and unchanged for `'a`.
    pub(crate) unsafe fn new(fingerprint: u64, data: *const std::ffi::c_void) -> Self {
        Self {
            fingerprint,
            data,
            lives: std::marker::PhantomData,
        }
    }

    /// The data, if it is of this type.
    #[must_use]
    pub fn get<T: Schema>(&self) -> Option<&'a T> {
        let same = self.fingerprint == T::FINGERPRINT && !self.data.is_null();
        same.then(|| {
            // SAFETY: a value of this fingerprint is there, and types of one fingerprint have one layout and meaning.
            unsafe { &*self.data.cast() }
        })
    }
}

/// The migrations of a module, as a type; [`export!`](crate::export) makes it.
pub trait Migrations<M: Module> {
    /// The schemas that are taken.
    const ACCEPTS: &'static [u64];

    /// Makes data from old data; `None` for a schema that is not taken.
    fn migrate(host: &Host<'_>, old: OldState<'_>) -> Option<Result<M::State, Failure>>;
}
