//! The arena's header, as `livepatch.h` has it (`struct livepatch_header`).
//!
//! ```text
//!   0  magic          u64
//!   8  version        u32
//!  12  stopped        u32      other than 0 while every thread stands
//!  16  size           u64      of the whole arena
//!  24  used           u64      bytes handed out, the header included
//!  32  thread_number  u64      where a thread's number lies, from the thread pointer; 0: not known
//!  40  serial         u64      of the epoch made last
//!  48  live           u64[64]  the epochs in force, by their lowest six bits
//! 560  bucket         u64[4096]
//! ```

use crate::memory::{Memory, Unreadable};
use livepatch_bundle::RunAddr;

/// `LPARENA` and a zero.
const MAGIC: u64 = u64::from_le_bytes(*b"LPARENA\0");
/// The version of this layout.
const VERSION: u32 = 1;
/// Bytes of the header.
pub(super) const LEN: u64 = 560 + 8 * 4096;
/// How many variables there may be in a process.
pub(super) const SLOTS: u64 = 64;

pub(super) const STOPPED: u64 = 12;
const SERIAL: u64 = 40;
const LIVE: u64 = 48;
/// Bytes of the header that are not zero in a new arena, or are read.
const HEAD: usize = (LIVE + 8 * SLOTS) as usize;

/// What the header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) size: u64,
    pub(super) thread_number: u64,
    pub(super) serial: u64,
    pub(super) live: Vec<u64>,
}

impl Header {
    /// That of a new arena.
    pub(super) fn new(size: u64, thread_number: u64) -> Self {
        Self {
            size,
            thread_number,
            serial: 0,
            live: vec![0; SLOTS as usize],
        }
    }

    /// The bytes to write at the start of a new arena.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_le_bytes().to_vec();
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(0_u32.to_le_bytes());
        for word in [self.size, LEN, self.thread_number, self.serial] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(self.live.iter().flat_map(|epoch| epoch.to_le_bytes()));
        bytes
    }

    /// Reads the header at `base`; `None` when there is none of this version.
    pub(super) fn read(memory: &dyn Memory, base: RunAddr) -> Result<Option<Self>, Unreadable> {
        let bytes = memory.read_vec(base, HEAD)?;
        let word = |at: u64| {
            let field = &bytes[at as usize..at as usize + 8];
            u64::from_le_bytes(field.try_into().expect("the range has 8 bytes"))
        };
        if word(0) != MAGIC || word(8) as u32 != VERSION {
            return Ok(None);
        }
        Ok(Some(Self {
            size: word(16),
            thread_number: word(32),
            serial: word(SERIAL),
            live: (0..SLOTS).map(|slot| word(LIVE + 8 * slot)).collect(),
        }))
    }

    /// Makes an epoch that no value has, and returns it with the words to write: address and value. `None` when all slots
    /// are taken.
    pub(super) fn begin(&mut self, base: RunAddr) -> Option<(u64, [(RunAddr, u64); 2])> {
        let slot = self.live.iter().position(|epoch| *epoch == 0)? as u64;
        let serial = self
            .serial
            .checked_add(1)
            .filter(|serial| *serial < 1 << 57)?;
        let epoch = serial * SLOTS + slot;
        self.serial = serial;
        self.live[slot as usize] = epoch;
        let serial_at = RunAddr(base.0 + SERIAL);
        Some((epoch, [(serial_at, serial), (slot_at(base, epoch), epoch)]))
    }

    /// Whether the epoch is in force.
    pub(super) fn is_live(&self, epoch: u64) -> bool {
        epoch != 0 && self.live[(epoch % SLOTS) as usize] == epoch
    }
}

/// Where the epoch's slot is.
pub(super) fn slot_at(base: RunAddr, epoch: u64) -> RunAddr {
    RunAddr(base.0 + LIVE + 8 * (epoch % SLOTS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Bytes;

    #[test]
    fn a_header_reads_back_and_epochs_differ() {
        let mut header = Header::new(1 << 20, 0x2d0);
        let memory = Bytes(header.encode());
        let read = Header::read(&memory, RunAddr(0x1000)).expect("readable");
        assert_eq!(read.as_ref(), Some(&header));
        let (first, words) = header.begin(RunAddr(0x1000)).expect("room");
        assert_eq!(words[1], (RunAddr(0x1000 + LIVE), first));
        let (second, _) = header.begin(RunAddr(0x1000)).expect("room");
        assert!(first != second && header.is_live(first) && header.is_live(second));
        header.live[(first % SLOTS) as usize] = 0;
        let (third, _) = header.begin(RunAddr(0x1000)).expect("room");
        assert!(!header.is_live(first) && header.is_live(third));
    }

    #[test]
    fn slots_run_out() {
        let mut header = Header::new(1 << 20, 0);
        for _ in 0..SLOTS {
            assert!(header.begin(RunAddr(0)).is_some());
        }
        assert!(header.begin(RunAddr(0)).is_none());
    }

    /// The C compiler's own view of the layout.
    #[test]
    fn the_header_file_has_the_same_layout() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let source = format!(
            "#include \"livepatch.h\"\n\
             #define AT(field, at) _Static_assert(offsetof(struct livepatch_header, field) == at, #field)\n\
             AT(stopped, {STOPPED}); AT(size, 16); AT(used, 24); AT(thread_number, 32); AT(serial, {SERIAL});\n\
             AT(live, {LIVE}); AT(bucket, {HEAD});\n\
             _Static_assert(sizeof(struct livepatch_header) == {LEN}, \"size\");\n"
        );
        let path = directory.path().join("layout.c");
        std::fs::write(&path, source).expect("writable");
        let include = concat!(env!("CARGO_MANIFEST_DIR"), "/../patchgen/include");
        let status = std::process::Command::new("cc")
            .args(["-fsyntax-only", "-I", include])
            .arg(path)
            .status();
        assert!(status.expect("`cc` is installed").success());
    }
}
