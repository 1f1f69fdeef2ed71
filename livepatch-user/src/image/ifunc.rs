//! What indirect functions were bound to. Their symbols only name the resolver, which we never call: what it
//! chose stands in slots that the loader has filled.

use super::image::Image;
use super::images::Images;
use super::lookup::Resolved;
use super::slots::{Slot, SlotKind};
use super::symbol::Kind;
use livepatch_bundle::{LinkAddr, RunAddr};

impl Image<'_> {
    /// What the resolver at a link-time address chose, from an `R_X86_64_IRELATIVE` slot. `None` when there is
    /// no such slot, or when slots disagree.
    #[must_use]
    pub fn bound_by_resolver(&self, resolver: LinkAddr) -> Option<RunAddr> {
        let slots = self.irelative_slots().into_iter();
        let values = slots
            .filter(|&(other, _)| other == resolver)
            .filter_map(|(_, slot)| self.bound_value(slot, self, resolver));
        agreed(values)
    }

    /// The value of a slot of this image, if it is a function of `defining`: not the resolver, and not the stub
    /// that binds the slot at its first use.
    fn bound_value(
        &self,
        slot: RunAddr,
        defining: &Image<'_>,
        resolver: LinkAddr,
    ) -> Option<RunAddr> {
        let value = RunAddr(self.word(slot)?);
        let chosen = defining.is_code(value)
            && defining.link(value) != resolver
            && !defining.is_lazy_stub(value);
        chosen.then_some(value)
    }

    /// Whether the code is a PLT entry's part that calls the loader.
    ///
    /// ```text
    /// f3 0f 1e fa     endbr64   (with -z ibtplt)
    /// 68 <imm32>      push index
    /// (f2) e9 <rel32> jmp  PLT0
    /// ```
    fn is_lazy_stub(&self, address: RunAddr) -> bool {
        let bytes = self.table(address, 16).unwrap_or_default();
        let code = bytes
            .strip_prefix(&[0xf3, 0x0f, 0x1e, 0xfa])
            .unwrap_or(&bytes);
        matches!(
            code,
            [0x68, _, _, _, _, 0xe9, ..] | [0x68, _, _, _, _, 0xf2, 0xe9, ..]
        )
    }
}

impl Images<'_> {
    /// The function that an indirect function stands for in this process, from slots already bound: the
    /// defining image's own `R_X86_64_IRELATIVE`, and those of all images for the symbol. `None` when there is
    /// none, or when they disagree.
    #[must_use]
    pub fn bound_ifunc(&self, name: &str, resolved: &Resolved) -> Option<RunAddr> {
        if resolved.kind != Kind::IFunc {
            return None;
        }
        let defining = self.get(resolved.image);
        if let Some(bound) = defining.bound_by_resolver(resolved.value) {
            return Some(bound);
        }
        let around = self.scope_around(resolved.image);
        let importing = around.iter().map(|&id| self.get(id));
        let values = importing.flat_map(|image| {
            let slots = image.import_slots(name).into_iter();
            let fitting = slots.filter(|slot| holds_address(slot) && fits(slot, resolved));
            let bound = move |slot: Slot| image.bound_value(slot.address, defining, resolved.value);
            fitting.filter_map(bound).collect::<Vec<_>>()
        });
        agreed(values)
    }
}

fn holds_address(slot: &Slot) -> bool {
    match slot.kind {
        SlotKind::GlobDat | SlotKind::JumpSlot => true,
        SlotKind::Absolute => slot.addend == 0,
        _ => false,
    }
}

/// Versions of one name may be different functions.
fn fits(slot: &Slot, resolved: &Resolved) -> bool {
    slot.version.is_none() || resolved.version.is_none() || slot.version == resolved.version
}

fn agreed(mut values: impl Iterator<Item = RunAddr>) -> Option<RunAddr> {
    let first = values.next()?;
    values.all(|value| value == first).then_some(first)
}
