//! A patch's module for a kernel without livepatch core.
//!
//! What the module refers to and the kernel does not export is filled in by the core, by these marks:
//!
//! ```text
//! symbol .klp.sym.OBJECT.NAME,POSITION     st_shndx = SHN_LIVEPATCH
//! section .klp.rela.OBJECT.SECTION         sh_flags & SHF_RELA_LIVEPATCH
//! ```
//!
//! Without the marks both are ordinary: here the symbols get the addresses that they have in the running kernel.

use super::elf::Module;
use livepatch_bundle::VMLINUX;
use livepatch_kernel::Kallsyms;
use object::LittleEndian as LE;
use object::elf;
use object::read::elf::{FileHeader as _, SectionHeader as _, Sym as _};

const SHF_RELA_LIVEPATCH: u64 = 0x0010_0000;
const SHN_LIVEPATCH: u16 = 0xff20;
const PREFIX: &str = ".klp.sym.";
/// Sizes of entries in the tables of an ELF file, and where in them is what is changed.
const HEADER: usize = 64;
const FLAGS: usize = 8;
const SYMBOL: usize = 24;
const SECTION: usize = 6;
const VALUE: usize = 8;

/// A symbol that the livepatch core would fill in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unexported {
    index: usize,
    /// Its name.
    pub name: String,
    /// Its position among those of its name, from 1; 0: there is one.
    position: usize,
}

/// The symbols that have to be found, for a module without references to other modules.
///
/// # Errors
/// Names that say nothing of the kernel itself.
pub fn unexported(module: &Module<'_>) -> Result<Vec<Unexported>, String> {
    let all = module.symbols.iter().enumerate();
    let marked = all.filter(|(_, symbol)| symbol.st_shndx(LE).0 == SHN_LIVEPATCH);
    marked
        .map(|(index, symbol)| {
            let name = module.symbols.symbol_name(LE, symbol).unwrap_or_default();
            let name = String::from_utf8_lossy(name);
            parse(index, &name).ok_or_else(|| format!("cannot make out the symbol `{name}`"))
        })
        .collect()
}

fn parse(index: usize, name: &str) -> Option<Unexported> {
    let (object, rest) = name.strip_prefix(PREFIX)?.split_once('.')?;
    let (name, position) = rest.split_once(',')?;
    let position = position.parse().ok()?;
    (object == VMLINUX).then(|| Unexported {
        index,
        name: name.to_owned(),
        position,
    })
}

/// A copy of the module in which those symbols have their addresses.
///
/// # Errors
/// When one is not to be found, or the file is not laid out as it says.
pub fn filled_in(
    module: &Module<'_>,
    wanted: &[Unexported],
    symbols: &Kallsyms,
) -> Result<Vec<u8>, String> {
    let mut bytes = module.bytes.to_vec();
    let table = module.sections.section(module.symbols.section());
    let table = table.map_err(|_| "has no symbols".to_owned())?;
    for symbol in wanted {
        let address = address_of(symbol, symbols)?;
        let at = place(table.sh_offset(LE), symbol.index, SYMBOL)?;
        put(&mut bytes, at, SECTION, &elf::SHN_ABS.0.to_le_bytes())?;
        put(&mut bytes, at, VALUE, &address.to_le_bytes())?;
    }
    let header = elf::FileHeader64::<LE>::parse(module.bytes);
    let headers = header.map_err(|_| "has no header".to_owned())?.e_shoff(LE);
    for (index, section) in module.sections.iter().enumerate() {
        let flags = section.sh_flags(LE).0;
        if flags & SHF_RELA_LIVEPATCH != 0 {
            let flags = flags & !SHF_RELA_LIVEPATCH;
            let at = place(headers, index, HEADER)?;
            put(&mut bytes, at, FLAGS, &flags.to_le_bytes())?;
        }
    }
    Ok(bytes)
}

/// As the livepatch core finds it: by position among those of its name, or the only one.
fn address_of(wanted: &Unexported, symbols: &Kallsyms) -> Result<u64, String> {
    let found: Vec<_> = symbols.named(&wanted.name, None).collect();
    let chosen = match (wanted.position, found.as_slice()) {
        (0, [one]) => Some(one),
        (0, _) => None,
        (position, all) => all.get(position - 1),
    };
    chosen.map(|symbol| symbol.address).ok_or_else(|| {
        let (name, count) = (&wanted.name, found.len());
        format!("refers to `{name}`, of which the kernel has {count}")
    })
}

fn place(table: u64, index: usize, size: usize) -> Result<usize, String> {
    let table = usize::try_from(table).ok();
    let place = index.checked_mul(size).zip(table);
    place
        .and_then(|(offset, table)| table.checked_add(offset))
        .ok_or_else(|| "has a table that ends nowhere".to_owned())
}

fn put(bytes: &mut [u8], at: usize, offset: usize, value: &[u8]) -> Result<(), String> {
    let start = at.checked_add(offset);
    let end = start.and_then(|start| start.checked_add(value.len()));
    let field = start
        .zip(end)
        .and_then(|(start, end)| bytes.get_mut(start..end));
    let field = field.ok_or_else(|| "has a table that is cut off".to_owned())?;
    field.copy_from_slice(value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KALLSYMS: &str = "ffffffff81000000 T once\nffffffff81000100 t twice\nffffffff81000200 t twice\n\
                            ffffffffc0000000 t once\t[nfsd]\n";

    fn found(text: &str) -> Option<Result<u64, String>> {
        let symbols = Kallsyms::parse(KALLSYMS).expect("well-formed");
        Some(address_of(&parse(7, text)?, &symbols))
    }

    #[test]
    fn symbols_are_found_as_the_core_finds_them() {
        let once = found(".klp.sym.vmlinux.once,0");
        assert_eq!(once, Some(Ok(0xffff_ffff_8100_0000)));
        let second = found(".klp.sym.vmlinux.twice,2");
        assert_eq!(second, Some(Ok(0xffff_ffff_8100_0200)));
    }

    #[test]
    fn doubt_is_an_error() {
        for name in ["twice,0", "twice,3", "never,0", "never,1"] {
            let found = found(&format!(".klp.sym.vmlinux.{name}"));
            assert!(matches!(found, Some(Err(_))), "{name}: {found:?}");
        }
        for name in [".klp.sym.nfsd.once,0", ".klp.sym.vmlinux.once", "once"] {
            assert_eq!(found(name), None, "{name}");
        }
    }

    #[test]
    fn nothing_is_written_outside() {
        let mut bytes = [0; 8];
        assert!(put(&mut bytes, 6, 0, &[1, 2]).is_ok());
        assert!(put(&mut bytes, 7, 0, &[1, 2]).is_err());
        assert!(put(&mut bytes, usize::MAX, 1, &[1]).is_err());
        assert!(place(u64::MAX, 1, SYMBOL).is_err());
    }
}
