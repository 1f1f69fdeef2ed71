//! Before the pause, off the main task: find the new version, check it, load it beside the old one, and have memory ready.

use super::Running;
use super::switch::Incoming;
use crate::begun::Begun;
use crate::control::protocol::How;
use crate::control::server::Asker;
use crate::history::Record;
use crate::module::file::{FileError, ModuleFile};
use crate::module::note::About;
use crate::module::repository::{RepositoryError, find};
use crate::sys::arena::Arena;
use crate::sys::helper::Helper;
use crate::sys::module::{Calls, LoadError, Loaded};
use crate::sys::pages::populate;
use crate::sys::table::Attaching;
use livepatch_bundle::Policy;
use livepatch_cli::Status;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use thiserror::Error;

/// Why a version is refused before anything is held.
#[derive(Debug, Error)]
pub(super) enum Refusal {
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    #[error("the new version is refused")]
    File(#[source] FileError),
    #[error(
        "`{version}` cannot go on with the data of the version that runs (schema {from:016x}): it has {schema:016x} and no migration"
    )]
    Data {
        version: String,
        from: u64,
        schema: u64,
    },
    #[error(
        "the version that runs could not go on with the data of `{version}` (schema {schema:016x}), so there would be no way back"
    )]
    NoWayBack { version: String, schema: u64 },
    #[error("the new version cannot be loaded")]
    Load(#[source] LoadError),
    #[error("the module's description differs from its note")]
    Description,
    #[error("the new version has no call-backs for what is in use: {}", .0.join(", "))]
    Missing(Vec<String>),
    #[error("there is no memory for new data")]
    Memory(#[source] io::Error),
    #[error(
        "{0} old versions are still mapped, which is as many as may be: the component must be restarted"
    )]
    Leftovers(usize),
    #[error("another upgrade is under way")]
    Busy,
    #[error("the version that runs is on probation; `rollback` ends that")]
    Probation,
    #[error("the group that it is of cannot be called off")]
    Undecided(#[source] io::Error),
    #[error(
        "the group that it is of stands since just now; `rollback` again takes back this one alone"
    )]
    Decided,
    #[error("there is no version to go back to")]
    NoPrevious,
    #[error("the loader's thread ended early")]
    Thread,
    #[error("there is no thread to load it")]
    NoThread(#[source] io::Error),
}

impl Refusal {
    pub(super) fn status(&self) -> Status {
        match self {
            Self::Busy => Status::Busy,
            _ => Status::Refused,
        }
    }
}

/// What is asked for.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    /// `upgrade` or `rollback`.
    pub(super) action: &'static str,
    /// A version, or a path.
    pub(super) version: String,
    pub(super) dry_run: bool,
    pub(super) reversible: bool,
    pub(super) how: How,
}

/// What the loader's thread needs to know.
pub(super) struct Order {
    pub(super) wanted: Wanted,
    pub(super) name: String,
    pub(super) repository: Option<PathBuf>,
    pub(super) copies: PathBuf,
    pub(super) number: u64,
    pub(super) policy: Arc<Policy>,
    pub(super) running: About,
    pub(super) host: Attaching,
    pub(super) arena: &'static Arena,
    /// Where it is written down that this is under way.
    pub(super) begun: PathBuf,
}

/// A version that is ready.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) incoming: Incoming,
    pub(super) begun: Option<Begun>,
}

/// A version that is being prepared.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) asker: Asker,
    pub(super) wanted: Wanted,
    pub(super) begun_ns: u64,
    pub(super) helper: Helper<Result<Prepared, Refusal>>,
}

impl Job {
    /// Begins to prepare.
    ///
    /// # Errors
    /// When there is no thread for it.
    pub(super) fn new(
        asker: Asker,
        order: Order,
        waker: &Arc<mio::Waker>,
    ) -> Result<Self, Refusal> {
        let (wanted, begun_ns) = (order.wanted.clone(), crate::clock::now());
        let helper = Helper::start(waker, move || prepare(&order));
        Ok(Self {
            asker,
            wanted,
            begun_ns,
            helper: helper.map_err(Refusal::NoThread)?,
        })
    }

    /// What was prepared; waits for the thread to end.
    pub(super) fn finish(self) -> Result<Prepared, Refusal> {
        self.helper.finish().unwrap_or(Err(Refusal::Thread))
    }
}

fn prepare(order: &Order) -> Result<Prepared, Refusal> {
    let wanted = &order.wanted;
    let path = find(order.repository.as_deref(), &order.name, &wanted.version)?;
    let copies = &order.copies;
    let file = ModuleFile::take(&path, &order.name, &order.policy, copies, order.number);
    let file = file.map_err(Refusal::File)?;
    fits(&file.about, order)?;
    let begun = begin(order, &file.about);
    let incoming = load(order, file)?;
    Ok(Prepared { incoming, begun })
}

/// Writes down that it is under way, for whatever comes of it.
fn begin(order: &Order, about: &About) -> Option<Begun> {
    let (action, from) = (order.wanted.action, &order.running.version);
    let record = Record::new(action, Some(from), &about.version);
    // Where nothing can be written, the history could not tell of it either.
    Begun::write(&order.begun, &record).ok()
}

/// Loads it beside the version that runs, and has memory ready.
fn load(order: &Order, file: ModuleFile) -> Result<Incoming, Refusal> {
    let wanted = &order.wanted;
    let migrates = wanted.how.fresh || file.about.schema != order.running.schema;
    if wanted.how.strict_order {
        reserve(order.arena, migrates)?;
        return Ok(Incoming::Strict(Arc::new(file)));
    }
    let loaded = Loaded::open(file.copy(), order.host.host()).map_err(Refusal::Load)?;
    let about = &file.about;
    let same = loaded.name() == about.name
        && loaded.version() == about.version
        && loaded.schema() == about.schema;
    if !same || (!about.accepts.is_empty() && !loaded.can_migrate()) {
        // Nothing of it is used: that it cannot be unloaded changes nothing.
        let _ = loaded.close();
        return Err(Refusal::Description);
    }
    reserve(order.arena, migrates)?;
    populate(file.copy());
    Ok(Incoming::Loaded(Box::new(Running {
        loaded,
        file: Arc::new(file),
        calls: Calls::default(),
    })))
}

/// Whether the data can come over, and back where that is asked for.
fn fits(about: &About, order: &Order) -> Result<(), Refusal> {
    let (running, how) = (&order.running, &order.wanted.how);
    if !how.fresh && !about.takes(running.schema) {
        return Err(Refusal::Data {
            version: about.version.clone(),
            from: running.schema,
            schema: about.schema,
        });
    }
    let needs_way_back = order.wanted.reversible || how.is_on_trust();
    if needs_way_back && !running.takes(about.schema) {
        return Err(Refusal::NoWayBack {
            version: about.version.clone(),
            schema: about.schema,
        });
    }
    Ok(())
}

/// Has memory ready, so that none needs to be asked of the system in the pause.
fn reserve(arena: &Arena, migrates: bool) -> Result<(), Refusal> {
    let chunks = match migrates {
        true => arena.chunks() + 1,
        false => 1,
    };
    arena.prepare(chunks).map_err(Refusal::Memory)
}
