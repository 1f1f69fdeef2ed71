//! The arena: memory in the target for shadow variables (`livepatch.h`), shared by all patches that have any.
//!
//! A patch refers to it by symbols that no program defines: `livepatch_arena` is its address, `livepatch_variable_NAME`
//! the variable's *epoch*, a number that no other life of a variable of that name had. A later patch with a variable of
//! the same name gets the same epoch, and so the same values; when no patch has the variable any more, its epoch is struck
//! out, and with it all its values. The arena goes with the last patch that has any.

mod layout;
mod reserve;

pub use reserve::{ARENA_NAME, announced};

use crate::error::Error;
use crate::hands::borrow;
use crate::install::Hands;
use crate::installed::Installed;
use crate::memory::Memory;
use crate::process::{Backing, Mapping, Pid, Tid, WriteError, read_text};
use crate::session::Session;
use layout::{Header, STOPPED, slot_at};
use livepatch_bundle::{Bundle, RunAddr, SymbolId};
use reserve::{SIZES, map};
use serde::{Deserialize, Serialize};
use std::io;
use thiserror::Error;

/// The symbol whose value is the arena's address.
const ARENA: &str = "livepatch_arena";
/// Symbols that begin so have an epoch as their value.
const VARIABLE: &str = "livepatch_variable_";
/// Where C libraries keep a thread's number, from the thread pointer: glibc, musl since 1.2, musl before.
const THREAD_NUMBERS: [u64; 3] = [0x2d0, 0x30, 0x38];

/// What a patch uses of the arena, in its record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedArena {
    /// Where the arena is.
    pub address: RunAddr,
    /// Its length in bytes.
    pub len: u64,
    /// The patch's variables: names and epochs.
    pub variables: Vec<(String, u64)>,
}

/// Why there is no arena.
#[derive(Debug, Error)]
pub enum ArenaError {
    /// The target cannot map it.
    #[error("the target cannot map memory for shadow variables")]
    Map(#[source] io::Error),
    /// It cannot be written.
    #[error("cannot write the arena of the shadow variables")]
    Write(#[from] WriteError),
    /// All slots are taken.
    #[error(
        "the process has {} shadow variables already, and no room for more",
        layout::SLOTS
    )]
    Full,
}

/// What a bundle needs of the arena.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    arena: Vec<SymbolId>,
    variables: Vec<(String, SymbolId)>,
}

impl Needs {
    /// What `bundle` needs.
    #[must_use]
    pub fn of(bundle: &Bundle) -> Self {
        let mut needs = Self::default();
        let names = bundle.names();
        for reference in &bundle.manifest.references {
            let Some(symbol) = names.get(&reference.symbol) else {
                continue;
            };
            if reference.name == ARENA {
                needs.arena.push(symbol);
            } else if let Some(name) = reference.name.strip_prefix(VARIABLE) {
                needs.variables.push((name.to_owned(), symbol));
            }
        }
        needs
    }

    /// Whether nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.arena.is_empty() && self.variables.is_empty()
    }

    /// A record with numbers at least as long as any.
    #[must_use]
    pub fn longest(&self) -> Option<RecordedArena> {
        let variables = self.variables.iter();
        (!self.is_empty()).then(|| RecordedArena {
            address: RunAddr(u64::MAX),
            len: u64::MAX,
            variables: variables
                .map(|(name, _)| (name.clone(), u64::MAX))
                .collect(),
        })
    }

    /// The values of the symbols.
    #[must_use]
    pub fn values(&self, arena: &RecordedArena) -> Vec<(SymbolId, RunAddr)> {
        let address = self.arena.iter().map(|symbol| (*symbol, arena.address));
        let epochs = self.variables.iter().zip(&arena.variables);
        let epochs = epochs.map(|((_, symbol), (_, epoch))| (*symbol, RunAddr(*epoch)));
        address.chain(epochs).collect()
    }
}

/// The arena made ready for a patch that is not in force yet.
#[derive(Debug)]
pub struct Ready {
    /// For its record.
    pub recorded: RecordedArena,
    /// Epochs that were made for it.
    made: Vec<u64>,
    /// Whether the arena was.
    fresh: bool,
}

/// Finds or maps the arena and the epochs of the variables that the patch needs.
///
/// # Errors
/// When it cannot be mapped; nothing is left then.
pub fn prepare(
    session: &Session,
    patches: &[Installed],
    needs: &Needs,
) -> Result<Option<Ready>, Error> {
    if needs.is_empty() {
        return Ok(None);
    }
    let (mut header, address, fresh) = match existing(session, patches) {
        Some((header, address)) => (header, address, false),
        None => {
            let (header, address) = map(session)?;
            (header, address, true)
        }
    };
    let mut ready = Ready {
        recorded: RecordedArena {
            address,
            len: header.size,
            variables: Vec::new(),
        },
        made: Vec::new(),
        fresh,
    };
    for (name, _) in &needs.variables {
        let shared = epoch_of(patches, address, name).filter(|epoch| header.is_live(*epoch));
        let epoch = match shared {
            Some(epoch) => Ok(epoch),
            None => begin(session, &mut header, address).inspect(|epoch| ready.made.push(*epoch)),
        };
        match epoch {
            Ok(epoch) => ready.recorded.variables.push((name.clone(), epoch)),
            Err(error) => {
                ready.undo(session);
                return Err(arena_error(session, error));
            }
        }
    }
    Ok(Some(ready))
}

fn arena_error(session: &Session, source: ArenaError) -> Error {
    Error::Arena {
        pid: session.pid(),
        source,
    }
}

impl Ready {
    /// Takes back what was made, after the patch was not applied.
    pub fn undo(&self, session: &Session) {
        give_back(session, &self.recorded, &self.made, self.fresh);
    }
}

/// Gives back what only the patch at `index` uses, after it is gone.
pub fn release(session: &Session, patches: &[Installed], index: usize) {
    let Some(arena) = &patches[index].record.arena else {
        return;
    };
    let others = || {
        let others = patches.iter().enumerate().filter(|(at, _)| *at != index);
        others
            .filter_map(|(_, patch)| patch.record.arena.as_ref())
            .filter(|other| other.address == arena.address)
    };
    let shared = |epoch: u64| others().any(|other| other.variables.iter().any(|v| v.1 == epoch));
    let own: Vec<u64> = arena
        .variables
        .iter()
        .map(|variable| variable.1)
        .filter(|epoch| !shared(*epoch))
        .collect();
    give_back(session, arena, &own, others().next().is_none());
}

/// Strikes out epochs, or unmaps the arena. What fails costs memory and is only told.
fn give_back(session: &Session, arena: &RecordedArena, epochs: &[u64], all: bool) {
    let header = Header::read(&session.memory, arena.address);
    let Ok(Some(header)) = header else {
        return;
    };
    let given_back = if all && header.size == arena.len {
        unmap(session, arena)
    } else {
        let mut live = epochs.iter().filter(|epoch| header.is_live(**epoch));
        live.try_for_each(|epoch| put(session, slot_at(arena.address, *epoch), 0))
            .map_err(|error| error.to_string())
    };
    if let Err(reason) = given_back {
        let at = arena.address;
        tracing::warn!("the shadow variables at {at} could not be given back: {reason}");
    }
}

fn unmap(session: &Session, arena: &RecordedArena) -> Result<(), String> {
    let mut hands = borrow(session).map_err(|error| error.to_string())?;
    let unmapped = hands.syscall(libc::SYS_munmap, [arena.address.0, arena.len, 0, 0, 0, 0]);
    hands.give_back().map_err(|error| error.to_string())?;
    unmapped.map(drop).map_err(|error| error.to_string())
}

/// Tells the code in the arenas that threads run, where a run that was killed in a stop left word that they stand. The
/// caller holds the process's lock.
pub fn forget_stop(session: &Session, patches: &[Installed]) {
    for arena in patches
        .iter()
        .filter_map(|patch| patch.record.arena.as_ref())
    {
        let at = RunAddr(arena.address.0 + STOPPED);
        let told = session
            .memory
            .read_vec(at, 4)
            .is_ok_and(|word| word != [0; 4]);
        let header = Header::read(&session.memory, arena.address).ok().flatten();
        if told && header.is_some_and(|header| header.size == arena.len) {
            let written = tell_stopped(session, Some(arena), session.pid().leader(), false);
            written.unwrap_or_else(|error| tracing::warn!("{error}"));
        }
    }
}

/// Arenas that no patch uses: what a run left that was killed before its patch was placed.
#[must_use]
pub fn stray(session: &Session, patches: &[Installed]) -> Vec<(RunAddr, u64)> {
    let used = |address| {
        let arenas = patches
            .iter()
            .filter_map(|patch| patch.record.arena.as_ref());
        arenas.into_iter().any(|arena| arena.address == address)
    };
    let is_arena = |mapping: &&Mapping| {
        let size = mapping.len();
        let header = || Header::read(&session.memory, mapping.start).ok().flatten();
        SIZES.contains(&size)
            && mapping.backing == Backing::Anonymous
            && header().is_some_and(|header| header.size == size)
    };
    let arenas = session.mappings.iter().filter(is_arena);
    arenas
        .filter(|mapping| !used(mapping.start))
        .map(|mapping| (mapping.start, mapping.len()))
        .collect()
}

/// The arena of the patches that are there.
fn existing(session: &Session, patches: &[Installed]) -> Option<(Header, RunAddr)> {
    let arenas = patches
        .iter()
        .filter_map(|patch| patch.record.arena.as_ref());
    arenas
        .filter_map(|arena| {
            let header = Header::read(&session.memory, arena.address).ok()??;
            (header.size == arena.len).then_some((header, arena.address))
        })
        .next()
}

fn epoch_of(patches: &[Installed], address: RunAddr, name: &str) -> Option<u64> {
    let arenas = patches
        .iter()
        .filter_map(|patch| patch.record.arena.as_ref());
    arenas
        .filter(|arena| arena.address == address)
        .flat_map(|arena| &arena.variables)
        .find(|variable| variable.0 == name)
        .map(|variable| variable.1)
}

fn begin(session: &Session, header: &mut Header, base: RunAddr) -> Result<u64, ArenaError> {
    let (epoch, words) = header.begin(base).ok_or(ArenaError::Full)?;
    for (address, value) in words {
        put(session, address, value)?;
    }
    Ok(epoch)
}

fn put(session: &Session, address: RunAddr, value: u64) -> Result<(), WriteError> {
    let written = session
        .memory
        .write_forced(address, &value.to_le_bytes(), None);
    written.map(drop)
}

/// Where the C library keeps a thread's number, if that of the thread `tid` stands at exactly one of the known places.
fn thread_number(session: &Session, pointer: RunAddr, tid: Tid) -> u64 {
    let Some(number) = own_number(session.pid(), tid) else {
        return 0;
    };
    let holds = |at: &&u64| {
        let found = session
            .memory
            .read_vec(RunAddr(pointer.0.wrapping_add(**at)), 4);
        found.is_ok_and(|found| found == number.to_le_bytes())
    };
    let mut fitting = THREAD_NUMBERS.iter().filter(holds);
    match (fitting.next(), fitting.next()) {
        (Some(only), None) => *only,
        _ => 0,
    }
}

/// The thread's number in the innermost pid namespace: what the thread itself knows.
fn own_number(pid: Pid, tid: Tid) -> Option<u32> {
    let status = read_text(format!("/proc/{pid}/task/{tid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("NSpid:"))?;
    line.split_whitespace().last()?.parse().ok()
}

/// Tells the code in the arena's users whether every thread stands. Must be told again before they go on.
///
/// # Errors
/// When it cannot be written.
pub fn tell_stopped(
    session: &Session,
    arena: Option<&RecordedArena>,
    tid: Tid,
    stopped: bool,
) -> Result<(), WriteError> {
    let Some(arena) = arena else {
        return Ok(());
    };
    let at = RunAddr(arena.address.0 + STOPPED);
    let word = u32::from(stopped).to_le_bytes();
    session.memory.write_forced(at, &word, Some(tid)).map(drop)
}
