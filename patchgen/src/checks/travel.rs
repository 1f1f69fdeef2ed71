//! What speaks against carrying an atom, or replacing a function.

use crate::emit::shorts;
use crate::escape;
use crate::object::{AtomId, AtomKind, Link, Object, Role, btf_ids, code_view};
use crate::program::{NewAtom, OldAtom, Program};
use crate::refusal::Refusal;
use crate::types;
use livepatch_match::falls_through;
use std::cell::OnceCell;

const RUNS_OFF: &str = "its code runs on past its end";

/// What speaks against carrying an atom.
pub(super) fn carried(program: &Program<'_>, new: NewAtom) -> Vec<Refusal> {
    let object = &program.units[new.unit].pair.new;
    let atom = object.atom(new.atom);
    let refusal = |reason: String| Refusal::new(program, new, reason);
    let mut found: Vec<Refusal> = atom
        .flaws()
        .iter()
        .map(|flaw| refusal(flaw.clone()))
        .collect();
    if let Err(at) = shorts::code(atom) {
        found.push(refusal(format!(
            "the short jump at +{at:#x} cannot be made longer"
        )));
    }
    if let Some(flaw) = object.frame(new.atom).and_then(|frame| frame.flaw) {
        found.push(refusal(flaw.to_owned()));
    }
    if atom.kind == AtomKind::Function
        && let Some((label, at)) = atom.labels().first()
    {
        found.push(refusal(format!(
            "assembly code defines `{label}` inside it, at +{at:#x}"
        )));
    }
    if atom.kind == AtomKind::Function {
        found.extend(runs_off(object, new.atom).map(refusal));
    }
    let section = &object.sections[atom.section()];
    if !atom.kind.is_code() && !is_ordinary_section(section.name) {
        found.push(refusal(strange(section.name)));
    }
    found
}

fn strange(section: &str) -> String {
    if section == btf_ids::SECTION {
        return "it is a new or changed list of BTF numbers, which only the kernel's build fills in (`.BTF_ids`)".to_owned();
    }
    format!("new data in section `{section}`, whose meaning is not known")
}

/// Whether control may go on from the last instruction into what followed in the object file and does not in the patch.
fn runs_off(object: &Object<'_>, id: AtomId) -> Option<String> {
    let atom = object.atom(id);
    let past = |link: &Link| {
        link.target == id && link.site.role == Role::Jump && link.at() == atom.size.cast_signed()
    };
    if atom.references().any(past) {
        return Some(RUNS_OFF.to_owned());
    }
    let fields = code_view::fields(atom, id);
    match falls_through(&code_view::code(atom.bytes, &fields)) {
        Ok(false) => None,
        Ok(true) => Some(RUNS_OFF.to_owned()),
        // What cannot be decoded is a flaw already.
        Err(error) => atom.flaws().is_empty().then(|| error.to_string()),
    }
}

/// What speaks against replacing a function.
pub(super) fn replaced(program: &Program<'_>, old: OldAtom, new: NewAtom) -> Vec<Refusal> {
    let object = &program.units[old.unit].pair.old;
    let mut reasons = Vec::new();
    let owner = object.owner(old.atom);
    for piece in owner
        .iter()
        .flat_map(|owner| object.function(*owner).pieces())
    {
        let atom = object.atom(piece);
        reasons.extend(
            atom.flaws()
                .iter()
                .map(|flaw| format!("in the old code, {flaw}")),
        );
        if let Some((label, at)) = atom.labels().first() {
            reasons.push(format!(
                "in the old code, assembly defines `{label}` inside it, at +{at:#x}"
            ));
        }
        if atom.indirect {
            reasons.push("a changed indirect function (STT_GNU_IFUNC) is not supported".to_owned());
        }
        if atom.size == 0 {
            reasons.push("the old function has no code".to_owned());
        }
    }
    reasons.extend(kept_label(object, old.atom));
    reasons
        .into_iter()
        .map(|reason| Refusal::new(program, new, reason))
        .collect()
}

/// A label of a function that live data may have: code would be entered there that is no longer in force.
fn kept_label(object: &Object<'_>, entry: AtomId) -> Option<String> {
    let owner = object.owner(entry).filter(|_| !object.is_kernel)?;
    let pieces: Vec<AtomId> = object.function(owner).pieces().collect();
    let types = OnceCell::new();
    let two = |name: &str| {
        let types = types.get_or_init(|| types::read(object).ok());
        types.as_ref()?.returns_two_registers(name)
    };
    let mut kept = pieces
        .iter()
        .filter_map(|piece| escape::kept_label(object, *piece, &pieces, &two));
    let (at, place) = kept.next()?;
    Some(format!(
        "it keeps the address of one of its labels (+{place:#x}, taken at +{at:#x}): live data may lead back into old code"
    ))
}

/// Whether the linker gives sections of this name no meaning of its own (`__start_NAME`, tables of all objects).
fn is_ordinary_section(name: &str) -> bool {
    let families = [
        ".text",
        ".data",
        ".bss",
        ".rodata",
        ".lrodata",
        ".ldata",
        ".lbss",
        ".sdata",
        ".tm_clone_table",
        ".livepatch.shadow",
        // Descriptors of `pr_debug`, which the kernel knows in modules, too.
        "__dyndbg",
        "__verbose",
        ".gcc_except_table",
    ];
    families.iter().any(|family| {
        name.strip_prefix(family)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}
