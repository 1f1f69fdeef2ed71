//! What a directory's `Makefile` says about an object (`Documentation/kbuild/makefiles.rst`).
//!
//! ```text
//! obj-$(CONFIG_BINFMT_MISC) += binfmt_misc.o        a module, or part of the kernel, as CONFIG_BINFMT_MISC is
//! obj-y += proc.o                                    part of the kernel
//! proc-y := nommu.o task_nommu.o                     `version.o` becomes part of `proc.o`
//! proc-y += version.o
//! ```

use std::collections::BTreeMap;

/// How the kernel is configured: `CONFIG_X` to `y`, `m` or another value.
pub(super) type Config = BTreeMap<String, String>;

/// Reads `.config` or `auto.conf`.
pub(super) fn config(text: &str) -> Config {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let pairs = lines.filter_map(|line| line.split_once('='));
    pairs
        .map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned()))
        .collect()
}

/// What becomes of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// The object that Kbuild is asked for, without `.o`: the file's own, or one that it is linked into.
    pub whole: String,
    /// Whether that is a module.
    pub is_module: bool,
}

/// What becomes of `object` (without `.o`); `None` when the file does not tell.
pub(super) fn part(makefile: &str, config: &Config, object: &str) -> Option<Part> {
    let lists = lists(makefile, config);
    let mut whole = object;
    // What is linked into something may be linked into something else.
    for _ in 0..lists.len() + 1 {
        if let Some(is_module) = wanted(&lists, whole) {
            return Some(Part {
                whole: whole.to_owned(),
                is_module,
            });
        }
        whole = lists.iter().find_map(|list| {
            let stem = list.name.strip_suffix("-objs").or_else(|| {
                let stem = list.name.strip_suffix("-y");
                stem.or_else(|| list.name.strip_suffix("-m"))
            })?;
            let holds = stem != "obj" && stem != whole && has(&lists, list, whole, DEPTH_MAX);
            holds.then_some(stem)
        })?;
    }
    None
}

/// Whether an object is wanted for itself, and if, whether as a module.
fn wanted(lists: &[List], object: &str) -> Option<bool> {
    let of = |name: &str| {
        let mut named = lists.iter().filter(|list| list.name == name);
        named.any(|list| has(lists, list, object, DEPTH_MAX))
    };
    match (of("obj-y") || of("lib-y"), of("obj-m")) {
        (true, _) => Some(false),
        (false, true) => Some(true),
        _ => None,
    }
}

/// An assignment of objects to a variable.
struct List {
    /// The variable with what its `$(CONFIG_…)` stands for.
    name: String,
    words: Vec<String>,
}

/// How deep variables may refer to each other.
const DEPTH_MAX: usize = 4;

/// Whether a list has an object, itself or through `$(other-y)`.
fn has(lists: &[List], list: &List, object: &str, depth: usize) -> bool {
    list.words.iter().any(|word| {
        let inner = word
            .strip_prefix("$(")
            .and_then(|word| word.strip_suffix(')'));
        match inner {
            Some(name) if depth > 0 => {
                let mut named = lists.iter().filter(|list| list.name == name);
                named.any(|list| has(lists, list, object, depth - 1))
            }
            _ => word.strip_suffix(".o") == Some(object),
        }
    })
}

fn lists(makefile: &str, config: &Config) -> Vec<List> {
    let joined = round(&makefile.replace("\\\n", " "));
    let lines = joined
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default());
    let assignments = lines.filter_map(|line| {
        let (name, words) = line.split_once('=')?;
        let name = name.trim_end_matches([':', '+', '?', ' ', '\t']).trim();
        let words = words.split_whitespace().map(str::to_owned);
        Some(List {
            name: expanded(name, config)?,
            words: words.collect(),
        })
    });
    assignments.collect()
}

/// The text with `$(NAME)` for `${NAME}`, which means the same.
fn round(text: &str) -> String {
    let mut parts = text.split("${");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        text + "$(" + &part.replacen('}', ")", 1)
    })
}

/// The variable's name with the values of `$(CONFIG_…)`; `None` when it refers to something else.
fn expanded(name: &str, config: &Config) -> Option<String> {
    let Some((before, rest)) = name.split_once("$(") else {
        return Some(name.to_owned());
    };
    let (variable, after) = rest.split_once(')')?;
    let value = config.get(variable).map_or("", String::as_str);
    (variable.starts_with("CONFIG_") && !after.contains('$'))
        .then(|| format!("{before}{value}{after}"))
}

/// Arguments of objtool for one object of the kernel (`scripts/Makefile.lib`): where IBT delays it to the link of
/// `vmlinux.o`, Kbuild does not run it. `--ibt` and `--cfi` need that link and add nothing that a patch uses.
pub(super) fn objtool(config: &Config, is_module: bool) -> Vec<String> {
    const ARGUMENTS: [(&str, &str); 14] = [
        ("CONFIG_HAVE_JUMP_LABEL_HACK", "--hacks=jump_label"),
        ("CONFIG_HAVE_NOINSTR_HACK", "--hacks=noinstr"),
        ("CONFIG_CALL_DEPTH_TRACKING", "--hacks=skylake"),
        ("CONFIG_MITIGATION_CALL_DEPTH_TRACKING", "--hacks=skylake"),
        ("CONFIG_UNWINDER_ORC", "--orc"),
        ("CONFIG_RETPOLINE", "--retpoline"),
        ("CONFIG_MITIGATION_RETPOLINE", "--retpoline"),
        ("CONFIG_RETHUNK", "--rethunk"),
        ("CONFIG_MITIGATION_RETHUNK", "--rethunk"),
        ("CONFIG_SLS", "--sls"),
        ("CONFIG_MITIGATION_SLS", "--sls"),
        ("CONFIG_STACK_VALIDATION", "--stackval"),
        ("CONFIG_HAVE_STATIC_CALL_INLINE", "--static-call"),
        ("CONFIG_HAVE_UACCESS_VALIDATION", "--uaccess"),
    ];
    let is_set = |name: &str| config.get(name).is_some_and(|value| value == "y");
    let set = ARGUMENTS.iter().filter(|(name, _)| is_set(name));
    let mut arguments: Vec<String> = set.map(|(_, argument)| (*argument).to_owned()).collect();
    if is_set("CONFIG_PREFIX_SYMBOLS")
        && let Some(bytes) = config.get("CONFIG_FUNCTION_PADDING_BYTES")
    {
        arguments.push(format!("--prefix={bytes}"));
    }
    if is_module {
        arguments.push("--module".to_owned());
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAKEFILE: &str = "obj-y   += proc.o   # all of it\n\
                            proc-y := nommu.o \\\n\tversion.o\n\
                            proc-$(CONFIG_MMU) += task_mmu.o\n\
                            obj-${CONFIG_KCORE} += kcore.o\n\
                            obj-${CONFIG_LSM} += lsm.o\n\
                            obj-$(CONFIG_TEST) += test.o other.o\n\
                            test-objs := one.o\n\
                            mmu-$(CONFIG_MMU) := memory.o\n\
                            obj-y += $(mmu-y)\n";

    #[test]
    fn objects_are_followed_to_what_they_become() {
        let config =
            config("CONFIG_MMU=y\nCONFIG_TEST=m\nCONFIG_LSM=y\n# CONFIG_KCORE is not set\n");
        let of = |object| part(MAKEFILE, &config, object).map(|p| (p.whole, p.is_module));
        assert_eq!(of("version"), Some(("proc".to_owned(), false)));
        assert_eq!(of("task_mmu"), Some(("proc".to_owned(), false)));
        assert_eq!(of("one"), Some(("test".to_owned(), true)));
        assert_eq!(of("memory"), Some(("memory".to_owned(), false)));
        assert_eq!(of("other"), Some(("other".to_owned(), true)));
        assert_eq!(of("lsm"), Some(("lsm".to_owned(), false)));
        assert_eq!((of("kcore"), of("absent")), (None, None));
    }

    #[test]
    fn objtool_is_told_what_the_configuration_says() {
        let text =
            "CONFIG_UNWINDER_ORC=y\nCONFIG_PREFIX_SYMBOLS=y\nCONFIG_FUNCTION_PADDING_BYTES=16\n";
        assert_eq!(
            objtool(&config(text), true),
            ["--orc", "--prefix=16", "--module"]
        );
    }
}
