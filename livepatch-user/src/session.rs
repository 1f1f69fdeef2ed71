//! A look at one process: everything that is read before a decision.

use crate::error::Error;
use crate::image::{Context, Images};
use crate::installed::{self, Found};
use crate::lock::Lock;
use crate::place::{Growth, Taken};
use crate::process::{
    Confinement, Mapping, Pid, ProcessMemory, Stat, Target, TargetError, examine, examine_to_read,
    maps,
};
use std::path::PathBuf;
use std::time::Duration;

/// A process, its memory and what it maps.
#[derive(Debug)]
pub struct Session {
    /// The process.
    pub target: Target,
    /// Its memory.
    pub memory: ProcessMemory,
    /// What it mapped when the session began.
    pub mappings: Vec<Mapping>,
}

impl Session {
    /// Looks at a process.
    ///
    /// # Errors
    /// When it cannot be a target, or not be read.
    pub fn open(pid: Pid) -> Result<Self, Error> {
        Self::look(examine(pid)?)
    }

    /// Looks at a process, also at one that a debugger, or another livepatch, has in its hands.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_to_read(pid: Pid) -> Result<Self, Error> {
        Self::look(examine_to_read(pid)?)
    }

    /// Looks at a process that nobody else changes while the lock is held.
    ///
    /// # Errors
    /// As [`Self::open`], and when somebody else works on it for longer than `timeout`.
    pub fn open_locked(pid: Pid, timeout: Duration) -> Result<(Self, Lock), Error> {
        let directory = PathBuf::from(format!("/proc/{pid}"));
        if Stat::read(&directory).is_err() {
            return Err(
                examine(pid).map_or_else(Error::from, |_| TargetError::NoSuchProcess(pid).into())
            );
        }
        let lock = Lock::take(pid, timeout)?;
        Ok((Self::open(pid)?, lock))
    }

    /// Whether the process can be made to make system calls, as far as can be told without touching it.
    ///
    /// # Errors
    /// [`Error::Confined`] when it is confined so that it cannot.
    pub fn refuse_confined(&self) -> Result<(), Error> {
        match Confinement::find(self.pid()) {
            None => Ok(()),
            Some(confinement) => Err(Error::Confined {
                pid: self.pid(),
                name: self.target.name.clone(),
                confinement,
            }),
        }
    }

    fn look(target: Target) -> Result<Self, Error> {
        let pid = target.pid;
        let read = |what| move |source| Error::Read { pid, what, source };
        let memory = ProcessMemory::open(&target).map_err(read("the memory"))?;
        let mappings = maps(pid).map_err(read("the mappings"))?;
        Ok(Self {
            target,
            memory,
            mappings,
        })
    }

    /// The process's number.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.target.pid
    }

    /// Its ELF images; separate debug files are looked for in `debug_dirs`, too.
    #[must_use]
    pub fn images(&self, debug_dirs: &[PathBuf]) -> Images<'_> {
        let mut context = Context::of(self.pid());
        context.debug_dirs.extend_from_slice(debug_dirs);
        Images::read(&self.mappings, &self.memory, context)
    }

    /// Whether it still maps the code that it mapped when the session began.
    #[must_use]
    pub fn maps_the_same_code(&self) -> bool {
        fn code(mappings: &[Mapping]) -> impl Iterator<Item = &Mapping> {
            mappings.iter().filter(|mapping| mapping.execute)
        }
        maps(self.pid()).is_ok_and(|now| code(&now).eq(code(&self.mappings)))
    }

    /// The patches that it carries.
    #[must_use]
    pub fn patches(&self, images: &Images<'_>) -> Found {
        let build_id = |address| {
            let image = images.at(address)?;
            Some(
                image
                    .build_id()
                    .map(|id| id.as_bytes().to_vec())
                    .unwrap_or_default(),
            )
        };
        installed::find(&self.mappings, &self.memory, &build_id)
    }

    /// The addresses that are taken, and how they may grow.
    #[must_use]
    pub fn taken(&self) -> Vec<Taken> {
        let growth = |mapping: &Mapping| {
            if mapping.is_named("[heap]") {
                Growth::Up
            } else if mapping.is_named("[stack]") {
                Growth::Down
            } else {
                Growth::None
            }
        };
        self.mappings
            .iter()
            .map(|m| Taken {
                start: m.start,
                end: m.end,
                growth: growth(m),
            })
            .collect()
    }
}
