//! Writing a file in one piece.

use std::fs::Permissions;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Writes a file that everybody may read, beside its place, and renames it. A symbolic link at `path`, which anybody may lay in `/tmp`,
/// is replaced and not followed.
///
/// # Errors
/// When something else is there, like a device, or the file system fails; `path` is then as it was.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let kind = path.symlink_metadata().map(|found| found.file_type());
    if kind.is_ok_and(|kind| !kind.is_file() && !kind.is_symlink()) {
        let why = "it exists and is not a regular file";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    let directory = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let mut file = tempfile::Builder::new()
        .prefix(".livepatch-")
        .permissions(Permissions::from_mode(0o644))
        .tempfile_in(directory.unwrap_or(Path::new(".")))?;
    file.write_all(bytes)?;
    file.persist(path)?;
    Ok(())
}
