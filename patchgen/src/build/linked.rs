//! Which of the objects that a linker read are in what it wrote: of an archive's members, those that were needed.

use super::pairs::Paired;
use super::record::Link;
use crate::object::raw::{self, Place, Symbol};
use crate::target::Image;
use object::elf;
use std::fs;
use std::path::Path;

/// Leaves out changed members of archives that the old build's output does not have.
pub(super) fn keep_linked(pairs: &mut Vec<Paired<'_>>, link: &Link, output: &Path, store: &Path) {
    let in_archive = |pair: &Paired<'_>| {
        let member = pair.old.and_then(|old| old.member.as_ref());
        pair.is_changed() && member.is_some()
    };
    if !link.inputs.iter().any(|input| input.member.is_some()) || !pairs.iter().any(in_archive) {
        return;
    }
    let Ok(image) = Image::read(output) else {
        return;
    };
    pairs.retain(|pair| {
        let old = pair.old.filter(|_| in_archive(pair));
        let bytes = old.and_then(|old| fs::read(store.join(&old.digest)).ok());
        bytes.is_none_or(|bytes| has(&image, &bytes))
    });
}

/// Whether a linked file has a member of an archive, as far as its symbols tell.
fn has(image: &Image, member: &[u8]) -> bool {
    let Ok(tables) = raw::read(member) else {
        return true;
    };
    let definitions = || tables.symbols.iter().filter(is_definition);
    let told = !image.stripped && definitions().next().is_some();
    !told || definitions().any(|symbol| !image.definitions(symbol.name).is_empty())
}

/// Whether other objects may need the symbol.
fn is_definition(symbol: &Symbol<'_>) -> bool {
    let here = matches!(symbol.place, Place::Section(_) | Place::Common);
    here && symbol.bind != elf::STB_LOCAL
}
