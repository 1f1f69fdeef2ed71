//! What compilers append to names, and what they name themselves.
//!
//! gcc numbers clones (`parse.constprop.0`, `parse.isra.0.cold`), static locals (`counter.1`) and its own tables
//! (`CSWTCH.12`) in the order in which it meets them, so a number says nothing across builds.

/// The name without numbers: `a.constprop.0.cold` becomes `a.constprop.cold`, `counter.1234` becomes `counter`.
#[must_use]
pub fn base(name: &str) -> String {
    let mut parts = name.split('.');
    let mut base = without_unique_number(parts.next().unwrap_or_default()).to_owned();
    for part in parts {
        let number = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !number && part != "lto_priv" && part != "llvm" {
            base.push('.');
            base.push_str(without_unique_number(part));
        }
    }
    base
}

/// The kernel's macros make names by `__COUNTER__`: `__UNIQUE_ID_license256`.
fn without_unique_number(name: &str) -> &str {
    match name.strip_prefix("__UNIQUE_ID_") {
        Some(_) => name.trim_end_matches(|c: char| c.is_ascii_digit()),
        None => name,
    }
}

/// Whether numbers, or marks of the link-time optimiser, were left out of the base.
#[must_use]
pub fn is_numbered(name: &str) -> bool {
    base(name).len() != name.len()
}

/// The function whose rarely executed part this is: `parse` for `parse.cold` and `parse.cold.12`.
#[must_use]
pub fn cold_parent(name: &str) -> Option<&str> {
    let (parent, number) = name.rsplit_once(".cold")?;
    let plain = number.is_empty()
        || number
            .strip_prefix('.')
            .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()));
    (plain && !parent.is_empty()).then_some(parent)
}

/// The function that a part was split off: `parse` for `parse.part.0`.
#[must_use]
pub fn part_parent(name: &str) -> Option<&str> {
    let (parent, _) = name.split_once(".part.")?;
    (!parent.is_empty()).then_some(parent)
}

/// The function of the source that a clone or part was made of: `parse` for `parse.constprop.0.isra.0`.
#[must_use]
pub fn origin(name: &str) -> &str {
    name.split('.').next().unwrap_or_default()
}

/// Whether a clone was made by the optimiser, whose address no source program can take.
#[must_use]
pub fn is_clone(name: &str) -> bool {
    ["constprop", "isra", "part"]
        .iter()
        .any(|kind| name.split('.').skip(1).any(|part| part == *kind))
}

/// Whether it is a variable of a kernel's macros in whose state nobody trusts: whether a warning was printed, how often a
/// message was, the class of a lock, what tools show of a message. New code has its own.
#[must_use]
pub fn is_fleeting(name: &str) -> bool {
    let base = base(name);
    let known = [
        "__key",
        "__warned",
        "__already_done",
        "__print_once",
        "_rs",
        "descriptor",
        "_entry",
        "_entry_ptr",
        "__UNIQUE_ID_ddebug",
    ];
    // clang puts the function's name before it.
    base.split('.').any(|part| known.contains(&part))
}

/// Whether the compiler made this constant for itself, so that only its contents matter.
#[must_use]
pub fn is_generated(name: &str) -> bool {
    let base = base(name);
    let stem = base.split('.').next().unwrap_or_default();
    matches!(
        stem,
        "CSWTCH" | "__func__" | "__FUNCTION__" | "__PRETTY_FUNCTION__" | "__msg"
    ) || base == "C" && is_numbered(name)
        || base.starts_with("switch.table")
        || base.starts_with("__const.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_left_out() {
        assert_eq!(base("counter.1234"), "counter");
        assert_eq!(base("a.constprop.0.isra.12.cold"), "a.constprop.isra.cold");
        assert_eq!(base("table.lto_priv.3"), "table");
        assert_eq!(base("plain"), "plain");
        assert_eq!(base("__UNIQUE_ID_ddebug256.1"), "__UNIQUE_ID_ddebug");
        assert!(is_fleeting("__UNIQUE_ID_ddebug256.1") && is_fleeting("_rs.3"));
        assert_eq!(base(".LC3"), ".LC3");
        assert!(is_numbered("counter.0") && !is_numbered("counter"));
    }

    #[test]
    fn pieces_know_their_function() {
        assert_eq!(cold_parent("a.cold"), Some("a"));
        assert_eq!(cold_parent("a.part.0.cold.7"), Some("a.part.0"));
        assert_eq!(cold_parent("a.colder"), None);
        assert_eq!(cold_parent("a"), None);
        assert_eq!(part_parent("a.part.0"), Some("a"));
    }

    #[test]
    fn the_compilers_own_constants_are_recognised() {
        for name in [
            "CSWTCH.12",
            "__func__.3",
            "__PRETTY_FUNCTION__.0",
            "C.0.0",
            "switch.table.f",
        ] {
            assert!(is_generated(name), "{name}");
        }
        for name in ["C", "table", "func.1"] {
            assert!(!is_generated(name), "{name}");
        }
    }
}
