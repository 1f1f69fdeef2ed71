//! `patchgen --kernel RELEASE OLD NEW -o FILE`, `patchgen --kernel-object OLD NEW -o FILE`, `patchgen kernel-objects`.

use super::make::{check_output, labels, refused, remove_stale, separate, unchanged};
use super::{Choices, DONE, KernelChoices, KernelObjects, Make};
use anyhow::{Context, bail};
use livepatch_bundle::{KernelManifest, write_kernel_file};
use livepatch_cli::{errln, outln};
use livepatch_kernel::{Cache, Kernel, Paths};
use patchgen::input;
use patchgen::kernel::{KernelOptions, KernelOutcome, Part, generate_kernel, objects};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

impl KernelChoices {
    /// Whether a patch for the kernel is wanted.
    pub(super) fn is_meant(&self) -> bool {
        self.kernel.is_some() || self.kernel_object
    }

    fn kernel(&self) -> anyhow::Result<Option<Kernel>> {
        let Some(release) = &self.kernel else {
            return Ok(None);
        };
        let paths = Paths {
            root: self.root.clone().unwrap_or_else(|| Paths::default().root),
            image: self.image.clone(),
            symvers: self.symvers.clone(),
            cache: self.cache(),
        };
        Ok(Some(Kernel::read(release, &paths)?))
    }

    fn cache(&self) -> Option<Cache> {
        match &self.cache {
            _ if self.no_cache => None,
            Some(directory) => Some(Cache::at(directory)),
            None => Cache::of_user(),
        }
    }

    /// Which objects are of which module; `None` for the kernel itself.
    fn sources<'c>(&'c self, make: &'c Make) -> anyhow::Result<Vec<Source<'c>>> {
        let named = |name: &str| name.replace('-', "_");
        let mut sources = vec![Source {
            module: self.module.as_deref().map(named),
            old: &make.old,
            new: &make.new,
        }];
        for one in self.with_module.chunks_exact(3) {
            let name = one[0].to_str().context("the name of a module is no text")?;
            sources.push(Source {
                module: Some(named(name)),
                old: &one[1],
                new: &one[2],
            });
        }
        let mut names = BTreeSet::new();
        for source in &sources {
            if !names.insert(&source.module) {
                let name = source.module.as_deref().unwrap_or_default();
                bail!("the module `{name}` is given twice: put its objects into one directory");
            }
        }
        Ok(sources)
    }
}

/// Objects that belong together.
struct Source<'c> {
    module: Option<String>,
    old: &'c Path,
    new: &'c Path,
}

impl Source<'_> {
    fn read(&self, kernel: Option<&Kernel>) -> anyhow::Result<Part> {
        let module = match (&self.module, kernel) {
            (Some(name), Some(kernel)) => Some((name.clone(), kernel.module(name)?)),
            _ => None,
        };
        Ok(Part {
            pairs: input::read(self.old, self.new)?,
            module,
        })
    }
}

pub(super) fn run(make: &Make, kernel: &KernelChoices, choices: &Choices) -> anyhow::Result<u8> {
    check_output(make)?;
    for input in &kernel.with_module {
        separate(input, &make.output)?;
    }
    unsupported(choices)?;
    let options = KernelOptions {
        labels: labels(choices, &make.output)?,
        allow_data: choices.allow_data.clone(),
        allow_layout: choices.allow_layout.clone(),
        replace: kernel.replace,
    };
    let sources = kernel.sources(make)?;
    let target = kernel.kernel()?;
    let parts = sources.iter().map(|source| source.read(target.as_ref()));
    let parts: Vec<Part> = parts.collect::<anyhow::Result<_>>()?;
    match generate_kernel(&parts, &options, target.as_ref())? {
        KernelOutcome::Patch(module, manifest) => {
            let output = make.output.display();
            write_kernel_file(&module, &make.output)
                .with_context(|| format!("cannot write `{output}`"))?;
            report(&manifest, &make.output);
            Ok(DONE)
        }
        KernelOutcome::Unchanged => unchanged(&make.output),
        KernelOutcome::Refused(refusals) => {
            remove_stale(&make.output)?;
            Ok(refused(&refusals))
        }
    }
}

/// Options that say nothing to the kernel.
fn unsupported(choices: &Choices) -> anyhow::Result<()> {
    if choices.sign_key.is_some() {
        bail!(
            "`--sign-key` signs patches for processes; sign a kernel patch as a module, with the kernel's `sign-file`"
        );
    }
    if !choices.quiesce.is_empty() {
        bail!(
            "`--quiesce` is for processes: the kernel's livepatch core checks the replaced functions alone"
        );
    }
    if !choices.supersedes.is_empty() {
        bail!(
            "`--supersedes` is for processes: a livepatch replaces all others or none (`--replace`)"
        );
    }
    Ok(())
}

fn report(manifest: &KernelManifest, output: &Path) {
    for warning in &manifest.warnings {
        errln!("patchgen: warning: {warning}");
    }
    let functions: usize = manifest.objects.iter().map(|one| one.functions.len()).sum();
    outln!("`{}` replaces {functions} function(s):", output.display());
    for object in &manifest.objects {
        for function in &object.functions {
            outln!(
                "  `{}` in `{}`: {}",
                function.name,
                object.name,
                function.reason
            );
        }
    }
}

/// Makes old and new objects, and tells how to go on.
pub(super) fn objects(arguments: &KernelObjects) -> anyhow::Result<u8> {
    let release = &arguments.kernel;
    let usual = [
        format!("/usr/src/linux-headers-{release}"),
        format!("/lib/modules/{release}/build"),
    ];
    let given = arguments.headers.clone();
    let headers = given.or_else(|| usual.iter().map(PathBuf::from).find(|path| path.exists()));
    let Some(headers) = headers else {
        bail!(
            "no headers of kernel `{release}`: `{}` does not exist; give `--headers`",
            usual[0]
        );
    };
    let made = objects::make(&objects::Job {
        headers,
        source: arguments.source.clone(),
        patch: arguments.patch.clone(),
        output: arguments.output.clone(),
    })?;
    outln!("{}", command(release, &made));
    Ok(DONE)
}

/// How to go on: the first of the kernel and the modules with changed objects as OLD and NEW, the others by `--with-module`.
fn command(release: &str, made: &[objects::Made]) -> String {
    let mut command = format!("patchgen --kernel {release}");
    for (index, one) in made.iter().enumerate() {
        let (old, new) = (one.old.display(), one.new.display());
        let _ = match (&one.module, index) {
            (None, _) => write!(command, " {old} {new}"),
            (Some(name), 0) => write!(command, " --module {name} {old} {new}"),
            (Some(name), _) => write!(command, " --with-module {name} {old} {new}"),
        };
    }
    command + " -o fix.kpatch"
}
