//! The manifest of a patch for the kernel.

use super::code::Code;
use super::running::Place;
use super::symbols::{Outside, running};
use super::{KernelOptions, checks};
use crate::closure::Replacement;
use crate::object::{Attached, Object, traced_at};
use crate::refusal::Refusal;
use livepatch_bundle::{
    Fixup, FixupKind, KERNEL_KIND, KERNEL_SCHEMA, KernelFunction, KernelManifest, KernelObject,
};
use livepatch_kernel::Kernel;

/// A call's bytes.
const CALL: u64 = 5;
const ENDBR: [u8; 4] = [0xf3, 0x0f, 0x1e, 0xfa];

/// What the patch is for and does. Parts that nothing changed in are no part of it.
///
/// # Errors
/// Functions that cannot be named to the kernel.
pub(super) fn of(
    codes: &[Code<'_, '_>],
    options: &KernelOptions,
    module: &str,
    kernel: Option<&Kernel>,
) -> Result<KernelManifest, Vec<Refusal>> {
    let (mut objects, mut refusals) = (Vec::new(), Vec::new());
    for code in codes.iter().filter(|code| !code.closure.carried.is_empty()) {
        match object(code) {
            Ok(object) => objects.push(object),
            Err(more) => refusals.extend(more),
        }
    }
    if !refusals.is_empty() {
        return Err(refusals);
    }
    let warnings = codes
        .iter()
        .flat_map(|code| checks::warnings(code.program, code.closure));
    Ok(KernelManifest {
        schema: KERNEL_SCHEMA,
        kind: KERNEL_KIND.to_owned(),
        tool: concat!("patchgen ", env!("CARGO_PKG_VERSION")).to_owned(),
        name: options.labels.name.clone(),
        module: module.to_owned(),
        description: options.labels.description.clone(),
        release: kernel.map_or_else(String::new, |kernel| kernel.release.clone()),
        build_id: kernel.map(|kernel| kernel.build_id.clone()),
        replace: options.replace,
        supersedes: options.labels.supersedes.clone(),
        objects,
        warnings: warnings.collect(),
    })
}

/// The kernel or a module with its changed functions.
fn object(code: &Code<'_, '_>) -> Result<KernelObject, Vec<Refusal>> {
    let (mut functions, mut refusals) = (Vec::new(), Vec::new());
    for replaced in &code.closure.replaced {
        match function(code, replaced) {
            Ok(function) => functions.push(function),
            Err(reason) => refusals.push(Refusal::new(code.program, replaced.new, reason)),
        }
    }
    if !refusals.is_empty() {
        return Err(refusals);
    }
    Ok(KernelObject {
        name: code.host.object().to_owned(),
        build_id: code.host.module.and_then(|(_, file)| file.build_id.clone()),
        functions,
    })
}

fn function(code: &Code<'_, '_>, replaced: &Replacement) -> Result<KernelFunction, String> {
    let object = &code.program.units[replaced.old.unit].pair.old;
    let atom = object.atom(replaced.old.atom);
    let sympos = match running(code.host, code.program, replaced.old)? {
        Outside::Livepatch { position, .. } => position,
        // Exported names are unique among global ones, not among all.
        Outside::Exported { name, .. } => exported_position(code, &name)?,
    };
    let kernel = code.host.kernel.filter(|_| code.host.module.is_none());
    Ok(KernelFunction {
        name: atom.name.to_owned(),
        sympos,
        place: kernel.and_then(|kernel| kernel.symbols.place(atom.name, sympos)),
        new: atom.name.to_owned(),
        reason: replaced.reason.clone(),
        code: running_code(code, replaced).unwrap_or_else(|| atom.bytes.to_vec()),
        fixups: match code.host.running.places.get(&replaced.old) {
            Some(place) => laid_out(place, fixups(object, replaced)),
            None => fixups(object, replaced),
        },
    })
}

/// The function's code in the kernel's image, where it is laid out otherwise than in the object.
fn running_code(code: &Code<'_, '_>, replaced: &Replacement) -> Option<Vec<u8>> {
    let place = code.host.running.places.get(&replaced.old)?;
    let kernel = code.host.kernel.filter(|_| place.instructions.is_some())?;
    let len = usize::try_from(place.size).ok()?;
    Some(kernel.image.bytes(place.address, len)?.to_vec())
}

/// The fixups where the code runs: of instructions with other lengths the whole instruction.
fn laid_out(place: &Place, fixups: Vec<Fixup>) -> Vec<Fixup> {
    let Some(instructions) = &place.instructions else {
        return fixups;
    };
    let index = |offset: u64| instructions.partition_point(|pair| pair.0 <= offset);
    let moved = fixups.into_iter().filter_map(|fixup| {
        let first = instructions.get(index(fixup.offset).checked_sub(1)?)?.1;
        let after = instructions.get(index(fixup.offset + fixup.size - 1));
        let end = after.map_or(place.size, |pair| pair.1);
        Some(Fixup {
            offset: first,
            size: end.checked_sub(first)?,
            ..fixup
        })
    });
    merged(moved.collect())
}

fn exported_position(code: &Code<'_, '_>, name: &str) -> Result<u32, String> {
    let Some(kernel) = code.host.kernel else {
        return Ok(0);
    };
    let named: Vec<_> = kernel.symbols.named(name, None).collect();
    let global = named.iter().position(|symbol| symbol.is_global());
    match (named.len(), global) {
        (1, _) => Ok(0),
        (_, Some(index)) => u32::try_from(index + 1).map_err(|_| "too many symbols".to_owned()),
        _ => Err(format!(
            "kernel `{}` has no function of this name",
            kernel.release
        )),
    }
}

/// Where the running function may have other bytes than the object file.
fn fixups(object: &Object<'_>, replaced: &Replacement) -> Vec<Fixup> {
    let id = replaced.old.atom;
    let atom = object.atom(id);
    let mut all: Vec<Fixup> = object
        .attached(id)
        .iter()
        .filter_map(|entry| rewritten(entry, atom.bytes))
        .collect();
    if atom.bytes.starts_with(&ENDBR) {
        all.push(fixup(0, ENDBR.len() as u64, FixupKind::Endbr));
    }
    if let Some(at) = traced_at(object, id) {
        all.push(fixup(at, CALL, FixupKind::Fentry));
    }
    all.extend(atom.links.iter().map(|link| Fixup {
        symbol: Some(object.label(link.target)),
        ..fixup(
            link.offset(),
            link.kind.width() as u64,
            FixupKind::Relocation,
        )
    }));
    let end = atom.bytes.len() as u64;
    all.retain(|one| one.size > 0 && one.offset.saturating_add(one.size) <= end);
    merged(all)
}

fn fixup(offset: u64, size: u64, kind: FixupKind) -> Fixup {
    Fixup {
        offset,
        size,
        kind,
        symbol: None,
    }
}

fn rewritten(entry: &Attached<'_>, code: &[u8]) -> Option<Fixup> {
    let kind = match entry.table.name {
        ".altinstructions" | ".parainstructions" => FixupKind::Alternative,
        "__jump_table" => FixupKind::StaticBranch,
        ".static_call_sites" => FixupKind::StaticCall,
        ".smp_locks" => FixupKind::Lock,
        ".retpoline_sites" => FixupKind::Retpoline,
        ".return_sites" => FixupKind::Return,
        ".call_sites" => FixupKind::Call,
        name if name.starts_with("runtime_") => FixupKind::Constant,
        _ => return None,
    };
    let offset = u64::try_from(entry.at).ok()?;
    Some(fixup(offset, entry.rewritten(code), kind))
}

/// The fixups apart from each other: those that overlap become one of the kind that is more than a relocation.
fn merged(mut all: Vec<Fixup>) -> Vec<Fixup> {
    all.sort_by_key(|one| (one.offset, one.kind == FixupKind::Relocation));
    let mut apart: Vec<Fixup> = Vec::new();
    for one in all {
        match apart.last_mut() {
            Some(last) if one.offset < last.offset + last.size => {
                let end = (one.offset + one.size).max(last.offset + last.size);
                last.size = end - last.offset;
                if last.kind == FixupKind::Relocation {
                    last.kind = one.kind;
                }
                last.symbol = last.symbol.take().or(one.symbol);
            }
            _ => apart.push(one),
        }
    }
    apart
}
