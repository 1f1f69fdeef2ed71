//! The unwinders of a process, and the functions by which each learns of code that the loader does not know.
//!
//! | unwinder                      | how it is told                                             | since        |
//! |-------------------------------|------------------------------------------------------------|--------------|
//! | `libgcc_s`, `libgcc_eh`       | `__register_frame(section)`, `__deregister_frame(section)` | ever         |
//! | LLVM's `libunwind`            | `__unw_add_dynamic_eh_frame_section(section)`, `__unw_remove_…` | LLVM 14 |
//! | the other `libunwind` (`_U…`) | not at all                                                 |              |
//!
//! LLVM's `__register_frame` takes a single record instead, so it must not be taken for libgcc's.

use super::FramesError;
use crate::image::{Image, Images, Role};
use crate::remote::RemoteError;
use livepatch_bundle::{RunAddr, Scope};
use std::fmt;

/// What every unwinder defines.
const RAISE: &str = "_Unwind_RaiseException";
/// Finds the record of an address; both kinds have it.
const FIND: &str = "_Unwind_Find_FDE";

/// Registration functions in the order in which they are looked for.
const WAYS: [[&str; 2]; 2] = [
    [
        "__unw_add_dynamic_eh_frame_section",
        "__unw_remove_dynamic_eh_frame_section",
    ],
    ["__register_frame", "__deregister_frame"],
];
/// What libgcc's registration function calls.
const INNER: &str = "__register_frame_info";
/// Only LLVM's has this.
const LLVM: &str = "__unw_getcontext";

/// An unwinder that can be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unwinder {
    /// The file that it is in.
    pub image: String,
    /// Takes the address of a section of records.
    pub register: (&'static str, RunAddr),
    /// Takes it back.
    pub deregister: (&'static str, RunAddr),
    /// `_Unwind_Find_FDE(pc, bases)`.
    pub find: (&'static str, RunAddr),
}

/// An unwinder that cannot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable {
    /// The file that it is in.
    pub image: String,
    /// The file that takes in its stead what it is told.
    pub instead: Option<String>,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let image = &self.image;
        match &self.instead {
            None => write!(
                f,
                "the unwinder of `{image}` has no function by which it learns of new code"
            ),
            Some(other) => write!(
                f,
                "what the unwinder of `{image}` is told of new code, `{other}` takes in its stead"
            ),
        }
    }
}

impl Unwinder {
    pub(super) fn failed(&self, function: &'static str, source: RemoteError) -> FramesError {
        FramesError::Call {
            function,
            image: self.image.clone(),
            source,
        }
    }
}

/// The unwinders of the process: in libraries that export them, in the executable and in the module at `module`, which
/// may be linked with their own.
#[must_use]
pub fn unwinders(images: &Images<'_>, module: RunAddr) -> (Vec<Unwinder>, Vec<Unusable>) {
    let (mut usable, mut unusable) = (Vec::new(), Vec::new());
    let module = images.at(module).map(Image::id);
    for image in images.iter().filter(|image| image.role() != Role::Vdso) {
        let thorough = image.is_main() || Some(image.id()) == module;
        let has = image.exports(RAISE) || thorough && function(image, RAISE).is_some();
        if !has {
            continue;
        }
        let is_llvm = function(image, LLVM).is_some();
        let instead = match is_llvm {
            true => None,
            false => instead(images, image),
        };
        match of_image(image, is_llvm).filter(|_| instead.is_none()) {
            Some(unwinder) => usable.push(unwinder),
            None => unusable.push(Unusable {
                image: image.label(),
                instead,
            }),
        }
    }
    (usable, unusable)
}

/// The file whose function the registration of libgcc calls, if that is another: its `__register_frame` calls `__register_frame_info` by the
/// dynamic loader's search, and LLVM's library has one, too, that does nothing.
fn instead(images: &Images<'_>, image: &Image<'_>) -> Option<String> {
    if !image.exports(INNER) {
        return None;
    }
    let found = images.lookup_from(image.id(), INNER, None)?;
    (found.image != image.id()).then(|| images.get(found.image).label())
}

fn of_image(image: &Image<'_>, is_llvm: bool) -> Option<Unwinder> {
    let find = (FIND, function(image, FIND)?);
    let way = WAYS[usize::from(!is_llvm)];
    let named = |name| Some((name, function(image, name)?));
    Some(Unwinder {
        image: image.label(),
        register: named(way[0])?,
        deregister: named(way[1])?,
        find,
    })
}

/// The only function of this name.
fn function(image: &Image<'_>, name: &str) -> Option<RunAddr> {
    match image.find(name, Scope::Global, None).as_slice() {
        [only] => only.at(image.bias()).filter(|at| image.is_code(*at)),
        _ => None,
    }
}
