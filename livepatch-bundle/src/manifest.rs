//! The manifest: UTF-8 JSON in the section `.livepatch.manifest` (`readelf -p .livepatch.manifest`).
//!
//! It names, by bundle symbol, which functions are replaced, how the running program's functions and data are
//! to be found, and which unchanged functions (*anchors*) travel only so that their running code tells where
//! things are in a program without symbols.

use crate::{BuildId, Hook, Lines, LinkAddr, SymbolKind};
use serde::{Deserialize, Serialize};

/// The version of this layout. Readers refuse any other.
pub const SCHEMA: u32 = 1;

/// What a patch is for and what it does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The tool that wrote it, as `patchgen 0.1.0`.
    pub tool: String,
    /// The patch's name: what `list` shows and `revert` takes. 1 to 63 of `[A-Za-z0-9._+-]`.
    pub name: String,
    /// One line for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Names of patches that this one replaces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub supersedes: Vec<String>,
    /// The executables or libraries it was checked against (`--target`). Empty: found by matching at apply time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub modules: Vec<Module>,
    /// The functions that are replaced.
    pub functions: Vec<Function>,
    /// Unchanged functions whose running code locates references.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub anchors: Vec<Function>,
    /// Every undefined symbol of the bundle.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<Reference>,
    /// Bundle symbols of running functions that, too, may be on no stack at commit (`--quiesce`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quiesce: Vec<String>,
    /// Functions of the patch that run in the target when it is applied or reverted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<Hook>,
    /// Source lines of the new code, where the new objects have debug information.
    #[serde(default, skip_serializing_if = "Lines::is_empty")]
    pub lines: Lines,
    /// Things that the author should know, as `patchgen` printed them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// A file that the running program maps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Module {
    /// File name without directories.
    pub file_name: String,
    /// `DT_SONAME`, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soname: Option<String>,
    /// The GNU build ID, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_id: Option<BuildId>,
}

/// Whether a name is seen outside its object file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// `STB_LOCAL`: several objects may each have their own.
    Local,
    /// `STB_GLOBAL` or `STB_WEAK`.
    Global,
}

/// A function of the running program: replaced, or an anchor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Function {
    /// Its symbol in the old object.
    pub name: String,
    /// Other names of its code in the old objects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// Whether others may have the same name.
    pub scope: Scope,
    /// The object file it comes from, as given to `patchgen` (relative path in a directory of objects).
    pub object: String,
    /// The `STT_FILE` name before it, which groups local symbols in the program's symbol table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The entry piece first, then `.cold` and other pieces split off the function.
    pub pieces: Vec<Piece>,
    /// Bundle symbol of the new code; `None` for anchors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<String>,
    /// Why it is replaced, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// One contiguous piece of an old function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Piece {
    /// Bundle symbol defined in a `.livepatch.old.text.*` section: the old code.
    pub old: String,
    /// Undefined bundle symbol, listed in [`Manifest::references`]: the piece in the running program.
    pub running: String,
}

/// Something in the running program that the patch refers to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// The undefined bundle symbol.
    pub symbol: String,
    /// What the program calls it.
    pub name: String,
    /// Whether others may have the same name.
    pub scope: Scope,
    /// What it names.
    pub kind: SymbolKind,
    /// Size in bytes in the old object; 0 when it is defined elsewhere.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub size: u64,
    /// Whether the old objects define it; otherwise it is defined in another object or imported.
    #[serde(default)]
    pub defined: bool,
    /// Whether it may be missing from the program (an undefined weak symbol): its address is 0 then.
    #[serde(default, skip_serializing_if = "is_false")]
    pub weak: bool,
    /// Whether no other module can define it (`STV_HIDDEN` in some object).
    #[serde(default, skip_serializing_if = "is_false")]
    pub hidden: bool,
    /// The `STT_FILE` name before a local definition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Where it is in `modules[index]`, when `--target` told: link-time address, or the offset from the thread
    /// pointer's block start (`st_value`) for a thread-local variable.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub located: Vec<Located>,
}

/// A place in one of the manifest's modules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Located {
    /// Index into [`Manifest::modules`].
    pub module: usize,
    /// `st_value` there.
    pub address: LinkAddr,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde calls"
)]
fn is_zero(value: &u64) -> bool {
    *value == 0
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde calls"
)]
fn is_false(value: &bool) -> bool {
    !*value
}
