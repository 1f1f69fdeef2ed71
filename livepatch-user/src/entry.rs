//! The jump at a function's entry: which bytes it takes and whether they may be taken.
//!
//! ```text
//! f3 0f 1e fa             endbr64            kept: indirect branches still land on it (CET, Intel SDM vol. 1, 17.3)
//! e9 <rel32>              jmp    rel32       where the new code is within ±2 GiB
//! ff 25 00 00 00 00       jmp    [rip+0]     elsewhere, where the function is long enough
//! <8-byte target>
//! ```

use livepatch_bundle::RunAddr;
use thiserror::Error;

/// `endbr64`.
const ENDBR64: [u8; 4] = [0xf3, 0x0f, 0x1e, 0xfa];
/// The length of `jmp rel32`.
const NEAR: usize = 5;
/// The length of `jmp [rip+0]` and the address behind it.
const FAR: usize = 14;

/// Bytes to exchange at an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jump {
    /// Where the bytes go: the entry, or behind its `endbr64`.
    pub site: RunAddr,
    /// The jump.
    pub bytes: Vec<u8>,
    /// What stands there now.
    pub saved: Vec<u8>,
}

/// Why an entry cannot hold a jump.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EntryError {
    /// Not enough bytes that are the function's own or padding.
    #[error("the entry has room for {room} bytes and the jump needs {needed}")]
    TooShort {
        /// Bytes of the function and provable padding behind it.
        room: usize,
        /// Bytes that the jump takes, `endbr64` included.
        needed: usize,
    },
}

/// Plans the jump from `entry` to `to`.
///
/// `code` holds the running function's bytes from its entry, `length` how many of them are the function's own,
/// and `padding` how many bytes behind it are provably padding; `code` must hold both.
///
/// # Errors
/// When the jump would overwrite bytes that belong to somebody else.
pub fn jump(
    entry: RunAddr,
    code: &[u8],
    length: usize,
    padding: usize,
    to: RunAddr,
) -> Result<Jump, EntryError> {
    let skip = if code.starts_with(&ENDBR64) {
        ENDBR64.len()
    } else {
        0
    };
    let site = entry.offset(skip as i64);
    let bytes = near(site, to).unwrap_or_else(|| far(to));
    let needed = skip + bytes.len();
    let room = (length + padding).min(code.len());
    if needed > room {
        return Err(EntryError::TooShort { room, needed });
    }
    Ok(Jump {
        site,
        saved: code[skip..needed].to_vec(),
        bytes,
    })
}

fn near(site: RunAddr, to: RunAddr) -> Option<Vec<u8>> {
    let distance = i32::try_from(to.distance_from(site.offset(NEAR as i64))).ok()?;
    let mut bytes = vec![0xe9];
    bytes.extend(distance.to_le_bytes());
    Some(bytes)
}

fn far(to: RunAddr) -> Vec<u8> {
    let mut bytes = vec![0xff, 0x25, 0, 0, 0, 0];
    bytes.extend(to.0.to_le_bytes());
    debug_assert_eq!(bytes.len(), FAR, "opcode, displacement, address");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use iced_x86::{Decoder, DecoderOptions, Mnemonic, OpKind};

    #[test]
    fn a_near_jump_leads_to_its_target() {
        let jump = jump(RunAddr(0x1000), &[0x90; 16], 16, 0, RunAddr(0x4000_0000)).unwrap();
        let instruction =
            Decoder::with_ip(64, &jump.bytes, jump.site.0, DecoderOptions::NONE).decode();
        assert_eq!(instruction.mnemonic(), Mnemonic::Jmp);
        assert_eq!(instruction.near_branch_target(), 0x4000_0000);
        assert_eq!(jump.saved, [0x90; 5]);
    }

    #[test]
    fn a_far_jump_leads_to_its_target() {
        let to = RunAddr(0x7fff_0000_1000);
        let jump = jump(RunAddr(0x40_1000), &[0x90; 32], 32, 0, to).unwrap();
        let instruction =
            Decoder::with_ip(64, &jump.bytes, jump.site.0, DecoderOptions::NONE).decode();
        assert_eq!(instruction.op0_kind(), OpKind::Memory);
        assert_eq!(instruction.ip_rel_memory_address(), jump.site.0 + 6);
        assert_eq!(jump.bytes[6..], to.0.to_le_bytes());
    }

    #[test]
    fn endbr64_stays() {
        let mut code = ENDBR64.to_vec();
        code.extend([0x90; 8]);
        let jump = jump(RunAddr(0x1000), &code, 12, 0, RunAddr(0x2000)).unwrap();
        assert_eq!(jump.site, RunAddr(0x1004));
    }

    #[test]
    fn a_short_function_takes_padding_or_is_refused() {
        let code = [0xc3, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc];
        assert!(jump(RunAddr(0x1000), &code, 1, 7, RunAddr(0x2000)).is_ok());
        assert_eq!(
            jump(RunAddr(0x1000), &code, 1, 2, RunAddr(0x2000)),
            Err(EntryError::TooShort { room: 3, needed: 5 })
        );
        assert_eq!(
            jump(RunAddr(0x1000), &code, 1, 7, RunAddr(0x7fff_0000_0000)),
            Err(EntryError::TooShort {
                room: 8,
                needed: 14
            })
        );
    }
}
