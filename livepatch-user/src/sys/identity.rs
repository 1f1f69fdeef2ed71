//! What tells one version of a file from another, without waiting for whoever serves the file.

use super::checked;
use std::ffi::CString;
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Device, inode, time of the last change and length.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct FileIdentity([u64; 6]);

/// The identity of the file at `path`, as far as the kernel knows it (statx(2), `AT_STATX_DONT_SYNC`): a file system that
/// a hostile process serves is not asked.
///
/// # Errors
/// As statx(2).
pub fn identity(path: &Path) -> io::Result<FileIdentity> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut found = MaybeUninit::<libc::statx>::zeroed();
    // SAFETY: the path is a C string and the buffer is valid, writable and of the type that the kernel fills.
    let result = unsafe {
        libc::statx(
            libc::AT_FDCWD,
            path.as_ptr(),
            libc::AT_STATX_DONT_SYNC,
            libc::STATX_BASIC_STATS,
            found.as_mut_ptr(),
        )
    };
    checked(i64::from(result))?;
    // SAFETY: every bit pattern is a valid `statx`, and it was zeroed before.
    let found = unsafe { found.assume_init() };
    Ok(FileIdentity([
        u64::from(found.stx_dev_major) << 32 | u64::from(found.stx_dev_minor),
        found.stx_ino,
        found.stx_ctime.tv_sec.cast_unsigned(),
        u64::from(found.stx_ctime.tv_nsec),
        found.stx_size,
        u64::from(found.stx_mode),
    ]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_version_is_another_file() {
        let directory = tempfile::TempDir::new().expect("a temporary directory");
        let path = directory.path().join("file");
        std::fs::write(&path, "one").expect("writable");
        let one = identity(&path).expect("it is there");
        assert_eq!(identity(&path).expect("it is there"), one);
        std::fs::write(&path, "another").expect("writable");
        assert_ne!(identity(&path).expect("it is there"), one);
        identity(&directory.path().join("missing")).expect_err("nothing is there");
    }
}
