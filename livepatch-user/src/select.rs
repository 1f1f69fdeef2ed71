//! Which processes are meant: by number, by the executable that they run, by a library that they map.
//!
//! A process is asked what it runs and maps, not the disk: after an upgrade those that still run the old file are found by
//! the path that it had (`/proc/PID/exe` says ` (deleted)`), in another mount namespace by the path that they see. Processes of
//! livepatch itself are never found so.

use crate::crew::{self, CrewError};
use crate::process::{Backing, Mapping, Pid, Stat, find_mapping, maps};
use crate::session::Session;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What the user asked for; the processes that any of it selects are meant.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Process numbers.
    pub pids: Vec<Pid>,
    /// Executables, by path.
    pub executables: Vec<PathBuf>,
    /// Libraries, by path or by soname or file name.
    pub libraries: Vec<OsString>,
}

/// A selected process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Selected {
    /// The process.
    pub pid: Pid,
    /// When it started, for those that were found: such a process may end, which is no failure. `None` for one that
    /// was named by its number.
    pub found: Option<u64>,
}

impl Selected {
    /// Whether it was found, and has ended since.
    #[must_use]
    pub fn has_exited(&self) -> bool {
        let Some(start_time) = self.found else {
            return false;
        };
        let stat = Stat::read(&directory(self.pid));
        !stat.is_ok_and(|stat| stat.start_time == start_time && !stat.is_dead())
    }
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// The processes, by number.
    pub processes: Vec<Selected>,
    /// How many processes did not let us see what they run and map.
    pub hidden: usize,
}

/// The number of a file: device and inode.
type FileId = (u64, u64);

/// The number of a file as mappings give it.
type MappedFile = ((u32, u32), u64);
/// What a mapped file calls itself.
type Soname = (MappedFile, Option<String>);

/// A file as a process may name it.
struct Sought {
    path: PathBuf,
    id: Option<FileId>,
}

impl Sought {
    /// What lies at `path` now, if anything does.
    fn new(path: &Path) -> Self {
        let id = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
        Self {
            path: fs::canonicalize(path)
                .or_else(|_| std::path::absolute(path))
                .unwrap_or_else(|_| path.to_owned()),
            id: fs::metadata(path).ok().map(id),
        }
    }
}

/// Finds the processes that are wanted.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn select(wanted: &Wanted) -> io::Result<Selection> {
    let mut processes: BTreeMap<Pid, Option<u64>> = BTreeMap::new();
    let mut hidden = 0;
    if !wanted.executables.is_empty() || !wanted.libraries.is_empty() {
        let mut search = Search::new(wanted);
        for pid in all_processes()? {
            match search.finds(pid) {
                Ok(Some(start_time)) => drop(processes.insert(pid, Some(start_time))),
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => hidden += 1,
                // It has ended.
                Err(_) => {}
            }
        }
    }
    processes.extend(wanted.pids.iter().map(|&pid| (pid, None)));
    let processes = processes.into_iter();
    Ok(Selection {
        processes: processes
            .map(|(pid, found)| Selected { pid, found })
            .collect(),
        hidden,
    })
}

/// The numbers of all processes.
pub(crate) fn all_processes() -> io::Result<Vec<Pid>> {
    let entries = fs::read_dir("/proc")?;
    let mut pids: Vec<Pid> = entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok().map(Pid))
        .collect();
    pids.sort_unstable();
    Ok(pids)
}

struct Search {
    executables: Vec<Sought>,
    libraries: Vec<Sought>,
    names: Vec<OsString>,
    ourselves: Option<FileId>,
    /// The sonames of mapped files, by the device and inode that mappings give.
    sonames: HashMap<MappedFile, Option<String>>,
}

impl Search {
    fn new(wanted: &Wanted) -> Self {
        let is_path = |name: &&OsString| name.as_bytes().contains(&b'/');
        let libraries = || wanted.libraries.iter();
        Self {
            executables: wanted.executables.iter().map(|p| Sought::new(p)).collect(),
            libraries: libraries()
                .filter(is_path)
                .map(|p| Sought::new(Path::new(p)))
                .collect(),
            names: libraries().filter(|name| !is_path(name)).cloned().collect(),
            ourselves: file_id(Path::new("/proc/self/exe")),
            sonames: HashMap::new(),
        }
    }

    /// The start time of the process, if it is meant.
    fn finds(&mut self, pid: Pid) -> io::Result<Option<u64>> {
        let directory = directory(pid);
        let stat = Stat::read(&directory)?;
        if stat.is_kernel_thread() || stat.is_dead() {
            return Ok(None);
        }
        let link = directory.join("exe");
        let (path, id) = (bare(fs::read_link(&link)?), file_id(&link));
        if id.is_some() && id == self.ourselves {
            return Ok(None);
        }
        let runs = |one: &Sought| one.path == path || (one.id.is_some() && one.id == id);
        let meant = self.executables.iter().any(runs) || self.maps_wanted(pid)?;
        Ok(meant.then_some(stat.start_time))
    }

    fn maps_wanted(&mut self, pid: Pid) -> io::Result<bool> {
        if self.libraries.is_empty() && self.names.is_empty() {
            return Ok(false);
        }
        let mappings = maps(pid)?;
        let code: Vec<(&Mapping, &Path)> = mappings.iter().filter_map(code).collect();
        let by_path = |(_, path): &(&Mapping, &Path)| {
            let name = path.file_name().unwrap_or_default();
            self.libraries.iter().any(|one| one.path == *path)
                || self.names.iter().any(|wanted| wanted == name)
        };
        Ok(code.iter().any(by_path) || self.has_soname(pid, &code))
    }

    /// Whether it maps a library of a wanted soname; each file is asked once, in the first process that maps it.
    fn has_soname(&mut self, pid: Pid, code: &[(&Mapping, &Path)]) -> bool {
        if self.names.is_empty() {
            return false;
        }
        let files: HashSet<_> = code
            .iter()
            .map(|(mapping, _)| (mapping.device, mapping.inode))
            .collect();
        if files.iter().any(|file| !self.sonames.contains_key(file)) {
            self.learn(pid);
            for file in &files {
                self.sonames.entry(*file).or_default();
            }
        }
        let sonames = files
            .iter()
            .filter_map(|file| self.sonames.get(file)?.as_ref());
        let mut sonames = sonames.map(OsStr::new);
        sonames.any(|soname| self.names.iter().any(|name| name == soname))
    }

    /// What may not be looked into has no sonames for us. A worker looks, since the process may keep it waiting; we do where a
    /// program with several threads uses this as a library.
    fn learn(&mut self, pid: Pid) {
        let mut done = |_, result: Result<Vec<Soname>, CrewError>| match result {
            Err(CrewError::Start(_)) => self.sonames.extend(sonames(pid)),
            result => self.sonames.extend(result.into_iter().flatten()),
        };
        crew::run(1, 1, &|_| sonames(pid), &mut done);
    }
}

fn sonames(pid: Pid) -> Vec<Soname> {
    let Ok(session) = Session::open_to_read(pid) else {
        return Vec::new();
    };
    let images = session.images(&[]);
    let sonames = images.iter().filter_map(|image| {
        let mapping = find_mapping(&session.mappings, image.header())?;
        let soname = image.soname().map(str::to_owned);
        Some(((mapping.device, mapping.inode), soname))
    });
    sonames.collect()
}

/// A mapping of a file's code, and the file's path.
fn code(mapping: &Mapping) -> Option<(&Mapping, &Path)> {
    match &mapping.backing {
        Backing::File { path, .. } if mapping.execute => Some((mapping, path)),
        _ => None,
    }
}

fn file_id(path: &Path) -> Option<FileId> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

fn directory(pid: Pid) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}"))
}

/// A path without the kernel's mark that nothing has it any more.
fn bare(path: PathBuf) -> PathBuf {
    let mut bytes = path.into_os_string().into_vec();
    if bytes.ends_with(b" (deleted)") {
        bytes.truncate(bytes.len() - b" (deleted)".len());
    }
    PathBuf::from(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Child, Command};

    struct Sleeper(Child);

    impl Sleeper {
        fn start(program: &Path) -> Self {
            let child = Command::new(program)
                .arg("1000")
                .spawn()
                .expect("a copy of sleep");
            let pid = Pid(child.id().cast_signed());
            // The copy runs once its executable is no longer ours.
            while fs::read_link(directory(pid).join("exe")).is_ok_and(|path| path != program) {
                std::thread::yield_now();
            }
            Self(child)
        }

        fn pid(&self) -> Pid {
            Pid(self.0.id().cast_signed())
        }
    }

    impl Drop for Sleeper {
        fn drop(&mut self) {
            self.0.kill().ok();
            self.0.wait().ok();
        }
    }

    fn found(wanted: &Wanted) -> Vec<Pid> {
        let selection = select(wanted).expect("/proc can be read");
        selection.processes.iter().map(|one| one.pid).collect()
    }

    #[test]
    fn a_replaced_executable_is_found_by_its_path() {
        let directory = tempfile::TempDir::new().expect("a temporary directory");
        let program = directory.path().join("program");
        fs::copy("/bin/sleep", &program).expect("sleep is there");
        let old = Sleeper::start(&program);
        let wanted = Wanted {
            executables: vec![program.clone()],
            ..Wanted::default()
        };
        assert_eq!(found(&wanted), [old.pid()]);
        fs::remove_file(&program).expect("ours");
        assert_eq!(found(&wanted), [old.pid()], "deleted");
        fs::copy("/bin/sleep", &program).expect("sleep is there");
        assert_eq!(found(&wanted), [old.pid()], "replaced");
        let new = Sleeper::start(&program);
        let mut both = [old.pid(), new.pid()];
        both.sort_unstable();
        assert_eq!(found(&wanted), both);
        // Another path to the new file.
        let other = directory.path().join("other");
        fs::hard_link(&program, &other).expect("one file system");
        let wanted = Wanted {
            executables: vec![other],
            pids: vec![Pid(1), new.pid()],
            ..Wanted::default()
        };
        let selection = select(&wanted).expect("/proc can be read");
        let numbers: Vec<_> = selection
            .processes
            .iter()
            .map(|one| one.found.is_some())
            .collect();
        assert_eq!(
            numbers,
            [false, false],
            "named by number, so neither is merely found"
        );
    }

    #[test]
    fn libraries_are_found_by_soname_and_by_path() {
        let sleeper = Sleeper::start(&fs::canonicalize("/bin/sleep").expect("sleep is there"));
        // Once the loader is done.
        let mapped = || {
            let mappings = maps(sleeper.pid()).unwrap_or_default();
            let paths = mappings.iter().filter_map(code);
            let mut paths = paths.map(|(_, path)| path.to_owned());
            paths.find(|path| {
                path.file_name()
                    .is_some_and(|name| name.as_bytes().starts_with(b"libc"))
            })
        };
        let path = loop {
            match mapped() {
                Some(path) => break path,
                None => std::thread::yield_now(),
            }
        };
        for library in [OsString::from("libc.so.6"), path.into_os_string()] {
            let wanted = Wanted {
                libraries: vec![library],
                ..Wanted::default()
            };
            let found = found(&wanted);
            assert!(found.contains(&sleeper.pid()));
            assert!(
                !found.contains(&Pid(std::process::id().cast_signed())),
                "not ourselves"
            );
        }
    }

    #[test]
    fn who_ended_has_exited_only_if_found() {
        let sleeper = Sleeper::start(&fs::canonicalize("/bin/sleep").expect("sleep is there"));
        let pid = sleeper.pid();
        let start_time = Stat::read(&directory(pid)).expect("it runs").start_time;
        let found = Selected {
            pid,
            found: Some(start_time),
        };
        assert!(!found.has_exited());
        drop(sleeper);
        assert!(found.has_exited());
        assert!(!Selected { pid, found: None }.has_exited());
    }
}
