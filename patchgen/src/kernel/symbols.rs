//! What new code refers to, as the module loader and the livepatch core shall find it.

use super::file::{File, Sym};
use super::running::{Running, position};
use crate::object::AtomKind;
use crate::program::{OldAtom, Program};
use livepatch_bundle::VMLINUX;
use livepatch_kernel::{Kernel, KernelSymbol, ModuleFile};
use std::collections::BTreeSet;

/// The kernel that a patch is made for, and the module in it.
#[derive(Debug)]
pub(super) struct Host<'k> {
    /// `None` for a mere difference of objects.
    pub kernel: Option<&'k Kernel>,
    pub running: Running,
    /// The patched module's name and file; `None` for the kernel itself.
    pub module: Option<(&'k str, &'k ModuleFile)>,
}

impl Host<'_> {
    /// What the patched object is called.
    pub(super) fn object(&self) -> &str {
        self.module.map_or(VMLINUX, |(name, _)| name)
    }
}

/// A symbol outside of the patch.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outside {
    /// Exported: found by name, checked by CRC.
    Exported {
        name: String,
        /// The namespace to import; empty for none.
        namespace: String,
    },
    /// Found by the livepatch core in `object`, for relocations that are applied when the patched object is there.
    Livepatch {
        object: String,
        name: String,
        position: u32,
    },
}

impl Outside {
    /// Enters the symbol; `patched` is the object whose code refers to it.
    pub(super) fn enter(&self, file: &mut File, patched: &str) -> Sym {
        match self {
            Self::Exported { name, .. } => file.undefined(name),
            Self::Livepatch {
                object,
                name,
                position,
            } => file.livepatch(&format!(".klp.sym.{object}.{name},{position}"), patched),
        }
    }

    /// Whether it is a symbol of a module, which may not be loaded when the patch is.
    pub(super) fn is_late(&self) -> bool {
        matches!(self, Self::Livepatch { object, .. } if object != VMLINUX)
    }
}

/// A symbol that no given object defines; an error says why it cannot be had.
pub(super) fn external(host: &Host<'_>, name: &str) -> Result<Outside, String> {
    let Some(kernel) = host.kernel else {
        return Ok(Outside::Exported {
            name: name.to_owned(),
            namespace: String::new(),
        });
    };
    if let Some(export) = kernel.symvers.get(name) {
        if let Some((module, file)) = host.module
            && export.gpl
            && !file.is_gpl
        {
            return Err(format!(
                "`{name}` is exported to modules under the GPL alone, which `{module}` is not"
            ));
        }
        if export.owner == VMLINUX {
            return Ok(Outside::Exported {
                name: name.to_owned(),
                namespace: export.namespace.clone(),
            });
        }
        if host.module.is_none() {
            return Err(format!(
                "`{name}` is exported by the module `{}`, which the kernel itself cannot use",
                export.owner
            ));
        }
        return Ok(Outside::Livepatch {
            object: export.owner.clone(),
            name: name.to_owned(),
            position: 0,
        });
    }
    match host.module {
        Some((module, file)) => of_module((module, file), name, None),
        None => of_kernel(kernel, name),
    }
}

/// A global symbol of the kernel that is not exported.
fn of_kernel(kernel: &Kernel, name: &str) -> Result<Outside, String> {
    let symbols = &kernel.symbols;
    let all: Vec<&KernelSymbol> = symbols.named(name, None).collect();
    let global: Vec<&KernelSymbol> = all.iter().copied().filter(|s| s.is_global()).collect();
    match (&all[..], &global[..]) {
        ([], _) => Err(format!(
            "kernel `{}` has no symbol `{name}`",
            kernel.release
        )),
        ([one], _) | (_, [one]) => in_kernel(kernel, one),
        _ => Err(several(name)),
    }
}

fn in_kernel(kernel: &Kernel, symbol: &KernelSymbol) -> Result<Outside, String> {
    let position = position(&kernel.symbols, symbol);
    Ok(Outside::Livepatch {
        object: VMLINUX.to_owned(),
        name: symbol.name.clone(),
        position: position.ok_or_else(|| several(&symbol.name))?,
    })
}

fn several(name: &str) -> String {
    format!("several symbols are called `{name}`, and it cannot be told which one is meant")
}

/// Something of the old objects, where it runs.
pub(super) fn running(
    host: &Host<'_>,
    program: &Program<'_>,
    old: OldAtom,
) -> Result<Outside, String> {
    let object = &program.units[old.unit].pair.old;
    let atom = object.atom(old.atom);
    if atom.name.is_empty() {
        let label = object.label(old.atom);
        return Err(format!(
            "`{label}` has no name in the kernel's symbol table"
        ));
    }
    let Some(kernel) = host.kernel else {
        return Ok(Outside::Livepatch {
            object: host.object().to_owned(),
            name: atom.name.to_owned(),
            position: 0,
        });
    };
    let exported = atom.globals().find_map(|name| {
        let export = kernel.symvers.get(name)?;
        (export.owner == host.object()).then_some((name, export))
    });
    if let (Some((name, export)), None) = (exported, host.module) {
        return Ok(Outside::Exported {
            name: name.to_owned(),
            namespace: export.namespace.clone(),
        });
    }
    if let Some(module) = host.module {
        return of_module(module, atom.name, object.source(atom));
    }
    let named: Vec<&KernelSymbol> = kernel.symbols.named(atom.name, None).collect();
    let place = host.running.place(old);
    let contradicted = host
        .running
        .told
        .get(&old)
        .is_some_and(|told| told.len() > 1);
    let found: Vec<_> = named
        .iter()
        .filter(|symbol| place.is_none_or(|place| place.0 == symbol.address))
        .collect();
    let function = atom.kind == AtomKind::Function;
    match found[..] {
        _ if contradicted => Err(several(atom.name)),
        [one] => in_kernel(kernel, one),
        [] if named.is_empty() => Err(format!(
            "kernel `{}` has no symbol `{}`",
            kernel.release, atom.name
        )),
        [] => Err(format!(
            "`{}` is not where the kernel's code refers to it",
            atom.name
        )),
        _ if function && place.is_none() => Err(format!(
            "several functions are called `{}`, and none of them alone has the old code",
            atom.name
        )),
        _ => Err(several(atom.name)),
    }
}

/// A symbol that a module has in its symbol table.
fn of_module(
    (module, file): (&str, &ModuleFile),
    name: &str,
    source: Option<&str>,
) -> Result<Outside, String> {
    let named: Vec<_> = file.named(name).collect();
    let own = |index: &usize| source.is_none() || named[*index].source.as_deref() == source;
    let fitting: Vec<usize> = (0..named.len()).filter(own).collect();
    let index = match (&fitting[..], named.len()) {
        (_, 0) => return Err(format!("module `{module}` has no symbol `{name}`")),
        (_, 1) => 0,
        ([index], _) => index + 1,
        _ => return Err(several(name)),
    };
    Ok(Outside::Livepatch {
        object: module.to_owned(),
        name: name.to_owned(),
        position: u32::try_from(index).map_err(|_| several(name))?,
    })
}

/// The namespaces that a patch must import.
pub(super) fn namespaces<'o>(outside: impl Iterator<Item = &'o Outside>) -> BTreeSet<&'o str> {
    let names = outside.filter_map(|one| match one {
        Outside::Exported { namespace, .. } => Some(namespace.as_str()),
        Outside::Livepatch { .. } => None,
    });
    names.filter(|name| !name.is_empty()).collect()
}
