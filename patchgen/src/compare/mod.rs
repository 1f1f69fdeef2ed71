//! Which functions and data mean something else than before.
//!
//! Every pair of correlated functions is aligned instruction by instruction; what they refer to must correlate,
//! too. Constants are compared by contents and drag along the functions that use them. All is taken for unchanged
//! until something contradicts, round after round until a round finds nothing new.

mod attached;
mod callers;
mod contents;
mod function;
mod ignored;
mod lines;
mod paths;
mod targets;
mod times;
mod view;
mod vtables;

use crate::correlate::Correlation;
use crate::object::mapping::Mapping;
use crate::object::{AtomId, AtomKind, FunctionId};
use crate::pair::Pair;
use function::FunctionPair;
use paths::Sources;
use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeSet, HashMap};
pub(crate) use times::dated;
pub use vtables::Vtable;

/// Sections with the places of code that tracers may rewrite. The running program's own say nothing about new code.
const INSTRUMENTATION: [&str; 2] = ["__patchable_function_entries", "__mcount_loc"];

/// What a pair of object files differs in.
#[derive(Debug)]
pub struct Comparison {
    /// By new function: why it is changed, for functions that correlate and are.
    changed: HashMap<FunctionId, String>,
    /// Changed functions that are no replacements: their callers are.
    travelling: BTreeSet<FunctionId>,
    /// Changed functions that stay as they are, since the new source says so.
    ignored: BTreeSet<FunctionId>,
    /// New constants that correlate and whose contents are others.
    different: BTreeSet<AtomId>,
    /// Variables and other data that must stay as they are and do not: the new atom, and how it differs.
    pub altered: Vec<(AtomId, String)>,
    /// Vtables of Rust that are others for the same type and trait.
    pub vtables: Vec<Vtable>,
}

impl Comparison {
    /// Compares the pair.
    #[must_use]
    pub fn of(pair: &Pair<'_>, correlation: &Correlation) -> Self {
        let functions = function::pairs(pair, correlation);
        let mut judge = Judge::new(pair, correlation, &functions);
        while judge.round() {}
        let altered = judge.altered();
        let vtables = judge.vtables();
        let changed = judge
            .changed
            .into_iter()
            .map(|(index, why)| (functions[index].new, why));
        Self {
            changed: changed.collect(),
            travelling: BTreeSet::new(),
            ignored: BTreeSet::new(),
            different: judge.different.into_iter().map(|(_, new)| new).collect(),
            altered,
            vtables,
        }
    }

    /// Why the new function differs from the old one it correlates with; `None` if it does not.
    #[must_use]
    pub fn change(&self, new: FunctionId) -> Option<&str> {
        self.changed.get(&new).map(String::as_str)
    }

    /// Whether the contents of a correlated constant changed.
    #[must_use]
    pub fn is_different(&self, new: AtomId) -> bool {
        self.different.contains(&new)
    }

    /// The changed functions, by their new version, ascending.
    #[must_use]
    pub fn changed(&self) -> Vec<FunctionId> {
        let mut changed: Vec<_> = self.changed.keys().copied().collect();
        changed.sort_unstable();
        changed
    }

    /// The correlated constants whose contents changed.
    pub fn different(&self) -> impl Iterator<Item = AtomId> {
        self.different.iter().copied()
    }
}

/// Judges references while it is not yet known what is changed.
struct Judge<'c, 'd> {
    pair: &'c Pair<'d>,
    correlation: &'c Correlation,
    functions: &'c [FunctionPair],
    /// By old function: its function pair.
    pairs: Mapping,
    changed: HashMap<usize, String>,
    different: BTreeSet<(AtomId, AtomId)>,
    /// Source files of old and new, read when they are needed.
    sources: OnceCell<[Sources<'d>; 2]>,
    /// What was compared in this round. An entry is made before its contents are looked at, so that data that
    /// points to itself is equal unless something else in it differs.
    seen: RefCell<HashMap<(AtomId, AtomId, i64), bool>>,
}

impl<'c, 'd> Judge<'c, 'd> {
    fn new(
        pair: &'c Pair<'d>,
        correlation: &'c Correlation,
        functions: &'c [FunctionPair],
    ) -> Self {
        let mut pairs = Mapping::new(pair.old.functions.len());
        let mut changed = HashMap::new();
        for (index, function) in functions.iter().enumerate() {
            pairs.set(function.old.0, index as u32);
            if let Err(difference) = &function.aligned {
                changed.insert(index, difference.clone());
            }
        }
        Self {
            pair,
            correlation,
            functions,
            pairs,
            changed,
            different: BTreeSet::new(),
            sources: OnceCell::new(),
            seen: RefCell::new(HashMap::new()),
        }
    }

    /// The function pair that a piece of old code belongs to, and which of its pieces it is.
    fn piece(&self, old: AtomId) -> Option<(usize, usize)> {
        let function = self.pair.old.owner(old)?;
        let index = self.pairs.get(function.0)?;
        let mut pieces = self.pair.old.function(function).pieces();
        Some((index as usize, pieces.position(|piece| piece == old)?))
    }

    fn sources(&self) -> &[Sources<'d>; 2] {
        let pair = self.pair;
        self.sources
            .get_or_init(|| [Sources::of(&pair.old), Sources::of(&pair.new)])
    }

    /// Judges everything that is still taken for unchanged. Returns whether that found something.
    fn round(&mut self) -> bool {
        self.seen.borrow_mut().clear();
        let constants = self.different_constants();
        let functions = self.changed_functions();
        let found = !constants.is_empty() || !functions.is_empty();
        self.different.extend(constants);
        self.changed.extend(functions);
        found
    }

    fn different_constants(&self) -> Vec<(AtomId, AtomId)> {
        let constants = self.pair.old.enumerate().filter_map(|(old, atom)| {
            let new = self.correlation.new_of(old)?;
            let constant = atom.kind == AtomKind::ReadOnly
                && self.pair.new.atom(new).kind == AtomKind::ReadOnly;
            (constant && !self.different.contains(&(old, new))).then_some((old, new))
        });
        constants
            .filter(|(old, new)| self.same_contents(*old, *new, 0).is_err())
            .collect()
    }

    fn changed_functions(&self) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        for (index, function) in self.functions.iter().enumerate() {
            if self.changed.contains_key(&index) {
                continue;
            }
            if let Err(difference) = self.references(function) {
                found.push((index, difference));
            }
        }
        found
    }

    fn references(&self, function: &FunctionPair) -> Result<(), String> {
        function.try_references(self.pair, |reference| {
            self.same_target(reference.old, reference.new, reference.size)
                .map_err(|difference| format!("at +{:#x} {difference}", reference.at))
        })?;
        self.attached(function)
    }

    /// Variables whose initial contents changed, and code outside functions that did.
    fn altered(&self) -> Vec<(AtomId, String)> {
        let kept = |kind| matches!(kind, AtomKind::Data | AtomKind::Tls | AtomKind::Code);
        let mut altered = Vec::new();
        for (old, atom) in self.pair.old.enumerate() {
            let Some(new) = self.correlation.new_of(old) else {
                continue;
            };
            if atom.fleeting || INSTRUMENTATION.contains(&self.pair.old.section_name(old)) {
                continue;
            }
            let kind = self.pair.new.atom(new).kind;
            if !kept(atom.kind) && !kept(kind) {
                continue;
            }
            if atom.kind == kind {
                altered.extend(self.same_contents(old, new, 0).err().map(|why| (new, why)));
            } else {
                altered.push((new, format!("was a {} and is a {kind} now", atom.kind)));
            }
        }
        altered
    }
}
