//! Whether a patch fits the running kernel: all reasons against it at once, before anything is touched.

use super::elf::Module;
use super::kcore::Kcore;
use super::locate::{Places, shown};
use super::pieces::Piece;
use super::prove::difference;
use super::running::Running;
use super::{KernelError, Misfit};
use crate::plan::Problems;
use livepatch_bundle::{
    KernelFunction, KernelManifest, KernelObject, VMLINUX, read_file, read_kernel,
};
use livepatch_kernel::live::Read;
use std::path::Path;

/// What `scripts/sign-file` of the kernel puts at the end of a signed module.
const SIGNED: &[u8] = b"~Module signature appended~\n";

/// A patch that was read, once.
#[derive(Debug)]
pub struct Kpatch {
    /// The file.
    pub bytes: Vec<u8>,
    /// What it says of itself.
    pub manifest: KernelManifest,
}

impl Kpatch {
    /// Reads a `.kpatch`.
    ///
    /// # Errors
    /// When it cannot be read or is none.
    pub fn read(path: &Path) -> Result<Self, KernelError> {
        let unusable = |source| KernelError::Bundle {
            path: path.to_owned(),
            source,
        };
        let bytes = read_file(path).map_err(unusable)?;
        let manifest = read_kernel(&bytes).map_err(unusable)?;
        Ok(Self { bytes, manifest })
    }
}

/// A function of the running kernel that was proved to be the patch's old one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proved {
    /// The kernel or a module.
    pub object: String,
    /// Its name.
    pub name: String,
    /// Where it is.
    pub address: u64,
    /// Its size in bytes.
    pub size: usize,
    /// The symbol of its new code.
    pub new: String,
}

/// What a patch would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fit {
    /// Functions that are replaced at once.
    pub functions: Vec<Proved>,
    /// Modules that are not loaded: they are patched when they come.
    pub later: Vec<String>,
    /// Code that the compiler split off the functions: a task in it is in the function. Told for `--atomic` alone; else the kernel judges.
    pub pieces: Vec<Piece>,
}

/// Checks a patch against the running kernel.
///
/// # Errors
/// What cannot be read, or all reasons why it does not fit.
pub fn check(patch: &Kpatch, running: &Running, atomic: bool) -> Result<Fit, KernelError> {
    let manifest = &patch.manifest;
    let mut reasons = identity(manifest, running)?;
    if !reasons.is_empty() {
        return Err(misfit(manifest, reasons));
    }
    if !atomic && !running.has_livepatch() {
        reasons.push(Misfit::NoLivepatch);
    }
    if running.has(&manifest.module) {
        reasons.push(Misfit::Loaded(manifest.module.clone()));
    }
    if let Some(why) = running
        .enforcement()
        .filter(|_| !patch.bytes.ends_with(SIGNED))
    {
        reasons.push(Misfit::Unsigned(why));
    }
    reasons.extend(new_code(patch));
    let (proved, misfits) = prove_all(manifest, running, atomic)?;
    reasons.extend(misfits);
    if atomic && !proved.later.is_empty() {
        let modules = proved.later.join(", ");
        reasons.push(Misfit::Atomic(format!(
            "needs all patched modules to be loaded, and these are not: {modules}"
        )));
    }
    if reasons.is_empty() {
        return Ok(proved);
    }
    Err(misfit(manifest, reasons))
}

fn misfit(manifest: &KernelManifest, reasons: Vec<Misfit>) -> KernelError {
    KernelError::Misfit {
        patch: manifest.name.clone(),
        reasons: Problems(reasons),
    }
}

/// Whether it is for this very kernel. If it is not, no more is worth saying.
fn identity(manifest: &KernelManifest, running: &Running) -> Result<Vec<Misfit>, KernelError> {
    let mut reasons = Vec::new();
    if manifest.release.is_empty() {
        return Ok(vec![Misfit::NoRelease]);
    }
    let found = running.release()?;
    if manifest.release != found {
        let wanted = manifest.release.clone();
        reasons.push(Misfit::Release { wanted, found });
    }
    let found = running.build_id(VMLINUX)?;
    if manifest.build_id.is_none() || manifest.build_id != found {
        let show = |id: Option<livepatch_bundle::BuildId>| {
            id.map_or_else(|| "none".into(), |id| id.to_string())
        };
        reasons.push(Misfit::BuildId {
            object: "the kernel".into(),
            wanted: show(manifest.build_id.clone()),
            found: show(found),
        });
    }
    Ok(reasons)
}

/// New code that the manifest names and the module lacks.
fn new_code(patch: &Kpatch) -> Vec<Misfit> {
    let functions = patch
        .manifest
        .objects
        .iter()
        .flat_map(|object| &object.functions);
    let module = Module::parse(&patch.bytes);
    functions
        .filter(|function| {
            let found = module
                .as_ref()
                .ok()
                .and_then(|module| module.function(&function.new));
            found.is_none()
        })
        .map(|function| Misfit::NoNewCode(function.new.clone()))
        .collect()
}

/// Compares every old function with what runs. The kernel is the patch's own by its build ID, or this is not asked ([`identity`]).
fn prove_all(
    manifest: &KernelManifest,
    running: &Running,
    atomic: bool,
) -> Result<(Fit, Vec<Misfit>), KernelError> {
    let memory = Kcore::open(&running.memory()).map_err(|source| KernelError::Read {
        path: running.memory(),
        source,
    })?;
    let places = Places::of(manifest, running, &memory, atomic)?;
    let (mut fit, mut misfits) = (Fit::default(), Vec::new());
    for object in &manifest.objects {
        if !running.has(&object.name) {
            fit.later.push(object.name.clone());
            continue;
        }
        misfits.extend(module_identity(object, running)?);
        for function in &object.functions {
            match prove(object, function, &places, &|address, length| {
                memory.read(address, length)
            }) {
                Ok(proved) => {
                    fit.pieces
                        .extend(places.pieces(&proved.object, &proved.name));
                    fit.functions.push(proved);
                }
                Err(misfit) => misfits.push(misfit),
            }
        }
    }
    Ok((fit, misfits))
}

fn module_identity(
    object: &KernelObject,
    running: &Running,
) -> Result<Option<Misfit>, KernelError> {
    let Some(wanted) = object.build_id.as_ref().filter(|_| object.name != VMLINUX) else {
        return Ok(None);
    };
    let found = running.build_id(&object.name)?;
    Ok((found.as_ref() != Some(wanted)).then(|| Misfit::BuildId {
        object: format!("module `{}`", object.name),
        wanted: wanted.to_string(),
        found: found.map_or_else(|| "none".into(), |id| id.to_string()),
    }))
}

/// Finds a function as the kernel will find it, and compares its code.
fn prove(
    object: &KernelObject,
    function: &KernelFunction,
    places: &Places,
    read: Read<'_>,
) -> Result<Proved, Misfit> {
    let name = function.name.clone();
    let address = places.address(object, function)?;
    let size = function.code.len();
    let code = read(address, size).map_err(|error| Misfit::Unreadable {
        name: name.clone(),
        why: error.to_string(),
    })?;
    if let Some(offset) = difference(function, &code) {
        return Err(Misfit::Code {
            object: shown(object),
            name,
            offset,
            found: some_bytes(&code, offset),
            wanted: some_bytes(&function.code, offset),
        });
    }
    Ok(Proved {
        object: object.name.clone(),
        name,
        address,
        size,
        new: function.new.clone(),
    })
}

fn some_bytes(code: &[u8], offset: usize) -> String {
    let bytes = code.get(offset..).unwrap_or_default();
    hex::encode(&bytes[..bytes.len().min(8)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use livepatch_kernel::Kallsyms;

    #[test]
    fn a_function_is_compared_where_it_is_found() {
        let symbols = Kallsyms::parse("ffffffff81000000 T f\n").expect("well-formed");
        let object = KernelObject {
            name: VMLINUX.into(),
            build_id: None,
            functions: Vec::new(),
        };
        let function = KernelFunction {
            name: "f".into(),
            sympos: 0,
            place: None,
            new: "f".into(),
            reason: String::new(),
            code: vec![0x90, 0xc3],
            fixups: Vec::new(),
        };
        let read = |address: u64, _: usize| {
            Ok(if address == 0xffff_ffff_8100_0000 {
                vec![0x90, 0xc3]
            } else {
                vec![0xcc, 0xc3]
            })
        };
        let proved = |places| prove(&object, &function, &places, &read);
        let by_table = proved(Places::Table(symbols)).map(|proved| proved.address);
        assert_eq!(by_table, Ok(0xffff_ffff_8100_0000));
        let other = [(("f".to_owned(), 0), 0xffff_ffff_8100_0010)];
        let other = proved(Places::Entries(other.into()));
        assert!(
            matches!(other, Err(Misfit::Code { offset: 0, .. })),
            "{other:?}"
        );
    }
}
