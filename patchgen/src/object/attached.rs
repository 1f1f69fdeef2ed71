//! What belongs to code and lies in tables beside it ([`tables`](super::tables)).

use super::link::Linker;
use super::raw::{Place, Relocation, Section, Tables};
use super::tables::{Shape, Table, Treatment, is_outlined};
use super::{Atom, AtomId, AtomKind, Link, Object};
use livepatch_bundle::RelocKind;
use object::elf;
use std::collections::{BTreeMap, BTreeSet};

/// An entry about a place in an atom.
#[derive(Debug)]
pub struct Attached<'d> {
    /// The table.
    pub table: &'static Table,
    /// How its entries are laid out.
    pub shape: &'static Shape,
    /// Name of its section.
    pub section: &'d str,
    /// The atom.
    pub owner: AtomId,
    /// The place, as an offset in the atom; before 0 in the padding before a function.
    pub at: i64,
    /// How the field at offset 0 leads there.
    pub kind: RelocKind,
    /// The entry, which may lack padding at its end.
    pub bytes: &'d [u8],
    /// The entry of the companion section.
    pub companion: &'d [u8],
    /// Where its other fields lead; offsets in the entry.
    pub links: Box<[Link]>,
}

/// What code calls first to be traced (`-mfentry`).
const FENTRY: &str = "__fentry__";

/// The same bytes where nothing is traced: `nopl 0x0(%rax,%rax,1)`.
const NOP: [u8; 5] = [0x0f, 0x1f, 0x44, 0, 0];

/// Where a function calls the tracer at its start, through which livepatches go: at once, or after `endbr64`.
#[must_use]
pub fn traced_at(object: &Object<'_>, id: AtomId) -> Option<u64> {
    let atom = object.atom(id);
    let mut calls = atom
        .links
        .iter()
        .filter(|link| object.atom(link.target).name == FENTRY);
    if let Some(call) = calls.next() {
        let start = call.site_start();
        return matches!(start, 0 | 4).then_some(start);
    }
    // Some kernels' objects have it as a no-operation already, with a relocation that does nothing.
    let is_nop = |at: &u64| {
        atom.bytes
            .get(*at as usize..)
            .is_some_and(|rest| rest.starts_with(&NOP))
    };
    [0, 4].into_iter().find(is_nop)
}

impl Attached<'_> {
    /// How many bytes of code from `at` on the kernel may rewrite; `code` is the atom's.
    #[must_use]
    pub fn rewritten(&self, code: &[u8]) -> u64 {
        use super::tables::Rewrites;
        match self.table.rewrites {
            Rewrites::Nothing => 0,
            Rewrites::Bytes(count) => count,
            Rewrites::Length => {
                let length = self.shape.length.and_then(|at| self.bytes.get(at));
                length.copied().map_or(0, u64::from)
            }
            Rewrites::Instruction => {
                let rest = usize::try_from(self.at).ok().and_then(|at| code.get(at..));
                rest.map_or(0, super::code::length)
            }
        }
    }
}

/// Entries by the atom that they are about, in the order of tables and entries.
pub(super) type ByAtom<'d> = BTreeMap<AtomId, Vec<Attached<'d>>>;

/// Where pieces of outlined code begin, by section.
pub(super) fn outlined(tables: &Tables<'_>) -> BTreeMap<usize, BTreeSet<u64>> {
    let mut starts: BTreeMap<usize, BTreeSet<u64>> = BTreeMap::new();
    let sections = tables.sections.iter();
    let is_outlined: Vec<bool> = sections.map(|section| is_outlined(section.name)).collect();
    if !is_outlined.contains(&true) {
        return starts;
    }
    for section in &tables.sections {
        for relocation in section.relocations.iter() {
            let (Place::Section(to), value) = tables.symbols.place(relocation.symbol) else {
                continue;
            };
            if !is_outlined[to] {
                continue;
            }
            // Code leads there by jumps, whose fields end them.
            let near = [elf::R_X86_64_PC32.0, elf::R_X86_64_PLT32.0].contains(&relocation.number);
            let bias = if section.is_code() && near { 4 } else { 0 };
            let place = value.wrapping_add_signed(relocation.addend + bias);
            starts.entry(to).or_default().insert(place);
        }
    }
    starts
}

/// Reads the entries of all tables.
///
/// Returns what is not understood besides.
pub(super) fn collect<'d>(
    linker: &Linker<'_, 'd>,
    atoms: &[Atom<'d>],
    taken: &[(usize, &'static Table)],
) -> (ByAtom<'d>, Vec<String>) {
    let (mut found, mut flaws) = (ByAtom::new(), Vec::new());
    for (index, table) in taken {
        let section = &linker.resolver.tables.sections[*index];
        let reader = Reader {
            linker,
            atoms,
            index: *index,
            section,
            table,
        };
        if reader.entries(&mut found).is_none() {
            flaws.push(format!("its section `{}` is not understood", section.name));
        }
    }
    (found, flaws)
}

struct Reader<'r, 'd> {
    linker: &'r Linker<'r, 'd>,
    atoms: &'r [Atom<'d>],
    index: usize,
    section: &'r Section<'d>,
    table: &'static Table,
}

fn width(relocation: &Relocation) -> Option<usize> {
    RelocKind::from_elf(relocation.number).map(RelocKind::width)
}

impl<'d> Reader<'_, 'd> {
    fn entries(&self, found: &mut ByAtom<'d>) -> Option<()> {
        let Treatment::Entries(shapes) = self.table.treatment else {
            return None;
        };
        let shape = shapes.iter().find(|shape| self.fits(shape))?;
        let companion = self.companion()?;
        let (mut next, mut number) = (0, 0);
        for start in (0..self.section.size).step_by(shape.size as usize) {
            let end = start.checked_add(shape.size)?.min(self.section.size);
            let first = next;
            let relocations = &self.section.relocations;
            while relocations.get(next).is_some_and(|one| one.offset < end) {
                next += 1;
            }
            let beside = match self.table.companion {
                None => &[][..],
                Some((_, size)) => {
                    let from = number * usize::try_from(size).ok()?;
                    companion.get(from..from + usize::try_from(size).ok()?)?
                }
            };
            number += 1;
            self.entry(shape, (start, end), first..next, beside, found)?;
        }
        Some(())
    }

    /// Whether the relocations of the section are where entries of this shape have them.
    fn fits(&self, shape: &Shape) -> bool {
        let last = self.section.size % shape.size;
        // Some tables leave out the padding behind their last entry.
        let whole = last == 0 || shape.length.is_some_and(|length| last > length as u64);
        let count = self.section.size.div_ceil(shape.size);
        let (mut owners, mut known) = (0, true);
        for relocation in self.section.relocations.iter() {
            match relocation.offset % shape.size {
                0 if width(&relocation) == Some(shape.owner) => owners += 1,
                field => known &= shape.fields.contains(&field),
            }
        }
        whole && known && owners == count
    }

    fn companion(&self) -> Option<&'d [u8]> {
        let Some((name, _)) = self.table.companion else {
            return Some(&[]);
        };
        let sections = &self.linker.resolver.tables.sections;
        sections
            .iter()
            .find(|one| one.name == name)
            .map(|one| one.data)
    }

    fn entry(
        &self,
        shape: &'static Shape,
        (start, end): (u64, u64),
        relocations: std::ops::Range<usize>,
        companion: &'d [u8],
        found: &mut ByAtom<'d>,
    ) -> Option<()> {
        let range = usize::try_from(start).ok()?..usize::try_from(end).ok()?;
        let bytes = self.section.data.get(range)?;
        let entry = Atom::new(AtomKind::Data, self.index, start..start + shape.size, bytes);
        let owner = self.section.relocations.get(relocations.start)?;
        let Some((atom, at, kind)) = self.place(&owner) else {
            // About code that is dropped itself.
            return Some(());
        };
        let mut links = Vec::new();
        for index in relocations.skip(1) {
            let link = self.linker.one(self.atoms, &entry, index).ok()?;
            let empty = self.is_empty(shape, bytes);
            if !empty {
                links.push(link);
            }
        }
        found.entry(atom).or_default().push(Attached {
            table: self.table,
            shape,
            section: self.section.name,
            owner: atom,
            at,
            kind,
            bytes,
            companion,
            links: links.into(),
        });
        Some(())
    }

    /// Whether an alternative is no code at all, so that its replacement is nowhere.
    fn is_empty(&self, shape: &Shape, bytes: &[u8]) -> bool {
        let length = shape.length.filter(|_| !shape.fields.is_empty());
        length.is_some_and(|at| bytes.get(at + 1) == Some(&0))
    }

    /// The code that an entry is about.
    fn place(&self, owner: &Relocation) -> Option<(AtomId, i64, RelocKind)> {
        let kind = RelocKind::from_elf(owner.number)?;
        let tables = self.linker.resolver.tables;
        let (Place::Section(section), value) = tables.symbols.place(owner.symbol) else {
            return None;
        };
        let place = value.cast_signed().checked_add(owner.addend)?;
        let atom = self.linker.order.find(self.atoms, section, place)?;
        let start = self.atoms[atom.0 as usize].start.cast_signed();
        let code = self.atoms[atom.0 as usize].kind.is_code();
        code.then_some((atom, place - start, kind))
    }
}
