//! Which names are names of one function.
//!
//! A symbol at a function's address that is none of them belongs to another function, which the linker folded into this one.

use crate::Function;

/// What compilers append to the name of a function: of clones and parts, and of names that they make unique.
const SUFFIXES: [&str; 9] = [
    "constprop",
    "isra",
    "part",
    "cold",
    "lto_priv",
    "localalias",
    "llvm",
    "clone",
    "resolver",
];

impl Function {
    /// Whether a symbol of the running program is called as this function: versions and what compilers append do not count, nor
    /// which constructor or destructor of a class it is (Itanium C++ ABI, 5.1.4.3).
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        let wanted = base(name);
        let mut own = std::iter::once(&self.name).chain(&self.aliases);
        own.any(|own| base(own) == wanted || is_structor_of(base(own), wanted))
    }
}

fn base(name: &str) -> &str {
    let mut base = match name.find('@') {
        Some(at) if at > 0 => &name[..at],
        _ => name,
    };
    while let Some((rest, last)) = base.rsplit_once('.') {
        let number = !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit());
        if rest.is_empty() || !number && !SUFFIXES.contains(&last) {
            break;
        }
        base = rest;
    }
    base
}

/// Whether the names differ only in which constructor (`C1`, `C2`) or destructor (`D0`, `D1`, `D2`) of a class they are.
fn is_structor_of(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    if one.len() != other.len() || !one.starts_with(b"_ZN") {
        return false;
    }
    let mut different = (1..one.len()).filter(|&at| one[at] != other[at]);
    let is_number = |at: usize| one[at].is_ascii_digit() && other[at].is_ascii_digit();
    let at = different.next();
    at.is_some_and(|at| {
        is_number(at) && matches!(one[at - 1], b'C' | b'D') && one[at - 1] == other[at - 1]
    }) && different.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scope;

    fn function(name: &str, aliases: &[&str]) -> Function {
        Function {
            name: name.into(),
            aliases: aliases.iter().map(|&alias| alias.into()).collect(),
            scope: Scope::Global,
            object: "f.o".into(),
            source: None,
            pieces: vec![],
            new: None,
            reason: String::new(),
        }
    }

    #[test]
    fn names_of_one_function_are_told_from_others() {
        let write = function("__write", &["write@@GLIBC_2.2.5"]);
        assert!(write.is_called("write@GLIBC_2.2.5") && write.is_called("__write"));
        assert!(!write.is_called("__read") && !write.is_called("write.plain"));
        let clone = function("parse.constprop.0", &[]);
        assert!(clone.is_called("parse.constprop.1") && clone.is_called("parse.lto_priv.0"));
    }

    #[test]
    fn constructors_of_a_class_are_one() {
        let base = function("_ZN3BoxC2Ev", &[]);
        assert!(base.is_called("_ZN3BoxC1Ev"));
        assert!(!base.is_called("_ZN3BagC2Ev") && !base.is_called("_ZN3BoxD2Ev"));
        assert!(!function("_ZN3B12fEv", &[]).is_called("_ZN3B13fEv"));
    }
}
