//! Carving an object file into atoms.
//!
//! 1. Named stretches ([`extents`](super::extents)) become functions, variables and constants.
//! 2. Code is decoded, so that it is known what each relocated field means.
//! 3. Strings and mergeable constants are cut by their contents, other nameless read-only data by what refers to it
//!    ([`literals`](super::literals)).
//! 4. Relocations become links between atoms, and functions collect the pieces that were split off them.

use super::extents::{Extent, Names, Stretch};
use super::link::{Linker, Resolver, entries};
use super::literals::{Part, Starts, cut, has_literals, starts};
use super::mapping::Mapping;
use super::order::Order;
use super::raw::{ObjectError, Place, Relocations, Section, Symbol, Tables};
use super::{Atom, AtomId, AtomKind, Object};
use super::{attached, btf_ids, code, exceptions, functions, strings, tables, unwind};
use livepatch_bundle::{Scope, SymbolKind};
use object::elf;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Reads an object file.
///
/// # Errors
/// When it is not a well-formed ELF64 x86-64 relocatable file.
pub fn read(data: &[u8]) -> Result<Object<'_>, ObjectError> {
    carve(super::raw::read(data)?, None)
}

/// Reads an object file of the kernel or of a module: tables about code are no data of their own.
///
/// # Errors
/// As [`read`].
pub fn read_kernel(data: &[u8]) -> Result<Object<'_>, ObjectError> {
    let mut tables = super::raw::read(data)?;
    let taken = Taken {
        tables: tables::take(&mut tables),
        numbers: btf_ids::take(&mut tables),
    };
    carve(tables, Some(taken))
}

/// What is no data of its own in objects of the kernel.
struct Taken<'d> {
    /// Tables about code, by section.
    tables: Vec<(usize, &'static tables::Table)>,
    numbers: Vec<btf_ids::Entry<'d>>,
}

fn carve<'d>(tables: Tables<'d>, kernel: Option<Taken<'d>>) -> Result<Object<'d>, ObjectError> {
    let mut carver = Carver {
        outlined: match &kernel {
            Some(_) => attached::outlined(&tables),
            None => BTreeMap::new(),
        },
        tables: &tables,
        atoms: Vec::new(),
    };
    let gaps = carver.named()?;
    let decoded = code::sites(&tables, &mut carver.atoms);
    let resolver = Resolver {
        tables: &tables,
        sites: decoded.sites,
        entries: entries(&tables),
    };
    carver.nameless(&resolver, gaps);
    let externals = carver.externals();
    let is_kernel = kernel.is_some();
    let (taken, numbers) = kernel.map_or_else(Default::default, |it| (it.tables, it.numbers));
    let numbers = carver.numbers(numbers);
    let mut atoms = carver.atoms;
    atoms.shrink_to_fit();
    let order = Order::of(&atoms, tables.sections.len());
    let linker = Linker {
        order: &order,
        resolver,
        externals,
    };
    linker.link_all(&mut atoms, &decoded.escapes);
    btf_ids::link(&mut atoms, &order, &numbers);
    if is_kernel {
        for atom in &mut atoms {
            let section = linker.resolver.tables.sections[atom.section()].name;
            atom.fleeting = tables::is_fleeting(atom, section);
        }
    }
    exceptions::through_slots(&mut atoms);
    let (frames, mut flaws) = unwind::frames(&linker, &atoms);
    let (attached, not_understood) = attached::collect(&linker, &atoms, &taken);
    flaws.extend(not_understood);
    let mut object = Object {
        order,
        atoms,
        frames,
        attached,
        is_kernel,
        flaws,
        ..Object::default()
    };
    object.flaws.extend(suspicious(&tables));
    keep(&mut object, tables);
    functions::collect(&mut object);
    Ok(object)
}

/// Keeps what is still of use: relocations, and with them symbols, only of debug information.
fn keep<'d>(object: &mut Object<'d>, tables: Tables<'d>) {
    object.sources = tables.sources;
    object.sections = tables.sections;
    for section in &mut object.sections {
        if section.is_loaded() {
            section.relocations = Relocations::default();
        }
    }
    let mut sections = object.sections.iter();
    if sections.any(|section| !section.relocations.is_empty()) {
        object.symbols = tables.symbols;
    }
}

/// What makes the whole file unusable.
fn suspicious(tables: &Tables<'_>) -> Vec<String> {
    let lto = tables
        .sections
        .iter()
        .any(|section| section.name.starts_with(".gnu.lto_"));
    let bytecode = "it holds bytecode of the link-time optimiser, not the code that runs; \
                    use the objects of the link step (`-save-temps`)";
    lto.then(|| bytecode.to_owned()).into_iter().collect()
}

struct Carver<'t, 'd> {
    tables: &'t Tables<'d>,
    /// Where pieces of outlined code begin, by section.
    outlined: BTreeMap<usize, BTreeSet<u64>>,
    atoms: Vec<Atom<'d>>,
}

impl<'d> Carver<'_, 'd> {
    /// Makes atoms of what has a name, of code and of variables; returns the nameless rest.
    fn named(&mut self) -> Result<Vec<(usize, u64, u64)>, ObjectError> {
        let names = Names::of(self.tables);
        let mut gaps = Vec::new();
        for (index, section) in self.tables.sections.iter().enumerate() {
            for stretch in names.stretches(index)? {
                match stretch {
                    Stretch::Named(extent) => self.push(self.extent(index, &extent)),
                    Stretch::Gap(start, end, _) if has_literals(section) => {
                        gaps.push((index, start, end));
                    }
                    Stretch::Gap(start, end, labels) => self.gap(index, start, end, &labels),
                }
            }
        }
        Ok(gaps)
    }

    /// Adds an atom; there is little room to spare, for atoms are most of what is kept.
    fn push(&mut self, atom: Atom<'d>) {
        if self.atoms.len() == self.atoms.capacity() {
            self.atoms.reserve_exact(self.atoms.len() / 8 + 16);
        }
        self.atoms.push(atom);
    }

    fn extent(&self, section: usize, extent: &Extent<'d>) -> Atom<'d> {
        let first = &extent.symbol;
        let mut all = std::iter::once(first).chain(&extent.aliases);
        let kind = kind_of(&self.tables.sections[section]);
        let mut atom = self.atom(section, kind, extent.start, extent.end);
        atom.name = first.name;
        atom.symbol_kind = symbol_kind(first);
        atom.scope = scope(first);
        atom.weak = is_weak(first);
        atom.hidden = first.hidden;
        atom.indirect = all.any(|symbol| symbol.kind == elf::STT_GNU_IFUNC);
        atom.source = first.source;
        if !extent.aliases.is_empty() {
            let others = extent.aliases.iter();
            let others = others.map(|symbol| (symbol.name, scope(symbol) == Scope::Global));
            atom.rare().aliases = others.collect();
        }
        Self::label(&mut atom, &extent.labels);
        atom
    }

    /// Enters the names of places inside.
    fn label(atom: &mut Atom<'d>, symbols: &[Symbol<'d>]) {
        let labels: Vec<(&str, u64)> = symbols
            .iter()
            .filter(|symbol| !symbol.name.is_empty() && !symbol.name.starts_with(".L"))
            .map(|symbol| (symbol.name, symbol.value.saturating_sub(atom.start)))
            .collect();
        if !labels.is_empty() {
            atom.rare().labels = labels;
        }
    }

    /// Nameless code and variables: what assembly code defines, or padding.
    fn gap(&mut self, index: usize, start: u64, end: u64, labels: &[Symbol<'d>]) {
        let section = &self.tables.sections[index];
        if let Some(starts) = self.outlined.get(&index) {
            let own: Vec<u64> = starts.range(start..end).copied().collect();
            let ends = own.iter().skip(1).copied().chain([end]);
            for (start, end) in own.iter().zip(ends) {
                let atom = self.atom(index, AtomKind::Outlined, *start, end);
                self.push(atom);
            }
            return;
        }
        let kind = if section.is_code() {
            AtomKind::Code
        } else {
            kind_of(section)
        };
        let mut atom = self.atom(index, kind, start, end);
        Self::label(&mut atom, labels);
        let relocations = &section.relocations;
        let plain = relocations.within(start..end).is_empty();
        if !(plain && atom.labels().is_empty() && code::is_padding(atom.bytes)) {
            self.push(atom);
        }
    }

    /// Strings, mergeable constants, literals and jump tables.
    fn nameless(&mut self, resolver: &Resolver<'_, '_>, gaps: Vec<(usize, u64, u64)>) {
        let (starts, none) = (starts(resolver), Starts::new());
        let tables = exceptions::starts(resolver);
        for (index, start, end) in gaps {
            let section = &self.tables.sections[index];
            if exceptions::is_table(section) {
                if let Some(starts) = tables.get(&index) {
                    self.exception_tables(index, start..end, starts);
                }
                continue;
            }
            if section.has(elf::SHF_MERGE)
                && let Some(parts) = strings::cut(section)
            {
                for (kind, part) in parts {
                    self.push(self.atom(index, kind, part.start, part.end));
                }
                continue;
            }
            let mut run = None;
            for part in cut(
                resolver,
                index,
                start..end,
                starts.get(&index).unwrap_or(&none),
            ) {
                let (kind, range, begins) = match part {
                    Part::Table(range) => (AtomKind::JumpTable, range, true),
                    Part::Literal(range, begins) => (AtomKind::Literal, range, begins),
                };
                let id = AtomId(self.atoms.len() as u32);
                let mut atom = self.atom(index, kind, range.start, range.end);
                run = (kind == AtomKind::Literal).then(|| run.unwrap_or(id));
                atom.run = run;
                atom.continues = !begins && run != Some(id);
                self.push(atom);
            }
        }
    }

    /// The exception tables that begin in a stretch; what lies between them is padding.
    fn exception_tables(&mut self, section: usize, gap: Range<u64>, starts: &BTreeSet<u64>) {
        let own: Vec<u64> = starts.range(gap.clone()).copied().collect();
        let ends = own.iter().skip(1).copied().chain([gap.end]);
        for (start, end) in own.iter().copied().zip(ends) {
            let mut atom = self.atom(section, AtomKind::ExceptionTable, start, end);
            match exceptions::length(atom.bytes) {
                Some(len) => {
                    atom.bytes = &atom.bytes[..len];
                    atom.size = len as u64;
                }
                None => {
                    let flaw = "its exception table is in a form that is not understood";
                    atom.rare().flaws.push(flaw.to_owned());
                }
            }
            self.push(atom);
        }
    }

    /// One atom for each symbol that is defined elsewhere, by symbol index.
    fn externals(&mut self) -> Mapping {
        let mut externals = Mapping::new(self.tables.symbols.len());
        for (index, symbol) in (0..).zip(self.tables.symbols.iter()).skip(1) {
            let kind = match symbol.place {
                Place::Undefined => AtomKind::Undefined,
                Place::Absolute if symbol.kind != elf::STT_FILE => AtomKind::Absolute,
                Place::Common => AtomKind::Common,
                _ => continue,
            };
            let mut atom = self.atom(0, kind, 0, symbol.size);
            atom.name = symbol.name;
            atom.symbol_kind = symbol_kind(&symbol);
            atom.scope = scope(&symbol);
            atom.weak = is_weak(&symbol);
            atom.hidden = symbol.hidden;
            externals.set(index, self.atoms.len() as u32);
            self.push(atom);
        }
        externals
    }

    /// One atom for what each entry of a list of BTF numbers stands for, as if the linker had to find it.
    fn numbers(&mut self, entries: Vec<btf_ids::Entry<'d>>) -> Vec<(btf_ids::Entry<'d>, AtomId)> {
        let mut found = Vec::new();
        for entry in entries {
            let mut atom = self.atom(0, AtomKind::Undefined, 0, 0);
            atom.name = entry.name;
            atom.scope = Scope::Global;
            found.push((entry, AtomId(self.atoms.len() as u32)));
            self.push(atom);
        }
        found
    }

    fn atom(&self, section: usize, kind: AtomKind, start: u64, end: u64) -> Atom<'d> {
        let data = self.tables.sections[section].data;
        let range = usize::try_from(start).ok().zip(usize::try_from(end).ok());
        let bytes = range.and_then(|(start, end)| data.get(start..end));
        Atom::new(kind, section, start..end, bytes.unwrap_or_default())
    }
}

/// What the contents of the section are.
fn kind_of(section: &Section<'_>) -> AtomKind {
    if section.is_code() {
        AtomKind::Function
    } else if section.has(elf::SHF_TLS) {
        AtomKind::Tls
    } else if has_literals(section) {
        AtomKind::ReadOnly
    } else {
        AtomKind::Data
    }
}

fn symbol_kind(symbol: &Symbol<'_>) -> SymbolKind {
    match symbol.kind {
        elf::STT_FUNC | elf::STT_GNU_IFUNC => SymbolKind::Function,
        elf::STT_OBJECT | elf::STT_COMMON => SymbolKind::Object,
        elf::STT_TLS => SymbolKind::Tls,
        _ => SymbolKind::Unknown,
    }
}

/// Whether the symbol gives way to others of its name. Of unique ones (`STB_GNU_UNIQUE`, what inline functions of C++
/// share) the first counts, too.
fn is_weak(symbol: &Symbol<'_>) -> bool {
    matches!(symbol.bind, elf::STB_WEAK | elf::STB_GNU_UNIQUE)
}

fn scope(symbol: &Symbol<'_>) -> Scope {
    if symbol.bind == elf::STB_LOCAL {
        Scope::Local
    } else {
        Scope::Global
    }
}
