//! `patchgen --kernel RELEASE OLD NEW -o FILE`, `patchgen --kernel-object OLD NEW -o FILE`, `patchgen kernel-objects`.

use super::make::{check_output, labels, refused, remove_stale, unchanged};
use super::{Choices, DONE, KernelChoices, KernelObjects, Make};
use anyhow::{Context, bail};
use livepatch_bundle::{KernelManifest, write_kernel_file};
use livepatch_kernel::{Kernel, Paths};
use patchgen::input;
use patchgen::kernel::{KernelOptions, KernelOutcome, Target, generate_kernel, objects};
use std::path::{Path, PathBuf};

impl KernelChoices {
    /// Whether a patch for the kernel is wanted.
    pub(super) fn is_meant(&self) -> bool {
        self.kernel.is_some() || self.kernel_object
    }

    fn target(&self, release: &str) -> anyhow::Result<Target> {
        let paths = Paths {
            root: self.root.clone().unwrap_or_else(|| Paths::default().root),
            image: self.image.clone(),
            symvers: self.symvers.clone(),
        };
        let kernel = Kernel::read(release, &paths)?;
        let module = match &self.module {
            Some(name) => {
                let name = name.replace('-', "_");
                let file = kernel.module(&name)?;
                Some((name, file))
            }
            None => None,
        };
        Ok(Target { kernel, module })
    }
}

pub(super) fn run(make: &Make, kernel: &KernelChoices, choices: &Choices) -> anyhow::Result<u8> {
    check_output(make)?;
    unsupported(choices)?;
    let options = KernelOptions {
        labels: labels(choices, &make.output)?,
        allow_data: choices.allow_data.clone(),
        allow_layout: choices.allow_layout.clone(),
        replace: kernel.replace,
    };
    let pairs = input::read(&make.old, &make.new)?;
    let target = kernel.kernel.as_deref();
    let target = target.map(|release| kernel.target(release)).transpose()?;
    match generate_kernel(&pairs, &options, target.as_ref())? {
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
        eprintln!("patchgen: warning: {warning}");
    }
    let functions: usize = manifest.objects.iter().map(|one| one.functions.len()).sum();
    println!("`{}` replaces {functions} function(s):", output.display());
    for object in &manifest.objects {
        for function in &object.functions {
            println!(
                "  `{}` in `{}`: {}",
                function.name, object.name, function.reason
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
    for one in made {
        let module = one
            .module
            .map(|name| format!(" --module {name}"))
            .unwrap_or_default();
        let (old, new) = (one.old.display(), one.new.display());
        println!("patchgen --kernel {release}{module} {old} {new} -o fix.kpatch");
    }
    Ok(DONE)
}
