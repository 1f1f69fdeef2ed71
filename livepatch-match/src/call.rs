//! Recognising return addresses by the call before them.

/// The longest call instruction without prefixes: opcode, ModRM, SIB and a 32-bit displacement.
const LONGEST: usize = 7;

/// Whether the bytes up to a return address end in a call: `e8 rel32` or `ff /2` with any operand. Prefixes stand before
/// these and need no look. Give the last seven bytes or more; with fewer, longer forms are not seen.
///
/// A byte sequence may look like a call and be none: `true` means *possibly a return address*, `false` means none.
#[must_use]
pub fn calls_at(bytes_before: &[u8]) -> bool {
    let ending = |length: usize| {
        bytes_before
            .len()
            .checked_sub(length)
            .map(|at| &bytes_before[at..])
    };
    let is_relative = ending(5).is_some_and(|bytes| bytes[0] == 0xe8);
    is_relative
        || (2..=LONGEST).any(|length| {
            ending(length).is_some_and(|bytes| indirect_length(bytes) == Some(length))
        })
}

/// The length of the `call r/m64` that `bytes` begin with.
fn indirect_length(bytes: &[u8]) -> Option<usize> {
    let [0xff, modrm, rest @ ..] = bytes else {
        return None;
    };
    if modrm >> 3 & 7 != 2 {
        return None;
    }
    let (mode, base) = (modrm >> 6, modrm & 7);
    let has_sib = mode != 3 && base == 4;
    let base = if has_sib { rest.first()? & 7 } else { base };
    let displacement = match (mode, base) {
        (1, _) => 1,
        (2, _) | (0, 5) => 4,
        _ => 0,
    };
    Some(2 + usize::from(has_sib) + displacement)
}

#[cfg(test)]
mod tests {
    use super::*;
    use iced_x86::{Decoder, DecoderOptions, Mnemonic};

    #[test]
    fn every_form_is_seen() {
        let forms: &[&[u8]] = &[
            &[0xe8, 0, 0, 0, 0],                      // call rel32
            &[0x67, 0xe8, 0, 0, 0, 0],                // addr32 call rel32
            &[0xff, 0xd0],                            // call rax
            &[0x41, 0xff, 0xd7],                      // call r15
            &[0x3e, 0xff, 0xd0],                      // notrack call rax
            &[0xff, 0x10],                            // call [rax]
            &[0xff, 0x53, 0x08],                      // call [rbx+8]
            &[0xff, 0x93, 0, 1, 0, 0],                // call [rbx+0x100]
            &[0xff, 0x15, 0, 0, 0, 0],                // call [rip+0]
            &[0xff, 0x14, 0xc7],                      // call [rdi+rax*8]
            &[0xff, 0x54, 0x24, 0x08],                // call [rsp+8]
            &[0xff, 0x94, 0x24, 0, 1, 0, 0],          // call [rsp+0x100]
            &[0xff, 0x14, 0xc5, 0, 0, 0, 0],          // call [rax*8+0]
            &[0x64, 0xff, 0x14, 0x25, 0x10, 0, 0, 0], // call fs:[0x10]
            &[0x41, 0xff, 0x94, 0xc7, 0, 1, 0, 0],    // call [r15+rax*8+0x100]
        ];
        for form in forms {
            assert!(calls_at(form), "{form:02x?}");
        }
    }

    #[test]
    fn other_instructions_are_none() {
        let others: &[&[u8]] = &[
            &[],
            &[0xd0],
            &[0xff, 0xe0],             // jmp rax
            &[0xe9, 0, 0, 0, 0],       // jmp rel32
            &[0xff, 0x25, 0, 0, 0, 0], // jmp [rip+0]
            &[0xff, 0x1c, 0x24],       // far call [rsp]
            &[0xff, 0x50, 0x08, 0x90], // call [rax+8]; nop
            &[0xe8, 0, 0, 0],          // cut short
            &[0xff, 0x93, 0, 0, 0],
        ];
        for other in others {
            assert!(!calls_at(other), "{other:02x?}");
        }
    }

    #[test]
    fn every_indirect_form_has_the_decoders_length() {
        for modrm in 0..=255 {
            for sib in 0..=255 {
                let bytes = [0xff, modrm, sib, 0, 0, 0, 0, 0];
                let instruction = Decoder::new(64, &bytes, DecoderOptions::NONE).decode();
                let near = instruction.mnemonic() == Mnemonic::Call && modrm >> 3 & 7 == 2;
                let expected = near.then_some(instruction.len());
                assert_eq!(indirect_length(&bytes), expected, "{bytes:02x?}");
            }
        }
    }
}
