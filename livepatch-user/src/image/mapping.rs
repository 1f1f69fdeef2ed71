//! One line of `/proc/PID/maps`, as far as images need it.

use livepatch_bundle::RunAddr;
use std::path::PathBuf;

/// A run of pages with one protection and one origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// First byte.
    pub start: RunAddr,
    /// Byte after the last.
    pub end: RunAddr,
    /// `PROT_READ`.
    pub read: bool,
    /// `PROT_WRITE`.
    pub write: bool,
    /// `PROT_EXEC`.
    pub execute: bool,
    /// Offset in the file of the first byte.
    pub offset: u64,
    /// Device of the file (major << 32 | minor); 0 when anonymous.
    pub dev: u64,
    /// Inode of the file; 0 when anonymous.
    pub inode: u64,
    /// Path as the kernel shows it, ` (deleted)` included.
    pub path: Option<PathBuf>,
}

impl Mapping {
    /// Whether the address lies in it.
    #[must_use]
    pub fn contains(&self, address: RunAddr) -> bool {
        self.start <= address && address < self.end
    }

    /// Whether it has no file behind it.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.inode == 0
    }
}
