//! What makes a module of it: functions that the module loader calls, `struct module`, and what `modinfo` shows.
//!
//! ```text
//! f3 0f 1e fa             endbr64                        init_module:
//! 48 c7 c7 00 00 00 00    mov  $patch, %rdi
//! e9 00 00 00 00          jmp  klp_enable_patch
//!
//! f3 0f 1e fa             endbr64                        cleanup_module:
//! e9 00 00 00 00          jmp  __x86_return_thunk        (or ret; int3)
//! ```

use super::file::{Field, File, Sec, Shape, Target};
use super::structures::{BtfResult, Layouts, Patched, pointer, structures, writable};
use livepatch_kernel::btf::BtfError;
use livepatch_kernel::{Kernel, KernelError, Layout};
use object::elf;
use std::fmt::Write as _;

/// What the livepatch core is told.
pub(super) struct Livepatch<'l> {
    /// The module's name.
    pub module: &'l str,
    /// One line for `modinfo`.
    pub description: &'l str,
    pub objects: Vec<Patched<'l>>,
    /// Whether it takes the place of all others.
    pub replace: bool,
    /// Namespaces to import.
    pub namespaces: Vec<&'l str>,
    /// Records of `.orc_unwind` for code that has nothing on the stack, and for what is behind code.
    pub orc: Option<(Vec<u8>, Vec<u8>)>,
}

/// Adds the structures to the file.
///
/// # Errors
/// When the kernel's types do not tell their layout.
pub(super) fn add(
    file: &mut File,
    livepatch: &Livepatch<'_>,
    kernel: &Kernel,
) -> Result<(), KernelError> {
    let layouts = Layouts::of(kernel)?;
    let this = file.section(".gnu.linkonce.this_module", writable(64));
    let patch = structures(file, livepatch, &layouts, this).map_err(|source| KernelError::Btf {
        release: kernel.release.clone(),
        source,
    })?;
    let (init, exit) = functions(file, livepatch, kernel, patch);
    this_module(file, livepatch, &layouts.module, (this, init, exit)).map_err(|source| {
        KernelError::Btf {
            release: kernel.release.clone(),
            source,
        }
    })?;
    information(file, livepatch, kernel);
    Ok(())
}

/// The functions that the module loader calls; returns where they are.
fn functions(
    file: &mut File,
    livepatch: &Livepatch<'_>,
    kernel: &Kernel,
    (patch, offset): (Sec, u64),
) -> ((Sec, u64), (Sec, u64)) {
    #[rustfmt::skip]
    const INIT: [u8; 16] = [0xf3, 0x0f, 0x1e, 0xfa, 0x48, 0xc7, 0xc7, 0, 0, 0, 0, 0xe9, 0, 0, 0, 0];
    const THROUGH_THUNK: [u8; 9] = [0xf3, 0x0f, 0x1e, 0xfa, 0xe9, 0, 0, 0, 0];
    const PLAIN: [u8; 6] = [0xf3, 0x0f, 0x1e, 0xfa, 0xc3, 0xcc];
    let code = Shape::contents(elf::SHF_ALLOC | elf::SHF_EXECINSTR, 16);
    let init = file.section(".init.text", code);
    file.append(init, 1, &INIT);
    let argument = Field {
        offset: 7,
        kind: elf::R_X86_64_32S.0,
        target: Target::Own(patch),
        addend: offset.cast_signed(),
    };
    file.relocate(init, argument);
    call(file, init, 12, "klp_enable_patch");
    let exit = file.section(".exit.text", code);
    let thunk = "__x86_return_thunk";
    let exit_size = if kernel.symvers.get(thunk).is_some() {
        file.append(exit, 1, &THROUGH_THUNK);
        call(file, exit, 5, thunk);
        let sites = file.shared(".return_sites", Shape::contents(elf::SHF_ALLOC, 1));
        place(file, sites, (exit, 4), &[0; 4]);
        THROUGH_THUNK.len()
    } else {
        file.append(exit, 1, &PLAIN);
        PLAIN.len()
    };
    file.define(
        "init_module",
        elf::STT_FUNC,
        (init, 0),
        INIT.len() as u64,
        true,
    );
    file.define(
        "cleanup_module",
        elf::STT_FUNC,
        (exit, 0),
        exit_size as u64,
        true,
    );
    if let Some((inside, behind)) = &livepatch.orc {
        for (section, size) in [(init, INIT.len()), (exit, exit_size)] {
            unwind(file, (section, 0), inside);
            unwind(file, (section, size as u64), behind);
        }
    }
    ((init, 0), (exit, 0))
}

fn call(file: &mut File, section: Sec, offset: u64, name: &str) {
    let symbol = file.undefined(name);
    let field = Field {
        offset,
        kind: elf::R_X86_64_PLT32.0,
        target: Target::Symbol(symbol),
        addend: -4,
    };
    file.relocate(section, field);
}

/// Appends an entry that begins with the distance to a place.
fn place(file: &mut File, section: Sec, (target, offset): (Sec, u64), entry: &[u8]) {
    let start = file.append(section, 1, entry);
    let field = Field {
        offset: start,
        kind: elf::R_X86_64_PC32.0,
        target: Target::Own(target),
        addend: offset.cast_signed(),
    };
    file.relocate(section, field);
}

fn unwind(file: &mut File, at: (Sec, u64), record: &[u8]) {
    let places = file.shared(".orc_unwind_ip", Shape::contents(elf::SHF_ALLOC, 4));
    let records = file.shared(".orc_unwind", Shape::contents(elf::SHF_ALLOC, 2));
    place(file, places, at, &[0; 4]);
    file.append(records, 1, record);
}

/// `struct module`, which the loader fills in itself but for three members.
fn this_module(
    file: &mut File,
    livepatch: &Livepatch<'_>,
    layout: &Layout,
    (section, init, exit): (Sec, (Sec, u64), (Sec, u64)),
) -> BtfResult<()> {
    let name = layout.offset("name")? as usize;
    let mut data = vec![0; layout.size as usize];
    let text = livepatch.module.as_bytes();
    let place = data.get_mut(name..name + text.len());
    let outside = BtfError::Malformed("`struct module` has no room for a name");
    place.ok_or(outside)?.copy_from_slice(text);
    file.append(section, 1, &data);
    file.define(
        "__this_module",
        elf::STT_OBJECT,
        (section, 0),
        layout.size,
        true,
    );
    pointer(file, section, layout.offset("init")?, init);
    pointer(file, section, layout.offset("exit")?, exit);
    Ok(())
}

/// `.modinfo`, and `__versions` with the CRCs of all that is imported.
fn information(file: &mut File, livepatch: &Livepatch<'_>, kernel: &Kernel) {
    let mut text = String::from("license=GPL\0livepatch=Y\0retpoline=Y\0");
    if !livepatch.description.is_empty() {
        let _ = write!(text, "description={}\0", livepatch.description);
    }
    for namespace in &livepatch.namespaces {
        let _ = write!(text, "import_ns={namespace}\0");
    }
    let _ = write!(
        text,
        "depends=\0name={}\0vermagic={}\0",
        livepatch.module, kernel.vermagic
    );
    let section = file.section(".modinfo", Shape::contents(elf::SHF_ALLOC, 1));
    file.append(section, 1, text.as_bytes());
    versions(file, kernel);
}

/// `struct modversion_info`: the CRC, then the name, 64 bytes together.
fn versions(file: &mut File, kernel: &Kernel) {
    const SIZE: usize = 64;
    if !kernel.vermagic.contains("modversions") {
        return;
    }
    let names = file.imports().chain(["module_layout"]);
    let entries = names.filter_map(|name| Some((name, kernel.symvers.get(name)?.crc)));
    let mut data = Vec::new();
    for (name, crc) in entries {
        let start = data.len();
        data.extend_from_slice(&u64::from(crc).to_le_bytes());
        data.extend_from_slice(name.as_bytes());
        data.resize(start + SIZE, 0);
    }
    let section = file.section("__versions", Shape::contents(elf::SHF_ALLOC, 32));
    file.append(section, 1, &data);
}
