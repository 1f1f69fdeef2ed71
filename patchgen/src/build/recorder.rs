//! From the programs that a build starts to its [`Record`].

use super::arguments::{self, Tool};
use super::error::BuildError;
use super::record::{Compile, Input, Link, Record};
use super::trace::{Started, ancestors};
use crate::input;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What the files of the system begin with; no build makes those.
const SYSTEM: [&str; 3] = ["/usr/", "/lib/", "/lib64/"];

/// Notes what a build compiles and links, and keeps a copy of each object that is linked.
pub(super) struct Recorder<'s> {
    /// Where objects are kept, by digest.
    store: &'s Path,
    pub record: Record,
    environments: HashMap<Vec<String>, usize>,
    /// Compilations by process.
    processes: HashMap<i32, usize>,
    /// What was read already.
    read: HashMap<Identity, Vec<Kept>>,
    /// The first thing that went wrong.
    pub error: Option<BuildError>,
}

/// An object that was copied into the store.
#[derive(Clone, Debug)]
struct Kept {
    /// The file that it is, or is in.
    path: PathBuf,
    /// Its name in the archive.
    member: Option<String>,
    digest: String,
}

/// What tells that a file is the one that was read.
type Identity = (PathBuf, u64, u64, i64, i64);

impl<'s> Recorder<'s> {
    pub(super) fn new(store: &'s Path) -> Self {
        Self {
            store,
            record: Record::default(),
            environments: HashMap::new(),
            processes: HashMap::new(),
            read: HashMap::new(),
            error: None,
        }
    }

    /// Looks at a program before its first instruction.
    pub(super) fn see(&mut self, started: &Started) {
        let Some((tool, arguments)) = arguments::tool(&started.arguments) else {
            return;
        };
        let arguments = arguments::expanded(arguments, &started.directory);
        match tool {
            Tool::Compiler => self.compile(started, arguments),
            Tool::Linker => {
                if let Err(error) = self.link(started, &arguments) {
                    self.error.get_or_insert(error);
                }
            }
        }
    }

    fn compile(&mut self, started: &Started, arguments: Vec<String>) {
        let asked = arguments::compilation(&arguments[1..]);
        if asked.none || asked.sources.is_empty() {
            return;
        }
        let environment = started.environment();
        let fresh = self.environments.len();
        let index = *self
            .environments
            .entry(environment)
            .or_insert_with_key(|environment| {
                self.record.environments.push(environment.clone());
                fresh
            });
        self.processes
            .insert(started.process, self.record.compiles.len());
        self.record.compiles.push(Compile {
            program: started.program.clone(),
            arguments,
            directory: started.directory.clone(),
            environment: index,
            process: started.process,
        });
    }

    fn link(&mut self, started: &Started, arguments: &[String]) -> Result<(), BuildError> {
        let (output, files) = arguments::link(arguments, &started.directory);
        let mut drivers = ancestors(started.process).into_iter();
        let driver = drivers.find_map(|process| self.processes.get(&process).copied());
        let mut inputs = Vec::new();
        let mut passing = 0;
        for path in files {
            if SYSTEM.iter().any(|system| path.starts_with(system)) {
                continue;
            }
            for Kept {
                path,
                member,
                digest,
            } in self.objects(&path)?
            {
                let only_here = member.is_none() && path.parent() == Some(&std::env::temp_dir());
                let compiled = driver.filter(|_| only_here).map(|driver| (driver, passing));
                passing += usize::from(compiled.is_some());
                inputs.push(Input {
                    path,
                    member,
                    digest,
                    compiled,
                });
            }
        }
        if !inputs.is_empty() {
            self.record.links.push(Link { output, inputs });
        }
        Ok(())
    }

    /// The objects in a file: one, or the members of an archive, or none.
    fn objects(&mut self, path: &Path) -> Result<Vec<Kept>, BuildError> {
        let Ok(metadata) = fs::metadata(path) else {
            return Ok(Vec::new());
        };
        let identity = identity(path, &metadata);
        if let Some(known) = self.read.get(&identity) {
            return Ok(known.clone());
        }
        let found = if metadata.is_file() {
            self.read_objects(path)?
        } else {
            Vec::new()
        };
        self.read.insert(identity, found.clone());
        Ok(found)
    }

    fn read_objects(&self, path: &Path) -> Result<Vec<Kept>, BuildError> {
        let bytes = fs::read(path).map_err(BuildError::io("read", path))?;
        if is_object(&bytes) {
            let digest = self.keep(&bytes)?;
            return Ok(vec![Kept {
                path: path.to_owned(),
                member: None,
                digest,
            }]);
        }
        let mut found = Vec::new();
        if bytes.starts_with(b"!<thin>\n") {
            for member in input::thin_members(path, &bytes)? {
                found.extend(self.read_objects(&member)?);
            }
        } else if bytes.starts_with(b"!<arch>\n") {
            for (name, member) in input::members(path, &bytes)? {
                if is_object(&member) {
                    let digest = self.keep(&member)?;
                    found.push(Kept {
                        path: path.to_owned(),
                        member: Some(name),
                        digest,
                    });
                }
            }
        }
        // Anything else is a linker script or a shared library.
        Ok(found)
    }

    fn keep(&self, bytes: &[u8]) -> Result<String, BuildError> {
        let digest = hex::encode(Sha256::digest(bytes));
        let path = self.store.join(&digest);
        if !path.exists() {
            fs::write(&path, bytes).map_err(BuildError::io("write", path))?;
        }
        Ok(digest)
    }
}

fn identity(path: &Path, metadata: &Metadata) -> Identity {
    let (seconds, nanoseconds) = (metadata.mtime(), metadata.mtime_nsec());
    (
        path.to_owned(),
        metadata.ino(),
        metadata.size(),
        seconds,
        nanoseconds,
    )
}

/// Whether it is an ELF file of type `ET_REL`.
fn is_object(bytes: &[u8]) -> bool {
    bytes.starts_with(&object::elf::ELFMAG) && bytes.get(16..18) == Some(&[1, 0])
}
