//! The sections of a bundle: one for each function, variable and table; strings and constants share one.

use super::distant::{self, Distant};
use super::table::{Key, Table, is_pooled};
use super::{Patch, shorts, unwind};
use crate::object::{Atom, AtomId, AtomKind, Object, exceptions};
use crate::program::{NewAtom, OldAtom};
use livepatch_bundle::{Definition, Reloc, RelocKind, Section, SectionId, SectionKind};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

/// The largest alignment that a bundle knows.
const ALIGN_MAX: u64 = 4096;

/// The sections, and what they define.
pub(super) struct Sections<'d> {
    pub list: Vec<Section>,
    pub definitions: HashMap<Key<'d>, Definition>,
}

impl<'d> Sections<'d> {
    pub(super) fn of(
        patch: &Patch<'_, 'd>,
        table: &Table<'d>,
        distant: &BTreeMap<NewAtom, Distant>,
    ) -> Self {
        let mut builder = Builder {
            patch,
            table,
            distant,
            made: Self {
                list: Vec::new(),
                definitions: HashMap::new(),
            },
            pools: HashMap::new(),
        };
        for atom in &patch.closure.carried {
            builder.new_atom(*atom);
        }
        builder
            .made
            .list
            .extend(unwind::section(patch, table, distant));
        for atom in &patch.proof.copies {
            builder.old_atom(*atom);
        }
        builder.made
    }
}

struct Builder<'b, 'd> {
    patch: &'b Patch<'b, 'd>,
    table: &'b Table<'d>,
    distant: &'b BTreeMap<NewAtom, Distant>,
    made: Sections<'d>,
    /// Sections that several atoms share, by name.
    pools: HashMap<String, usize>,
}

impl<'d> Builder<'_, 'd> {
    fn new_atom(&mut self, new: NewAtom) {
        let object = &self.patch.program.units[new.unit].pair.new;
        let atom = object.atom(new.atom);
        let key = Key::New(new);
        let kind = new_kind(atom);
        let prefix = match kind {
            SectionKind::Code => ".text",
            SectionKind::Data => ".data",
            SectionKind::Zero => ".bss",
            _ => ".rodata",
        };
        let links = self.patch.closure.destinations.get(&new);
        let keys = links.into_iter().flatten().map(|to| Key::from(*to));
        let keys: Vec<_> = keys.collect();
        if let Some(run) = atom.run {
            let first = Key::New(NewAtom {
                unit: new.unit,
                atom: run,
            });
            let name = format!("{prefix}.{}", self.table.name(first));
            let offset = atom.start - object.atom(run).start;
            let section = self.pool(name, kind, object.align(run));
            self.pad(section, offset);
            self.put(section, key, object, new.atom, &keys);
        } else {
            self.one(prefix, kind, key, (object, new.atom), &keys);
        }
    }

    fn old_atom(&mut self, old: OldAtom) {
        let object = &self.patch.program.units[old.unit].pair.old;
        let code = object.atom(old.atom).kind.is_code();
        let (prefix, kind) = if code {
            (".livepatch.old.text", SectionKind::OldCode)
        } else {
            (".livepatch.old.rodata", SectionKind::OldReadOnly)
        };
        let origins = self.patch.proof.origins.get(&old).into_iter().flatten();
        let keys: Vec<_> = origins.map(|to| Key::from(*to)).collect();
        self.one(prefix, kind, Key::Old(old), (object, old.atom), &keys);
    }

    /// Puts an atom into a section of its own, or into the one that it shares.
    fn one(
        &mut self,
        prefix: &str,
        kind: SectionKind,
        key: Key<'d>,
        (object, id): (&Object<'d>, AtomId),
        keys: &[Key<'d>],
    ) {
        if !self.table.has(key) {
            return;
        }
        let atom = object.atom(id);
        let align = object.align(id).min(ALIGN_MAX);
        if is_pooled(atom) {
            let pool = if atom.kind == AtomKind::String {
                "str"
            } else {
                "cst"
            };
            let section = self.pool(format!("{prefix}.{pool}"), kind, align);
            let end = self.made.list[section].size.next_multiple_of(align);
            self.pad(section, end);
            self.put(section, key, object, id, keys);
        } else {
            let name = format!("{prefix}.{}", self.table.name(key));
            let section = self.open(name, kind, align);
            self.put(section, key, object, id, keys);
        }
    }

    fn pool(&mut self, name: String, kind: SectionKind, align: u64) -> usize {
        let section = match self.pools.get(&name) {
            Some(section) => *section,
            None => {
                let section = self.open(name.clone(), kind, align);
                self.pools.insert(name, section);
                section
            }
        };
        let shared = &mut self.made.list[section];
        shared.align = shared.align.max(align.min(ALIGN_MAX));
        section
    }

    fn open(&mut self, name: String, kind: SectionKind, align: u64) -> usize {
        self.made.list.push(Section {
            name,
            kind,
            align: align.min(ALIGN_MAX),
            data: Vec::new(),
            size: 0,
            relocations: Vec::new(),
        });
        self.made.list.len() - 1
    }

    fn pad(&mut self, section: usize, size: u64) {
        let section = &mut self.made.list[section];
        section.data.resize(size as usize, 0);
        section.size = size;
    }

    /// The relocations of an atom, its references leading to `keys`. Old code stays as it is, there to be compared; new code
    /// reaches by stubs what is near no more.
    fn relocations(
        &self,
        atom: &Atom<'_>,
        new: bool,
        distant: Option<&Distant>,
        keys: &[Key<'d>],
    ) -> Vec<Reloc> {
        let links = atom.links.iter().enumerate().map(|(index, link)| {
            let slot = distant.and_then(|distant| distant.fields.get(&index));
            match slot {
                Some(field) => (*field, RelocKind::GotPcRel, -distant::FIELD),
                None => (link.offset(), link.kind, link.addend()),
            }
        });
        let shorts = atom.shorts().iter().enumerate().map(|(index, short)| {
            if new {
                let (offset, addend) = shorts::field(atom, index, short);
                (offset, RelocKind::Pc32, addend)
            } else {
                (short.offset(), short.kind, short.addend())
            }
        });
        let fields = links.chain(shorts).zip(keys);
        let mut relocations: Vec<Reloc> = fields
            .map(|((offset, kind, addend), key)| Reloc {
                offset,
                kind,
                symbol: self.table.id(*key),
                addend,
            })
            .collect();
        relocations.sort_by_key(|reloc| reloc.offset);
        relocations
    }

    fn put(
        &mut self,
        section: usize,
        key: Key<'d>,
        object: &Object<'d>,
        id: AtomId,
        keys: &[Key<'d>],
    ) {
        let atom = object.atom(id);
        let new = matches!(key, Key::New(_));
        let distant = match key {
            Key::New(new) => self.distant.get(&new),
            _ => None,
        };
        let relocations = self.relocations(atom, new, distant, keys);
        let widened = match distant {
            Some(distant) => Some(distant.code.clone()),
            None if new && !atom.shorts().is_empty() => shorts::code(atom).ok(),
            None => None,
        };
        let contents = match atom.kind {
            AtomKind::ExceptionTable if new => exceptions::contents(atom),
            _ => Cow::Borrowed(atom.bytes),
        };
        let bytes = widened.as_deref().unwrap_or(&contents);
        let size = if new || atom.kind != AtomKind::Literal {
            atom.size.max(bytes.len() as u64)
        } else {
            // What follows it in the running program need not be the same padding.
            atom.len_without_padding().max(1).min(atom.size)
        };
        let bytes = &bytes[..bytes.len().min(size as usize)];
        let made = &mut self.made.list[section];
        let offset = made.size;
        made.relocations
            .extend(relocations.into_iter().map(|reloc| Reloc {
                offset: reloc.offset + offset,
                ..reloc
            }));
        made.size += size;
        if made.kind != SectionKind::Zero {
            made.data.extend_from_slice(bytes);
            made.data.resize(made.size as usize, 0);
        }
        let place = Definition {
            section: SectionId(section),
            offset,
            size,
        };
        self.made.definitions.insert(key, place);
    }
}

fn new_kind(atom: &Atom<'_>) -> SectionKind {
    match atom.kind {
        AtomKind::Function | AtomKind::Code => SectionKind::Code,
        AtomKind::Data if atom.bytes.is_empty() => SectionKind::Zero,
        AtomKind::Data => SectionKind::Data,
        _ => SectionKind::ReadOnly,
    }
}
