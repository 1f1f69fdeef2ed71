//! What an object file is made of.

use super::raw::{Section, SourceId};
use super::{Link, names};
use livepatch_bundle::{Scope, SymbolKind};
use std::fmt;
use std::ops::Range;

/// The index of an atom in [`Object::atoms`](super::Object::atoms).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AtomId(pub u32);

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
    /// Whether its symbol means one of its own module (`STV_HIDDEN`).
    pub hidden: bool,
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
            hidden: false,
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
        let last_link = last.map_or(0, |link| link.offset() + link.kind.width() as u64);
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

    /// Whether it is a string literal: characters with a zero behind them.
    #[must_use]
    pub fn is_text(&self) -> bool {
        let characters = || {
            let Some((0, text)) = self.bytes.split_last() else {
                return false;
            };
            let control = |byte: &u8| *byte < 0x20 && !byte.is_ascii_whitespace();
            self.links.is_empty() && !text.iter().any(control)
        };
        match self.kind {
            AtomKind::String => true,
            AtomKind::Literal => characters(),
            _ => false,
        }
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
