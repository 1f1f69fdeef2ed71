//! Loaded modules: their description is read and checked here, and their functions are called from here alone.

use crate::module::mapper::{EntryId, Names};
use crate::sys::table::Table;
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use livepatch_module::abi;
use std::ffi::{CStr, c_char, c_void};
use std::mem::ManuallyDrop;
use std::path::Path;
use std::ptr;
use std::slice;
use thiserror::Error;

/// No module has more call-backs.
const ENTRIES_MAX: u64 = 1024;

/// Why a library is not a usable module.
#[derive(Debug, Error)]
pub(crate) enum LoadError {
    /// The dynamic linker refuses it.
    #[error("cannot load it")]
    Open(#[source] libloading::Error),
    /// It does not export what a module exports.
    #[error("it has no symbol `{}`", abi::SYMBOL)]
    NoSymbol(#[source] libloading::Error),
    /// What it exports is not what its note says, or not complete.
    #[error("its description is wrong: {0}")]
    Description(&'static str),
}

/// The data of a component, which only its modules understand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Data(*mut c_void);

impl Data {
    /// None yet.
    pub(crate) const NONE: Self = Self(ptr::null_mut());

    /// Where it lies.
    pub(crate) fn address(self) -> usize {
        self.0.addr()
    }
}

/// The required operations.
#[derive(Clone, Copy, Debug)]
struct Required {
    init: abi::Init,
    term: abi::Operation,
    hold: abi::Operation,
    restart: abi::Restart,
}

/// A module in this process. Dropping it leaves its code mapped; [`Self::close`] does not.
#[derive(Debug)]
pub(crate) struct Loaded {
    library: ManuallyDrop<Library>,
    is: Description,
}

/// What the module says of itself.
#[derive(Debug)]
struct Description {
    required: Required,
    operations: abi::Operations,
    entries: Vec<(String, abi::Callback)>,
    symbol: usize,
    schema: u64,
    name: String,
    version: String,
}

// SAFETY: function addresses and owned texts; the functions are called with a `Table`, which stays on its thread.
unsafe impl Send for Loaded {}

/// # Safety
/// `text` must be null or a terminated text.
unsafe fn text<'a>(text: *const c_char) -> Result<&'a str, LoadError> {
    if text.is_null() {
        return Err(LoadError::Description("a name is missing"));
    }
    // SAFETY: the caller's promise.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str()
        .map_err(|_| LoadError::Description("a name is not UTF-8"))
}

impl Loaded {
    /// Loads a library whose note was found compatible, and attaches it.
    ///
    /// # Errors
    /// When it cannot be loaded, or is not what its note says. (Its constructors have run by then.)
    pub(crate) fn open(path: &Path, host: &abi::Host) -> Result<Self, LoadError> {
        let (library, is) = load(path, host)?;
        let library = ManuallyDrop::new(library);
        Ok(Self { library, is })
    }

    /// Unloads it and loads another one in its place.
    ///
    /// # Errors
    /// When that cannot be loaded: nothing can be called then until another exchange works.
    pub(crate) fn exchange(&mut self, path: &Path, host: &abi::Host) -> Result<(), LoadError> {
        let old = std::mem::replace(&mut *self.library, Library::this());
        // What the dynamic linker says of the old one changes nothing for the new one.
        let _ = old.close();
        let (library, is) = load(path, host)?;
        *self.library = library;
        self.is = is;
        Ok(())
    }

    /// Unloads it; none of its code runs from then on, and nothing of it is used.
    ///
    /// # Errors
    /// When the dynamic linker says so.
    pub(crate) fn close(self) -> Result<(), libloading::Error> {
        ManuallyDrop::into_inner(self.library).close()
    }

    pub(crate) fn name(&self) -> &str {
        &self.is.name
    }

    pub(crate) fn version(&self) -> &str {
        &self.is.version
    }

    pub(crate) fn schema(&self) -> u64 {
        self.is.schema
    }

    /// Where its description lies.
    pub(crate) fn symbol(&self) -> usize {
        self.is.symbol
    }

    pub(crate) fn can_migrate(&self) -> bool {
        self.is.operations.migrate.is_some()
    }

    /// Names and addresses of its call-backs.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&str, usize)> {
        let entries = self.is.entries.iter();
        entries.map(|(name, call)| (name.as_str(), *call as usize))
    }

    /// Its call-backs by the component's numbers for their names.
    pub(crate) fn calls(&self, names: &mut Names) -> Calls {
        let numbered = self.is.entries.iter();
        let numbered: Vec<(EntryId, abi::Callback)> = numbered
            .map(|(name, call)| (names.number(name), *call))
            .collect();
        let mut calls = vec![None; names.len()];
        for (entry, call) in numbered {
            calls[entry.index()] = Some(call);
        }
        Calls(calls)
    }

    /// INIT.
    pub(crate) fn init(&self, table: &Table) -> (abi::Result, Data) {
        let mut data = Data::NONE;
        // SAFETY: the module's own function, on the main task's thread, which `Table` never leaves; data goes where it is told.
        let result = unsafe { (self.is.required.init)(table.raw(), &raw mut data.0) };
        (result, data)
    }

    /// TERM.
    pub(crate) fn term(&self, table: &Table, data: Data) -> abi::Result {
        // SAFETY: as in `init`; the data is of this module's schema.
        unsafe { (self.is.required.term)(table.raw(), data.0) }
    }

    /// HOLD.
    pub(crate) fn hold(&self, table: &Table, data: Data) -> abi::Result {
        // SAFETY: as in `term`.
        unsafe { (self.is.required.hold)(table.raw(), data.0) }
    }

    /// RESTART.
    pub(crate) fn restart(&self, table: &Table, data: Data, why: u32) -> abi::Result {
        // SAFETY: as in `term`.
        unsafe { (self.is.required.restart)(table.raw(), data.0, why) }
    }

    /// Has it touch what it will need when it takes over; on the main task's thread.
    pub(crate) fn warm_up(&self, table: &Table) {
        if let Some(warm_up) = self.is.operations.warm_up {
            // SAFETY: as in `init`.
            unsafe { warm_up(table.raw()) };
        }
    }

    /// Makes data of this module's schema from data of another one.
    pub(crate) fn migrate(&self, table: &Table, from: u64, old: Data) -> (abi::Result, Data) {
        let Some(migrate) = self.is.operations.migrate else {
            return (abi::FAILED, Data::NONE);
        };
        let mut data = Data::NONE;
        // SAFETY: as in `init`; `old` is of the schema `from`.
        let result = unsafe { migrate(table.raw(), from, old.0, &raw mut data.0) };
        (result, data)
    }

    /// Whether the data makes sense to the module; it does when the module cannot tell.
    pub(crate) fn validate(&self, table: &Table, data: Data) -> abi::Result {
        self.inspect(self.is.operations.validate, table, data)
    }

    /// Whether all is well; it is when the module cannot tell.
    pub(crate) fn health(&self, table: &Table, data: Data) -> abi::Result {
        self.inspect(self.is.operations.health, table, data)
    }

    fn inspect(&self, ask: Option<abi::Inspect>, table: &Table, data: Data) -> abi::Result {
        match ask {
            // SAFETY: as in `term`.
            Some(ask) => unsafe { ask(table.raw(), data.0) },
            None => abi::OK,
        }
    }
}

fn load(path: &Path, host: &abi::Host) -> Result<(Library, Description), LoadError> {
    // SAFETY: loading runs the library's constructors: code that the operator chose to run in this process.
    let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) };
    let library = library.map_err(LoadError::Open)?;
    // SAFETY: a symbol's address is only taken here.
    let symbol = unsafe { library.get::<*const abi::Module>(abi::SYMBOL) };
    let module = symbol.map_err(LoadError::NoSymbol)?.as_raw_ptr();
    // SAFETY: the symbol is the module's description, as its note says, and stays while the library is there.
    let module = unsafe { module.cast::<abi::Module>().as_ref() };
    let module = module.ok_or(LoadError::Description("it is empty"))?;
    let is = Description::read(module)?;
    if let Some(attach) = is.operations.attach {
        // SAFETY: the table outlasts every module.
        unsafe { attach(host) };
    }
    Ok((library, is))
}

impl Description {
    fn read(module: &abi::Module) -> Result<Self, LoadError> {
        let wrong = |what| Err(LoadError::Description(what));
        if module.size < abi::size32::<abi::Module>() || module.abi != abi::ABI {
            return wrong("it is of another version of the interface");
        }
        // SAFETY: null, or the table that the note promises.
        let Some(&operations) = (unsafe { module.operations.as_ref() }) else {
            return wrong("it has no operations");
        };
        let (Some(init), Some(term), Some(hold), Some(restart)) = (
            operations.init,
            operations.term,
            operations.hold,
            operations.restart,
        ) else {
            return wrong("`init`, `term`, `hold` and `restart` must all be there");
        };
        Ok(Self {
            required: Required {
                init,
                term,
                hold,
                restart,
            },
            operations,
            entries: entries(module)?,
            symbol: ptr::from_ref(module).addr(),
            schema: module.schema,
            // SAFETY: null or a constant of the module.
            name: unsafe { text(module.name) }?.to_owned(),
            // SAFETY: null or a constant of the module.
            version: unsafe { text(module.version) }?.to_owned(),
        })
    }
}

fn entries(module: &abi::Module) -> Result<Vec<(String, abi::Callback)>, LoadError> {
    let wrong = |what| Err(LoadError::Description(what));
    if module.entry_count == 0 || module.entry_count > ENTRIES_MAX || module.entries.is_null() {
        return wrong("it has no call-backs, or too many");
    }
    let count = usize::try_from(module.entry_count).unwrap_or_default();
    // SAFETY: the table that the note promises, of a bounded length.
    let table = unsafe { slice::from_raw_parts(module.entries, count) };
    let mut entries: Vec<(String, abi::Callback)> = Vec::with_capacity(count);
    for entry in table {
        // SAFETY: null or a constant of the module.
        let name = unsafe { text(entry.name) }?;
        let Some(call) = entry.call else {
            return wrong("a call-back has no function");
        };
        if entries.iter().any(|(known, _)| known == name) {
            return wrong("two call-backs have the same name");
        }
        entries.push((name.to_owned(), call));
    }
    Ok(entries)
}

/// The call-backs of a module, by the component's numbers: what the symbol mapper has made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Calls(Vec<Option<abi::Callback>>);

impl Calls {
    /// Whether there is a call-back for it.
    pub(crate) fn has(&self, entry: EntryId) -> bool {
        self.0.get(entry.index()).is_some_and(Option::is_some)
    }

    /// Hands an event to a call-back; `None` when there is none.
    pub(crate) fn call(
        &self,
        entry: EntryId,
        table: &Table,
        data: Data,
        event: &crate::queue::Queued,
    ) -> Option<abi::Result> {
        let call = self.0.get(entry.index()).copied().flatten()?;
        let path = event.path.as_deref().unwrap_or_default();
        let event = abi::Event {
            size: abi::size32::<abi::Event>(),
            kind: event.kind as u32,
            source: event.source,
            place: event.place,
            time_ns: event.time_ns,
            value: event.value,
            from: event.from,
            reserved: 0,
            path: path.as_ptr().cast(),
            path_len: path.len() as u64,
            data: event.data.as_ptr(),
            len: event.data.len() as u64,
        };
        // SAFETY: a function of the module that is mapped now, with data of its schema, on the main task's thread; the event
        // lives until it returns.
        Some(unsafe { call(table.raw(), data.0, &raw const event) })
    }
}
