//! Where thread-local variables are (Drepper, "ELF Handling For Thread-Local Storage"; x86-64 is variant II:
//! static TLS blocks lie below the thread pointer).

use super::image::{Image, ImageId};
use super::images::Images;
use super::slots::SlotKind;
use super::symbol::Kind;
use super::table::{binding, is_defined};
use goblin::elf::sym::{STB_LOCAL, STV_PROTECTED};
use goblin::elf64::sym::Sym;
use livepatch_bundle::LinkAddr;

/// Further below the thread pointer no static block lies.
const MAX_STATIC: i64 = 1 << 30;

impl Image<'_> {
    /// The number of the image's TLS module, from a `R_X86_64_DTPMOD64` slot of its own; the executable's is
    /// always 1. `None` when it has none, or when slots disagree.
    #[must_use]
    pub fn tls_module(&self) -> Option<u64> {
        self.tls()?;
        if self.is_main() {
            return Some(1);
        }
        let symbols = self.dynamic_symbols();
        let own = |symbol| symbol == 0 || symbols.table.get(symbol).is_some_and(is_bound_locally);
        let relocations = self.relocations().all().iter();
        let slots = relocations
            .filter(|relocation| relocation.kind == SlotKind::TlsModule && own(relocation.symbol));
        let mut modules = slots.filter_map(|slot| self.word(self.run(slot.offset)));
        let first = modules.next().filter(|&module| module != 0)?;
        modules.all(|module| module == first).then_some(first)
    }

    /// Where the executable's block begins: it is the first below the thread pointer, and aligned.
    fn main_tls_offset(&self) -> Option<i64> {
        let tls = self.tls()?;
        let mask = tls.align - 1;
        let gap = tls.address.0.wrapping_add(tls.memory_size).wrapping_neg() & mask;
        i64::try_from(tls.memory_size.checked_add(gap)?)
            .ok()
            .filter(|&size| size <= MAX_STATIC)
            .map(i64::wrapping_neg)
    }

    /// Whether a block can begin there.
    fn fits_tls(&self, offset: i64) -> bool {
        let Some(tls) = self.tls() else {
            return false;
        };
        let aligned = offset.cast_unsigned().wrapping_sub(tls.address.0) & (tls.align - 1) == 0;
        let below = offset
            .checked_add_unsigned(tls.memory_size)
            .is_some_and(|end| end <= 0);
        aligned && below && offset >= -MAX_STATIC
    }
}

impl Images<'_> {
    /// Where the image's TLS block begins, relative to the thread pointer, the same in every thread: computed
    /// for the executable, for libraries from `R_X86_64_TPOFF64` slots that the loader has filled. `None` for
    /// libraries whose block is allocated per thread (use [`Image::tls_module`]), and when slots disagree.
    #[must_use]
    pub fn tls_offset(&self, id: ImageId) -> Option<i64> {
        let image = self.get(id);
        if image.is_main() {
            return image.main_tls_offset();
        }
        image.tls()?;
        let own = image.relocations().of_symbol(0).iter();
        let own = own.filter(|relocation| relocation.kind == SlotKind::TpOff);
        let mut offsets = own
            .filter_map(|slot| block_start(image, slot.offset, slot.addend))
            .collect::<Vec<_>>();
        if offsets.is_empty() {
            offsets = self.imported_tls_offsets(image);
        }
        let first = *offsets.first()?;
        let agreed = offsets.iter().all(|&offset| offset == first);
        (agreed && image.fits_tls(first)).then_some(first)
    }

    /// From slots of any image for a symbol that this image defines.
    fn imported_tls_offsets(&self, defining: &Image<'_>) -> Vec<i64> {
        let mut offsets = Vec::new();
        let around = self.scope_around(defining.id);
        for importing in around.iter().map(|&id| self.get(id)) {
            let relocations = importing.relocations().all().iter();
            let mut slots = relocations
                .filter(|slot| slot.kind == SlotKind::TpOff && slot.symbol != 0)
                .peekable();
            if slots.peek().is_none() {
                continue;
            }
            let scope = self.scope_order_of(importing.id);
            offsets.extend(slots.filter_map(|slot| {
                let value = self.value_in(defining, importing, slot.symbol, &scope)?;
                let value = slot.addend.checked_add_unsigned(value.0)?;
                block_start(importing, slot.offset, value)
            }));
        }
        offsets
    }

    /// The value of an imported thread-local symbol, if `defining` is where it comes from.
    fn value_in(
        &self,
        defining: &Image<'_>,
        importing: &Image<'_>,
        symbol: u32,
        scope: &[ImageId],
    ) -> Option<LinkAddr> {
        let symbols = importing.dynamic_symbols();
        let name = symbols.table.name(symbols.table.get(symbol)?);
        let name = std::str::from_utf8(name).ok()?;
        let version = symbols.version(symbol).name;
        defining.definition(name, version)?;
        let meant = self.lookup_in(scope, name, version)?;
        (meant.image == defining.id && meant.kind == Kind::Tls).then_some(meant.value)
    }
}

/// The start of a block, from a filled slot for the variable at `value` in it.
fn block_start(image: &Image<'_>, slot: LinkAddr, value: i64) -> Option<i64> {
    let offset = image.word(image.run(slot))?.cast_signed();
    (offset != 0).then(|| offset.checked_sub(value))?
}

/// Whether no other image's definition can take its place.
fn is_bound_locally(symbol: &Sym) -> bool {
    is_defined(symbol) && (binding(symbol) == STB_LOCAL || symbol.st_other & 3 == STV_PROTECTED)
}
