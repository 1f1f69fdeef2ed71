//! A patch for the kernel: what its manifest says.
//!
//! A `.kpatch` is a livepatch module that the kernel's own loader takes as it is. The section `.livepatch.manifest` tells our
//! loader what the kernel does not check: which build the patch is for, and the bytes of every function that it
//! replaces, so that they can be compared with what runs (`docs/kpatch.md`).
//!
//! ```json
//! { "schema": 1, "kind": "kernel", "name": "fix", "module": "livepatch_fix",
//!   "release": "6.1.0-56-amd64", "build_id": "8f…", "replace": false,
//!   "objects": [ { "name": "vmlinux",
//!     "functions": [ { "name": "version_proc_show", "sympos": 0, "place": { … }, "new": "version_proc_show",
//!                      "code": "e8…", "fixups": [ { "offset": 1, "size": 4, "kind": "relocation" } ] } ] } ] }
//! ```

use crate::reader::Elf;
use crate::{BuildId, BundleError};
use serde::{Deserialize, Serialize};

/// The version of this layout. Readers refuse any other.
pub const KERNEL_SCHEMA: u32 = 1;
/// What [`KernelManifest::kind`] says; manifests of patches for processes have no such field.
pub const KERNEL_KIND: &str = "kernel";
/// What the kernel itself is called among the objects that a patch changes.
pub const VMLINUX: &str = "vmlinux";

/// What a `.kpatch` is for and what it does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KernelManifest {
    /// [`KERNEL_SCHEMA`].
    pub schema: u32,
    /// [`KERNEL_KIND`].
    pub kind: String,
    /// The tool that wrote it, as `patchgen 0.1.0`.
    pub tool: String,
    /// The patch's name: what `list` shows and `revert --kernel` takes.
    pub name: String,
    /// The module's name, and the directory's below `/sys/kernel/livepatch`: letters, digits and `_`.
    pub module: String,
    /// One line for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// `uname -r` of the kernel. Empty when the patch was made without one (`--kernel-object`): it must not be loaded.
    pub release: String,
    /// The kernel's build ID (`/sys/kernel/notes`); `None` as `release` is empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_id: Option<BuildId>,
    /// Whether it takes the place of all livepatches that are in force (`klp_patch.replace`).
    #[serde(default)]
    pub replace: bool,
    /// Names of patches that this one replaces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub supersedes: Vec<String>,
    /// The kernel and modules with changed functions.
    pub objects: Vec<KernelObject>,
    /// Things that the author should know, as `patchgen` printed them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// The kernel or a module, with its changed functions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KernelObject {
    /// [`VMLINUX`], or the module's name as `/proc/modules` shows it. A module need not be loaded.
    pub name: String,
    /// The module's build ID (`/sys/module/NAME/notes/.note.gnu.build-id`), if it has one. Of [`VMLINUX`] it is
    /// [`KernelManifest::build_id`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_id: Option<BuildId>,
    /// The functions that are replaced.
    pub functions: Vec<KernelFunction>,
}

/// A function that is replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KernelFunction {
    /// Its name in kallsyms.
    pub name: String,
    /// Which of the object's symbols of this name, in the order of addresses (in a module: of its symbol table), from 1; 0 when
    /// no other has the name (`klp_func.old_sympos`).
    pub sympos: u32,
    /// Where that symbol stands in the kernel's own table; `None` for functions of modules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<TablePlace>,
    /// The new function's symbol in the `.kpatch`.
    pub new: String,
    /// Why it is replaced, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The old code from the symbol's address on, as hex. Its length is the function's size.
    #[serde(with = "hex_bytes")]
    pub code: Vec<u8>,
    /// Which bytes of `code` are others, or may be, in the running kernel; ascending by offset, apart from each other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fixups: Vec<Fixup>,
}

/// Where a symbol stands in the kernel's table (kallsyms), so that it need not be searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TablePlace {
    /// Its number in the table, from 0.
    pub index: u32,
    /// Where its name begins, in bytes from the first name (`kallsyms_names`).
    pub name_at: u32,
    /// Its address, in bytes from `_stext`.
    pub from_start: u64,
}

/// Bytes of old code that do not run as the object file has them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fixup {
    /// Offset in the function.
    pub offset: u64,
    /// How many bytes.
    pub size: u64,
    /// Why they differ.
    pub kind: FixupKind,
    /// For a relocation: what the field leads to or next to, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub symbol: Option<String>,
}

/// Why bytes of running kernel code are others than those of its object file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FixupKind {
    /// A field that the linker filled in; it may be any.
    Relocation,
    /// `call __fentry__`, which ftrace makes a 5-byte no-operation or a call (`__mcount_loc`).
    Fentry,
    /// An alternative for some processors (`.altinstructions`), or a call of `pv_ops` (`.parainstructions`).
    Alternative,
    /// A jump or no-operation of 2 or 5 bytes that a static key decides (`__jump_table`).
    StaticBranch,
    /// A call or jump of 5 bytes that a static call decides (`.static_call_sites`).
    StaticCall,
    /// `jmp __x86_return_thunk`, which may be `ret` and `int3` (`.return_sites`).
    Return,
    /// A call or jump through a register's thunk (`.retpoline_sites`).
    Retpoline,
    /// A call that call-depth tracking may send on (`.call_sites`).
    Call,
    /// A `lock` prefix, a `ds` prefix on one processor (`.smp_locks`).
    Lock,
    /// `endbr64`, sealed where nobody calls through pointers (`.ibt_endbr_seal`).
    Endbr,
    /// A constant that is written when the kernel boots (`runtime_*`).
    Constant,
}

impl KernelManifest {
    /// The manifest as the section holds it.
    ///
    /// # Panics
    /// Never: every field can be shown as JSON.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut json = serde_json::to_vec_pretty(self).expect("all keys are strings");
        json.push(b'\n');
        json
    }
}

/// Reads the manifest of a `.kpatch`, signed as a module or not. What the module holds besides is the kernel's to judge.
///
/// # Errors
/// When the bytes are no ELF file with a manifest of this kind and schema, or when its fixups break their rules.
pub fn read_kernel(bytes: &[u8]) -> Result<KernelManifest, BundleError> {
    let elf = Elf::parse(bytes)?;
    let json = elf.manifest()?;
    let failed = |error: serde_json::Error| BundleError::Manifest {
        source: error.into(),
    };
    let head: Head = serde_json::from_slice(json).map_err(failed)?;
    if head.kind.as_deref() != Some(KERNEL_KIND) {
        return Err(BundleError::NotForKernel);
    }
    if head.schema != u64::from(KERNEL_SCHEMA) {
        return Err(BundleError::UnsupportedSchema { found: head.schema });
    }
    let manifest: KernelManifest = serde_json::from_slice(json).map_err(failed)?;
    check(&manifest)?;
    Ok(manifest)
}

/// The fields that every version of a manifest has.
#[derive(Deserialize)]
pub(crate) struct Head {
    pub(crate) schema: u64,
    #[serde(default)]
    pub(crate) kind: Option<String>,
}

fn check(manifest: &KernelManifest) -> Result<(), BundleError> {
    let functions = manifest.objects.iter().flat_map(|one| &one.functions);
    for function in functions {
        let mut end = 0;
        for fixup in &function.fixups {
            let next = fixup.offset.checked_add(fixup.size);
            let next = next.filter(|next| *next <= function.code.len() as u64);
            end = next.filter(|_| fixup.offset >= end).ok_or_else(|| {
                let name = function.name.escape_debug();
                BundleError::malformed(format!(
                    "the fixup of `{name}` at +{:#x} is out of order or out of range",
                    fixup.offset
                ))
            })?;
        }
    }
    let names = manifest.objects.iter().map(|object| &object.name);
    let names = names.chain([&manifest.name, &manifest.module, &manifest.release]);
    let functions = manifest.objects.iter().flat_map(|one| &one.functions);
    let mut names = names.chain(functions.flat_map(|one| [&one.name, &one.new]));
    match names.find(|name| name.chars().any(char::is_control)) {
        None => Ok(()),
        Some(name) => Err(BundleError::malformed(format!(
            "the name `{}` has control characters",
            name.escape_debug()
        ))),
    }
}

mod hex_bytes {
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(bytes))
    }

    pub(super) fn deserialize<'d, D: Deserializer<'d>>(
        deserializer: D,
    ) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        hex::decode(text).map_err(|_| de::Error::custom("code is hex"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(fixups: Vec<Fixup>) -> KernelManifest {
        KernelManifest {
            schema: KERNEL_SCHEMA,
            kind: KERNEL_KIND.into(),
            tool: "patchgen".into(),
            name: "fix".into(),
            module: "livepatch_fix".into(),
            description: String::new(),
            release: "6.1.0".into(),
            build_id: BuildId::new(&[1, 2]),
            replace: false,
            supersedes: Vec::new(),
            objects: vec![KernelObject {
                name: VMLINUX.into(),
                build_id: None,
                functions: vec![KernelFunction {
                    name: "f".into(),
                    sympos: 0,
                    place: Some(TablePlace {
                        index: 1,
                        name_at: 9,
                        from_start: 0x1230,
                    }),
                    new: "f".into(),
                    reason: String::new(),
                    code: vec![0xe8, 0, 0, 0, 0, 0xc3],
                    fixups,
                }],
            }],
            warnings: Vec::new(),
        }
    }

    fn fixup(offset: u64, size: u64) -> Fixup {
        let kind = FixupKind::Fentry;
        Fixup {
            offset,
            size,
            kind,
            symbol: None,
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        let one = manifest(vec![fixup(0, 5)]);
        let back: KernelManifest = serde_json::from_slice(&one.encode()).expect("JSON");
        assert_eq!(back, one);
        assert!(String::from_utf8_lossy(&one.encode()).contains("\"code\": \"e800000000c3\""));
    }

    #[test]
    fn fixups_are_ascending_and_inside() {
        assert!(check(&manifest(vec![fixup(0, 5), fixup(5, 1)])).is_ok());
        assert!(check(&manifest(vec![fixup(0, 5), fixup(4, 1)])).is_err());
        assert!(check(&manifest(vec![fixup(2, 5)])).is_err());
        assert!(check(&manifest(vec![fixup(u64::MAX, 5)])).is_err());
    }
}
