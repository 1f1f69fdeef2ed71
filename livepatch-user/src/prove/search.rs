//! From candidates to one address for each function.

use super::folded::{Place, folded};
use super::function::{Difference, FunctionMatch, Piece, PieceMatch, match_function};
use super::{Evidence, Program};
use livepatch_bundle::{Bundle, Function, Reference, RunAddr, SymbolId};
use livepatch_match::Via;
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;

/// A replaced function or an anchor, found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    /// Its symbol in the old object.
    pub name: String,
    /// Its entry in the module.
    pub entry: RunAddr,
    /// Start and length of each running piece, the entry's first.
    pub pieces: Vec<(RunAddr, u64)>,
}

/// What the running code has shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proof {
    /// The replaced functions, in the manifest's order.
    pub functions: Vec<Proven>,
    /// What the code of all matched functions says about the program's symbols; nothing contradicts anything.
    pub evidence: Vec<Evidence>,
    /// Where the matched functions are; in a library, code that calls them may reach others of the same name.
    pub places: Vec<Evidence>,
}

/// Why the running code is not the old code.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ProveError {
    /// Not found by name nor by its code.
    #[error(
        "function `{name}` of `{object}` was not found: no symbol names it and no code of the module matches"
    )]
    NotFound {
        /// The function.
        name: String,
        /// Its object file.
        object: String,
    },
    /// Found by name, but other code.
    #[error("the running `{name}` at {address} is not the old `{name}` of `{object}`")]
    Differs {
        /// The function.
        name: String,
        /// Its object file.
        object: String,
        /// Where the program has it.
        address: RunAddr,
        /// The first difference.
        source: Difference,
    },
    /// Several functions fit and nothing tells them apart.
    #[error(
        "function `{name}` of `{object}` fits {count} places, at {first} and at {second}, and nothing tells them apart"
    )]
    Ambiguous {
        /// The function.
        name: String,
        /// Its object file.
        object: String,
        /// How many places.
        count: usize,
        /// One of them.
        first: RunAddr,
        /// Another one.
        second: RunAddr,
    },
    /// A function that the objects keep apart from a replaced one runs at the same address (identical code folding).
    #[error(
        "`{one}` and {other} share the code at {address}: they were folded by the linker, and the patch does not change \
         both alike"
    )]
    Folded {
        /// A replaced function.
        one: String,
        /// The other, in backquotes, with its source file where that tells them apart.
        other: String,
        /// Their address.
        address: RunAddr,
    },
    /// Matched functions contradict each other about a symbol.
    #[error("the running code has `{symbol}` at {one} and at {other}")]
    Contradiction {
        /// What the program calls the symbol.
        symbol: String,
        /// One address.
        one: RunAddr,
        /// Another one.
        other: RunAddr,
    },
}

impl ProveError {
    /// Whether the linker folded functions.
    #[must_use]
    pub fn is_folded(&self) -> bool {
        matches!(self, Self::Folded { .. })
    }
}

/// Finds every function of `bundle` in the program.
///
/// # Errors
/// Every replaced function that was not proven, with the reason.
pub fn prove(bundle: &Bundle, program: &dyn Program) -> Result<Proof, Vec<ProveError>> {
    let mut search = Search::new(bundle, program);
    search.settle();
    search.finish()
}

/// A function of the bundle and the places where it may be.
struct Subject<'a> {
    function: &'a Function,
    reference: Option<&'a Reference>,
    pieces: Vec<Piece<'a>>,
    matches: Vec<FunctionMatch>,
    /// The first place that had the name and other code.
    difference: Option<(RunAddr, Difference)>,
}

struct Search<'a> {
    bundle: &'a Bundle,
    program: &'a dyn Program,
    subjects: Vec<Subject<'a>>,
    /// How many subjects are replaced functions; they come first.
    replaced: usize,
    /// Constants to which the patch refers where they run.
    wanted: BTreeSet<SymbolId>,
    starts: Option<Vec<RunAddr>>,
}

impl<'a> Search<'a> {
    fn new(bundle: &'a Bundle, program: &'a dyn Program) -> Self {
        let manifest = &bundle.manifest;
        let references: BTreeMap<&str, &Reference> = manifest
            .references
            .iter()
            .map(|reference| (reference.symbol.as_str(), reference))
            .collect();
        let names = bundle.names();
        let subjects = manifest
            .functions
            .iter()
            .chain(&manifest.anchors)
            .map(|function| Subject {
                function,
                reference: function
                    .pieces
                    .first()
                    .and_then(|piece| references.get(piece.running.as_str()).copied()),
                pieces: Piece::all(bundle, &names, function),
                matches: Vec::new(),
                difference: None,
            })
            .collect();
        Self {
            bundle,
            program,
            subjects,
            replaced: manifest.functions.len(),
            wanted: bundle.needed_constants(),
            starts: None,
        }
    }

    /// Tries the places that names give, then those that matched code leads to, then every function.
    fn settle(&mut self) {
        for index in 0..self.subjects.len() {
            let reference = self.subjects[index].reference;
            let named = reference.map(|r| self.program.named(r));
            self.try_places(index, &named.unwrap_or_default());
            // What is replaced must be the module's own.
            if index >= self.replaced && self.subjects[index].matches.is_empty() {
                let brought = reference.map(|r| self.program.brought_in(r));
                self.try_places(index, &brought.unwrap_or_default());
            }
        }
        self.follow_evidence();
        for index in 0..self.subjects.len() {
            // An anchor is searched for only where it can help: names have already failed for its neighbours.
            if self.subjects[index].matches.is_empty() && self.subjects[index].difference.is_none()
            {
                let starts = self
                    .starts
                    .get_or_insert_with(|| self.program.function_starts())
                    .clone();
                self.try_places(index, &starts);
                self.subjects[index].difference = None;
            }
        }
        self.follow_evidence();
    }

    fn try_places(&mut self, index: usize, places: &[RunAddr]) {
        for &place in places {
            let subject = &mut self.subjects[index];
            if subject.matches.iter().any(|found| found.entry == place) {
                continue;
            }
            let (pieces, wanted) = (&subject.pieces, &self.wanted);
            match match_function(self.bundle, self.program, pieces, wanted, place) {
                Ok(found) => subject.matches.push(found),
                Err(difference) => {
                    subject.difference.get_or_insert((place, difference));
                }
            }
        }
    }

    /// Lets what is certain decide what is not, until nothing changes.
    fn follow_evidence(&mut self) {
        loop {
            let known = self.certain_evidence();
            let mut changed = false;
            for index in 0..self.subjects.len() {
                changed |= self.narrow(index, &known);
            }
            if !changed {
                return;
            }
        }
    }

    /// Where certain functions say that the subject's entry is decides; a match that contradicts them is dropped.
    fn narrow(&mut self, index: usize, known: &BTreeMap<(SymbolId, Kind), u64>) -> bool {
        if self.subjects[index].matches.len() == 1 {
            return false;
        }
        let Some(running) = self.subjects[index]
            .pieces
            .first()
            .map(|piece| piece.running)
        else {
            return false;
        };
        let before = self.subjects[index].matches.len();
        if let Some(&entry) = known
            .get(&(running, Kind::Address))
            .or_else(|| known.get(&(running, Kind::Branch)))
        {
            if before == 0 {
                self.try_places(index, &[RunAddr(entry)]);
            } else {
                self.subjects[index]
                    .matches
                    .retain(|found| found.entry == RunAddr(entry));
            }
        }
        let agrees = |found: &FunctionMatch| {
            found.evidence.iter().all(|evidence| {
                known
                    .get(&(evidence.symbol, Kind::of(evidence.via)))
                    .is_none_or(|&value| value == evidence.value)
            })
        };
        if before > 1 {
            self.subjects[index].matches.retain(agrees);
        }
        self.subjects[index].matches.len() != before
    }

    fn certain_evidence(&self) -> BTreeMap<(SymbolId, Kind), u64> {
        let certain = self
            .subjects
            .iter()
            .filter(|subject| subject.matches.len() == 1);
        let mut known = BTreeMap::new();
        for found in certain.flat_map(|subject| &subject.matches) {
            for evidence in &found.evidence {
                known.insert((evidence.symbol, Kind::of(evidence.via)), evidence.value);
            }
            if let Some(entry) = found.pieces.first() {
                known.insert((entry.running, Kind::Address), found.entry.0);
            }
        }
        known
    }

    fn finish(self) -> Result<Proof, Vec<ProveError>> {
        let mut errors: Vec<ProveError> = self.subjects[..self.replaced]
            .iter()
            .filter_map(Subject::problem)
            .collect();
        errors.extend(self.folded());
        let mut proof = Proof::default();
        for (index, subject) in self.subjects.iter().enumerate() {
            let [found] = &subject.matches[..] else {
                continue;
            };
            proof.evidence.extend(&found.evidence);
            proof.places.extend(found.places());
            if index < self.replaced {
                proof.functions.push(subject.proven(found));
            }
        }
        errors.extend(self.contradictions(proof.evidence.iter().chain(&proof.places)));
        if errors.is_empty() {
            Ok(proof)
        } else {
            Err(errors)
        }
    }

    fn folded(&self) -> Vec<ProveError> {
        let place = |(index, subject): (usize, &Subject<'a>)| match &subject.matches[..] {
            [found] => Some(Place {
                function: subject.function,
                entry: found.entry,
                is_replaced: index < self.replaced,
            }),
            _ => None,
        };
        let places: Vec<Place<'a>> = self.subjects.iter().enumerate().filter_map(place).collect();
        folded(self.bundle, self.program, &places)
    }

    fn contradictions<'e>(&self, evidence: impl Iterator<Item = &'e Evidence>) -> Vec<ProveError> {
        let mut known: BTreeMap<(SymbolId, Kind), u64> = BTreeMap::new();
        let mut errors = Vec::new();
        for item in evidence {
            let before = *known
                .entry((item.symbol, Kind::of(item.via)))
                .or_insert(item.value);
            if before != item.value {
                let symbol = self.bundle.symbols[item.symbol.0].name.clone();
                let (one, other) = (RunAddr(before), RunAddr(item.value));
                errors.push(ProveError::Contradiction { symbol, one, other });
            }
        }
        errors
    }
}

impl Subject<'_> {
    fn problem(&self) -> Option<ProveError> {
        let name = self.function.name.clone();
        let object = self.function.object.clone();
        match (&self.matches[..], &self.difference) {
            ([_], _) => None,
            ([], Some((address, source))) => Some(ProveError::Differs {
                name,
                object,
                address: *address,
                source: source.clone(),
            }),
            ([], None) => Some(ProveError::NotFound { name, object }),
            ([first, second, ..], _) => Some(ProveError::Ambiguous {
                name,
                object,
                count: self.matches.len(),
                first: first.entry,
                second: second.entry,
            }),
        }
    }

    fn proven(&self, found: &FunctionMatch) -> Proven {
        let mut pieces: Vec<(RunAddr, u64)> = found
            .pieces
            .iter()
            .map(|PieceMatch { address, len, .. }| (*address, *len))
            .collect();
        if let Some(first) = found
            .pieces
            .first()
            .filter(|first| first.address != found.entry)
        {
            // An earlier patch leads away from the entry; the jump itself is a piece, too.
            pieces.push((found.entry, first.len.min(16)));
        }
        Proven {
            name: self.function.name.clone(),
            entry: found.entry,
            pieces,
        }
    }
}

/// What a piece of evidence says something about: two kinds may differ for one symbol, such as the address of a
/// function and that of its PLT entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Branch,
    Address,
    Slot,
    TpOffset,
    TpOffsetSlot,
    TlsPair,
    TlsModulePair,
    DtpOffset,
    TlsDescriptor,
    GotRelative,
    Size,
}

impl Kind {
    fn of(via: Via) -> Self {
        match via {
            Via::Branch => Self::Branch,
            Via::Direct => Self::Address,
            Via::GotSlot => Self::Slot,
            Via::TpOff => Self::TpOffset,
            Via::GotTpOff => Self::TpOffsetSlot,
            Via::TlsGd => Self::TlsPair,
            Via::TlsLd => Self::TlsModulePair,
            Via::DtpOff => Self::DtpOffset,
            Via::TlsDesc => Self::TlsDescriptor,
            Via::GotRelative => Self::GotRelative,
            Via::Size => Self::Size,
        }
    }
}
