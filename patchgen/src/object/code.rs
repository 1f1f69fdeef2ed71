//! What the instructions around relocated fields do, and which of them lead elsewhere without a relocation.
//!
//! `S + A - P` counts from the field, the processor from the end of the instruction. Only the decoded instruction
//! tells the difference (psABI 4.4; `movl $1, x(%rip)` has four bytes of immediate after its field).

use super::Atom;
use super::raw::Tables;
use super::tables::is_outlined;
use iced_x86::{Code, Decoder, DecoderOptions, Instruction, Mnemonic, OpKind, Register};

/// How code or data uses an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// A call.
    Call,
    /// A jump, conditional or not.
    Jump,
    /// The address itself is taken.
    Address,
    /// Memory at the address plus a register is accessed.
    Indexed,
    /// Memory at the address is accessed.
    Access,
    /// A field of data.
    Data,
}

/// The instruction around a field, or the field itself in data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Site {
    /// How many bytes of the instruction come before the field.
    pub before: u8,
    /// How many bytes it is from the field's start to the next instruction.
    pub after: u8,
    /// What the instruction does with the field's value.
    pub role: Role,
    /// How many bytes a plain access reads or writes; 0 for everything else.
    pub size: u16,
}

impl Site {
    /// A field of data of `width` bytes.
    #[must_use]
    pub fn data(width: usize) -> Self {
        Self {
            before: 0,
            after: width as u8,
            role: Role::Data,
            size: 0,
        }
    }

    /// Offset of the instruction whose field is at `field`.
    #[must_use]
    pub fn start(self, field: u64) -> u64 {
        field.saturating_sub(self.before.into())
    }

    /// Offset of the instruction after that.
    #[must_use]
    pub fn end(self, field: u64) -> u64 {
        field.saturating_add(self.after.into())
    }
}

/// A PC-relative field that the assembler filled in, leading out of the code that was decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Escape {
    /// Offset of the field.
    pub field: u64,
    /// Its width in bytes, 1 or 4.
    pub width: usize,
    /// Where it leads, as an offset from the start of the decoded code.
    pub target: i64,
    /// The instruction.
    pub site: Site,
}

/// A decoded piece of code.
#[derive(Debug, Default)]
pub(super) struct Decoded {
    /// For each of the fields asked about, the instruction it sits in.
    pub sites: Vec<Option<Site>>,
    /// Fields without relocation that lead out.
    pub escapes: Vec<Escape>,
    /// The first offset that holds no instruction.
    pub undecodable: Option<u64>,
}

/// Decodes `bytes` and finds the instructions of the relocated `fields` (offsets, ascending).
#[must_use]
pub(super) fn decode(bytes: &[u8], fields: &[u64]) -> Decoded {
    let mut decoded = Decoded {
        sites: vec![None; fields.len()],
        ..Decoded::default()
    };
    let mut decoder = Decoder::new(64, bytes, DecoderOptions::NONE);
    let mut instruction = Instruction::default();
    let mut next = 0;
    while decoder.can_decode() {
        decoder.decode_out(&mut instruction);
        let (start, end) = (instruction.ip(), instruction.next_ip());
        if instruction.is_invalid() {
            decoded.undecodable = Some(start);
            break;
        }
        let has_field = fields.get(next).is_some_and(|field| *field < end);
        let leads = is_near_branch(&instruction) || instruction.is_ip_rel_memory_operand();
        if !has_field && !leads {
            continue;
        }
        let offsets = decoder.get_constant_offsets(&instruction);
        let memory = offsets
            .has_displacement()
            .then(|| start + offsets.displacement_offset() as u64);
        let first = next;
        while fields.get(next).is_some_and(|field| *field < end) {
            let field = fields[next];
            decoded.sites[next] =
                (field >= start).then(|| site(&instruction, field, memory == Some(field)));
            next += 1;
        }
        let relocated = |field: u64| fields[first..next].contains(&field);
        let branch = offsets
            .has_immediate()
            .then(|| start + offsets.immediate_offset() as u64);
        let escape = own_branch(&instruction, branch, offsets.immediate_size())
            .or_else(|| own_memory(&instruction, memory));
        if let Some((field, width, target)) = escape
            && !relocated(field)
            && !(0..bytes.len() as i64).contains(&target)
        {
            let site = site(&instruction, field, memory == Some(field));
            decoded.escapes.push(Escape {
                field,
                width,
                target,
                site,
            });
        }
    }
    decoded
}

/// The instruction that holds the field of each relocation of a file's code.
pub(super) struct Sites {
    /// By section: its first place in `all`; one more for the end.
    first: Vec<usize>,
    all: Vec<Option<Site>>,
}

impl Sites {
    /// Room for all of them, none of which is known yet.
    fn unknown(tables: &Tables<'_>) -> Self {
        let counts = tables.sections.iter().map(|section| {
            let is_code = section.is_code() || is_outlined(section.name);
            if is_code {
                section.relocations.len()
            } else {
                0
            }
        });
        let mut first = Vec::with_capacity(tables.sections.len() + 1);
        let mut end = 0;
        first.push(end);
        for count in counts {
            end += count;
            first.push(end);
        }
        Self {
            first,
            all: vec![None; end],
        }
    }

    /// The instruction around the field of a relocation; none where the section is no code.
    pub(super) fn get(&self, section: usize, index: usize) -> Option<Site> {
        let (first, end) = (*self.first.get(section)?, *self.first.get(section + 1)?);
        let own = self.all.get(first..end)?;
        own.get(index).copied().flatten()
    }

    fn set(&mut self, section: usize, index: usize, sites: &[Option<Site>]) {
        let from = self.first[section] + index;
        self.all[from..from + sites.len()].copy_from_slice(sites);
    }
}

/// What decoding the code of an object file told.
pub(super) struct AllCode {
    /// The instruction that holds the field of each relocation.
    pub sites: Sites,
    /// By atom: fields without relocation that lead out, as offsets in the atom.
    pub escapes: Vec<(usize, Escape)>,
}

/// Decodes all code. What cannot be decoded becomes a flaw of its atom.
pub(super) fn sites(tables: &Tables<'_>, atoms: &mut [Atom<'_>]) -> AllCode {
    let mut found = AllCode {
        sites: Sites::unknown(tables),
        escapes: Vec::new(),
    };
    for (number, atom) in atoms
        .iter_mut()
        .enumerate()
        .filter(|(_, atom)| atom.kind.is_code())
    {
        let relocations = &tables.sections[atom.section()].relocations;
        let own = relocations.within(atom.start..atom.start + atom.size);
        let entries = own.clone().filter_map(|index| relocations.get(index));
        let fields: Vec<u64> = entries.map(|entry| entry.offset - atom.start).collect();
        let decoded = decode(atom.bytes, &fields);
        found.sites.set(atom.section(), own.start, &decoded.sites);
        if let Some(at) = decoded.undecodable {
            atom.rare()
                .flaws
                .push(format!("bytes at +{at:#x} are no instruction"));
        }
        found
            .escapes
            .extend(decoded.escapes.into_iter().map(|escape| (number, escape)));
    }
    found
}

/// The instruction around `field`, which lies in it. No instruction has more than 15 bytes.
fn site(instruction: &Instruction, field: u64, in_memory_operand: bool) -> Site {
    let role = role(instruction, in_memory_operand);
    let size = match role {
        Role::Access => instruction.memory_size().size() as u16,
        _ => 0,
    };
    Site {
        before: field.wrapping_sub(instruction.ip()) as u8,
        after: instruction.next_ip().wrapping_sub(field) as u8,
        role,
        size,
    }
}

fn role(instruction: &Instruction, in_memory_operand: bool) -> Role {
    if is_near_branch(instruction) {
        return if instruction.mnemonic() == Mnemonic::Call {
            Role::Call
        } else {
            Role::Jump
        };
    }
    if !in_memory_operand || instruction.mnemonic() == Mnemonic::Lea {
        return Role::Address;
    }
    let base = instruction.memory_base();
    let plain = matches!(base, Register::None | Register::RIP | Register::EIP);
    if plain && instruction.memory_index() == Register::None {
        Role::Access
    } else {
        Role::Indexed
    }
}

fn is_near_branch(instruction: &Instruction) -> bool {
    instruction.op_count() > 0
        && matches!(
            instruction.op0_kind(),
            OpKind::NearBranch16 | OpKind::NearBranch32 | OpKind::NearBranch64
        )
}

fn own_branch(
    instruction: &Instruction,
    field: Option<u64>,
    width: usize,
) -> Option<(u64, usize, i64)> {
    let target = instruction.near_branch_target().cast_signed();
    (is_near_branch(instruction) && instruction.code() != Code::INVALID)
        .then_some((field?, width, target))
}

fn own_memory(instruction: &Instruction, field: Option<u64>) -> Option<(u64, usize, i64)> {
    let target = instruction.ip_rel_memory_address().cast_signed();
    instruction
        .is_ip_rel_memory_operand()
        .then_some((field?, 4, target))
}

/// The length of the first instruction; 0 when there is none.
#[must_use]
pub(super) fn length(bytes: &[u8]) -> u64 {
    let mut decoder = Decoder::new(64, bytes, DecoderOptions::NONE);
    let instruction = decoder.decode();
    if instruction.is_invalid() {
        return 0;
    }
    instruction.len() as u64
}

/// Whether the bytes are nothing but padding: no-operations, `int3` or zeros.
#[must_use]
pub(super) fn is_padding(bytes: &[u8]) -> bool {
    if bytes.iter().all(|byte| *byte == 0) {
        return true;
    }
    let mut decoder = Decoder::new(64, bytes, DecoderOptions::NONE);
    decoder.iter().all(|instruction| {
        matches!(instruction.mnemonic(), Mnemonic::Nop | Mnemonic::Int3)
            || instruction.code() == Code::Xchg_rm16_r16
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trailing_immediates_count() {
        // c7 05 00 00 00 00 01 00 00 00   movl $1, 0(%rip)
        let decoded = decode(&[0xc7, 5, 0, 0, 0, 0, 1, 0, 0, 0], &[2]);
        let site = decoded.sites[0].expect("decoded");
        let ends = (site.start(2), site.end(2), site.role);
        assert_eq!(ends, (0, 10, Role::Access));
    }

    #[test]
    fn roles_follow_from_the_instruction() {
        // e8 call; e9 jmp; 48 8d 05 lea; ff 24 c5 jmp *0(,%rax,8); bf mov $0,%edi
        let cases: [(&[u8], u64, Role); 5] = [
            (&[0xe8, 0, 0, 0, 0], 1, Role::Call),
            (&[0xe9, 0, 0, 0, 0], 1, Role::Jump),
            (&[0x48, 0x8d, 5, 0, 0, 0, 0], 3, Role::Address),
            (&[0xff, 0x24, 0xc5, 0, 0, 0, 0], 3, Role::Indexed),
            (&[0xbf, 0, 0, 0, 0], 1, Role::Address),
        ];
        for (bytes, field, role) in cases {
            let site = decode(bytes, &[field]).sites[0].expect("decoded");
            assert_eq!(site.role, role, "{bytes:x?}");
        }
    }

    #[test]
    fn branches_and_addresses_that_lead_out_are_escapes() {
        // eb 10 jmp +0x12; 48 8d 05 f0 ff ff ff lea -0x10(%rip); 74 f5 je back inside
        let bytes = [
            0xeb, 0x10, 0x48, 0x8d, 5, 0xf0, 0xff, 0xff, 0xff, 0x74, 0xf5,
        ];
        let escapes = decode(&bytes, &[]).escapes;
        let found: Vec<_> = escapes
            .iter()
            .map(|e| (e.field, e.width, e.target))
            .collect();
        assert_eq!(found, [(1, 1, 0x12), (5, 4, -7)]);
        assert!(decode(&bytes, &[1, 5]).escapes.is_empty());
    }

    #[test]
    fn padding_is_recognised() {
        assert!(is_padding(&[0x66, 0x90, 0x0f, 0x1f, 0x44, 0, 0, 0xcc]));
        assert!(is_padding(&[0; 5]));
        assert!(!is_padding(&[0x90, 0xc3]));
    }
}
