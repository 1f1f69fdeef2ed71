//! The model of an object file.

use super::attached::{Attached, ByAtom};
use super::mapping::Mapping;
use super::order::Order;
use super::raw::{Section, Symbols};
use super::unwind::{Frame, Frames};
use super::{Atom, AtomId, Link};

/// The index of a function in [`Object::functions`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FunctionId(pub u32);

/// A function with the pieces that the compiler split off it.
#[derive(Clone, Debug)]
pub struct Function {
    /// The piece that callers enter.
    entry: AtomId,
    /// `.cold` pieces by name; most functions have none.
    cold: Option<Box<Cold>>,
}

#[derive(Clone, Debug, Default)]
struct Cold(Vec<AtomId>);

impl Function {
    /// A function of one piece.
    pub(super) fn new(entry: AtomId) -> Self {
        Self { entry, cold: None }
    }

    /// Adds a piece that was split off.
    pub(super) fn add(&mut self, piece: AtomId) {
        self.cold.get_or_insert_default().0.push(piece);
    }

    /// The piece that callers enter.
    #[must_use]
    pub fn entry(&self) -> AtomId {
        self.entry
    }

    /// The entry piece first, then `.cold` pieces by name.
    pub fn pieces(&self) -> impl DoubleEndedIterator<Item = AtomId> {
        std::iter::once(self.entry).chain(self.cold().iter().copied())
    }

    /// How many pieces it has.
    #[must_use]
    pub fn piece_count(&self) -> usize {
        1 + self.cold().len()
    }

    fn cold(&self) -> &[AtomId] {
        self.cold.as_ref().map_or(&[], |cold| &cold.0)
    }
}

/// An object file.
#[derive(Debug, Default)]
pub struct Object<'d> {
    /// By section index.
    pub sections: Vec<Section<'d>>,
    /// By symbol index; empty when nothing that remains refers to symbols.
    pub symbols: Symbols<'d>,
    /// The names of `STT_FILE` symbols, by [`SourceId`](super::raw::SourceId).
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
    pub fn frame(&self, id: AtomId) -> Option<Frame<'_, 'd>> {
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

    /// The atom that starts at this place.
    #[must_use]
    pub fn starting_at(&self, section: usize, offset: u64) -> Option<AtomId> {
        let id = self
            .order
            .find(&self.atoms, section, i64::try_from(offset).ok()?)?;
        (self.atom(id).start == offset).then_some(id)
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
