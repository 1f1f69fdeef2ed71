//! Patches for the kernel: from pairs of object files to a livepatch module.
//!
//! Reading, correlating, comparing and the closure are those of patches for processes; what differs is what a kernel's objects
//! have besides ([`tables`](crate::object::tables)), where symbols are found, and what comes out: a module that the
//! kernel's own loader takes (`docs/kpatch.md`).

mod callbacks;
mod checks;
mod code;
mod constants;
mod encode;
mod file;
mod manifest;
mod module;
pub mod objects;
mod place;
mod running;
mod structures;
mod symbols;

use crate::checks::{refusals, unknown_data};
use crate::closure::Closure;
use crate::emit::Labels;
use crate::generate::{self, GenerateError, refuse_unknown};
use crate::input::PairBytes;
use crate::object::{AtomKind, read_kernel};
use crate::program::Program;
use crate::refusal::Refusal;
use crate::types::{self, Verdict};
use code::Code;
use file::{File, Shape};
use livepatch_bundle::KernelManifest;
use livepatch_kernel::{Kernel, KernelError, ModuleFile};
use module::Livepatch;
use object::elf;
use running::Running;
use structures::{Patched, Replaced};
use symbols::Host;
use thiserror::Error;

/// The longest name that a module can have, in bytes (`MODULE_NAME_LEN`, with a zero byte).
const NAME_MAX: usize = 55;

/// Why neither a patch nor a verdict came out.
#[derive(Debug, Error)]
pub enum KernelPatchError {
    /// The objects cannot be read.
    #[error(transparent)]
    Generate(#[from] GenerateError),
    /// The kernel does not tell what is needed.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// The kernel has no livepatch core, and the patch needs it.
    #[error(
        "kernel `{release}` was built without livepatch support (CONFIG_LIVEPATCH), which {what}"
    )]
    NoLivepatch {
        /// The kernel.
        release: String,
        /// What needs it.
        what: &'static str,
    },
    /// A CRC is missing.
    #[error("`Module.symvers` of kernel `{release}` has no CRC for `{}`", .names.join("`, `"))]
    NoCrc {
        /// The kernel.
        release: String,
        /// The symbols.
        names: Vec<String>,
    },
    /// No module can have this name.
    #[error("`{0}` cannot name a kernel module: give a shorter `--name`")]
    Name(String),
}

/// Objects of the kernel itself, or of one module.
#[derive(Debug)]
pub struct Part {
    /// Old and new.
    pub pairs: Vec<PairBytes>,
    /// The module that they belong to; `None` for the kernel itself.
    pub module: Option<(String, ModuleFile)>,
}

/// What the user asks for beside the objects.
#[derive(Clone, Debug, Default)]
pub struct KernelOptions {
    /// Name and description.
    pub labels: Labels,
    /// Variables whose changed initial value is ignored.
    pub allow_data: Vec<String>,
    /// Types whose changed layout is ignored.
    pub allow_layout: Vec<String>,
    /// Whether it takes the place of all livepatches in force.
    pub replace: bool,
}

/// The verdict on two versions.
#[derive(Debug)]
pub enum KernelOutcome {
    /// A patch: the module's bytes, and the manifest in it.
    Patch(Vec<u8>, Box<KernelManifest>),
    /// Nothing that matters changed.
    Unchanged,
    /// No patch is possible, for these reasons.
    Refused(Vec<Refusal>),
}

/// Compares the pairs and makes the patch; without a kernel one that shows what would be in it and cannot be loaded.
///
/// # Errors
/// When an object cannot be read, or the kernel does not tell what is needed.
pub fn generate_kernel(
    parts: &[Part],
    options: &KernelOptions,
    kernel: Option<&Kernel>,
) -> Result<KernelOutcome, KernelPatchError> {
    let parts: Vec<Analysed<'_>> = parts
        .iter()
        .map(|part| Analysed::of(part, kernel))
        .collect::<Result<_, _>>()?;
    let programs: Vec<&Program<'_>> = parts.iter().map(|part| &part.program).collect();
    let unknown = unknown_data(&programs, &options.allow_data);
    refuse_unknown(unknown, GenerateError::AllowData)?;
    let types: Vec<Verdict> = parts
        .iter()
        .map(|part| types::check(&part.program, &part.closure, &options.allow_layout))
        .collect();
    refuse_unknown(unknown_to_all(&types), GenerateError::AllowLayout)?;
    let mut found: Vec<Refusal> = parts
        .iter()
        .flat_map(|part| part.refusals(options))
        .chain(types.into_iter().flat_map(|types| types.refusals))
        .collect();
    if found.is_empty() && parts.iter().all(Analysed::is_unchanged) {
        return Ok(KernelOutcome::Unchanged);
    }
    let mut file = File::default();
    let mut codes: Vec<Code<'_, '_>> = parts.iter().map(Analysed::code).collect();
    if found.is_empty() {
        for code in &mut codes {
            code.emit(&mut file);
            found.append(&mut code.refusals);
        }
    }
    let module = module_name(&options.labels.name)?;
    let manifest = match manifest::of(&codes, options, &module, kernel) {
        Ok(manifest) if found.is_empty() => manifest,
        Ok(_) => return Ok(refused(found)),
        Err(more) => {
            found.extend(more);
            return Ok(refused(found));
        }
    };
    if let Some(kernel) = kernel {
        if let Some(what) = lacks_core(&codes, &manifest, kernel) {
            let release = kernel.release.clone();
            return Err(KernelPatchError::NoLivepatch { release, what });
        }
        finish(&mut file, &codes, &manifest, kernel)?;
    }
    let shape = Shape {
        flags: 0,
        ..Shape::contents(elf::SHF_ALLOC, 1)
    };
    let section = file.section(".livepatch.manifest", shape);
    file.append(section, 1, &manifest.encode());
    Ok(KernelOutcome::Patch(file.encode(), Box::new(manifest)))
}

/// The types that none of the parts has.
fn unknown_to_all(parts: &[Verdict]) -> Vec<String> {
    let Some((first, others)) = parts.split_first() else {
        return Vec::new();
    };
    let unknown = first.unknown.iter();
    unknown
        .filter(|name| others.iter().all(|other| other.unknown.contains(name)))
        .cloned()
        .collect()
}

/// A part with what is known about it.
struct Analysed<'t> {
    program: Program<'t>,
    closure: Closure<'t>,
    host: Host<'t>,
}

impl<'t> Analysed<'t> {
    fn of(part: &'t Part, kernel: Option<&'t Kernel>) -> Result<Self, KernelPatchError> {
        let program = Program::new(generate::units(&part.pairs, read_kernel)?);
        let mut closure = Closure::of(&program);
        if kernel.is_none() {
            closure.add_new(&program);
        }
        let module = part.module.as_ref();
        let running = match kernel {
            Some(kernel) if module.is_none() => Running::of(&program, kernel),
            _ => Running::default(),
        };
        let host = Host {
            kernel,
            running,
            module: module.map(|(name, file)| (name.as_str(), file)),
        };
        Ok(Self {
            program,
            closure,
            host,
        })
    }

    fn refusals(&self, options: &KernelOptions) -> Vec<Refusal> {
        let Self {
            program,
            closure,
            host,
        } = self;
        let mut found = refusals(program, closure, &options.allow_data, &[]);
        found.extend(checks::refusals(program, closure, host));
        found
    }

    fn is_unchanged(&self) -> bool {
        self.closure.replaced.is_empty() && self.closure.carried.is_empty()
    }

    fn code(&self) -> Code<'_, 't> {
        Code::new(&self.program, &self.closure, &self.host)
    }
}

fn refused(mut refusals: Vec<Refusal>) -> KernelOutcome {
    refusals.sort();
    refusals.dedup();
    KernelOutcome::Refused(refusals)
}

/// Whether the kernel has a livepatch core. Without one a patch is a plain module, which the companion leads the kernel to.
fn has_core(kernel: &Kernel) -> bool {
    let mut known = kernel.symbols.named("klp_enable_patch", None);
    known.next().is_some()
}

/// What the patch asks of a livepatch core that the kernel does not have.
fn lacks_core(
    codes: &[Code<'_, '_>],
    manifest: &KernelManifest,
    kernel: &Kernel,
) -> Option<&'static str> {
    if has_core(kernel) {
        None
    } else if manifest.replace {
        Some("`--replace` needs")
    } else if codes.iter().any(|code| !code.closure.hooks.is_empty()) {
        Some("hooks need")
    } else {
        None
    }
}

/// The name of the module of a patch: `livepatch_` and the patch's, with `_` for what module names cannot have.
fn module_name(patch: &str) -> Result<String, KernelPatchError> {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let name = format!("livepatch_{}", patch.chars().map(plain).collect::<String>());
    if name.len() > NAME_MAX {
        return Err(KernelPatchError::Name(patch.to_owned()));
    }
    Ok(name)
}

/// Adds what makes a livepatch of the code.
fn finish(
    file: &mut File,
    codes: &[Code<'_, '_>],
    manifest: &KernelManifest,
    kernel: &Kernel,
) -> Result<(), KernelPatchError> {
    let outside = codes.iter().flat_map(|code| &code.outside);
    let namespaces = symbols::namespaces(outside);
    let livepatch = Livepatch {
        module: &manifest.module,
        description: &manifest.description,
        objects: objects(codes, manifest),
        replace: manifest.replace,
        namespaces: namespaces.into_iter().collect(),
        orc: codes.iter().find_map(orc),
        has_core: has_core(kernel),
    };
    module::add(file, &livepatch, kernel)?;
    let modversions = kernel.vermagic.contains("modversions");
    // `module_layout` stands for the layout of `struct module` itself.
    let needed = file.imports().chain(["module_layout"]);
    let names = needed.filter(|name| kernel.symvers.get(name).is_none());
    let names: Vec<String> = names.map(str::to_owned).collect();
    if modversions && !names.is_empty() {
        return Err(KernelPatchError::NoCrc {
            release: kernel.release.clone(),
            names,
        });
    }
    Ok(())
}

/// What is patched, as the livepatch core is told.
fn objects<'c>(codes: &[Code<'c, '_>], manifest: &KernelManifest) -> Vec<Patched<'c>> {
    let patched = codes.iter().filter_map(|code| {
        let mut objects = manifest.objects.iter();
        let object = objects.find(|object| object.name == code.host.object())?;
        let functions = object.functions.iter().zip(&code.closure.replaced);
        let functions = functions.map(|(function, one)| Replaced {
            name: function.name.clone(),
            position: function.sympos,
            place: code.places[&one.new],
        });
        Some(Patched {
            module: code.host.module.map(|(name, _)| name),
            functions: functions.collect(),
            callbacks: callbacks::of(code),
        })
    });
    patched.collect()
}

/// Records of `.orc_unwind` at the start of a function, and behind its end.
fn orc(code: &Code<'_, '_>) -> Option<(Vec<u8>, Vec<u8>)> {
    code.closure.carried.iter().find_map(|new| {
        let object = &code.program.units[new.unit].pair.new;
        let atom = object.atom(new.atom);
        let at = |place: i64| {
            let entries = object.attached(new.atom).iter();
            let mut entries = entries.filter(|one| one.table.companion.is_some());
            let entry = entries.find(|entry| entry.at == place)?;
            Some(entry.companion.to_vec())
        };
        let function = atom.kind == AtomKind::Function;
        let whole = at(0).zip(at(atom.size.cast_signed()));
        whole.filter(|_| function && object.section_name(new.atom) != ".text")
    })
}
