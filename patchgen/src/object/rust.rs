//! Names that rustc mangles.
//!
//! ```text
//! legacy  _ZN5patch5inner3add17h71290cfcff07be60E    path, then a hash of the crate, the signature and the type arguments
//! v0      _RNvNtCsgEmfK2I1SDS_5patch5inner3add       path with the hash of the crate (`Cs..._`) and type arguments
//! ```
//!
//! The crate's hash depends on compiler, flags and the place of the sources. Where it stays, the whole name counts, and a
//! legacy hash that changed means another signature. Where it does not, only the path is left.

use super::{Atom, Object};
use std::collections::HashSet;

/// The path, without hashes: `patch::inner::add`. `None` for names that are not of Rust.
#[must_use]
pub fn path(name: &str) -> Option<String> {
    let hashed = is_legacy(name) || name.starts_with("_R");
    let demangled = hashed.then(|| rustc_demangle::try_demangle(name).ok())??;
    Some(format!("{demangled:#}"))
}

/// `_ZN...17h` and 16 hexadecimal digits, `E`, and what LLVM appends.
fn is_legacy(name: &str) -> bool {
    let Some(rest) = name.strip_prefix("_ZN") else {
        return false;
    };
    rest.rfind("17h").is_some_and(|at| {
        let hash = &rest.as_bytes()[at + 3..];
        hash.len() > 16 && hash[16] == b'E' && hash[..16].iter().all(u8::is_ascii_hexdigit)
    })
}

/// Whether the crate's hash is another in the new object: no function or variable of Rust that old and new define has
/// kept its name.
#[must_use]
pub fn is_hash_changed(old: &Object<'_>, new: &Object<'_>) -> bool {
    let names = |object: &Object<'_>| -> HashSet<String> {
        let defined = object.atoms.iter().filter(|atom| is_defined(atom));
        defined.map(|atom| atom.name.to_owned()).collect()
    };
    let (old, new) = (names(old), names(new));
    !old.is_empty() && !new.is_empty() && old.is_disjoint(&new)
}

fn is_defined(atom: &Atom<'_>) -> bool {
    atom.section() != 0 && (is_legacy(atom.name) || atom.name.starts_with("_R"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_no_hashes() {
        let legacy = path("_ZN5patch5inner3add17h71290cfcff07be60E");
        assert_eq!(legacy.as_deref(), Some("patch::inner::add"));
        let v0 = path("_RNvNtCsgEmfK2I1SDS_5patch5inner3add");
        assert_eq!(v0.as_deref(), Some("patch::inner::add"));
        for other in [
            "answer",
            "_ZN5Shape5weighEl",
            "_ZTV5Shape",
            "__rust_alloc",
            "_R",
        ] {
            assert_eq!(path(other), None, "{other}");
        }
    }
}
