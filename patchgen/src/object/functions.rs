//! Functions and the pieces that the compiler split off them.

use super::mapping::Mapping;
use super::names;
use super::raw::SourceId;
use super::{AtomId, AtomKind, Function, Object};
use std::collections::HashMap;

/// Fills in [`Object::functions`] and [`Object::owner`].
pub(super) fn collect(object: &mut Object<'_>) {
    object.owner = Mapping::new(object.atoms.len());
    let is_function = |id: &AtomId| object.atom(*id).kind == AtomKind::Function;
    let code: Vec<AtomId> = object
        .enumerate()
        .map(|(id, _)| id)
        .filter(is_function)
        .collect();
    let mut by_name = HashMap::new();
    let is_cold = |id: &&AtomId| names::cold_parent(object.atom(**id).name).is_some();
    let named = if code.iter().any(|id| is_cold(&id)) {
        &code[..]
    } else {
        &[]
    };
    for id in named {
        let atom = object.atom(*id);
        for name in std::iter::once(atom.name).chain(atom.aliases()) {
            by_name.insert((name, atom.source), *id);
        }
    }
    let parent = |id: AtomId| {
        let atom = object.atom(id);
        let name = names::cold_parent(atom.name)?;
        // A global function's symbol has no source file, its cold piece's has.
        let of_source = by_name.get(&(name, atom.source));
        of_source
            .or_else(|| by_name.get(&(name, SourceId::NONE)))
            .copied()
            .filter(|parent| *parent != id)
    };
    let (cold, entries): (Vec<AtomId>, Vec<AtomId>) =
        code.iter().partition(|id| parent(**id).is_some());
    let parents: Vec<Option<AtomId>> = cold.iter().map(|id| parent(*id)).collect();
    object.functions.reserve_exact(entries.len());
    for entry in entries {
        object.owner.set(entry.0, object.functions.len() as u32);
        object.functions.push(Function::new(entry));
    }
    for (piece, parent) in cold.into_iter().zip(parents) {
        if let Some(function) = parent.and_then(|parent| object.owner(parent)) {
            object.owner.set(piece.0, function.0);
            object.functions[function.0 as usize].add(piece);
        }
    }
}
