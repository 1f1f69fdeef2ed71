//! Does a call instruction end right before an address?
//!
//!     e8 rel32             call   near, 5 bytes (prefixes before it do not matter)
//!     ff /2 [sib] [disp]   call   through a register or memory, 2 to 7 bytes

/// Most bytes that [`ends_with_call`] looks at.
pub(crate) const LONGEST_CALL: usize = 7;

/// Whether `before`, the bytes up to a return address, ends in a call instruction.
///
/// Prefixes are not looked at: they lengthen a call to the front. Some byte strings end in a call by accident; this is
/// one of several cross-checks.
pub(crate) fn ends_with_call(before: &[u8]) -> bool {
    let len = before.len();
    let near = len >= 5 && before[len - 5] == 0xe8;
    near || (2..=LONGEST_CALL.min(len))
        .any(|size| indirect_call_len(&before[len - size..]) == Some(size))
}

/// Length of the `ff /2` instruction at the start of `code`.
fn indirect_call_len(code: &[u8]) -> Option<usize> {
    let (&opcode, rest) = code.split_first()?;
    let (&modrm, rest) = rest.split_first()?;
    let (mode, reg, rm) = (modrm >> 6, (modrm >> 3) & 7, modrm & 7);
    if opcode != 0xff || reg != 2 {
        return None;
    }
    if mode == 3 {
        return Some(2);
    }
    let sib = if rm == 4 { Some(*rest.first()?) } else { None };
    let displacement = match mode {
        0 if rm == 5 || sib.is_some_and(|sib| sib & 7 == 5) => 4,
        0 => 0,
        1 => 1,
        _ => 4,
    };
    Some(2 + usize::from(sib.is_some()) + displacement)
}

#[cfg(test)]
mod tests {
    use super::*;
    use iced_x86::{Decoder, DecoderOptions, FlowControl};

    #[test]
    fn knows_every_form_of_call() {
        let calls: &[&[u8]] = &[
            &[0xe8, 1, 2, 3, 4],
            &[0x66, 0x66, 0x48, 0xe8, 1, 2, 3, 4], // call __tls_get_addr, padded
            &[0xff, 0xd0],                         // call rax
            &[0x41, 0xff, 0xd4],                   // call r12
            &[0xff, 0x15, 1, 2, 3, 4],             // call [rip+x]
            &[0xff, 0x10],                         // call [rax]
            &[0xff, 0x50, 0x18],                   // call [rax+0x18]
            &[0xff, 0x54, 0x24, 0x08],             // call [rsp+8]
            &[0xff, 0x94, 0x24, 0, 1, 0, 0],       // call [rsp+0x100]
            &[0xff, 0x14, 0xc5, 0, 0, 0, 1],       // call [rax*8+x]
            &[0xff, 0x90, 0, 1, 0, 0],             // call [rax+0x100]
        ];
        for call in calls {
            assert!(ends_with_call(call), "{call:x?}");
            let mut padded = vec![0x90; 9];
            padded.extend_from_slice(call);
            assert!(ends_with_call(&padded), "{call:x?}");
        }
    }

    #[test]
    fn refuses_what_is_no_call() {
        let others: &[&[u8]] = &[
            &[],
            &[0xff],
            &[0xd0],
            &[0xe9, 1, 2, 3, 4],
            &[0xff, 0x25, 1, 2, 3, 4], // jmp [rip+x]
            &[0xff, 0xe0],             // jmp rax
            &[0x90; 16],
            &[0x0f, 0x05], // syscall
            &[0xc3],
        ];
        for other in others {
            assert!(!ends_with_call(other), "{other:x?}");
        }
    }

    /// Whatever iced calls a call ends with one.
    #[test]
    fn agrees_with_iced_on_all_modrm() {
        for modrm in 0..=255u8 {
            for sib in [0x00, 0x24, 0x25, 0xc5, 0xff] {
                let code = [0xff, modrm, sib, 1, 2, 3, 4, 5, 6];
                let insn = Decoder::with_ip(64, &code, 0, DecoderOptions::NONE).decode();
                if insn.flow_control() == FlowControl::IndirectCall && !insn.is_call_far_indirect()
                {
                    assert!(ends_with_call(&code[..insn.len()]), "{code:x?}");
                }
            }
        }
    }
}
