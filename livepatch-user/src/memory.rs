//! Reading an address space: the seam between decisions and effects.

use livepatch_bundle::RunAddr;
use thiserror::Error;

/// The registers of a stopped thread, as `PTRACE_GETREGS` gives them.
pub type Registers = libc::user_regs_struct;

/// A range that could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("cannot read {len} bytes at {address}")]
pub struct Unreadable {
    /// First byte of the request.
    pub address: RunAddr,
    /// Length of the request in bytes.
    pub len: usize,
}

/// An address space: a process, or an array in a test.
pub trait Memory {
    /// Fills `buffer` from `address`.
    ///
    /// # Errors
    /// When any byte of the range cannot be read.
    fn read(&self, address: RunAddr, buffer: &mut [u8]) -> Result<(), Unreadable>;

    /// Reads `len` bytes.
    ///
    /// # Errors
    /// When any byte of the range cannot be read.
    fn read_vec(&self, address: RunAddr, len: usize) -> Result<Vec<u8>, Unreadable> {
        let mut buffer = vec![0; len];
        self.read(address, &mut buffer)?;
        Ok(buffer)
    }

    /// Reads a little-endian word.
    ///
    /// # Errors
    /// When any byte of the word cannot be read.
    fn read_u64(&self, address: RunAddr) -> Result<u64, Unreadable> {
        let mut word = [0; 8];
        self.read(address, &mut word)?;
        Ok(u64::from_le_bytes(word))
    }
}
