//! One kernel with all its facts, found by its release.

use crate::btf::{Btf, BtfError, Layout};
use crate::cache::Cache;
use crate::image::{Image, ImageError};
use crate::kallsyms::{Kallsyms, TablesError};
use crate::module::{ModuleError, ModuleFile};
use crate::symvers::{Symvers, SymversError, module_name};
use livepatch_bundle::{BuildId, LinkAddr};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why facts about a kernel cannot be had.
#[derive(Debug, Error)]
pub enum KernelError {
    /// None of the places has the file.
    #[error("no {what} of kernel `{release}`: looked for {}", list(.places))]
    Missing {
        /// What is missing.
        what: &'static str,
        /// The kernel.
        release: String,
        /// Where it was looked for.
        places: Vec<PathBuf>,
    },
    /// The file system said no.
    #[error("cannot read `{path}`")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The image cannot be used.
    #[error("cannot use the kernel image `{path}`")]
    Image {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ImageError,
    },
    /// Its symbols cannot be read.
    #[error("cannot use the kernel image `{path}`")]
    Symbols {
        /// The file.
        path: PathBuf,
        /// Why.
        source: TablesError,
    },
    /// The image is of another kernel.
    #[error("the kernel image `{path}` is not of release `{release}`: {}", found_release(.found))]
    OtherRelease {
        /// The file.
        path: PathBuf,
        /// The release asked for.
        release: String,
        /// The release in it.
        found: Option<String>,
    },
    /// Types are missing.
    #[error("the types (BTF) of kernel `{release}` cannot be used")]
    Btf {
        /// The kernel.
        release: String,
        /// Why.
        source: BtfError,
    },
    /// Exports are malformed.
    #[error("cannot use `{path}`")]
    Symvers {
        /// The file.
        path: PathBuf,
        /// Why.
        source: SymversError,
    },
    /// A module cannot be used.
    #[error("cannot use the module `{path}`")]
    Module {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ModuleError,
    },
    /// A release that no kernel has.
    #[error("`{0}` is no kernel release")]
    Release(String),
}

fn list(places: &[PathBuf]) -> String {
    let places = places.iter().map(|place| format!("`{}`", place.display()));
    places.collect::<Vec<_>>().join(", ")
}

fn found_release(found: &Option<String>) -> String {
    match found {
        Some(found) => format!("it is of `{found}`"),
        None => "it does not say which it is".to_owned(),
    }
}

/// Where a kernel's files are.
#[derive(Clone, Debug)]
pub struct Paths {
    /// Below this directory the packages are unpacked; `/` for what is installed.
    pub root: PathBuf,
    /// The image, if it is not at its usual place.
    pub image: Option<PathBuf>,
    /// `Module.symvers`, if it is not at its usual place.
    pub symvers: Option<PathBuf>,
    /// Where unpacked images are kept; `None`: nowhere.
    pub cache: Option<Cache>,
}

impl Default for Paths {
    fn default() -> Self {
        Self {
            root: PathBuf::from("/"),
            image: None,
            symvers: None,
            cache: None,
        }
    }
}

/// A kernel.
#[derive(Debug)]
pub struct Kernel {
    /// `uname -r`.
    pub release: String,
    /// What a module must say about the kernel it was built for (`vermagic`).
    pub vermagic: String,
    /// The build ID.
    pub build_id: BuildId,
    /// The image.
    pub image: Image,
    /// Its symbols.
    pub symbols: Kallsyms,
    /// Exported symbols of the kernel and its modules.
    pub symvers: Symvers,
    root: PathBuf,
}

impl Kernel {
    /// Reads what is known about a kernel.
    ///
    /// # Errors
    /// What is missing, of another release or malformed.
    pub fn read(release: &str, paths: &Paths) -> Result<Self, KernelError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._+-~".contains(c);
        if release.is_empty() || !release.chars().all(plain) || release.starts_with('.') {
            return Err(KernelError::Release(release.to_owned()));
        }
        let (image_path, packed) = read_image(release, paths)?;
        let symvers = read_symvers(release, paths)?;
        let failed = |source| KernelError::Image {
            path: image_path.clone(),
            source,
        };
        let image = Image::parse(packed, paths.cache.as_ref()).map_err(failed)?;
        let build_id = image.build_id().map_err(failed)?;
        let symbols = Kallsyms::of_image(&image);
        let symbols = symbols.map_err(|source| KernelError::Symbols {
            path: image_path.clone(),
            source,
        })?;
        let vermagic = vermagic(&image, &symbols);
        let found = vermagic.as_deref().and_then(|text| text.split(' ').next());
        let Some(vermagic) = vermagic.clone().filter(|_| found == Some(release)) else {
            return Err(KernelError::OtherRelease {
                release: release.to_owned(),
                found: found.map(str::to_owned),
                path: image_path,
            });
        };
        Ok(Self {
            release: release.to_owned(),
            vermagic,
            build_id,
            image,
            symbols,
            symvers,
            root: paths.root.clone(),
        })
    }

    /// The layouts of structures, in the order of their names here.
    ///
    /// # Errors
    /// When the image has no BTF, or BTF has no such structure.
    pub fn layouts<const N: usize>(&self, names: [&str; N]) -> Result<[Layout; N], KernelError> {
        let failed = |source| KernelError::Btf {
            release: self.release.clone(),
            source,
        };
        let blob = self.image.section(".BTF");
        let blob = blob.map_err(|_| failed(BtfError::Malformed("the image has none")))?;
        let btf = Btf::parse(blob.1).map_err(failed)?;
        let layouts = names.map(|name| btf.layout(name));
        let mut found = Vec::with_capacity(N);
        for layout in layouts {
            found.push(layout.map_err(failed)?);
        }
        Ok(found.try_into().expect("one layout for each name"))
    }

    /// Finds and reads a module of the kernel's packages.
    ///
    /// # Errors
    /// When there is none of this name, or it is malformed.
    pub fn module(&self, name: &str) -> Result<ModuleFile, KernelError> {
        let base = self.root.join("lib/modules").join(&self.release);
        let order = base.join("modules.order");
        let text = fs::read_to_string(&order).map_err(io_error(&order))?;
        let known = text.lines().find(|line| {
            let stem = line.strip_suffix(".ko").unwrap_or(line);
            module_name(stem) == name
        });
        let missing = |places| KernelError::Missing {
            what: "module file",
            release: self.release.clone(),
            places,
        };
        let known = known.ok_or_else(|| missing(vec![order.clone()]))?;
        let places = ["", ".xz", ".zst", ".gz"].map(|end| base.join(format!("{known}{end}")));
        let path = places.iter().find(|path| path.exists());
        let path = path.ok_or_else(|| missing(places.to_vec()))?;
        let bytes = fs::read(path).map_err(io_error(path))?;
        ModuleFile::parse(&bytes).map_err(|source| KernelError::Module {
            path: path.clone(),
            source,
        })
    }
}

/// The kernel's own `vermagic`, which modules must repeat.
fn vermagic(image: &Image, symbols: &Kallsyms) -> Option<String> {
    let symbol = symbols.named("vermagic", None).next()?;
    let bytes = image.bytes_from(LinkAddr(symbol.address))?;
    let end = bytes.iter().take(256).position(|byte| *byte == 0)?;
    String::from_utf8(bytes[..end].to_vec()).ok()
}

fn read_image(release: &str, paths: &Paths) -> Result<(PathBuf, Vec<u8>), KernelError> {
    let usual = [
        format!("boot/vmlinuz-{release}"),
        format!("lib/modules/{release}/vmlinuz"),
        format!("usr/lib/modules/{release}/vmlinuz"),
    ];
    read_first("image", release, paths, paths.image.as_deref(), &usual)
}

fn read_symvers(release: &str, paths: &Paths) -> Result<Symvers, KernelError> {
    let usual = [
        format!("usr/src/linux-headers-{release}/Module.symvers"),
        format!("lib/modules/{release}/build/Module.symvers"),
        format!("usr/src/kernels/{release}/Module.symvers"),
    ];
    let given = paths.symvers.as_deref();
    let (path, bytes) = read_first("`Module.symvers`", release, paths, given, &usual)?;
    let text = String::from_utf8_lossy(&bytes);
    Symvers::parse(&text).map_err(|source| KernelError::Symvers { path, source })
}

/// The given file, or the first of the usual ones that exists.
fn read_first(
    what: &'static str,
    release: &str,
    paths: &Paths,
    given: Option<&Path>,
    usual: &[String],
) -> Result<(PathBuf, Vec<u8>), KernelError> {
    let usual = usual.iter().map(|place| paths.root.join(place));
    let places: Vec<PathBuf> = match given {
        Some(given) => vec![given.to_owned()],
        None => usual.collect(),
    };
    let found = places.iter().find(|place| place.exists()).cloned();
    let path = found.ok_or_else(|| KernelError::Missing {
        what,
        release: release.to_owned(),
        places,
    })?;
    let bytes = fs::read(&path).map_err(io_error(&path))?;
    Ok((path, bytes))
}

fn io_error(path: &Path) -> impl Fn(io::Error) -> KernelError + '_ {
    move |source| KernelError::Io {
        path: path.to_owned(),
        source,
    }
}
