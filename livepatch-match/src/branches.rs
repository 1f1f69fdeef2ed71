//! Where a function's direct branches lead.

use crate::{
    Code, Mismatch, Target,
    insn::{Cursor, Insn},
    reference::{self, Role},
};
use iced_x86::{FlowControl, Mnemonic};
use std::ops::Range;

/// Offsets of the direct branches (calls included) in `code` that lead to an offset in `range`, both counted from the start
/// of the piece. Indirect branches are not known here: jump tables are the caller's to look at.
///
/// # Errors
/// When the code cannot be decoded to its end, so that a branch may have been missed.
pub fn text_branches_into(code: &Code<'_>, range: &Range<u64>) -> Result<Vec<u64>, Mismatch> {
    let leads_there = |target: Target| match target {
        Target::Inside(offset) => range.contains(&offset),
        Target::Outside(offset) => {
            u64::try_from(offset).is_ok_and(|offset| range.contains(&offset))
        }
        Target::Address(address) => range.contains(&address.wrapping_sub(code.base)),
        Target::Symbol { .. } => false,
    };
    let branches = branches(code)?.into_iter();
    Ok(branches
        .filter(|branch| leads_there(branch.target))
        .map(|branch| branch.at)
        .collect())
}

/// The direct jumps, conditional ones too, that leave the piece: offset and target. Calls are none.
///
/// # Errors
/// When the code cannot be decoded to its end, so that a jump may have been missed.
pub fn tail_jumps(code: &Code<'_>) -> Result<Vec<(u64, Target)>, Mismatch> {
    let leaves = |target: Target| match target {
        Target::Inside(_) => false,
        Target::Address(address) => address.wrapping_sub(code.base) >= code.bytes.len() as u64,
        Target::Outside(_) | Target::Symbol { .. } => true,
    };
    let branches = branches(code)?.into_iter();
    Ok(branches
        .filter(|branch| !branch.is_call && leaves(branch.target))
        .map(|branch| (branch.at, branch.target))
        .collect())
}

/// Whether control can go on from the last instruction into whatever follows the piece: hand-written code with several entries,
/// or code that relies on `__builtin_unreachable()`. A final call is taken for one of a function that does not return.
///
/// # Errors
/// When the code cannot be decoded to its end.
pub fn falls_through(code: &Code<'_>) -> Result<bool, Mismatch> {
    let mut last = true;
    walk(code, |insn, _| {
        if !insn.is_nop() {
            last = goes_on(insn);
        }
        Ok(())
    })?;
    Ok(last)
}

fn goes_on(insn: &Insn<'_>) -> bool {
    let ends = matches!(
        insn.raw.flow_control(),
        FlowControl::UnconditionalBranch
            | FlowControl::IndirectBranch
            | FlowControl::Return
            | FlowControl::Exception
    );
    !ends
        && !matches!(
            insn.raw.mnemonic(),
            Mnemonic::Call | Mnemonic::Int3 | Mnemonic::Hlt
        )
}

struct Branch {
    at: u64,
    target: Target,
    is_call: bool,
}

fn branches(code: &Code<'_>) -> Result<Vec<Branch>, Mismatch> {
    let mut found = Vec::new();
    walk(code, |insn, cursor| {
        found.extend(branch(insn, cursor)?);
        Ok(())
    })?;
    Ok(found)
}

fn walk<'a>(
    code: &Code<'a>,
    mut visit: impl FnMut(&Insn<'a>, &Cursor<'a>) -> Result<(), Mismatch>,
) -> Result<(), Mismatch> {
    let mut cursor = Cursor::new(code)?;
    while !cursor.is_done() {
        let at = cursor.at as u64;
        let insn = cursor.decode().ok_or(Mismatch::Undecodable { at })?;
        visit(&insn, &cursor)?;
        cursor.advance(insn.end());
    }
    Ok(())
}

fn branch(insn: &Insn<'_>, cursor: &Cursor<'_>) -> Result<Option<Branch>, Mismatch> {
    let length = (!cursor.is_linked()).then_some(cursor.len());
    let reference = reference::references(insn, length)?
        .into_iter()
        .flatten()
        .find(|reference| reference.slot.role == Role::Branch);
    Ok(reference.map(|reference| Branch {
        at: insn.at as u64,
        target: reference.target,
        is_call: insn.raw.mnemonic() == Mnemonic::Call,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Field;
    use livepatch_bundle::RelocKind;

    // 00: f3 0f 1e fa       endbr64
    // 04: ff cf             dec edi
    // 06: 75 fc             jne 4
    // 08: e8 f3 ff ff ff    call 0
    // 0d: eb 01             jmp 10 (outside)
    // 0f: c3                ret
    const CODE: &[u8] = &[
        0xf3, 0x0f, 0x1e, 0xfa, 0xff, 0xcf, 0x75, 0xfc, 0xe8, 0xf3, 0xff, 0xff, 0xff, 0xeb, 0x01,
        0xc3,
    ];

    fn code(bytes: &'static [u8], fields: Option<&'static [Field]>) -> Code<'static> {
        Code {
            bytes,
            base: if fields.is_some() { 0 } else { 0x1000 },
            fields,
        }
    }

    #[test]
    fn branches_into_the_entry_are_found() {
        for code in [code(CODE, None), code(CODE, Some(&[]))] {
            assert_eq!(text_branches_into(&code, &(1..5)).unwrap(), [6]);
            assert_eq!(text_branches_into(&code, &(0..1)).unwrap(), [8]);
            assert!(text_branches_into(&code, &(5..16)).unwrap().is_empty());
        }
    }

    #[test]
    fn a_relocated_branch_is_read_from_its_relocation() {
        // e9 00 00 00 00    jmp .text+4
        const INSIDE: &[Field] = &[Field {
            offset: 1,
            kind: RelocKind::Plt32,
            symbol: 0,
            addend: -1,
            inside: true,
        }];
        let code = code(&[0xe9, 0, 0, 0, 0], Some(INSIDE));
        assert_eq!(text_branches_into(&code, &(1..5)).unwrap(), [0]);
        assert!(tail_jumps(&code).unwrap().is_empty());
    }

    #[test]
    fn jumps_out_of_the_piece_are_tail_jumps_and_calls_are_not() {
        let linked = tail_jumps(&code(CODE, None)).unwrap();
        assert_eq!(linked, [(13, Target::Address(0x1010))]);
        let object = tail_jumps(&code(CODE, Some(&[]))).unwrap();
        assert_eq!(object, [(13, Target::Outside(16))]);
    }

    #[test]
    fn what_goes_on_into_the_next_function_is_seen() {
        let falls = |bytes| falls_through(&code(bytes, None)).unwrap();
        // ret; jmp -2; call 0; nop after ret; ud2; int3
        let ends: [&[u8]; 6] = [
            &[0xc3],
            &[0xeb, 0xfe],
            &[0xe8, 0, 0, 0, 0],
            &[0xc3, 0x66, 0x90],
            &[0x0f, 0x0b],
            &[0xcc],
        ];
        assert!(ends.into_iter().all(|bytes| !falls(bytes)));
        // jne 0; mov eax, ebx; syscall; nothing at all
        let goes_on: [&[u8]; 4] = [&[0x75, 0xfe], &[0x89, 0xd8], &[0x0f, 0x05], &[]];
        assert!(goes_on.into_iter().all(falls));
    }

    #[test]
    fn undecodable_code_is_an_error() {
        let error = tail_jumps(&code(&[0x90, 0x06], None)).unwrap_err();
        assert_eq!(error, Mismatch::Undecodable { at: 1 });
    }
}
