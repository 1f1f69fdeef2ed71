//! The upgrade that is under way, in a file of its own beside the history. It is written in the helper's thread before any code of the new
//! version runs, and removed when the history has the upgrade. What a crash leaves of it, the next start puts into the history.

use crate::history::Record;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// That an upgrade is under way, as long as this lives and the process with it.
#[derive(Debug)]
pub(crate) struct Begun(PathBuf);

impl Begun {
    /// Writes it down.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn write(path: &Path, record: &Record) -> io::Result<Self> {
        let text = serde_json::to_vec(record)?;
        let mut options = OpenOptions::new();
        let options = options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(path)?;
        let begun = Self(path.to_owned());
        file.write_all(&text).map(|()| begun)
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        // The directory may be gone.
        let _ = fs::remove_file(&self.0);
    }
}

/// Where it is for a component.
pub(crate) fn path(directory: &Path, name: &str) -> PathBuf {
    directory.join(format!("{name}.begun"))
}

/// What a process before this one has begun and not ended; the file is removed.
pub(crate) fn take(path: &Path) -> Option<Record> {
    let text = fs::read(path).ok()?;
    let _ = fs::remove_file(path);
    // The crash may have cut it short.
    serde_json::from_slice(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_ended_is_found_once() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = path(directory.path(), "counter");
        let record = Record::new("upgrade", Some("1.0.0"), "1.0.1");
        drop(Begun::write(&path, &record).expect("writable"));
        assert_eq!(take(&path), None, "it was ended");
        std::mem::forget(Begun::write(&path, &record).expect("writable"));
        assert_eq!(take(&path), Some(record));
        assert_eq!(take(&path), None, "it was taken");
        fs::write(&path, "{\"time_ms\":1").expect("writable");
        assert_eq!(take(&path), None, "it was cut short");
    }
}
