//! Filling in the fields (psABI, section 4.4.1 "Relocation Types").

use super::layout::{STUB_LEN, SlotKind};
use super::mark;
use super::{Layout, Resolution};
use livepatch_bundle::{
    Bundle, Class, Reloc, RelocKind, RunAddr, SectionId, SectionKind, SymbolId,
};
use thiserror::Error;

/// The two parts of a patch, ready to be mapped at the base they were linked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The read-execute part without prelude and record, zero-padded to whole pages.
    pub text: Vec<u8>,
    /// The read-write part, zero-padded to whole pages.
    pub data: Vec<u8>,
}

/// Why a field cannot be filled in.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LinkError {
    /// Nothing in the running program tells the value.
    #[error("`{symbol}` was not found in the running program in the way that {} in `{section}` needs", .kind.name())]
    Unresolved {
        /// What the program calls the symbol.
        symbol: String,
        /// The section with the field.
        section: String,
        /// How the field is computed.
        kind: RelocKind,
    },
    /// The value does not fit the field.
    #[error("relocation {} in `{section}` does not reach `{symbol}`: the value is {value:#x}", .kind.name())]
    OutOfReach {
        /// What the program calls the symbol.
        symbol: String,
        /// The section with the field.
        section: String,
        /// How the field is computed.
        kind: RelocKind,
        /// The value that does not fit.
        value: i64,
    },
}

/// Links `bundle` for `base`. `resolutions` has one entry for each of the bundle's symbols; those of symbols that
/// the bundle defines are ignored.
///
/// # Errors
/// Every field that cannot be filled in.
pub fn link(
    bundle: &Bundle,
    layout: &Layout,
    base: RunAddr,
    resolutions: &[Resolution],
) -> Result<Image, Vec<LinkError>> {
    let mut linker = Linker {
        bundle,
        layout,
        base,
        resolutions,
        bytes: flatten(bundle, layout),
        errors: Vec::new(),
    };
    linker.fill_mark();
    linker.fill_view();
    linker.fill_slots();
    linker.fill_stubs();
    for section in 0..bundle.sections.len() {
        linker.fill_section(SectionId(section));
    }
    if !linker.errors.is_empty() {
        return Err(linker.errors);
    }
    let mut text = linker.bytes;
    let data = text.split_off(layout.text_len as usize);
    Ok(Image { text, data })
}

fn flatten(bundle: &Bundle, layout: &Layout) -> Vec<u8> {
    let mut bytes = vec![0; layout.len() as usize];
    for (section, offset) in bundle.sections.iter().zip(&layout.sections) {
        if let (Some(offset), true) = (offset, section.kind != SectionKind::Zero) {
            let start = *offset as usize;
            bytes[start..start + section.data.len()].copy_from_slice(&section.data);
        }
    }
    bytes
}

struct Linker<'a> {
    bundle: &'a Bundle,
    layout: &'a Layout,
    base: RunAddr,
    resolutions: &'a [Resolution],
    bytes: Vec<u8>,
    errors: Vec<LinkError>,
}

impl Linker<'_> {
    /// Behind the unwind records, before their terminator.
    fn fill_mark(&mut self) {
        let (start, len) = self.layout.unwind;
        if len > 0 {
            let at = start + len - 4 - mark::LEN;
            self.put(at, &mark::records(at));
        }
    }

    fn fill_view(&mut self) {
        let Layout {
            view,
            text_len,
            data_len,
            ..
        } = self.layout;
        self.put(0, &view.head(*text_len, *data_len));
        self.put(view.at, &view.tables);
    }

    fn at(&self, offset: u64) -> RunAddr {
        RunAddr(self.base.0 + offset)
    }

    fn put(&mut self, offset: u64, bytes: &[u8]) {
        let start = offset as usize;
        self.bytes[start..start + bytes.len()].copy_from_slice(bytes);
    }

    /// Fills each slot whose value is known; a field that uses an unknown one is an error of that field.
    fn fill_slots(&mut self) {
        for (&(symbol, kind), &offset) in &self.layout.slots {
            if let Some(words) = self.slot_value(symbol, kind) {
                for (index, word) in words.into_iter().flatten().enumerate() {
                    self.put(offset + 8 * index as u64, &word.to_le_bytes());
                }
            }
        }
    }

    fn slot_value(&self, symbol: SymbolId, kind: SlotKind) -> Option<[Option<u64>; 2]> {
        let known = &self.resolutions[symbol.0];
        Some(match kind {
            SlotKind::Address => [Some(self.address(symbol)?.0), None],
            SlotKind::Branch => [Some(known.branch.or(known.address)?.0), None],
            SlotKind::TpOffset => [Some(known.tp_offset?.cast_unsigned()), None],
            SlotKind::TlsPair => [
                Some(known.tls_module?),
                Some(known.dtp_offset?.cast_unsigned()),
            ],
            SlotKind::TlsModulePair => [Some(known.tls_module?), Some(0)],
        })
    }

    /// `ff 25 <disp32>  jmp [rip+disp32]`, then padding.
    fn fill_stubs(&mut self) {
        for (&symbol, &offset) in &self.layout.stubs {
            if let Some(distance) = self.stub_distance(symbol, offset) {
                let mut stub = [0xcc; STUB_LEN as usize];
                stub[..2].copy_from_slice(&[0xff, 0x25]);
                stub[2..6].copy_from_slice(&distance.to_le_bytes());
                self.put(offset, &stub);
            }
        }
    }

    /// From the stub to the slot that it jumps through: the patch's own where the destination is known, else the
    /// module's, which the dynamic loader may still have to bind.
    fn stub_distance(&self, symbol: SymbolId, stub: u64) -> Option<i32> {
        let through = match self.slot_value(symbol, SlotKind::Branch) {
            Some(_) => self.at(self.layout.slots[&(symbol, SlotKind::Branch)]),
            None => {
                let known = &self.resolutions[symbol.0];
                known.slot.or(known.lazy_slot)?
            }
        };
        i32::try_from(through.distance_from(self.at(stub + 6))).ok()
    }

    fn fill_section(&mut self, id: SectionId) {
        let Some(start) = self.layout.sections[id.0] else {
            return;
        };
        for reloc in &self.bundle.sections[id.0].relocations {
            let field = start + reloc.offset;
            match self.value(reloc, self.at(field)) {
                None => self.fail(id, reloc, None),
                Some(value) => match encode(reloc.kind, value) {
                    Some(bytes) => self.put(field, &bytes[..reloc.kind.width()]),
                    None => self.fail(id, reloc, Some(value)),
                },
            }
        }
    }

    fn fail(&mut self, section: SectionId, reloc: &Reloc, value: Option<i64>) {
        let symbol = self.program_name(reloc.symbol);
        let section = self.bundle.sections[section.0].name.clone();
        let kind = reloc.kind;
        let error = match value {
            None => LinkError::Unresolved {
                symbol,
                section,
                kind,
            },
            Some(value) => LinkError::OutOfReach {
                symbol,
                section,
                kind,
                value,
            },
        };
        if !self.errors.contains(&error) {
            self.errors.push(error);
        }
    }

    fn program_name(&self, symbol: SymbolId) -> String {
        let name = &self.bundle.symbols[symbol.0].name;
        let reference = self
            .bundle
            .manifest
            .references
            .iter()
            .find(|reference| reference.symbol == *name);
        reference.map_or_else(|| name.clone(), |reference| reference.name.clone())
    }

    /// The address of a symbol of the bundle, or of the program.
    fn address(&self, symbol: SymbolId) -> Option<RunAddr> {
        self.layout
            .address_of(self.bundle, symbol, self.base)
            .or(self.resolutions[symbol.0].address)
    }

    fn value(&self, reloc: &Reloc, place: RunAddr) -> Option<i64> {
        let known = &self.resolutions[reloc.symbol.0];
        let relative = |target: RunAddr| target.offset(reloc.addend).distance_from(place);
        let own = |kind| {
            self.slot_value(reloc.symbol, kind)?;
            Some(self.at(*self.layout.slots.get(&(reloc.symbol, kind))?))
        };
        match reloc.kind.class() {
            Class::Absolute => Some(
                self.address(reloc.symbol)?
                    .offset(reloc.addend)
                    .0
                    .cast_signed(),
            ),
            Class::PcRelative if reloc.kind == RelocKind::Plt32 => self.branch(reloc, place),
            Class::PcRelative => Some(relative(self.address(reloc.symbol)?)),
            // The lazy slot does for calls, and is all there is where an implementation is not chosen yet.
            Class::GotSlot => Some(relative(
                known
                    .slot
                    .or_else(|| own(SlotKind::Address))
                    .or(known.lazy_slot)?,
            )),
            Class::TpOff => Some(known.tp_offset?.wrapping_add(reloc.addend)),
            Class::GotTpOff => Some(relative(
                known.tp_offset_slot.or_else(|| own(SlotKind::TpOffset))?,
            )),
            Class::TlsGd => Some(relative(known.tls_pair.or_else(|| own(SlotKind::TlsPair))?)),
            Class::TlsLd => Some(relative(
                known
                    .tls_module_pair
                    .or_else(|| own(SlotKind::TlsModulePair))?,
            )),
            Class::DtpOff => Some(known.dtp_offset?.wrapping_add(reloc.addend)),
            Class::TlsDesc => Some(relative(known.tls_descriptor?)),
            Class::TlsDescCall => Some(0),
            Class::Size => Some(known.size?.cast_signed().wrapping_add(reloc.addend)),
            Class::GotRelative => None,
        }
    }

    /// A call: straight to the function, else through the stub.
    fn branch(&self, reloc: &Reloc, place: RunAddr) -> Option<i64> {
        let known = &self.resolutions[reloc.symbol.0];
        let direct = self
            .layout
            .address_of(self.bundle, reloc.symbol, self.base)
            .or(known.branch)
            .or(known.address);
        let distance = |target: RunAddr| target.offset(reloc.addend).distance_from(place);
        match direct.map(distance) {
            Some(near) if i32::try_from(near).is_ok() => Some(near),
            _ => {
                let stub = *self.layout.stubs.get(&reloc.symbol)?;
                self.stub_distance(reloc.symbol, stub)?;
                Some(distance(self.at(stub)))
            }
        }
    }
}

/// The field's bytes, or `None` when the value does not fit.
fn encode(kind: RelocKind, value: i64) -> Option<[u8; 8]> {
    let fits = match kind {
        RelocKind::Abs32 | RelocKind::Size32 => u32::try_from(value).is_ok(),
        RelocKind::Abs16 => i16::try_from(value).is_ok() || u16::try_from(value).is_ok(),
        RelocKind::Abs8 => i8::try_from(value).is_ok() || u8::try_from(value).is_ok(),
        RelocKind::Pc8 => i8::try_from(value).is_ok(),
        _ if kind.width() == 4 => i32::try_from(value).is_ok(),
        _ => true,
    };
    fits.then(|| value.to_le_bytes())
}
