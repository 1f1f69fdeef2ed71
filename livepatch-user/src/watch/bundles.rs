//! The directory of bundles.

use crate::image::Images;
use crate::trust::{Admitted, BundleRefusal, Policy, PolicyError, Sources, admit};
use livepatch_bundle::{BuildId, TrustedFileError, check_trusted};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// What a bundle's file name ends with.
const EXTENSION: &str = "lpatch";

/// Why a bundle of the directory is not applied.
#[derive(Debug, Error)]
pub(super) enum Unfit {
    /// It is not admitted.
    #[error(transparent)]
    Refused(#[from] BundleRefusal),
    /// It does not say what it is for.
    #[error("the bundle `{}` names no build ID: make it with `patchgen --target`", .0.display())]
    NoBuildId(PathBuf),
}

/// Why there are no bundles.
#[derive(Debug, Error)]
pub enum BundlesError {
    /// Others may put bundles there.
    #[error("the directory of bundles cannot be used")]
    Directory(#[from] TrustedFileError),
    /// There is no policy to go by.
    #[error(transparent)]
    Policy(#[from] PolicyError),
}

/// A bundle that is kept applied.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) admitted: Admitted,
    build_ids: BTreeSet<BuildId>,
}

impl Kept {
    /// The patch's name.
    pub(super) fn name(&self) -> &str {
        &self.admitted.bundle.manifest.name
    }

    /// Whether the process maps what it is for.
    pub(super) fn is_for(&self, images: &Images<'_>) -> bool {
        self.build_ids
            .iter()
            .any(|id| images.with_build_id(id).next().is_some())
    }
}

/// The bundles of the directory, in the order of their file names.
#[derive(Debug, Default)]
pub(super) struct Bundles {
    pub(super) kept: Vec<Kept>,
    /// The build IDs that they are for.
    pub(super) build_ids: BTreeSet<BuildId>,
    /// Whether one is for a library.
    pub(super) libraries: bool,
}

impl Bundles {
    /// Reads them all; what cannot be used is returned beside.
    pub(super) fn read(
        directory: &Path,
        sources: &Sources,
    ) -> Result<(Self, Vec<Unfit>), BundlesError> {
        let real = check_trusted(directory)?;
        let policy = Policy::read(sources)?;
        let (mut bundles, mut unfit) = (Self::default(), Vec::new());
        for path in files(&real)? {
            match bundle(&policy, &path) {
                Ok(kept) => bundles.add(kept),
                Err(why) => unfit.push(why),
            }
        }
        Ok((bundles, unfit))
    }

    fn add(&mut self, kept: Kept) {
        for module in &kept.admitted.bundle.manifest.modules {
            let is_library = module.soname.is_some() || module.file_name.contains(".so");
            self.libraries |= is_library;
        }
        self.build_ids.extend(kept.build_ids.iter().cloned());
        self.kept.push(kept);
    }

    /// The digests of the bundles, by which a changed directory is told.
    pub(super) fn digests(&self) -> BTreeSet<[u8; 32]> {
        self.kept.iter().map(|kept| kept.admitted.digest).collect()
    }

    /// The names of the patches.
    pub(super) fn patches(&self) -> BTreeSet<String> {
        self.kept
            .iter()
            .map(|kept| kept.name().to_owned())
            .collect()
    }
}

fn bundle(policy: &Policy, path: &Path) -> Result<Kept, Unfit> {
    let admitted = admit(policy, path)?;
    let modules = admitted.bundle.manifest.modules.iter();
    let build_ids: BTreeSet<BuildId> = modules
        .filter_map(|module| module.build_id.clone())
        .collect();
    match build_ids.is_empty() {
        true => Err(Unfit::NoBuildId(path.to_owned())),
        false => Ok(Kept {
            admitted,
            build_ids,
        }),
    }
}

fn files(directory: &Path) -> Result<Vec<PathBuf>, TrustedFileError> {
    let failed = |source| TrustedFileError::Io {
        path: directory.to_owned(),
        source,
    };
    let entries = fs::read_dir(directory).map_err(failed)?;
    let paths = entries.map(|entry| Ok(entry.map_err(failed)?.path()));
    let mut files = paths.collect::<Result<Vec<_>, TrustedFileError>>()?;
    let named = |path: &PathBuf| {
        let hidden = path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        path.extension() == Some(OsStr::new(EXTENSION)) && !hidden
    };
    files.retain(named);
    files.sort();
    Ok(files)
}
