//! Old functions where they run: in the kernel's image, or in a module's file.
//!
//! Of a function whose code is that in the image each field tells an address: that of what it refers to. So symbols of
//! one name are told apart. The code is the same if the bytes are, relocated fields apart, or if its instructions are: the
//! kernel is compiled without function sections, so that some of its jumps between functions are shorter.

use crate::object::{AtomId, AtomKind, Link, Object, code_view};
use crate::program::{OldAtom, Program};
use livepatch_bundle::{Class, LinkAddr};
use livepatch_kernel::{Kallsyms, Kernel, KernelSymbol};
use livepatch_match::{Code, RefPair, Target, align};
use std::collections::{BTreeMap, BTreeSet};

/// Where the code of an old function is.
#[derive(Debug)]
pub(super) struct Place {
    pub address: LinkAddr,
    /// How many bytes it has there.
    pub size: u64,
    /// Which instruction is which, by offsets, where the bytes are not the same.
    pub instructions: Option<Vec<(u64, u64)>>,
    references: Vec<RefPair>,
}

/// Where old atoms are in the kernel's image.
#[derive(Debug, Default)]
pub(super) struct Running {
    /// Functions whose code is there, at one place only.
    pub places: BTreeMap<OldAtom, Place>,
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
                let mut places = places(object, atom, kernel);
                if let (Some(place), true) = (places.pop(), places.is_empty()) {
                    running.listen(object, OldAtom { unit, atom }, &place, kernel);
                    running.places.insert(OldAtom { unit, atom }, place);
                }
            }
        }
        running
    }

    /// Enters what the fields of a function say.
    fn listen(&mut self, object: &Object<'_>, from: OldAtom, place: &Place, kernel: &Kernel) {
        let mut hear = |atom: AtomId, address: LinkAddr| {
            let unit = from.unit;
            let target = OldAtom { unit, atom };
            self.told.entry(target).or_default().insert(address);
        };
        if place.instructions.is_none() {
            for link in &object.atom(from.atom).links {
                if let Some(address) = told(kernel, place.address, link) {
                    hear(link.target, address);
                }
            }
        }
        for reference in &place.references {
            if let (Target::Symbol { symbol, offset }, Target::Address(address)) =
                (reference.target, reference.other)
            {
                hear(
                    AtomId(symbol),
                    LinkAddr(address.wrapping_add_signed(offset.wrapping_neg())),
                );
            }
        }
    }

    /// Where an old atom is, as far as matched code tells.
    pub(super) fn place(&self, atom: OldAtom) -> Option<LinkAddr> {
        if let Some(place) = self.places.get(&atom) {
            return Some(place.address);
        }
        let told = self.told.get(&atom)?;
        told.first().copied().filter(|_| told.len() == 1)
    }
}

/// The places under a function's name where its code is.
fn places(object: &Object<'_>, atom: AtomId, kernel: &Kernel) -> Vec<Place> {
    let function = object.atom(atom);
    if function.kind != AtomKind::Function || function.size == 0 {
        return Vec::new();
    }
    let named = kernel.symbols.named(function.name, None);
    let addresses = named.map(|symbol| LinkAddr(symbol.address));
    addresses
        .filter_map(|address| place(object, atom, address, kernel))
        .collect()
}

/// The code of a function at an address, if it is there.
fn place(object: &Object<'_>, atom: AtomId, address: LinkAddr, kernel: &Kernel) -> Option<Place> {
    let function = object.atom(atom);
    let there = kernel.image.bytes(address, function.bytes.len());
    if there.is_some_and(|there| differs(function.bytes, there, &function.links).is_none()) {
        return Some(Place {
            address,
            size: function.bytes.len() as u64,
            instructions: None,
            references: Vec::new(),
        });
    }
    let there = kernel.image.bytes_from(address)?;
    let end = kernel.symbols.next_address(address)?;
    let len = usize::try_from(end.0.checked_sub(address.0)?).ok()?;
    let running = Code {
        bytes: &there[..len.min(there.len())],
        base: address.0,
        fields: None,
    };
    let fields = code_view::fields(function, atom);
    let alignment = align(&code_view::code(function.bytes, &fields), &running).ok()?;
    Some(Place {
        address,
        size: alignment.lengths.1,
        instructions: Some(alignment.instructions),
        references: alignment.references,
    })
}

/// The first byte that differs outside of relocated fields.
pub(super) fn differs(old: &[u8], there: &[u8], links: &[Link]) -> Option<usize> {
    let relocated = |at: usize| {
        let after = links.partition_point(|link| link.offset() <= at as u64);
        let before = after.checked_sub(1).map(|index| &links[index]);
        before.is_some_and(|link| at as u64 - link.offset() < link.kind.width() as u64)
    };
    let mut bytes = old.iter().zip(there).enumerate();
    bytes.find_map(|(at, (one, other))| (one != other && !relocated(at)).then_some(at))
}

/// The address of what a field of running code refers to.
fn told(kernel: &Kernel, place: LinkAddr, link: &Link) -> Option<LinkAddr> {
    let field = place.0.checked_add(link.offset())?;
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
