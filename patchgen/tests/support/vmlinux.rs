//! A kernel's image, as small as one can be: symbol table, types, build ID, code.

use super::kernel_flags;
use object::{Object as _, ObjectSection as _, ObjectSymbol as _, RelocationTarget, SymbolKind};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Where the code begins.
const TEXT: u64 = 0xffff_ffff_8100_0000;
/// Where variables begin; nothing is there in the file.
const DATA: u64 = 0xffff_ffff_8200_0000;

/// A structure: its name, size, and members with their offsets.
type Structure = (&'static str, u32, Vec<(&'static str, u32)>);

/// A kernel that is made of object files.
pub(crate) struct Vmlinux {
    pub(crate) release: String,
    /// Symbols beside those of the objects: name and kind.
    pub(crate) others: Vec<(&'static str, char)>,
    /// Structures with their size and members.
    pub(crate) types: Vec<Structure>,
    /// Lines of `Module.symvers`: name and namespace.
    pub(crate) exports: Vec<(&'static str, &'static str)>,
}

impl Default for Vmlinux {
    fn default() -> Self {
        Self {
            release: "6.1.0-test".to_owned(),
            others: vec![
                ("klp_enable_patch", 'T'),
                ("__fentry__", 'T'),
                ("value", 'T'),
                ("use", 'T'),
                ("hidden", 'T'),
            ],
            types: vec![
                (
                    "module",
                    256,
                    vec![("name", 24), ("init", 128), ("exit", 200)],
                ),
                (
                    "klp_patch",
                    64,
                    vec![("mod", 0), ("objs", 8), ("replace", 24)],
                ),
                (
                    "klp_object",
                    80,
                    vec![("name", 0), ("funcs", 8), ("callbacks", 16)],
                ),
                (
                    "klp_callbacks",
                    40,
                    vec![
                        ("pre_patch", 0),
                        ("post_patch", 8),
                        ("pre_unpatch", 16),
                        ("post_unpatch", 24),
                    ],
                ),
                (
                    "klp_func",
                    40,
                    vec![("old_name", 0), ("new_func", 8), ("old_sympos", 16)],
                ),
            ],
            exports: vec![
                ("klp_enable_patch", ""),
                ("__fentry__", ""),
                ("module_layout", ""),
                ("value", ""),
                ("use", "TEST"),
            ],
        }
    }
}

/// A symbol of the image.
#[derive(Clone)]
struct Placed {
    name: String,
    kind: char,
    address: u64,
}

impl Vmlinux {
    /// Writes image and `Module.symvers` below `root`, where packages would put them.
    pub(crate) fn install(&self, root: &Path, objects: &[PathBuf]) {
        let boot = root.join("boot");
        let headers = root.join(format!("usr/src/linux-headers-{}", self.release));
        std::fs::create_dir_all(&boot).expect("writable");
        std::fs::create_dir_all(&headers).expect("writable");
        let image = self.image(objects);
        std::fs::write(boot.join(format!("vmlinuz-{}", self.release)), image).expect("writable");
        let lines = self
            .exports
            .iter()
            .enumerate()
            .map(|(index, (name, namespace))| {
                format!(
                    "{:#010x}\t{name}\tvmlinux\tEXPORT_SYMBOL_GPL\t{namespace}\n",
                    index + 1
                )
            });
        std::fs::write(headers.join("Module.symvers"), lines.collect::<String>())
            .expect("writable");
    }

    /// The image's bytes.
    pub(crate) fn image(&self, objects: &[PathBuf]) -> Vec<u8> {
        let mut symbols = Vec::new();
        let mut text = Vec::new();
        for object in objects {
            link(object, &self.others, &mut text, &mut symbols);
        }
        let end = TEXT + text.len() as u64;
        for (index, (name, kind)) in self.others.iter().enumerate() {
            symbols.push(placed(name, *kind, other(end, index)));
        }
        let mut rodata = format!("{} SMP mod_unload modversions \0", self.release).into_bytes();
        symbols.push(placed("vermagic", 'r', DATA + 0x0010_0000));
        symbols.push(placed("_stext", 'T', TEXT));
        symbols.sort_by_key(|symbol| symbol.address);
        let rodata_address = DATA + 0x0010_0000;
        rodata.resize(rodata.len().next_multiple_of(8), 0);
        rodata.extend(tables(&symbols));
        elf(&[
            (".text", TEXT, text),
            (".rodata", rodata_address, rodata),
            (".notes", rodata_address + 0x0100_0000, note()),
            (".BTF", rodata_address + 0x0200_0000, btf(&self.types)),
        ])
    }
}

fn placed(name: &str, kind: char, address: u64) -> Placed {
    Placed {
        name: name.to_owned(),
        kind,
        address,
    }
}

/// Where a symbol that no object defines is.
fn other(end: u64, index: usize) -> u64 {
    end + 0x1000 + 16 * index as u64
}

/// Appends an object's code with its relocations filled in.
fn link(
    path: &Path,
    others: &[(&'static str, char)],
    text: &mut Vec<u8>,
    symbols: &mut Vec<Placed>,
) {
    let bytes = std::fs::read(path).expect("compiled");
    let file = object::File::parse(&bytes[..]).expect("an object");
    let mut sections = HashMap::new();
    let (mut end, mut data) = (
        TEXT + text.len() as u64,
        DATA + 0x1000 * symbols.len() as u64,
    );
    for section in file.sections() {
        let code = section.kind() == object::SectionKind::Text;
        let next = if code { &mut end } else { &mut data };
        *next = next.next_multiple_of(64);
        sections.insert(section.index(), *next);
        *next += section.size();
    }
    for symbol in file.symbols().filter(|symbol| symbol.is_definition()) {
        let Some(home) = symbol
            .section_index()
            .and_then(|index| sections.get(&index))
        else {
            continue;
        };
        let kind = match (symbol.kind(), symbol.is_global()) {
            (SymbolKind::Text, true) => 'T',
            (SymbolKind::Text, false) => 't',
            (SymbolKind::Data, true) => 'D',
            (SymbolKind::Data, false) => 'd',
            _ => continue,
        };
        let name = symbol.name().expect("a name");
        symbols.push(placed(name, kind, home + symbol.address()));
    }
    text.resize((end - TEXT) as usize, 0x90);
    for section in file
        .sections()
        .filter(|one| one.kind() == object::SectionKind::Text)
    {
        let home = sections[&section.index()];
        let mut code = section.data().expect("contents").to_vec();
        for (offset, relocation) in section.relocations() {
            let RelocationTarget::Symbol(index) = relocation.target() else {
                continue;
            };
            let symbol = file.symbol_by_index(index).expect("a symbol");
            let place = match symbol
                .section_index()
                .and_then(|index| sections.get(&index))
            {
                Some(home) => home + symbol.address(),
                None => {
                    let name = symbol.name().expect("a name");
                    let index = others.iter().position(|(other, _)| *other == name);
                    other(end, index.unwrap_or_default())
                }
            };
            let relative = relocation.kind() != object::RelocationKind::Absolute;
            let from = if relative { home + offset } else { 0 };
            let value = place
                .wrapping_add_signed(relocation.addend())
                .wrapping_sub(from);
            let at = offset as usize;
            code[at..at + 4].copy_from_slice(&(value as u32).to_le_bytes());
        }
        let at = (home - TEXT) as usize;
        text[at..at + code.len()].copy_from_slice(&code);
    }
}

/// The tables of kallsyms as 6.1 has them, each letter a token.
fn tables(symbols: &[Placed]) -> Vec<u8> {
    let mut data = Vec::new();
    for symbol in symbols {
        let offset = -1 - i64::try_from(symbol.address - TEXT).expect("behind the start");
        data.extend_from_slice(&(offset as i32).to_le_bytes());
    }
    let align = |data: &mut Vec<u8>| data.resize(data.len().next_multiple_of(8), 0);
    align(&mut data);
    data.extend_from_slice(&TEXT.to_le_bytes());
    data.extend_from_slice(&(symbols.len() as u64).to_le_bytes());
    let start = data.len();
    let mut markers = Vec::new();
    for (index, symbol) in symbols.iter().enumerate() {
        if index % 256 == 0 {
            markers.extend_from_slice(&((data.len() - start) as u32).to_le_bytes());
        }
        data.push(symbol.name.len() as u8 + 1);
        data.push(symbol.kind as u8);
        data.extend_from_slice(symbol.name.as_bytes());
    }
    align(&mut data);
    data.extend(markers);
    align(&mut data);
    let (mut table, mut index) = (Vec::new(), Vec::new());
    for token in 0..=255_u8 {
        index.extend_from_slice(&(table.len() as u16).to_le_bytes());
        table.extend_from_slice(&[
            if token.is_ascii_graphic() {
                token
            } else {
                b'?'
            },
            0,
        ]);
    }
    data.extend(table);
    align(&mut data);
    data.extend(index);
    data
}

fn note() -> Vec<u8> {
    let mut note: Vec<u8> = [4_u32, 20, 3]
        .iter()
        .flat_map(|word| word.to_le_bytes())
        .collect();
    note.extend_from_slice(b"GNU\0");
    note.extend_from_slice(&[0xab; 20]);
    note
}

fn btf(types: &[Structure]) -> Vec<u8> {
    let (mut strings, mut words) = (vec![0_u8], vec![0, 1 << 24, 4, 32_u32]);
    let mut string = |text: &str| {
        let at = strings.len() as u32;
        strings.extend_from_slice(text.as_bytes());
        strings.push(0);
        at
    };
    for (name, size, members) in types {
        words.extend([string(name), 4 << 24 | members.len() as u32, *size]);
        for (name, offset) in members {
            words.extend([string(name), 1, offset * 8]);
        }
    }
    let len = words.len() as u32 * 4;
    let mut blob = vec![0x9f, 0xeb, 1, 0];
    let header = [24, 0, len, len, strings.len() as u32];
    blob.extend(
        header
            .iter()
            .chain(&words)
            .flat_map(|word| word.to_le_bytes()),
    );
    blob.extend(strings);
    blob
}

/// An ELF file of these sections.
fn elf(sections: &[(&str, u64, Vec<u8>)]) -> Vec<u8> {
    let mut names = vec![0_u8];
    let mut headers = vec![0_u8; 64];
    let mut file = vec![0_u8; 64];
    let name_table = (".shstrtab", 0, Vec::new());
    for (name, address, data) in sections.iter().chain([&name_table]) {
        let name_at = names.len() as u32;
        names.extend_from_slice(name.as_bytes());
        names.push(0);
        let is_names = *name == ".shstrtab";
        let data = if is_names { &names } else { data };
        headers.extend_from_slice(&name_at.to_le_bytes());
        headers.extend_from_slice(&(if is_names { 3_u32 } else { 1 }).to_le_bytes());
        let flags = u64::from(!is_names) * 2;
        for field in [
            flags,
            *address,
            file.len() as u64,
            data.len() as u64,
            0,
            8,
            0,
        ] {
            headers.extend_from_slice(&field.to_le_bytes());
        }
        file.extend_from_slice(data);
        file.resize(file.len().next_multiple_of(8), 0);
    }
    let count = sections.len() as u16 + 2;
    file[..7].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1, 1]);
    file[16..20].copy_from_slice(&[2, 0, 62, 0]);
    file[20] = 1;
    let at = (file.len() as u64).to_le_bytes();
    file[40..48].copy_from_slice(&at);
    for (offset, value) in [(52, 64), (58, 64), (60, count), (62, count - 1)] {
        file[offset..offset + 2].copy_from_slice(&value.to_le_bytes());
    }
    file.extend(headers);
    file
}

/// Compiles a text as the kernel is; `-DNEW` for the new version.
pub(crate) fn compile(directory: &Path, object: &str, text: &str, new: bool) -> PathBuf {
    let include = format!("-I{}/tests/kernel", env!("CARGO_MANIFEST_DIR"));
    let mut flags = kernel_flags().to_vec();
    flags.extend([
        include.as_str(),
        "-O2",
        "-g",
        "-ffunction-sections",
        "-fdata-sections",
    ]);
    if new {
        flags.push("-DNEW");
    }
    super::compile_text(directory, object, text, &flags)
}
