//! New code and data, with what tables say about it, as sections of a module.

use super::constants::Load;
use super::file::{Field, File, Sec, Shape, Sym, Target};
use super::place::{blank, prefix, put, shape_of};
use super::symbols::{Host, Outside, external, running};
use crate::closure::{Closure, Destination};
use crate::emit::shorts;
use crate::object::tables::IGNORED;
use crate::object::{AtomKind, Attached, Object, traced_at};
use crate::program::{NewAtom, OldAtom, Program};
use crate::refusal::Refusal;
use livepatch_bundle::RelocKind;
use object::elf;
use std::collections::{BTreeMap, BTreeSet};

/// Tables that the kernel reads once, when the patch is loaded.
const READ_AT_LOAD: [&str; 3] = ["__jump_table", ".static_call_sites", ".altinstructions"];

/// What is put into the module.
pub(super) struct Code<'p, 'd> {
    pub program: &'p Program<'d>,
    pub closure: &'p Closure<'d>,
    pub host: &'p Host<'p>,
    /// Where carried atoms are.
    pub places: BTreeMap<NewAtom, (Sec, u64)>,
    /// What is used of the kernel.
    pub outside: BTreeSet<Outside>,
    pub refusals: Vec<Refusal>,
}

impl<'p, 'd> Code<'p, 'd> {
    pub(super) fn new(
        program: &'p Program<'d>,
        closure: &'p Closure<'d>,
        host: &'p Host<'p>,
    ) -> Self {
        Self {
            program,
            closure,
            host,
            places: BTreeMap::new(),
            outside: BTreeSet::new(),
            refusals: Vec::new(),
        }
    }

    /// Adds everything that is carried.
    pub(super) fn emit(&mut self, file: &mut File) {
        for new in &self.closure.carried {
            let place = put(file, self.object(*new), *new);
            self.places.insert(*new, place);
        }
        for new in &self.closure.carried {
            self.fill(file, *new);
        }
        file.part += 1;
    }

    fn object(&self, new: NewAtom) -> &'p Object<'d> {
        &self.program.units[new.unit].pair.new
    }

    /// Lists where a function calls the tracer.
    fn trace(file: &mut File, object: &Object<'_>, new: NewAtom, (section, offset): (Sec, u64)) {
        let function = object.atom(new.atom).kind == AtomKind::Function;
        let Some(at) = traced_at(object, new.atom).filter(|_| function) else {
            return;
        };
        let list = file.shared("__mcount_loc", Shape::contents(elf::SHF_ALLOC, 8));
        let field = Field {
            offset: file.append(list, 8, &[0; 8]),
            kind: elf::R_X86_64_64.0,
            target: Target::Own(section),
            addend: (offset + at).cast_signed(),
        };
        file.relocate(list, field);
    }

    /// Fills in the fields of an atom, and adds what is attached to it.
    fn fill(&mut self, file: &mut File, new: NewAtom) {
        let object = self.object(new);
        let atom = object.atom(new.atom);
        let place = self.places[&new];
        let destinations = self.closure.destinations.get(&new);
        let mut destinations = destinations.into_iter().flatten();
        for (link, to) in atom.links.iter().zip(&mut destinations) {
            let field = (link.offset(), link.kind, link.addend());
            self.field(file, new, place, field, *to);
        }
        for ((index, short), to) in atom.shorts().iter().enumerate().zip(&mut destinations) {
            let (offset, addend) = shorts::field(atom, index, short);
            self.field(file, new, place, (offset, RelocKind::Plt32, addend), *to);
        }
        Self::trace(file, object, new, place);
        for entry in object.attached(new.atom) {
            let to: Vec<_> = destinations.by_ref().take(entry.links.len()).collect();
            self.attach(file, new, entry, &to);
        }
    }

    fn attach(
        &mut self,
        file: &mut File,
        new: NewAtom,
        entry: &Attached<'d>,
        destinations: &[&Destination<'d>],
    ) {
        let object = self.object(new);
        if entry.table.name == IGNORED {
            return;
        }
        if let Some(load) = Load::of(entry, object.atom(new.atom).bytes) {
            self.constant(file, new, load);
            return;
        }
        if !entry.table.refused.is_empty() {
            self.refuse(new, entry.table.refused.to_owned());
            return;
        }
        // What lies farther before a function than its own padding is about something else.
        if entry.at < -(prefix(object, object.atom(new.atom)).len() as i64) {
            return;
        }
        let mut bytes = entry.bytes.to_vec();
        bytes.resize(entry.shape.size as usize, 0);
        blank(&mut bytes, 0, entry.kind);
        for link in &entry.links {
            blank(&mut bytes, link.offset(), link.kind);
        }
        let section = file.shared(entry.section, shape_of(object, entry.section));
        let start = file.append(section, 1, &bytes);
        if let Some((name, size)) = entry.table.companion {
            let beside = file.shared(name, shape_of(object, name));
            debug_assert_eq!(entry.companion.len() as u64, size);
            file.append(beside, 1, entry.companion);
        }
        let (home, offset) = self.places[&new];
        let addend = offset.cast_signed() + entry.at;
        let owner = Field {
            offset: start,
            kind: entry.kind.elf(),
            target: Target::Own(home),
            addend,
        };
        file.relocate(section, owner);
        for (link, to) in entry.links.iter().zip(destinations) {
            let field = (link.offset(), link.kind, link.addend());
            self.field(file, new, (section, start), field, **to);
            self.not_late(new, entry.section, **to);
        }
    }

    /// Fills in where a variable is that code reads in place of a constant.
    fn constant(&mut self, file: &mut File, new: NewAtom, load: Option<Load<'d>>) {
        let Some(load) = load else {
            let reason = "it uses a constant of the kernel's start (`runtime_ptr_*`) in a way that is not understood";
            self.refuse(new, reason.to_owned());
            return;
        };
        let old = &self.program.units[new.unit].pair.old;
        let unit = new.unit;
        let mut own = old
            .enumerate()
            .filter(|(_, atom)| atom.kind == AtomKind::Data && atom.name == load.variable);
        let to = match own.next() {
            Some((atom, _)) => Destination::Running(OldAtom { unit, atom }),
            None => Destination::External(load.variable),
        };
        let field = (load.field(), RelocKind::Pc32, -4);
        self.field(file, new, self.places[&new], field, to);
    }

    /// Refuses tables about symbols that may not be there when the kernel reads the table.
    fn not_late(&mut self, new: NewAtom, section: &str, to: Destination<'d>) {
        if !READ_AT_LOAD.contains(&section) {
            return;
        }
        if let Ok(Some(outside)) = self.outside(to)
            && let Outside::Livepatch { object, name, .. } = &outside
            && outside.is_late()
        {
            let what = match section {
                "__jump_table" => "static key",
                ".static_call_sites" => "static call",
                _ => "symbol",
            };
            let reason = format!(
                "it uses the {what} `{name}`, which the module `{object}` owns: the kernel reads `{section}` when the \
                 patch is loaded, and the module may come later"
            );
            self.refuse(new, reason);
        }
    }

    fn field(
        &mut self,
        file: &mut File,
        new: NewAtom,
        (section, start): (Sec, u64),
        (offset, kind, addend): (u64, RelocKind, i64),
        to: Destination<'d>,
    ) {
        if !is_known(kind) {
            let name = kind.name();
            self.refuse(
                new,
                format!("the kernel's module loader does not know {name}"),
            );
            return;
        }
        let (target, addend) = match self.target(file, to) {
            Ok((target, base)) => (target, addend.wrapping_add(base)),
            Err(reason) => {
                self.refuse(new, reason);
                return;
            }
        };
        let field = Field {
            offset: start + offset,
            kind: kind.elf(),
            target,
            addend,
        };
        file.relocate(section, field);
    }

    fn target(&mut self, file: &mut File, to: Destination<'d>) -> Result<(Target, i64), String> {
        if let Destination::Carried(atom) = to {
            let (section, offset) = self.places[&atom];
            return Ok((Target::Own(section), offset.cast_signed()));
        }
        let Some(outside) = self.outside(to)? else {
            return Err("it leads nowhere".to_owned());
        };
        let symbol: Sym = outside.enter(file, self.host.object());
        self.outside.insert(outside);
        Ok((Target::Symbol(symbol), 0))
    }

    fn outside(&self, to: Destination<'d>) -> Result<Option<Outside>, String> {
        match to {
            // The kernel's strings are carried.
            Destination::Carried(_) | Destination::Told(_) => Ok(None),
            Destination::Running(old) => running(self.host, self.program, old).map(Some),
            Destination::External(name) => external(self.host, name).map(Some),
        }
    }

    fn refuse(&mut self, new: NewAtom, reason: String) {
        self.refusals.push(Refusal::new(self.program, new, reason));
    }
}

/// Relocations that modules may have (`apply_relocate_add` of x86).
fn is_known(kind: RelocKind) -> bool {
    use RelocKind as K;
    matches!(
        kind,
        K::Abs64 | K::Abs32 | K::Abs32S | K::Pc32 | K::Plt32 | K::Pc64
    )
}
