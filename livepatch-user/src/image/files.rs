//! Opening the file of an image, and judging whether it is what runs.
//!
//! `/proc/PID/map_files/START-END` leads to the very inode that is mapped, deleted or not, in whatever mount
//! namespace (proc(5); needs `CAP_CHECKPOINT_RESTORE` or `CAP_SYS_ADMIN`). Otherwise the path is tried under
//! `/proc/PID/root`. Either may have been overwritten since: the build ID decides.

use super::context::Context;
use super::discover::{is_file, same_file};
use super::elf_file::ElfFile;
use super::image::Image;
use super::unusable::Unusable;
use crate::process::Mapping;
use livepatch_bundle::BuildId;
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Of this many bytes of code one may differ in a file without build ID: patches and breakpoints.
const TOLERANCE: usize = 16;
/// Bytes of code that are compared at a time.
const CHUNK: u64 = 1 << 20;
/// Bytes of code that are compared at most.
const MAX_COMPARED: u64 = 64 << 20;

/// A file that is what runs.
#[derive(Debug)]
pub(super) struct Trusted {
    pub(super) file: ElfFile,
    pub(super) path: PathBuf,
}

/// Opens a regular file. What is a FIFO or a device is not even opened, for that alone may have effects.
///
/// Below `root`, the root directory of the target, symbolic links lead where they lead for the target: never to files of
/// ours.
pub(super) fn open_regular(root: Option<&Path>, path: &Path) -> io::Result<File> {
    let inner = root.and_then(|root| Some((root, path.strip_prefix(root).ok()?)));
    let place = match inner {
        Some((root, inner)) => open_below(root, inner)?,
        None => open_path(path)?,
    };
    if !place.metadata()?.is_file() {
        let kind = io::ErrorKind::InvalidInput;
        return Err(io::Error::new(kind, "not a regular file"));
    }
    File::open(format!("/proc/self/fd/{}", place.as_raw_fd()))
}

/// A handle of what is there, without opening it (`O_PATH`, open(2)).
fn open_path(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(libc::O_PATH).open(path)
}

/// The same below a root directory (openat2(2), Linux 5.6).
fn open_below(root: &Path, inner: &Path) -> io::Result<File> {
    let directory = open_path(root)?;
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    match openat2(&directory, inner, how) {
        Err(Errno::ENOSYS) => open_path(&root.join(inner)),
        found => Ok(File::from(found?)),
    }
}

/// The root directory of the target, as we reach it.
fn root_of(proc_dir: &Path) -> PathBuf {
    proc_dir.join("root")
}

impl Context {
    /// The root directory of the process.
    pub(super) fn root(&self) -> Option<PathBuf> {
        self.proc_dir.as_deref().map(root_of)
    }
}

/// A path of the target's mount namespace, as we reach it.
pub(super) fn under_root(proc_dir: &Path, path: &Path) -> PathBuf {
    root_of(proc_dir).join(path.strip_prefix("/").unwrap_or(path))
}

/// The build ID of a file; `None` for what is no x86-64 ELF file, or has none.
#[must_use]
pub fn file_build_id(file: File) -> Option<BuildId> {
    ElfFile::open(file)?.build_id()
}

/// The image's own file, if it is what runs.
pub(super) fn open_image(image: &Image<'_>) -> Result<Trusted, Unusable> {
    let mut problem = Unusable::NoFile;
    for path in places(image) {
        match open_trusted(image, &path) {
            Ok(trusted) => return Ok(trusted),
            Err(cause) => problem = cause,
        }
    }
    Err(problem)
}

/// Where the file may be reached, best first.
fn places(image: &Image<'_>) -> Vec<PathBuf> {
    let Some(proc_dir) = image.context.proc_dir.as_deref() else {
        return image.path.clone().into_iter().collect();
    };
    let map_files = proc_dir.join("map_files");
    let own = |mapping: &&Mapping| image.is_own(mapping);
    let mapped = image.mappings.iter().filter(own);
    // The first mapping that still exists will do; the target may be changing them.
    let mut places: Vec<PathBuf> = mapped
        .take(4)
        .map(|map| map_files.join(format!("{:x}-{:x}", map.start.0, map.end.0)))
        .collect();
    let visible = image.path.as_deref().filter(|path| path.is_absolute());
    places.extend(visible.map(|path| under_root(proc_dir, path)));
    places
}

impl Image<'_> {
    /// Whether the mapping is of the image's file rather than of something in a gap of its span.
    pub(super) fn is_own(&self, mapping: &Mapping) -> bool {
        let files = || self.mappings.iter().filter(|map| is_file(map));
        let origin = files().find(|map| map.contains(self.header));
        let origin = origin.or_else(|| files().next());
        is_file(mapping) && origin.is_some_and(|origin| same_file(origin, mapping))
    }
}

fn open_trusted(image: &Image<'_>, path: &Path) -> Result<Trusted, Unusable> {
    let file =
        open_regular(image.context.root().as_deref(), path).map_err(|source| Unusable::Open {
            path: path.to_path_buf(),
            source,
        })?;
    let path = path.to_path_buf();
    let Some(file) = ElfFile::open(file) else {
        return Err(Unusable::Malformed { path });
    };
    let (in_file, in_memory) = (file.build_id(), image.build_id.clone());
    if in_file != in_memory {
        return Err(Unusable::BuildId {
            path,
            file: in_file,
            memory: in_memory,
        });
    }
    if !same_layout(image, &file) {
        return Err(Unusable::Layout { path });
    }
    if in_memory.is_none() && !same_text(image, &file) {
        return Err(Unusable::Text { path });
    }
    Ok(Trusted { file, path })
}

/// Whether the file's executable segments have the addresses of the image's (prelink changes them but not the
/// build ID; objcopy(1) keeps them in debug files).
pub(super) fn same_layout(image: &Image<'_>, file: &ElfFile) -> bool {
    let code = |segments: &[super::Segment]| -> Vec<(u64, u64)> {
        let code = segments.iter().filter(|s| s.is_load() && s.is_executable());
        code.map(|segment| (segment.address.0, segment.memory_size))
            .collect()
    };
    code(&image.segments) == code(&file.segments)
}

fn same_text(image: &Image<'_>, file: &ElfFile) -> bool {
    let (mut compared, mut different) = (0usize, 0usize);
    for segment in file
        .segments
        .iter()
        .filter(|s| s.is_load() && s.is_executable())
    {
        let size = segment.file_size.min(MAX_COMPARED);
        for start in (0..size).step_by(CHUNK as usize) {
            let len = CHUNK.min(size - start);
            let memory = image.table(image.run(segment.address).offset(start.cast_signed()), len);
            let (Some(memory), Some(disk)) = (memory, file.read(segment.offset + start, len))
            else {
                return false;
            };
            compared += memory.len();
            different += memory.iter().zip(&disk).filter(|(a, b)| a != b).count();
        }
    }
    compared > 0 && different <= compared / TOLERANCE
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_stay_within_the_targets_root() {
        let root = tempfile::TempDir::new().expect("a temporary directory");
        let (root, own) = (root.path(), root.path().join("own"));
        std::fs::write(&own, "inside").expect("writable");
        symlink("/own", root.join("link")).expect("supported");
        symlink("/etc/passwd", root.join("ours")).expect("supported");
        symlink("../../../../../../etc/passwd", root.join("above")).expect("supported");
        symlink("/proc/self/exe", root.join("magic")).expect("supported");
        let open = |name: &str| open_regular(Some(root), &root.join(name));
        assert!(open("own").is_ok() && open("link").is_ok());
        for name in ["ours", "above", "magic", "missing"] {
            assert!(open(name).is_err(), "{name}");
        }
    }

    #[test]
    fn pipes_and_devices_are_not_opened() {
        let root = tempfile::TempDir::new().expect("a temporary directory");
        let pipe = root.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).expect("writable");
        symlink("/dev/null", root.path().join("device")).expect("supported");
        for path in [pipe, root.path().join("device"), root.path().to_owned()] {
            assert!(open_regular(None, &path).is_err(), "{}", path.display());
        }
    }
}
