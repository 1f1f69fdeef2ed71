//! Decoding a function of a bundle.

use super::second::Second;
use super::{Line, natural};
use iced_x86::{
    ConstantOffsets, Decoder as Iced, DecoderOptions, Formatter, Instruction, IntelFormatter,
    OpKind, SymbolResolver, SymbolResult,
};
use livepatch_bundle::{Bundle, Class, Definition, Reloc, SectionKind, Symbol};
use std::cell::RefCell;
use std::fmt::Write as _;
use std::rc::Rc;

/// Longer strings are cut.
const QUOTED_MAX: usize = 40;

/// Decodes functions of one bundle.
pub(super) struct Decoder<'b> {
    bundle: &'b Bundle,
    second: Second,
}

impl<'b> Decoder<'b> {
    pub(super) fn new(bundle: &'b Bundle) -> Result<Self, capstone::Error> {
        Ok(Self {
            bundle,
            second: Second::new()?,
        })
    }

    /// The instructions of a function; bytes that are none are shown as such.
    pub(super) fn lines(&self, symbol: &str) -> Vec<Line> {
        let Some(place) = self
            .bundle
            .symbol(symbol)
            .and_then(|id| self.bundle.symbols[id.0].definition)
        else {
            return Vec::new();
        };
        let Some((bytes, relocations)) = self.contents(place) else {
            return Vec::new();
        };
        let shared: Rc<RefCell<Names>> = Rc::default();
        let resolver: Box<dyn SymbolResolver> = Box::new(Resolver(Rc::clone(&shared)));
        let mut formatter = IntelFormatter::with_options(Some(resolver), None);
        let options = formatter.options_mut();
        options.set_space_after_operand_separator(true);
        options.set_hex_prefix("0x");
        options.set_hex_suffix("");
        options.set_uppercase_hex(false);
        options.set_branch_leading_zeros(false);
        let mut found = Vec::new();
        let mut decoder = Iced::new(64, bytes, DecoderOptions::NONE);
        let mut instruction = Instruction::default();
        while decoder.can_decode() {
            decoder.decode_out(&mut instruction);
            let offsets = decoder.get_constant_offsets(&instruction);
            let (start, end) = (instruction.ip(), instruction.next_ip());
            let own = bytes.get(start as usize..end as usize).unwrap_or_default();
            let within =
                |reloc: &&Reloc| (start..end).contains(&(reloc.offset.wrapping_sub(place.offset)));
            let fields: Vec<&Reloc> = relocations.iter().filter(within).collect();
            *shared.borrow_mut() = self.names(&instruction, &offsets, &fields, place, false);
            let text = format_one(&mut formatter, &instruction);
            *shared.borrow_mut() = self.names(&instruction, &offsets, &fields, place, true);
            let jump = own_jump(&instruction, &fields, bytes.len());
            let meaning = match jump {
                Some(_) => format!("{:?}", instruction.mnemonic()),
                None => format_one(&mut formatter, &instruction),
            };
            let text = jump.map_or(text, |to| format!("{} +{to:#x}", mnemonic(&instruction)));
            let disagreement = self.second.disagreement(&instruction, own);
            found.push(Line {
                offset: start,
                bytes: own.to_vec(),
                text,
                meaning,
                jump,
                disagreement,
            });
        }
        found
    }

    fn contents(&self, place: Definition) -> Option<(&'b [u8], &'b [Reloc])> {
        let section = self.bundle.sections.get(place.section.0)?;
        let (start, end) = (place.offset, place.offset.checked_add(place.size)?);
        let bytes = section
            .data
            .get(usize::try_from(start).ok()?..usize::try_from(end).ok()?)?;
        let first = section
            .relocations
            .partition_point(|reloc| reloc.offset < start);
        let last = section
            .relocations
            .partition_point(|reloc| reloc.offset < end);
        Some((bytes, section.relocations.get(first..last)?))
    }

    /// Names for the relocated fields of an instruction: for people, or for comparing.
    fn names(
        &self,
        instruction: &Instruction,
        offsets: &ConstantOffsets,
        fields: &[&Reloc],
        place: Definition,
        plain: bool,
    ) -> Names {
        let mut names = Names::default();
        for field in fields {
            let at = field.offset.wrapping_sub(place.offset);
            let in_memory = offsets.has_displacement()
                && at
                    == instruction
                        .ip()
                        .wrapping_add(offsets.displacement_offset() as u64);
            let relative = field.kind.class() == Class::PcRelative;
            let bias = if relative {
                instruction.next_ip().wrapping_sub(at).cast_signed()
            } else {
                0
            };
            let name = self.name(
                &self.bundle.symbols[field.symbol.0],
                field,
                field.addend.wrapping_add(bias),
                plain,
            );
            *(if in_memory {
                &mut names.memory
            } else {
                &mut names.number
            }) = Some(name);
        }
        names
    }

    fn name(&self, symbol: &Symbol, field: &Reloc, distance: i64, plain: bool) -> String {
        let quoted = self.quoted(symbol, distance);
        let mut name = natural(&symbol.name).to_owned();
        match (&quoted, plain) {
            (Some(quoted), true) => return quoted.clone(),
            (Some(quoted), false) => return format!("{name} {quoted}"),
            _ => {}
        }
        let distance = if is_indirect(field.kind.class()) {
            0
        } else {
            distance
        };
        match distance {
            0 => {}
            1.. => drop(write!(name, "+{distance:#x}")),
            _ => drop(write!(name, "-{:#x}", distance.unsigned_abs())),
        }
        if is_indirect(field.kind.class()) {
            let _ = write!(name, "@{:?}", field.kind.class());
        }
        name
    }

    /// The text of a string constant.
    fn quoted(&self, symbol: &Symbol, distance: i64) -> Option<String> {
        let place = symbol.definition?;
        let section = self.bundle.sections.get(place.section.0)?;
        if !matches!(
            section.kind,
            SectionKind::ReadOnly | SectionKind::OldReadOnly
        ) {
            return None;
        }
        let start = usize::try_from(place.offset.checked_add_signed(distance)?).ok()?;
        let end = usize::try_from(place.offset.checked_add(place.size)?).ok()?;
        let bytes = section.data.get(start..end)?;
        let text = &bytes[..bytes.iter().position(|byte| *byte == 0)?];
        let printable = |byte: &u8| byte.is_ascii_graphic() || b" \t\n\r\x1b".contains(byte);
        if text.is_empty() || !text.iter().all(printable) {
            return None;
        }
        let cut = &text[..text.len().min(QUOTED_MAX)];
        let more = if cut.len() < text.len() { "…" } else { "" };
        Some(format!("\"{}{more}\"", cut.escape_ascii()))
    }
}

/// Whether the field leads to a slot that holds the address.
fn is_indirect(class: Class) -> bool {
    !matches!(class, Class::PcRelative | Class::Absolute)
}

fn format_one(formatter: &mut IntelFormatter, instruction: &Instruction) -> String {
    let mut text = String::new();
    formatter.format(instruction, &mut text);
    text
}

fn mnemonic(instruction: &Instruction) -> String {
    format!("{:?}", instruction.mnemonic()).to_ascii_lowercase()
}

/// Where a branch without relocation leads, if that is inside the function.
fn own_jump(instruction: &Instruction, fields: &[&Reloc], len: usize) -> Option<u64> {
    let near = instruction.op_count() > 0
        && matches!(
            instruction.op0_kind(),
            OpKind::NearBranch16 | OpKind::NearBranch32 | OpKind::NearBranch64
        );
    let target = instruction.near_branch_target();
    (near && fields.is_empty() && target < len as u64).then_some(target)
}

/// What the fields of the instruction at hand are called.
#[derive(Debug, Default)]
struct Names {
    memory: Option<String>,
    number: Option<String>,
}

struct Resolver(Rc<RefCell<Names>>);

impl SymbolResolver for Resolver {
    fn symbol(
        &mut self,
        instruction: &Instruction,
        _operand: u32,
        own_operand: Option<u32>,
        address: u64,
        _size: u32,
    ) -> Option<SymbolResult<'_>> {
        let kind = own_operand.and_then(|operand| instruction.try_op_kind(operand).ok());
        let names = self.0.borrow();
        let name = if kind == Some(OpKind::Memory) {
            names.memory.clone()
        } else {
            names.number.clone()
        };
        name.map(|name| SymbolResult::with_string(address, name))
    }
}
