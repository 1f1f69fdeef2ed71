//! Libraries that processes open, told by fanotify(7).
//!
//! Whole file systems are marked, for nobody knows beforehand from where a library will be loaded, and of each version of a
//! file that is opened the build ID is read once. Nothing is marked while no bundle is for a library, and never what some process serves
//! (FUSE): it could keep us waiting.

use crate::image::file_build_id;
use crate::process::Pid;
use crate::sys::identity::{FileIdentity, identity};
use livepatch_bundle::BuildId;
use nix::errno::Errno;
use nix::sys::fanotify::{EventFFlags, Fanotify, InitFlags, MarkFlags, MaskFlags};
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use thiserror::Error;

/// How many versions of files are remembered.
const KNOWN_MOST: usize = 1 << 17;
/// File systems of which nothing is mapped as a program.
const PSEUDO: [&str; 19] = [
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "efivarfs",
    "fuse",
    "fusectl",
    "hugetlbfs",
    "mqueue",
    "nsfs",
    "proc",
    "pstore",
    "securityfs",
    "sysfs",
    "tracefs",
];

/// Why openings of libraries are not told.
#[derive(Debug, Error)]
pub enum OpenedError {
    /// The kernel does not let us.
    #[error("the kernel does not tell which libraries are opened (fanotify; needs CAP_SYS_ADMIN)")]
    Init(#[source] Errno),
    /// No file system could be marked.
    #[error("no file system can be watched for libraries that are opened")]
    Mark(#[source] Errno),
}

/// Files as they are opened.
#[derive(Debug)]
pub(super) struct Opened {
    group: Fanotify,
    /// Devices of the marked file systems.
    marked: BTreeSet<u64>,
    /// Whether a bundle is for a file.
    known: HashMap<FileIdentity, bool>,
}

impl Opened {
    /// Watches every file system that is mounted here.
    pub(super) fn watch() -> Result<Self, OpenedError> {
        let flags = InitFlags::FAN_CLASS_NOTIF | InitFlags::FAN_CLOEXEC | InitFlags::FAN_NONBLOCK;
        let events = EventFFlags::O_RDONLY | EventFFlags::O_LARGEFILE | EventFFlags::O_CLOEXEC;
        let group = Fanotify::init(flags, events).map_err(OpenedError::Init)?;
        let mut this = Self {
            group,
            marked: BTreeSet::new(),
            known: HashMap::new(),
        };
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let mut problem = Errno::ENOENT;
        for place in mounts.lines().filter_map(mount_point) {
            if let Err(error) = this.mark(Path::new(&place)) {
                problem = error;
            }
        }
        match this.marked.is_empty() {
            true => Err(OpenedError::Mark(problem)),
            false => Ok(this),
        }
    }

    /// Watches the file system of a process's root, too, which may be a container's.
    pub(super) fn add_that_of(&mut self, pid: Pid) {
        let mounts = fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap_or_default();
        let mut mounts = mounts.lines().filter_map(mount_point);
        if mounts.any(|place| place == "/") {
            // It may have ended.
            let _ = self.mark(Path::new(&format!("/proc/{pid}/root")));
        }
    }

    /// Other bundles are for other files.
    pub(super) fn forget_files(&mut self) {
        self.known.clear();
    }

    fn mark(&mut self, place: &Path) -> Result<(), Errno> {
        let device = fs::metadata(place).map_err(|_| Errno::ENOENT)?.dev();
        if self.marked.contains(&device) {
            return Ok(());
        }
        let flags = MarkFlags::FAN_MARK_ADD | MarkFlags::FAN_MARK_FILESYSTEM;
        let here = nix::fcntl::AT_FDCWD;
        self.group
            .mark(flags, MaskFlags::FAN_OPEN, here, Some(place))?;
        self.marked.insert(device);
        Ok(())
    }

    /// Who opened a file with one of these build IDs, and whether events were lost.
    pub(super) fn take(&mut self, wanted: &BTreeSet<BuildId>) -> (BTreeSet<Pid>, bool) {
        let (mut found, mut lost) = (BTreeSet::new(), false);
        let ourselves = std::process::id().cast_signed();
        while let Ok(events) = self.group.read_events()
            && !events.is_empty()
        {
            for event in &events {
                lost |= event.mask().contains(MaskFlags::FAN_Q_OVERFLOW);
                let Some(file) = event.fd() else { continue };
                if event.pid() != ourselves && self.is_wanted(file, wanted) {
                    found.insert(Pid(event.pid()));
                }
            }
        }
        (found, lost)
    }

    fn is_wanted(&mut self, file: BorrowedFd<'_>, wanted: &BTreeSet<BuildId>) -> bool {
        let place = format!("/proc/self/fd/{}", file.as_raw_fd());
        let Ok(identity) = identity(Path::new(&place)) else {
            return false;
        };
        if self.known.len() > KNOWN_MOST {
            self.known.clear();
        }
        *self.known.entry(identity).or_insert_with(|| {
            let build_id = file
                .try_clone_to_owned()
                .ok()
                .and_then(|file| file_build_id(file.into()));
            build_id.is_some_and(|id| wanted.contains(&id))
        })
    }
}

impl AsFd for Opened {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.group.as_fd()
    }
}

/// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw`: the fifth field, unless the file system is none of
/// files (proc_pid_mountinfo(5)).
fn mount_point(line: &str) -> Option<String> {
    let (head, tail) = line.split_once(" - ")?;
    let kind = tail.split(' ').next()?;
    let place = head.split(' ').nth(4)?;
    // Blanks are written as \040.
    (!PSEUDO.contains(&kind) && !kind.starts_with("fuse.")).then(|| place.replace("\\040", " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_of_files_are_told_from_others() {
        let line = "36 35 98:0 / /a\\040b rw,noatime master:1 - ext4 /dev/root rw";
        assert_eq!(mount_point(line).as_deref(), Some("/a b"));
        assert_eq!(
            mount_point("22 1 0:20 / /proc rw shared:1 - proc proc rw"),
            None
        );
        assert_eq!(mount_point("nonsense"), None);
    }
}
