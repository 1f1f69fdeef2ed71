//! The model of an object file.

use super::attached::{Attached, ByAtom};
use super::mapping::Mapping;
use super::raw::{Section, SourceId, Symbol};
use super::unwind::{Frame, Frames};
use super::{Site, names, order::Order};
use livepatch_bundle::{RelocKind, Scope, SymbolKind};
use std::fmt;
use std::ops::Range;

/// The index of an atom in [`Object::atoms`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AtomId(pub u32);

/// The index of a function in [`Object::functions`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FunctionId(pub u32);

/// What an atom is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AtomKind {
    /// Code that a function symbol names.
    Function,
    /// Code that no function symbol names.
    Code,
    /// Code elsewhere that belongs to the functions which lead there: alternatives of the kernel.
    Outlined,
    /// A variable.
    Data,
    /// A named constant, also one that the loader relocates (`.data.rel.ro`).
    ReadOnly,
    /// A thread-local variable.
    Tls,
    /// A string that the linker may merge with equal ones.
    String,
    /// A constant that the linker may merge with equal ones.
    Constant,
    /// Read-only data without a name.
    Literal,
    /// Addresses inside a function that a `switch` jumps to.
    JumpTable,
    /// What a function catches and cleans up.
    ExceptionTable,
    /// Defined in another file.
    Undefined,
    /// A number.
    Absolute,
    /// A variable that the linker makes room for.
    Common,
}

impl AtomKind {
    /// Whether other names than its contents identify it.
    #[must_use]
    pub fn is_anonymous(self) -> bool {
        matches!(
            self,
            Self::String
                | Self::Constant
                | Self::Literal
                | Self::JumpTable
                | Self::ExceptionTable
                | Self::Outlined
        )
    }

    /// Whether it is code.
    #[must_use]
    pub fn is_code(self) -> bool {
        matches!(self, Self::Function | Self::Code | Self::Outlined)
    }

    /// Whether it is a variable.
    #[must_use]
    pub fn is_variable(self) -> bool {
        matches!(self, Self::Data | Self::Tls | Self::Common)
    }
}

/// A reference from one atom to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Offset of the field in the atom.
    pub offset: u64,
    /// How the field is computed.
    pub kind: RelocKind,
    /// What it refers to.
    pub target: AtomId,
    /// Where in the target it leads, without the bias that PC-relative fields have.
    pub at: i64,
    /// That bias.
    pub bias: i32,
    /// Whether the target was found by a place in a section that others share, by code that may compute with it: a
    /// pointer to before an array is a pointer into its neighbour.
    pub loose: bool,
    /// The instruction that holds the field; the field itself for data.
    pub site: Site,
}

impl Link {
    /// `A` of the psABI's formulas, with `S` the start of the target.
    #[must_use]
    pub fn addend(&self) -> i64 {
        self.at.wrapping_sub(self.bias.into())
    }

    /// Offset in the atom of the instruction that holds the field.
    #[must_use]
    pub fn site_start(&self) -> u64 {
        self.site.start(self.offset)
    }
}

/// A function, variable, constant or string. There are many: what few have is [`Rare`].
#[derive(Debug)]
pub struct Atom<'d> {
    /// The symbol's name; empty when it has none.
    pub name: &'d str,
    /// What it is.
    pub kind: AtomKind,
    /// What its symbol says it is.
    pub symbol_kind: SymbolKind,
    /// Whether its symbol is seen outside the object file.
    pub scope: Scope,
    /// Whether its symbol gives way to others of the same name.
    pub weak: bool,
    /// Whether it is an indirect function (`STT_GNU_IFUNC`).
    pub indirect: bool,
    /// The `STT_FILE` name before a local symbol.
    pub source: SourceId,
    /// Index of its section; 0 for what lies in other files.
    pub(super) section: u32,
    /// Offset in the section.
    pub start: u64,
    /// Size in bytes.
    pub size: u64,
    /// Contents; empty where the file holds none.
    pub bytes: &'d [u8],
    /// References sorted by offset.
    pub links: Box<[Link]>,
    /// The first of the literals that lie together: pointers may run from one into the next.
    pub run: Option<AtomId>,
    /// Whether it may be the middle of the literal before it.
    pub continues: bool,
    /// Whether it is a variable of a kernel's macros in whose state nobody trusts: new code has its own.
    pub fleeting: bool,
    /// Whether it has relocations that are not among its links.
    pub unlinked: bool,
    rare: Option<Box<Rare<'d>>>,
}

/// What few atoms have.
#[derive(Debug, Default)]
pub struct Rare<'d> {
    /// Other names of the same place, and whether other files may use them.
    pub aliases: Vec<(&'d str, bool)>,
    /// Names of places inside, with their offsets.
    pub labels: Vec<(&'d str, u64)>,
    /// Jumps to other functions that the assembler made so short that no relocation fits them; `offset` is that of the
    /// one-byte distance.
    pub shorts: Vec<Link>,
    /// What is not understood about it.
    pub flaws: Vec<String>,
}

impl<'d> Atom<'d> {
    /// A nameless atom in `range` of a section.
    #[must_use]
    pub fn new(kind: AtomKind, section: usize, range: Range<u64>, bytes: &'d [u8]) -> Self {
        Self {
            name: "",
            kind,
            symbol_kind: SymbolKind::Unknown,
            scope: Scope::Local,
            weak: false,
            indirect: false,
            source: SourceId::NONE,
            section: section as u32,
            start: range.start,
            size: range.end - range.start,
            bytes,
            links: Box::default(),
            run: None,
            continues: false,
            fleeting: false,
            unlinked: false,
            rare: None,
        }
    }

    /// Index of its section; 0 for what lies in other files.
    #[must_use]
    pub fn section(&self) -> usize {
        self.section as usize
    }

    /// What few atoms have, to be changed.
    pub fn rare(&mut self) -> &mut Rare<'d> {
        self.rare.get_or_insert_default()
    }

    /// Other names of the same place.
    pub fn aliases(&self) -> impl Iterator<Item = &'d str> {
        self.other_names().iter().map(|(name, _)| *name)
    }

    /// Those of all its names that other files may use.
    pub fn globals(&self) -> impl Iterator<Item = &'d str> {
        let own = (self.scope == Scope::Global).then_some(self.name);
        let others = self.other_names().iter();
        own.into_iter()
            .chain(others.filter(|(_, global)| *global).map(|(name, _)| *name))
    }

    /// Whether other files may use one of its names.
    #[must_use]
    pub fn is_global(&self) -> bool {
        self.globals().next().is_some()
    }

    fn other_names(&self) -> &[(&'d str, bool)] {
        self.rare.as_ref().map_or(&[], |rare| &rare.aliases)
    }

    /// Names of places inside, with their offsets.
    #[must_use]
    pub fn labels(&self) -> &[(&'d str, u64)] {
        self.rare.as_ref().map_or(&[], |rare| &rare.labels)
    }

    /// Jumps to other functions that the assembler made so short that no relocation fits them; `offset` is that of the
    /// one-byte distance.
    #[must_use]
    pub fn shorts(&self) -> &[Link] {
        self.rare.as_ref().map_or(&[], |rare| &rare.shorts)
    }

    /// What is not understood about it.
    #[must_use]
    pub fn flaws(&self) -> &[String] {
        self.rare.as_ref().map_or(&[], |rare| &rare.flaws)
    }

    /// What people call it.
    #[must_use]
    pub fn label(&self, sections: &[Section<'_>]) -> String {
        if self.name.is_empty() {
            let section = sections
                .get(self.section())
                .map_or("", |section| section.name);
            format!("{section}+{:#x}", self.start)
        } else {
            self.name.to_owned()
        }
    }

    /// How many bytes there are before the zeros at its end, which may be padding.
    #[must_use]
    pub fn len_without_padding(&self) -> u64 {
        let last = self.links.last();
        let last_link = last.map_or(0, |link| link.offset + link.kind.width() as u64);
        let last_byte = self.bytes.iter().rposition(|byte| *byte != 0);
        last_link.max(last_byte.map_or(0, |at| at as u64 + 1))
    }

    /// Everything that it refers to.
    pub fn references(&self) -> impl Iterator<Item = &Link> {
        self.links.iter().chain(self.shorts())
    }

    /// What it is called without numbers, for variables that are each like the others of that name.
    #[must_use]
    pub fn fleeting_name(&self) -> Option<String> {
        self.fleeting.then(|| names::base(self.name))
    }

    /// Whether only its contents matter: it has no name, or one that the compiler made up.
    #[must_use]
    pub fn is_private(&self) -> bool {
        self.kind.is_anonymous()
            || self.kind == AtomKind::ReadOnly
                && self.scope == Scope::Local
                && names::is_generated(self.name)
    }
}

/// A function with the pieces that the compiler split off it.
#[derive(Clone, Debug)]
pub struct Function {
    /// The piece that callers enter.
    entry: AtomId,
    /// `.cold` pieces by name.
    cold: Box<[AtomId]>,
}

impl Function {
    /// A function of one piece.
    pub(super) fn new(entry: AtomId) -> Self {
        Self {
            entry,
            cold: Box::default(),
        }
    }

    /// Adds a piece that was split off.
    pub(super) fn add(&mut self, piece: AtomId) {
        self.cold = self.cold.iter().copied().chain([piece]).collect();
    }

    /// The piece that callers enter.
    #[must_use]
    pub fn entry(&self) -> AtomId {
        self.entry
    }

    /// The entry piece first, then `.cold` pieces by name.
    pub fn pieces(&self) -> impl DoubleEndedIterator<Item = AtomId> {
        std::iter::once(self.entry).chain(self.cold.iter().copied())
    }

    /// How many pieces it has.
    #[must_use]
    pub fn piece_count(&self) -> usize {
        1 + self.cold.len()
    }
}

/// An object file.
#[derive(Debug, Default)]
pub struct Object<'d> {
    /// By section index.
    pub sections: Vec<Section<'d>>,
    /// By symbol index; empty when nothing that remains refers to symbols.
    pub symbols: Vec<Symbol<'d>>,
    /// The names of `STT_FILE` symbols, by [`SourceId`].
    pub sources: Vec<&'d str>,
    /// Atoms in the order of sections and offsets, then those of other files.
    pub atoms: Vec<Atom<'d>>,
    /// Functions in the order of their entries.
    pub functions: Vec<Function>,
    /// The function that each atom is a piece of.
    pub(super) owner: Mapping,
    /// Records of `.eh_frame` by the piece of code that they describe.
    pub(super) frames: Frames<'d>,
    /// Whether it is of a kernel.
    pub is_kernel: bool,
    /// Entries of tables by the code that they are about.
    pub(super) attached: ByAtom<'d>,
    /// What is wrong with the object as a whole.
    pub flaws: Vec<String>,
    /// Atoms by section and start.
    pub(super) order: Order,
}

impl<'d> Object<'d> {
    /// The atom of this number.
    #[must_use]
    pub fn atom(&self, id: AtomId) -> &Atom<'d> {
        &self.atoms[id.0 as usize]
    }

    /// The function of this number.
    #[must_use]
    pub fn function(&self, id: FunctionId) -> &Function {
        &self.functions[id.0 as usize]
    }

    /// The function that this atom is a piece of.
    #[must_use]
    pub fn owner(&self, id: AtomId) -> Option<FunctionId> {
        self.owner.get(id.0).map(FunctionId)
    }

    /// The record of `.eh_frame` that describes a piece of code.
    #[must_use]
    pub fn frame(&self, id: AtomId) -> Option<&Frame<'d>> {
        self.frames.get(id)
    }

    /// What lies in tables about a piece of code, in the order of tables and entries.
    #[must_use]
    pub fn attached(&self, id: AtomId) -> &[Attached<'d>] {
        self.attached.get(&id).map_or(&[], Vec::as_slice)
    }

    /// Where an atom leads: the links of its own, then those of what is attached to it.
    pub fn references(&self, id: AtomId) -> impl Iterator<Item = &Link> {
        let attached = self.attached(id).iter().flat_map(|one| &one.links);
        self.atom(id).references().chain(attached)
    }

    /// The `STT_FILE` name before the atom's symbol, if that is local.
    #[must_use]
    pub fn source(&self, atom: &Atom<'_>) -> Option<&'d str> {
        atom.source.name(&self.sources)
    }

    /// The function's name.
    #[must_use]
    pub fn function_name(&self, id: FunctionId) -> &'d str {
        self.atom(self.function(id).entry()).name
    }

    /// All atoms with their numbers.
    pub fn enumerate(&self) -> impl Iterator<Item = (AtomId, &Atom<'d>)> {
        self.atoms
            .iter()
            .enumerate()
            .map(|(index, atom)| (AtomId(index as u32), atom))
    }

    /// The atoms from one on with their numbers.
    pub fn enumerate_from(&self, first: AtomId) -> impl Iterator<Item = (AtomId, &Atom<'d>)> {
        let rest = self.atoms.get(first.0 as usize..).unwrap_or_default();
        let numbers = first.0..;
        numbers.map(AtomId).zip(rest)
    }

    /// All functions with their numbers.
    pub fn enumerate_functions(&self) -> impl Iterator<Item = (FunctionId, &Function)> {
        let functions = self.functions.iter().enumerate();
        functions.map(|(index, function)| (FunctionId(index as u32), function))
    }

    /// What people call the atom.
    #[must_use]
    pub fn label(&self, id: AtomId) -> String {
        self.atom(id).label(&self.sections)
    }

    /// The name of the section that the atom lies in.
    #[must_use]
    pub fn section_name(&self, id: AtomId) -> &'d str {
        self.sections
            .get(self.atom(id).section())
            .map_or("", |section| section.name)
    }

    /// The atoms right before and right after one in its section.
    #[must_use]
    pub fn neighbours(&self, id: AtomId) -> (Option<AtomId>, Option<AtomId>) {
        let beside = |other: Option<AtomId>| {
            other.filter(|other| self.atom(*other).section == self.atom(id).section)
        };
        let (before, after) = self.order.beside(id);
        (beside(before), beside(after))
    }

    /// How the atom is aligned: as its section, as far as its offset keeps to it.
    #[must_use]
    pub fn align(&self, id: AtomId) -> u64 {
        let atom = self.atom(id);
        let section = self
            .sections
            .get(atom.section())
            .map_or(1, |section| section.align);
        if atom.start == 0 {
            section
        } else {
            section.min(1 << atom.start.trailing_zeros())
        }
    }
}

impl fmt::Display for AtomKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Function => "function",
            Self::Code => "code",
            Self::Outlined => "outlined code",
            Self::Data => "variable",
            Self::ReadOnly => "constant",
            Self::Tls => "thread-local variable",
            Self::String => "string",
            Self::Constant | Self::Literal => "literal",
            Self::JumpTable => "jump table",
            Self::ExceptionTable => "exception table",
            Self::Undefined => "undefined symbol",
            Self::Absolute => "absolute symbol",
            Self::Common => "common symbol",
        })
    }
}
