//! From what is known about the program to what each relocation of the patch needs.
//!
//! Three sources speak about a symbol: the running code (*evidence*, always right for the module that was proven),
//! symbol tables, and the dynamic loader's own slots and search order. Where two of them speak about the same
//! thing they must agree; where none does, the symbol stays without that fact and linking refuses by name.
//!
//! Pure but for the queries of [`Linkage`].

mod error;
#[cfg(test)]
mod tests;

pub use error::ResolveError;

use crate::link::Resolution;
use crate::prove::{Evidence, Proof};
use livepatch_bundle::{
    Bundle, Class, Function, Reference, RelocKind, RunAddr, Scope, SymbolId, SymbolKind,
};
use livepatch_match::Via;
use std::collections::{BTreeSet, HashMap};

/// What the module's tables say about a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named {
    /// The run-time address; for a thread-local variable its offset in the module's TLS block.
    pub value: RunAddr,
    /// Whether it is a thread-local variable.
    pub tls: bool,
    /// Whether its code chooses an implementation at load time (`STT_GNU_IFUNC`): the address is the resolver's.
    pub ifunc: bool,
}

/// Slots of the module that the dynamic loader fills for a name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slots {
    /// Holds the address (`R_X86_64_GLOB_DAT`).
    pub address: Option<RunAddr>,
    /// Holds the address, or leads to the loader until the first call (`R_X86_64_JUMP_SLOT`).
    pub lazy: Option<RunAddr>,
    /// The module's own copy of the variable (`R_X86_64_COPY`).
    pub copy: Option<RunAddr>,
    /// Holds the offset from the thread pointer.
    pub tp_offset: Option<RunAddr>,
    /// A (module, offset) pair.
    pub tls_pair: Option<RunAddr>,
    /// A TLS descriptor.
    pub tls_descriptor: Option<RunAddr>,
}

/// What the dynamic loader's search finds for a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Global {
    /// A function or variable.
    Address(RunAddr),
    /// A function that chooses its implementation at load time, and what it chose when some module has it bound.
    Ifunc(Option<RunAddr>),
    /// A thread-local variable at this offset from the thread pointer, when that is fixed.
    Tls(Option<i64>),
}

/// A module that is not the patched one and has the definition which the loader's search finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elsewhere {
    /// Its path.
    pub module: String,
    /// Whether the patched module was linked with it, or whatever is compiled is (the C library), or it is the executable.
    pub is_usual: bool,
}

/// What resolution asks about the module and its process.
pub trait Linkage {
    /// Definitions of the name in the module.
    fn named(&self, reference: &Reference) -> Vec<Named>;
    /// The module's slots for the name.
    fn slots(&self, name: &str) -> Slots;
    /// The first definition in the loader's search order.
    fn global(&self, name: &str) -> Option<Global>;
    /// The module with a definition that the loader's search finds or not, by how libraries were opened (dlopen(3)).
    fn unsure(&self, name: &str) -> Option<String>;
    /// Where else the loader's search finds it.
    fn elsewhere(&self, name: &str) -> Option<Elsewhere>;
    /// The PLT entry of an executable at a fixed address that stands for the function in all modules.
    fn canonical(&self, name: &str) -> Option<RunAddr>;
    /// Whether a local symbol of the module may be this global one, which the linker made local, or a static of some file.
    fn may_hide(&self, name: &str) -> bool;
    /// Whether other modules may define the name instead: a library that exports it and has slots for it.
    fn preemptible(&self, name: &str) -> bool;
    /// Whether another definition of what the module exports comes first in the loader's search order.
    fn preempted(&self, name: &str) -> bool;
    /// Whether the module, or what its loader searches, has a symbol `__wrap_NAME`, by which `ld --wrap=NAME` replaces `NAME` in the module's own code.
    fn wrapped(&self, name: &str) -> bool;
    /// Whether the module's symbol table has all names that the linker saw.
    fn has_all_names(&self) -> bool;
    /// The module whose definition comes first, where nothing tells that the linker left the module's own references to
    /// the loader (`-Bsymbolic-functions`, hidden aliases).
    fn doubtful(&self, name: &str) -> Option<String>;
    /// The offset of the module's TLS block from the thread pointer, where that is fixed.
    fn tls_offset(&self) -> Option<i64>;
    /// The module's TLS id.
    fn tls_module(&self) -> Option<u64>;
}

/// Resolves every undefined symbol of `bundle`. The result has one entry for each symbol; those that the bundle defines
/// stay empty, and so do those without an answer to which nothing that is placed refers.
///
/// # Errors
/// Every symbol whose sources contradict each other, and every needed one that cannot be told.
pub fn resolve(
    bundle: &Bundle,
    proof: &Proof,
    linkage: &dyn Linkage,
) -> Result<Vec<Resolution>, Vec<ResolveError>> {
    let mut resolutions = vec![Resolution::default(); bundle.symbols.len()];
    let mut errors = Vec::new();
    let names = bundle.names();
    let needed = bundle.needed_symbols();
    let said = |evidence: &[Evidence]| -> HashMap<(SymbolId, Via), u64> {
        let said = evidence.iter();
        said.map(|e| ((e.symbol, e.via), e.value)).collect()
    };
    let (said, places) = (said(&proof.evidence), said(&proof.places));
    for reference in &bundle.manifest.references {
        let Some(symbol) = names.get(&reference.symbol) else {
            continue;
        };
        let spoken = |via: Via| said.get(&(symbol, via)).copied();
        let question = Question {
            reference,
            linkage,
            spoken: &spoken,
            place: places.get(&(symbol, Via::Direct)).copied().map(RunAddr),
        };
        match question.answer() {
            Ok(resolution) => resolutions[symbol.0] = resolution,
            Err(error) if error.is_contradiction() || needed.contains(&symbol) => {
                errors.push(error);
            }
            // Only old code, which is compared and not linked, refers to it.
            Err(_) => {}
        }
    }
    for symbol in bundle.needed_constants() {
        match said.get(&(symbol, Via::Direct)) {
            Some(address) => resolutions[symbol.0].address = Some(RunAddr(*address)),
            None => {
                let copy = bundle.symbols[symbol.0].definition;
                let constant = copy.and_then(|copy| bundle.contents(copy));
                let constant = constant.unwrap_or_default().to_vec();
                errors.push(ResolveError::Untold { constant });
            }
        }
    }
    errors.extend(bypassed(bundle, &said, &places, linkage));
    if errors.is_empty() {
        Ok(resolutions)
    } else {
        Err(errors)
    }
}

/// Calls of replaced functions lead to the new code at once, which is wrong where the loader would lead them elsewhere, unless
/// old code calls the function where it is.
fn bypassed(
    bundle: &Bundle,
    said: &HashMap<(SymbolId, Via), u64>,
    places: &HashMap<(SymbolId, Via), u64>,
    linkage: &dyn Linkage,
) -> Vec<ResolveError> {
    let called: BTreeSet<SymbolId> = bundle
        .placed_relocations()
        .filter(|reloc| reloc.kind == RelocKind::Plt32 || reloc.kind.class() == Class::GotSlot)
        .map(|reloc| reloc.symbol)
        .collect();
    let is_bypassed = |function: &&Function| {
        let new = function.new.as_ref().and_then(|new| bundle.symbol(new));
        let running = function.pieces.first();
        let running = running.and_then(|piece| bundle.symbol(&piece.running));
        let branch = running.and_then(|running| said.get(&(running, Via::Branch)));
        let place = running.and_then(|running| places.get(&(running, Via::Direct)));
        function.scope == Scope::Global
            && new.is_some_and(|new| called.contains(&new))
            && (branch.is_none() || branch != place)
            && (linkage.preempted(&function.name) || linkage.wrapped(&function.name))
    };
    let functions = bundle.manifest.functions.iter().filter(is_bypassed);
    functions
        .map(|function| ResolveError::Bypassed {
            symbol: function.name.clone(),
        })
        .collect()
}

struct Question<'a> {
    reference: &'a Reference,
    linkage: &'a dyn Linkage,
    spoken: &'a dyn Fn(Via) -> Option<u64>,
    /// Where the module has the function, if that was matched.
    place: Option<RunAddr>,
}

impl Question<'_> {
    fn answer(&self) -> Result<Resolution, ResolveError> {
        let name = &self.reference.name;
        if self.reference.scope == Scope::Global && !self.is_used() && self.linkage.wrapped(name) {
            let symbol = name.clone();
            return Err(ResolveError::Wrapped { symbol });
        }
        let named = self.only(&self.linkage.named(self.reference))?;
        if named.is_none() && self.is_untold() && self.linkage.may_hide(name) {
            let symbol = name.clone();
            return Err(ResolveError::Namesake { symbol });
        }
        let thread_local =
            self.reference.kind == SymbolKind::Tls || named.is_some_and(|named| named.tls);
        if thread_local || self.speaks_of_tls() {
            Ok(self.tls(named))
        } else {
            self.ordinary(named)
        }
    }

    fn spoken_address(&self, via: Via) -> Option<RunAddr> {
        (self.spoken)(via).map(RunAddr)
    }

    /// Whether running code uses it.
    fn is_used(&self) -> bool {
        let ways = [Via::Direct, Via::Branch, Via::GotSlot, Via::GotRelative];
        self.speaks_of_tls() || ways.iter().any(|&via| (self.spoken)(via).is_some())
    }

    /// Whether another module may have it.
    fn is_shared(&self) -> bool {
        self.reference.scope == Scope::Global && !self.reference.hidden
    }

    /// The module's slots: a local or hidden symbol has none, whatever else has its name.
    fn slots(&self) -> Slots {
        if self.is_shared() {
            self.linkage.slots(&self.reference.name)
        } else {
            Slots::default()
        }
    }

    /// Whether neither running code nor a slot of the module speaks of the global symbol.
    fn is_untold(&self) -> bool {
        self.reference.scope == Scope::Global
            && !self.is_used()
            && self.place.is_none()
            && self.slots() == Slots::default()
    }

    fn speaks_of_tls(&self) -> bool {
        [
            Via::TpOff,
            Via::GotTpOff,
            Via::TlsGd,
            Via::TlsLd,
            Via::DtpOff,
            Via::TlsDesc,
        ]
        .iter()
        .any(|&via| (self.spoken)(via).is_some())
    }

    /// The one definition that is meant: the only one, or the one that running code refers to.
    fn only(&self, named: &[Named]) -> Result<Option<Named>, ResolveError> {
        let spoken = self
            .spoken_address(Via::Direct)
            .or(self.place)
            .or_else(|| self.spoken_address(Via::Branch));
        match (named, spoken) {
            ([], _) => Ok(None),
            ([only], _) => Ok(Some(*only)),
            (_, Some(address)) => Ok(named.iter().find(|named| named.value == address).copied()),
            // Whoever needs it without evidence would have to guess.
            _ if self.reference.scope == Scope::Global => Ok(named.first().copied()),
            _ => Err(ResolveError::Ambiguous {
                symbol: self.reference.name.clone(),
                count: named.len(),
            }),
        }
    }

    fn tls(&self, named: Option<Named>) -> Resolution {
        let slots = self.slots();
        let preempted = self.is_shared() && self.linkage.preempted(&self.reference.name);
        let in_block = named
            .filter(|named| named.tls && !preempted)
            .map(|named| named.value.0.cast_signed());
        let by_table = in_block
            .zip(self.linkage.tls_offset())
            .map(|(value, block)| value.wrapping_add(block));
        let elsewhere = match self.linkage.global(&self.reference.name) {
            Some(Global::Tls(offset)) if in_block.is_none() && self.is_shared() => offset,
            _ => None,
        };
        Resolution {
            tp_offset: (self.spoken)(Via::TpOff)
                .map(u64::cast_signed)
                .or(by_table)
                .or(elsewhere),
            tp_offset_slot: self.spoken_address(Via::GotTpOff).or(slots.tp_offset),
            tls_pair: self.spoken_address(Via::TlsGd).or(slots.tls_pair),
            tls_module_pair: self.spoken_address(Via::TlsLd),
            tls_module: self
                .linkage
                .tls_module()
                .filter(|_| in_block.is_some() || (self.reference.defined && !preempted)),
            dtp_offset: (self.spoken)(Via::DtpOff)
                .map(u64::cast_signed)
                .or(in_block),
            tls_descriptor: self.spoken_address(Via::TlsDesc).or(slots.tls_descriptor),
            size: self.size(),
            ..Resolution::default()
        }
    }

    fn ordinary(&self, named: Option<Named>) -> Result<Resolution, ResolveError> {
        let name = &self.reference.name;
        let slots = self.slots();
        let branch = self.spoken_address(Via::Branch);
        // A call of a function that nobody else can define does not go through the PLT: it leads to the function.
        let final_branch =
            self.reference.defined && (!self.is_shared() || !self.linkage.preemptible(name));
        let direct = self
            .spoken_address(Via::Direct)
            .or(branch.filter(|_| final_branch));
        let table = named.filter(|named| !named.ifunc).map(|named| named.value);
        if let (Some(running), Some(table), true) =
            (direct.or(self.place), table, self.reference.defined)
            && running != table
        {
            return Err(ResolveError::Disagree {
                symbol: name.clone(),
                running,
                table,
            });
        }
        let slot = self.spoken_address(Via::GotSlot).or(slots.address);
        let preempted = self.is_shared() && self.linkage.preempted(name);
        let elsewhere = preempted || self.is_shared() && self.linkage.preemptible(name);
        let own = direct
            .or(slots.copy)
            .or(self.place.filter(|_| !preempted))
            .or(table.filter(|_| !elsewhere));
        let any_slot = slot.or(slots.lazy);
        if let (None, None, None) = (own, any_slot, branch)
            && self.is_shared()
            && let Some(other) = self.linkage.doubtful(name)
        {
            let symbol = name.clone();
            return Err(ResolveError::Doubtful { symbol, other });
        }
        let (mut canonical, mut global) = (None, None);
        if own.is_none() && self.is_shared() {
            let unsure = self.linkage.unsure(name);
            canonical = self.linkage.canonical(name).filter(|_| unsure.is_none());
            if let (Some(other), None) = (unsure, branch.or(any_slot)) {
                let symbol = name.clone();
                return Err(ResolveError::Unseen { symbol, other });
            }
            if let (None, None, Some(other)) = (named, branch.or(any_slot), self.overlooked()) {
                let symbol = name.clone();
                return Err(ResolveError::Overlooked { symbol, other });
            }
            global = self.global(branch.or(any_slot).or(canonical))?;
        }
        if self.reference.weak
            && (own, branch, any_slot) == (None, None, None)
            && (canonical, global) == (None, None)
            && self.linkage.has_all_names()
        {
            // The value of an undefined weak symbol that nobody defines (gABI, "Symbol Table").
            global = Some(RunAddr(0));
        }
        let called = own.or(global).or(canonical);
        Ok(Resolution {
            branch: branch.or_else(|| called.filter(|_| any_slot.is_none() || own.is_some())),
            address: own.or(canonical).or(global).or(self.place).or(table),
            slot,
            lazy_slot: slots.lazy,
            tls_module_pair: self.spoken_address(Via::TlsLd),
            tls_module: self.linkage.tls_module(),
            size: self.size(),
            ..Resolution::default()
        })
    }

    /// The other module that has what may be a nameless part of a stripped one.
    fn overlooked(&self) -> Option<String> {
        let is_stripped = !self.linkage.has_all_names();
        let told = is_stripped.then(|| self.linkage.elsewhere(&self.reference.name));
        let elsewhere = told.flatten()?;
        (self.reference.defined || !elsewhere.is_usual).then_some(elsewhere.module)
    }

    /// The address that the loader's search gives; an unbound IFUNC is an error unless the module has another way.
    fn global(&self, other_way: Option<RunAddr>) -> Result<Option<RunAddr>, ResolveError> {
        match self.linkage.global(&self.reference.name) {
            Some(Global::Address(address) | Global::Ifunc(Some(address))) => Ok(Some(address)),
            Some(Global::Ifunc(None)) if other_way.is_none() => Err(ResolveError::Unbound {
                symbol: self.reference.name.clone(),
            }),
            _ => Ok(None),
        }
    }

    fn size(&self) -> Option<u64> {
        (self.spoken)(Via::Size).or((self.reference.size > 0).then_some(self.reference.size))
    }
}
