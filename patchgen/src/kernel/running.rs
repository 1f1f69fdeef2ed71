//! Old functions where they run: in the kernel's image, or in a module's file.
//!
//! Of a function whose bytes, relocated fields apart, are those in the image each field tells an address: that of what it
//! refers to. So symbols of one name are told apart.

use crate::object::{AtomId, AtomKind, Link, Object};
use crate::program::{OldAtom, Program};
use livepatch_bundle::{Class, LinkAddr};
use livepatch_kernel::{Kallsyms, Kernel, KernelSymbol};
use std::collections::{BTreeMap, BTreeSet};

/// Where old atoms are in the kernel's image.
#[derive(Debug, Default)]
pub(super) struct Running {
    /// Functions whose code is there, at one place only.
    pub places: BTreeMap<OldAtom, LinkAddr>,
    /// What their code refers to; several addresses are a contradiction.
    pub told: BTreeMap<OldAtom, BTreeSet<LinkAddr>>,
}

impl Running {
    /// Looks for all old functions of the program.
    pub(super) fn of(program: &Program<'_>, kernel: &Kernel) -> Self {
        let mut running = Self::default();
        for (unit, analysed) in program.units.iter().enumerate() {
            let object = &analysed.pair.old;
            for function in &object.functions {
                let atom = function.entry();
                if let [place] = places(object, atom, kernel)[..] {
                    running.places.insert(OldAtom { unit, atom }, place);
                    running.listen(object, unit, atom, place, kernel);
                }
            }
        }
        running
    }

    /// Enters what the fields of a function say.
    fn listen(
        &mut self,
        object: &Object<'_>,
        unit: usize,
        atom: AtomId,
        place: LinkAddr,
        kernel: &Kernel,
    ) {
        for link in &object.atom(atom).links {
            if let Some(address) = told(kernel, place, link) {
                let target = OldAtom {
                    unit,
                    atom: link.target,
                };
                self.told.entry(target).or_default().insert(address);
            }
        }
    }

    /// Where an old atom is, as far as matched code tells.
    pub(super) fn place(&self, atom: OldAtom) -> Option<LinkAddr> {
        if let Some(place) = self.places.get(&atom) {
            return Some(*place);
        }
        let told = self.told.get(&atom)?;
        told.first().copied().filter(|_| told.len() == 1)
    }
}

/// The places under a function's name where its code is.
fn places(object: &Object<'_>, atom: AtomId, kernel: &Kernel) -> Vec<LinkAddr> {
    let function = object.atom(atom);
    if function.kind != AtomKind::Function || function.size == 0 {
        return Vec::new();
    }
    let named = kernel.symbols.named(function.name, None);
    let addresses = named.map(|symbol| LinkAddr(symbol.address));
    addresses
        .filter(|address| is_there(object, atom, *address, kernel))
        .collect()
}

/// Whether the bytes at an address are those of a function, relocated fields apart.
pub(super) fn is_there(
    object: &Object<'_>,
    atom: AtomId,
    address: LinkAddr,
    kernel: &Kernel,
) -> bool {
    let function = object.atom(atom);
    let there = kernel.image.bytes(address, function.bytes.len());
    there.is_some_and(|there| differs(function.bytes, there, &function.links).is_none())
}

/// The first byte that differs outside of relocated fields.
pub(super) fn differs(old: &[u8], there: &[u8], links: &[Link]) -> Option<usize> {
    let relocated = |at: usize| {
        let after = links.partition_point(|link| link.offset <= at as u64);
        let before = after.checked_sub(1).map(|index| &links[index]);
        before.is_some_and(|link| at as u64 - link.offset < link.kind.width() as u64)
    };
    let mut bytes = old.iter().zip(there).enumerate();
    bytes.find_map(|(at, (one, other))| (one != other && !relocated(at)).then_some(at))
}

/// The address of what a field of running code refers to.
fn told(kernel: &Kernel, place: LinkAddr, link: &Link) -> Option<LinkAddr> {
    let field = place.0.checked_add(link.offset)?;
    let bytes = kernel.image.bytes(LinkAddr(field), link.kind.width())?;
    let value = match bytes.len() {
        4 => i64::from(i32::from_le_bytes(bytes.try_into().ok()?)),
        8 => i64::from_le_bytes(bytes.try_into().ok()?),
        _ => return None,
    };
    let base = value.wrapping_sub(link.addend()).cast_unsigned();
    match link.kind.class() {
        Class::PcRelative => Some(LinkAddr(base.wrapping_add(field))),
        Class::Absolute => Some(LinkAddr(base)),
        _ => None,
    }
}

/// The position of a symbol among those of its name: from 1, or 0 when it is the only one.
pub(super) fn position(symbols: &Kallsyms, symbol: &KernelSymbol) -> Option<u32> {
    let mut named = symbols.named(&symbol.name, None);
    let index = named.position(|other| std::ptr::eq(other, symbol))?;
    let several = symbols.named(&symbol.name, None).nth(1).is_some();
    u32::try_from(if several { index + 1 } else { 0 }).ok()
}
