//! Where the functions that a patch replaces are in the running kernel.
//!
//! The kernel finds a function by name and position in its symbol table. `patchgen` did the same in the image's, and noted which entry it found. The
//! running kernel has the image's build ID ([`check`](super::check) asks that first), which the linker makes of all that it wrote, the table
//! included: so the table that runs is the image's, and how many symbols there are of a name need not be counted again. What the entry
//! says is read there all the same, and must be that name and an address as far from `_stext` as in the image; and the bytes at the address are
//! compared. If anything is amiss, and for functions of modules, for patches without such notes, and for `--atomic`, which has to know of
//! split-off pieces, the whole table is searched.

use super::kcore::Kcore;
use super::pieces::{Piece, SPLIT_OFF, pieces};
use super::running::Running;
use super::{KernelError, Misfit};
use livepatch_bundle::{KernelFunction, KernelManifest, KernelObject, VMLINUX};
use livepatch_kernel::Kallsyms;
use livepatch_kernel::live::{Wanted, confirmed};
use std::collections::BTreeMap;

/// How places are known.
#[derive(Debug)]
pub(super) enum Places {
    /// By the whole table.
    Table(Kallsyms),
    /// By the entries that the patch names, which were looked at: addresses of the kernel's functions by name and position.
    Entries(BTreeMap<(String, u32), u64>),
}

impl Places {
    /// Finds out what it takes for all functions of a patch of this very kernel.
    ///
    /// # Errors
    /// When the table has to be read and cannot.
    pub(super) fn of(
        manifest: &KernelManifest,
        running: &Running,
        memory: &Kcore,
        atomic: bool,
    ) -> Result<Self, KernelError> {
        let own = manifest.objects.iter().all(|object| object.name == VMLINUX);
        if own
            && !atomic
            && let Some(entries) = entries(manifest, memory)
        {
            return Ok(Self::Entries(entries));
        }
        let wanted = Wanted {
            names: functions(manifest)
                .map(|function| function.name.as_str())
                .collect(),
            suffix: Some(SPLIT_OFF),
        };
        let symbols = match own {
            true => running.own_symbols(memory, &wanted),
            false => running.symbols(&wanted),
        };
        Ok(Self::Table(symbols?))
    }

    /// The address at which the kernel will find a function.
    ///
    /// # Errors
    /// When there is none of its name, or one too many.
    pub(super) fn address(
        &self,
        object: &KernelObject,
        function: &KernelFunction,
    ) -> Result<u64, Misfit> {
        match self {
            Self::Table(symbols) => by_name(symbols, object, function),
            Self::Entries(entries) => {
                let name = function.name.clone();
                let found = entries.get(&(name.clone(), function.sympos));
                found.copied().ok_or_else(|| Misfit::NoFunction {
                    object: shown(object),
                    name,
                })
            }
        }
    }

    /// The pieces that the compiler split off a function, as far as they are known.
    pub(super) fn pieces(&self, object: &str, name: &str) -> Vec<Piece> {
        match self {
            Self::Table(symbols) => pieces(symbols, object, name),
            Self::Entries(_) => Vec::new(),
        }
    }
}

fn functions(manifest: &KernelManifest) -> impl Iterator<Item = &KernelFunction> {
    manifest.objects.iter().flat_map(|object| &object.functions)
}

/// Looks at the entries that a patch names; `None` unless all of them are as it says.
fn entries(manifest: &KernelManifest, memory: &Kcore) -> Option<BTreeMap<(String, u32), u64>> {
    let named = functions(manifest).map(|function| Some((function.name.as_str(), function.place?)));
    let named: Vec<_> = named.collect::<Option<_>>()?;
    let read = |address, length| memory.read(address, length);
    let addresses = confirmed(&memory.notes()?, &read, &named)?;
    let keys = functions(manifest).map(|function| (function.name.clone(), function.sympos));
    Some(keys.zip(addresses).collect())
}

fn by_name(
    symbols: &Kallsyms,
    object: &KernelObject,
    function: &KernelFunction,
) -> Result<u64, Misfit> {
    let name = function.name.clone();
    let module = (object.name != VMLINUX).then_some(object.name.as_str());
    let candidates: Vec<_> = symbols.named(&name, module).collect();
    let object = shown(object);
    let chosen = match function.sympos {
        0 if candidates.len() > 1 => {
            let count = candidates.len();
            return Err(Misfit::Ambiguous {
                object,
                name,
                count,
            });
        }
        position => candidates.get(position.saturating_sub(1) as usize),
    };
    match chosen {
        Some(symbol) => Ok(symbol.address),
        None => Err(Misfit::NoFunction { object, name }),
    }
}

/// An object as messages call it.
pub(super) fn shown(object: &KernelObject) -> String {
    match object.name.as_str() {
        VMLINUX => "the kernel".into(),
        module => format!("module `{module}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KALLSYMS: &str = "ffffffff81000000 T once\nffffffff81000100 t twice\nffffffff81000200 t twice\n\
                            ffffffffc0000000 t once\t[nfsd]\n";

    /// The address that is found.
    fn found(object: &str, name: &str, sympos: u32) -> Result<u64, Misfit> {
        let symbols = Kallsyms::parse(KALLSYMS).expect("well-formed");
        let (object, function) = (object_of(object), function(name, sympos));
        Places::Table(symbols).address(&object, &function)
    }

    fn object_of(name: &str) -> KernelObject {
        KernelObject {
            name: name.into(),
            build_id: None,
            functions: Vec::new(),
        }
    }

    fn function(name: &str, sympos: u32) -> KernelFunction {
        KernelFunction {
            name: name.into(),
            sympos,
            place: None,
            new: name.into(),
            reason: String::new(),
            code: vec![0x90, 0xc3],
            fixups: Vec::new(),
        }
    }

    #[test]
    fn a_function_is_found_as_the_kernel_finds_it() {
        let kernel = 0xffff_ffff_8100_0000;
        assert_eq!(found(VMLINUX, "once", 0), Ok(kernel));
        assert_eq!(found(VMLINUX, "once", 1), Ok(kernel));
        assert_eq!(found(VMLINUX, "twice", 2), Ok(kernel + 0x200));
        assert_eq!(found("nfsd", "once", 0), Ok(0xffff_ffff_c000_0000));
    }

    #[test]
    fn doubt_is_a_reason() {
        let ambiguous = found(VMLINUX, "twice", 0);
        assert!(matches!(ambiguous, Err(Misfit::Ambiguous { count: 2, .. })));
        for (name, sympos) in [("never", 0), ("twice", 3)] {
            let missing = found(VMLINUX, name, sympos);
            assert!(
                matches!(missing, Err(Misfit::NoFunction { .. })),
                "{missing:?}"
            );
        }
    }

    #[test]
    fn an_entry_is_of_a_name_and_a_position() {
        let entries = BTreeMap::from([(("f".to_owned(), 3), 0xffff_ffff_8100_0230)]);
        let places = Places::Entries(entries);
        let at = |name, position| {
            places
                .address(&object_of(VMLINUX), &function(name, position))
                .ok()
        };
        assert_eq!(at("f", 3), Some(0xffff_ffff_8100_0230));
        assert_eq!((at("f", 2), at("g", 3)), (None, None));
    }
}
