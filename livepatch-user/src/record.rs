//! How an applied patch describes itself in the target's own memory.
//!
//! Behind the headers that make the patch an ELF image (`link::view`) lies its *prelude*:
//!
//! ```text
//!   0  magic       8 bytes  7f 4c 50 41 54 43 48 00
//!   8  version     u32      RECORD_VERSION
//!  12  state       u32      0 applied (or not yet), 1 retired
//!  16  base        u64      the patch's own address: a copy elsewhere is none
//!  24  length      u64      of the read-execute and the read-write part together
//!  32  body        u32 u32  offset from the base, length
//!  40  digest      32       SHA-256 of the body
//!  72  why         u32      length of the reason that follows
//!  76  reason      164      why it is retired, UTF-8
//! 240  return      12       where functions that we call return to
//! ```
//!
//! What functions return to when hooks or unwinders are called (`remote::call`) lies in the patch because it must be
//! executable:
//!
//! ```text
//! 48 89 c3          mov rbx, rax     ; the result, for us
//! b8 0f 00 00 00    mov eax, 15      ; rt_sigreturn
//! 0f 05             syscall
//! eb f7             jmp -9           ; to the second instruction, should that call be skipped
//! ```
//!
//! The body is a [`Record`] in postcard encoding. Everything read back is hostile: the target may have written it.

use crate::arena::RecordedArena;
use crate::link::HEAD_LEN;
use crate::printable::one_line;
use livepatch_bundle::{Phase, RunAddr};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use thiserror::Error;

/// Where the prelude lies in the patch.
pub const PRELUDE_OFFSET: u64 = HEAD_LEN;
/// Length of the prelude in bytes.
pub const PRELUDE_LEN: u64 = 256;
/// Where the code lies in the patch.
pub const CODE_OFFSET: u64 = PRELUDE_OFFSET + PRELUDE_LEN;
/// The version of this layout.
pub const RECORD_VERSION: u32 = 4;
const MAGIC: [u8; 8] = *b"\x7fLPATCH\0";
const STATE: usize = 12;
const REASON: usize = 72;
const REASON_ROOM: usize = 164;
const RETURN_AT: usize = 240;
/// Where the code that functions return to lies in the patch.
pub const RETURN_OFFSET: u64 = PRELUDE_OFFSET + RETURN_AT as u64;
const RETURN: [u8; 12] = [
    0x48, 0x89, 0xc3, 0xb8, 0x0f, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7,
];
/// No body is larger: 100,000 functions.
const BODY_MAX: u32 = 64 << 20;
/// No patch has more hooks.
const HOOKS_MAX: usize = 64;

/// What is known about an applied patch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Grows with every patch of the process: the order of stacking.
    pub sequence: u64,
    /// The patch's name.
    pub name: String,
    /// Its description.
    pub description: String,
    /// SHA-256 of the bundle file.
    pub bundle: [u8; 32],
    /// Seconds since the epoch when it was applied.
    pub applied_at: u64,
    /// Length of the read-execute part in bytes.
    pub text_len: u64,
    /// Length of the read-write part in bytes.
    pub data_len: u64,
    /// Offset and length of the new code.
    pub code: (u64, u64),
    /// Offset and length of the unwind records.
    pub unwind: (u64, u64),
    /// The module that it patches.
    pub module: RecordedModule,
    /// The functions that it replaces.
    pub functions: Vec<Redirect>,
    /// Offsets of all its functions, new ones too.
    pub entries: Vec<u64>,
    /// What runs when it comes and goes.
    pub hooks: Vec<RecordedHook>,
    /// What it uses of the arena for shadow variables.
    pub arena: Option<RecordedArena>,
    /// Sequence numbers of earlier patches whose code or data it uses.
    pub rests_on: Vec<u64>,
}

/// A hook of an applied patch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedHook {
    /// When it runs.
    pub phase: Phase,
    /// Its symbol.
    pub name: String,
    /// Offset of its code.
    pub offset: u64,
}

/// Which mapping of which file was patched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedModule {
    /// The path as the target's maps had it.
    pub path: String,
    /// The build ID, empty when it has none.
    pub build_id: Vec<u8>,
    /// The difference between run-time and link-time addresses.
    pub bias: u64,
    /// First address of the module.
    pub start: RunAddr,
    /// One past its last address.
    pub end: RunAddr,
}

/// One replaced function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redirect {
    /// Its symbol.
    pub name: String,
    /// Its entry in the module.
    pub entry: RunAddr,
    /// Where the jump was written.
    pub site: RunAddr,
    /// The jump.
    pub jump: Vec<u8>,
    /// The bytes before.
    pub saved: Vec<u8>,
    /// Where the new code is.
    pub new: RunAddr,
    /// Length of the new code.
    pub new_len: u64,
    /// The pieces of the old function: start and length.
    pub old: Vec<(RunAddr, u64)>,
}

/// Why bytes in the target are no record.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RecordError {
    /// No record begins here.
    #[error("no patch record")]
    NotOne,
    /// Written by another version of livepatch.
    #[error("the patch record has version {0}, this livepatch knows {RECORD_VERSION}")]
    Version(u32),
    /// There are more than any process can have got from us.
    #[error("too many patch records, or too large ones: the process forges them")]
    TooMany,
    /// There must be one, and it was not read: what it describes is nobody's to give back.
    #[error("the patch record at {0} cannot be read")]
    Unreadable(RunAddr),
    /// The digest does not match, or a length is out of bounds.
    #[error("the patch record at {0} is damaged")]
    Damaged(RunAddr),
}

/// The state of a record's patch, as its prelude has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prelude {
    /// Where the patch lies.
    pub base: RunAddr,
    /// Length of both parts.
    pub len: u64,
    /// Offset and length of the body.
    pub body: (u32, u32),
    digest: [u8; 32],
    /// Why it is retired, when it is.
    pub retired: Option<String>,
}

impl Record {
    /// Encodes the body.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_stdvec(self).expect("plain data in memory always encodes")
    }

    /// The prelude for a body that lies at `offset` of a patch at `base`.
    #[must_use]
    pub fn prelude(&self, body: &[u8], offset: u64, base: RunAddr) -> [u8; PRELUDE_LEN as usize] {
        let mut bytes = [0; PRELUDE_LEN as usize];
        bytes[0..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&RECORD_VERSION.to_le_bytes());
        bytes[16..24].copy_from_slice(&base.0.to_le_bytes());
        bytes[24..32].copy_from_slice(&(self.text_len + self.data_len).to_le_bytes());
        bytes[32..36].copy_from_slice(&(offset as u32).to_le_bytes());
        bytes[36..40].copy_from_slice(&(body.len() as u32).to_le_bytes());
        bytes[40..72].copy_from_slice(&Sha256::digest(body));
        bytes[RETURN_AT..][..RETURN.len()].copy_from_slice(&RETURN);
        bytes
    }

    /// Whether every address of the record lies where a patch could have put it.
    #[must_use]
    fn is_sane(&self, prelude: &Prelude) -> bool {
        let inside = |offset: u64, len: u64| {
            offset
                .checked_add(len)
                .is_some_and(|end| end <= self.text_len)
        };
        let parts = self.text_len.checked_add(self.data_len) == Some(prelude.len);
        let module = self.module.start < self.module.end;
        let entry = |redirect: &Redirect| {
            let len = redirect.jump.len();
            let new = redirect.new.0.wrapping_sub(prelude.base.0);
            (1..=16).contains(&len)
                && redirect.saved.len() == len
                && (redirect.entry.0..=redirect.entry.0.saturating_add(4))
                    .contains(&redirect.site.0)
                && inside(new, redirect.new_len)
                && self.module.start <= redirect.entry
                && redirect.site.0.saturating_add(len as u64) <= self.module.end.0
        };
        // One jump for each entry: what lies where in a stack of patches is found in linear time.
        let sites: HashSet<RunAddr> = self.functions.iter().map(|one| one.site).collect();
        parts
            && sites.len() == self.functions.len()
            && module
            && inside(self.code.0, self.code.1)
            && inside(self.unwind.0, self.unwind.1)
            && self.functions.iter().all(entry)
            && self.hooks.len() <= HOOKS_MAX
            && self.hooks.iter().all(|hook| inside(hook.offset, 1))
    }
}

impl Prelude {
    /// Reads the prelude of a patch that lies at `base`.
    ///
    /// # Errors
    /// When it is none, or of another version.
    pub fn decode(bytes: &[u8], base: RunAddr) -> Result<Self, RecordError> {
        if bytes.len() < PRELUDE_LEN as usize || bytes[0..8] != MAGIC || word(bytes, 16) != base.0 {
            return Err(RecordError::NotOne);
        }
        let version = half(bytes, 8);
        if version != RECORD_VERSION {
            return Err(RecordError::Version(version));
        }
        let prelude = Self {
            base,
            len: word(bytes, 24),
            body: (half(bytes, 32), half(bytes, 36)),
            digest: bytes[40..72].try_into().expect("the range has 32 bytes"),
            retired: (half(bytes, 12) != 0).then(|| reason(bytes)),
        };
        let (offset, len) = prelude.body;
        let fits = u64::from(offset) + u64::from(len) <= prelude.len;
        if !fits || len > BODY_MAX || base.0.checked_add(prelude.len).is_none() {
            return Err(RecordError::Damaged(base));
        }
        Ok(prelude)
    }

    /// Decodes the body that belongs to this prelude.
    ///
    /// # Errors
    /// When it is not what the prelude's digest says, or nonsense.
    pub fn record(&self, body: &[u8]) -> Result<Record, RecordError> {
        let damaged = RecordError::Damaged(self.base);
        if Sha256::digest(body)[..] != self.digest {
            return Err(damaged);
        }
        let record: Record = postcard::from_bytes(body).map_err(|_| damaged.clone())?;
        if record.is_sane(self) {
            Ok(record)
        } else {
            Err(damaged)
        }
    }
}

/// What to write to mark a patch as retired: offsets in the patch, and bytes. First the reason, then the state word.
#[must_use]
pub fn retired_marks(reason: &str) -> [(u64, Vec<u8>); 2] {
    let mut end = reason.len().min(REASON_ROOM);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    let mut text = (end as u32).to_le_bytes().to_vec();
    text.extend(&reason.as_bytes()[..end]);
    [
        (PRELUDE_OFFSET + REASON as u64, text),
        (PRELUDE_OFFSET + STATE as u64, 1_u32.to_le_bytes().to_vec()),
    ]
}

fn reason(bytes: &[u8]) -> String {
    let len = (half(bytes, REASON) as usize).min(REASON_ROOM);
    let text = String::from_utf8_lossy(&bytes[REASON + 4..REASON + 4 + len]);
    one_line(&text).into_owned()
}

fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("the range has 8 bytes"))
}

fn half(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("the range has 4 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> Record {
        Record {
            sequence: 3,
            name: "fix".into(),
            description: String::new(),
            bundle: [7; 32],
            applied_at: 1,
            text_len: 4096,
            data_len: 4096,
            code: (256, 64),
            unwind: (320, 32),
            module: RecordedModule {
                path: "/bin/x".into(),
                build_id: vec![1],
                bias: 0x1000,
                start: RunAddr(0x1000),
                end: RunAddr(0x9000),
            },
            entries: vec![256],
            hooks: vec![RecordedHook {
                phase: Phase::PostRevert,
                name: "tidy".into(),
                offset: 300,
            }],
            arena: None,
            rests_on: vec![1],
            functions: vec![Redirect {
                name: "f".into(),
                entry: RunAddr(0x2000),
                site: RunAddr(0x2004),
                jump: vec![0xe9, 0, 0, 0, 0],
                saved: vec![0x90; 5],
                new: RunAddr(0x10_0000 + 256),
                new_len: 64,
                old: vec![(RunAddr(0x2000), 32)],
            }],
        }
    }

    fn encoded() -> (Vec<u8>, Vec<u8>) {
        let record = sample();
        let body = record.encode();
        (
            record.prelude(&body, 512, RunAddr(0x10_0000)).to_vec(),
            body,
        )
    }

    #[test]
    fn a_record_survives_the_round_trip() {
        let (prelude, body) = encoded();
        let prelude = Prelude::decode(&prelude, RunAddr(0x10_0000)).unwrap();
        assert_eq!(prelude.record(&body), Ok(sample()));
        assert_eq!(prelude.retired, None);
    }

    #[test]
    fn a_copy_at_another_address_is_no_record() {
        let (prelude, _) = encoded();
        assert_eq!(
            Prelude::decode(&prelude, RunAddr(0x20_0000)),
            Err(RecordError::NotOne)
        );
    }

    #[test]
    fn a_retired_patch_says_why() {
        let (mut prelude, _) = encoded();
        for (offset, bytes) in retired_marks("a call-back points into it") {
            let at = (offset - PRELUDE_OFFSET) as usize;
            prelude[at..at + bytes.len()].copy_from_slice(&bytes);
        }
        let prelude = Prelude::decode(&prelude, RunAddr(0x10_0000)).unwrap();
        assert_eq!(
            prelude.retired.as_deref(),
            Some("a call-back points into it")
        );
    }

    #[test]
    fn an_entry_outside_the_module_is_refused() {
        let mut record = sample();
        record.functions[0].entry = RunAddr(0x20_0000);
        let body = record.encode();
        let prelude = record.prelude(&body, 512, RunAddr(0x10_0000));
        let prelude = Prelude::decode(&prelude, RunAddr(0x10_0000)).unwrap();
        assert_eq!(
            prelude.record(&body),
            Err(RecordError::Damaged(RunAddr(0x10_0000)))
        );
    }

    proptest! {
        #[test]
        fn hostile_bytes_are_refused_without_a_panic(at in 0_usize..256, value: u8, cut in 0_usize..300) {
            let (mut prelude, mut body) = encoded();
            prelude[at] ^= value;
            body.truncate(cut);
            if let Ok(prelude) = Prelude::decode(&prelude, RunAddr(0x10_0000)) {
                let _ = prelude.record(&body);
            }
        }
    }
}
