//! Functions that the linker folded (`--icf` of gold and lld): different functions of equal code that run at one address.
//!
//! Whoever enters one of them enters all. So each function at the address must be one that is replaced, all by the same new code.
//! Symbol tables tell the names at an address, the old objects which of them are names of one function.

use super::{NameAt, Program, ProveError};
use livepatch_bundle::{
    Bundle, Definition, Function, Reloc, RunAddr, Scope, SectionKind, SymbolId,
};
use std::collections::BTreeSet;

/// Where a function was found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) function: &'a Function,
    pub(super) entry: RunAddr,
    pub(super) is_replaced: bool,
}

/// Every replaced function that shares its code with one that does not change alike.
pub(super) fn folded(
    bundle: &Bundle,
    program: &dyn Program,
    places: &[Place<'_>],
) -> Vec<ProveError> {
    let mut errors = Vec::new();
    for (index, place) in places.iter().enumerate() {
        if !place.is_replaced {
            continue;
        }
        let beside: Vec<&Place<'_>> = places
            .iter()
            .filter(|other| other.entry == place.entry)
            .collect();
        let others = places[index + 1..].iter();
        let mut others = others.filter(|other| other.entry == place.entry);
        let known = others.find(|other| !changes_alike(bundle, place, other));
        let known = known.map(|other| format!("`{}`", other.function.name));
        let other = known.or_else(|| stranger(&program.names_at(place.entry), place, &beside));
        errors.extend(other.map(|other| ProveError::Folded {
            one: place.function.name.clone(),
            other,
            address: place.entry,
        }));
    }
    errors
}

/// Whether what becomes of one function becomes of the other, too.
fn changes_alike(bundle: &Bundle, one: &Place<'_>, other: &Place<'_>) -> bool {
    let is_copy =
        one.function.scope == Scope::Global && one.function.is_called(&other.function.name);
    let new = |place: &Place<'_>| bundle.symbol(place.function.new.as_ref()?);
    let both = new(one).zip(new(other));
    is_copy || both.is_some_and(|(one, other)| Equal::new(bundle).symbols(one, other))
}

/// A name at the place that belongs to none of the functions which the patch knows there.
fn stranger(names: &[NameAt], place: &Place<'_>, beside: &[&Place<'_>]) -> Option<String> {
    let own: Vec<&NameAt> = names
        .iter()
        .filter(|name| place.function.is_called(&name.name))
        .collect();
    let of_nobody = |name: &&NameAt| {
        let mut functions = beside.iter().map(|place| place.function);
        !functions.any(|function| function.is_called(&name.name))
    };
    let others: BTreeSet<&str> = names
        .iter()
        .filter(of_nobody)
        .map(|name| name.name.as_str())
        .collect();
    let first = names.iter().find(of_nobody);
    // A single name that is not its own may be its own in another build, whose names have other hashes.
    let may_be_own = |other: &NameAt| {
        own.is_empty()
            && others.len() == 1
            && !other.is_dynamic
            && other.scope == place.function.scope
    };
    first
        .filter(|other| !may_be_own(other))
        .map(|other| format!("`{}`", other.name))
        .or_else(|| namesake(&own, beside))
}

/// A local function of the same name in another file, which may have a file name of the same last component.
fn namesake(own: &[&NameAt], beside: &[&Place<'_>]) -> Option<String> {
    let last = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    let sources = |source: &Option<String>| source.as_deref().map(last);
    let known: BTreeSet<String> = beside
        .iter()
        .filter_map(|place| sources(&place.function.source))
        .collect();
    let locals = own.iter().filter(|name| name.scope == Scope::Local);
    let (ours, others): (Vec<_>, Vec<_>) = locals
        .filter_map(|name| Some((&name.name, sources(&name.source)?)))
        .partition(|(_, source)| known.contains(source));
    let again = |(at, one): &(usize, &(&String, String))| ours[..*at].contains(one);
    let repeated = ours.iter().enumerate().find(again);
    let other = others.first().or(repeated.map(|(_, one)| one));
    let (name, source) = other.filter(|_| !ours.is_empty())?;
    Some(format!("`{name}` of `{source}`"))
}

/// Compares new code: what it is, and what it leads to.
struct Equal<'a> {
    bundle: &'a Bundle,
    /// Pairs that were compared, or are.
    seen: BTreeSet<(SymbolId, SymbolId)>,
}

impl<'a> Equal<'a> {
    fn new(bundle: &'a Bundle) -> Self {
        Self {
            bundle,
            seen: BTreeSet::new(),
        }
    }

    fn symbols(&mut self, one: SymbolId, other: SymbolId) -> bool {
        if one == other || !self.seen.insert((one, other)) {
            return true;
        }
        let definition = |symbol: SymbolId| self.bundle.symbols[symbol.0].definition;
        match (definition(one), definition(other)) {
            (Some(one), Some(other)) => self.contents(one, other),
            _ => false,
        }
    }

    /// Variables are each like no other, whatever they hold.
    fn contents(&mut self, one: Definition, other: Definition) -> bool {
        let section = |definition: Definition| &self.bundle.sections[definition.section.0];
        let bytes = |definition: Definition| self.bundle.contents(definition);
        let relocs = |definition: Definition| -> Vec<Reloc> {
            let range = definition.offset..definition.offset + definition.size;
            let relocs = section(definition).relocations.iter();
            let inside = relocs.filter(|reloc| range.contains(&reloc.offset));
            inside
                .map(|reloc| Reloc {
                    offset: reloc.offset - range.start,
                    ..*reloc
                })
                .collect()
        };
        let is_constant = matches!(section(one).kind, SectionKind::Code | SectionKind::ReadOnly);
        let (ones, others) = (relocs(one), relocs(other));
        is_constant
            && section(one).kind == section(other).kind
            && bytes(one).is_some()
            && bytes(one) == bytes(other)
            && ones.len() == others.len()
            && ones.into_iter().zip(others).all(|(one, other)| {
                (one.offset, one.kind, one.addend) == (other.offset, other.kind, other.addend)
                    && self.symbols(one.symbol, other.symbol)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(name: &str, scope: Scope) -> Function {
        Function {
            name: name.into(),
            aliases: vec!["same".into()],
            scope,
            object: "f.o".into(),
            source: Some("dir/f.c".into()),
            pieces: vec![],
            new: None,
            reason: String::new(),
        }
    }

    fn at(name: &str, scope: Scope, source: Option<&str>) -> NameAt {
        NameAt {
            name: name.into(),
            scope,
            source: source.map(Into::into),
            is_dynamic: false,
        }
    }

    fn other(names: &[NameAt], scope: Scope) -> Option<String> {
        let function = function("f", scope);
        let place = Place {
            function: &function,
            entry: RunAddr(0x1000),
            is_replaced: true,
        };
        stranger(names, &place, &[&place])
    }

    #[test]
    fn names_of_the_function_itself_are_no_strangers() {
        let own = |name| at(name, Scope::Global, None);
        assert_eq!(other(&[own("f"), own("same")], Scope::Global), None);
        let folded = other(&[own("f"), own("g")], Scope::Global);
        assert_eq!(folded.as_deref(), Some("`g`"));
    }

    #[test]
    fn a_single_other_name_may_be_its_own_in_another_build() {
        let names = [at("f17h0123", Scope::Local, Some("f.c"))];
        assert_eq!(other(&names, Scope::Local), None);
        assert!(other(&names, Scope::Global).is_some());
        let dynamic = [NameAt {
            is_dynamic: true,
            ..names[0].clone()
        }];
        assert!(other(&dynamic, Scope::Local).is_some());
    }

    #[test]
    fn a_local_function_of_another_file_is_another_one() {
        let names = [
            at("f", Scope::Local, Some("f.c")),
            at("f", Scope::Local, Some("g.c")),
        ];
        let found = other(&names, Scope::Local);
        assert_eq!(found.as_deref(), Some("`f` of `g.c`"));
        assert_eq!(other(&names[1..], Scope::Local), None);
        let twice = [names[0].clone(), names[0].clone()];
        let found = other(&twice, Scope::Local);
        assert_eq!(found.as_deref(), Some("`f` of `f.c`"));
    }
}
