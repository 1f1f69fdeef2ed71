//! Command lines of compilers and linkers.

use std::fs;
use std::path::{Path, PathBuf};

/// What a program does for a build, as far as its name tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tool {
    /// A compiler driver.
    Compiler,
    /// A linker.
    Linker,
}

/// Programs that run the compiler that their first argument names.
const LAUNCHERS: [&str; 3] = ["ccache", "sccache", "distcc"];

/// The tool that a command line calls, and its arguments from the tool's name on.
pub(super) fn tool(arguments: &[String]) -> Option<(Tool, &[String])> {
    let (first, rest) = arguments.split_first()?;
    if LAUNCHERS.contains(&base(first)) {
        let inner = tool(rest)?;
        return (inner.0 == Tool::Compiler).then_some(inner);
    }
    tool_of(base(first)).map(|tool| (tool, arguments))
}

fn tool_of(name: &str) -> Option<Tool> {
    // x86_64-linux-gnu-gcc-12 and the like
    let version = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.')
    };
    let name = match name.rsplit_once('-') {
        Some((name, last)) if version(last) => name,
        _ => name,
    };
    let name = name.rsplit('-').next().unwrap_or(name);
    match name {
        "gcc" | "g++" | "cc" | "c++" | "clang" | "clang++" => Some(Tool::Compiler),
        "ld" | "ld.bfd" | "ld.gold" | "ld.lld" | "lld" | "gold" | "mold" => Some(Tool::Linker),
        _ => None,
    }
}

fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// How deep response files may name each other.
const RESPONSE_DEPTH: usize = 8;

/// The arguments with response files (`@file`) read in; one that cannot be read stays as it is.
pub(super) fn expanded(arguments: &[String], directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    expand(arguments, directory, 0, &mut found);
    found
}

fn expand(arguments: &[String], directory: &Path, depth: usize, found: &mut Vec<String>) {
    for argument in arguments {
        let file = argument
            .strip_prefix('@')
            .filter(|_| depth < RESPONSE_DEPTH);
        let text = file.and_then(|file| fs::read_to_string(directory.join(file)).ok());
        match text {
            Some(text) => expand(&words(&text), directory, depth + 1, found),
            None => found.push(argument.clone()),
        }
    }
}

/// Words as `libiberty` reads them from a response file: blanks part, quotes hold together, a backslash makes plain.
fn words(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let (mut word, mut begun, mut quote) = (String::new(), false, None);
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (character, quote) {
            ('\\', _) => {
                word.extend(characters.next());
                begun = true;
            }
            (_, Some(end)) if character == end => quote = None,
            ('"' | '\'', None) => (quote, begun) = (Some(character), true),
            (_, None) if character.is_whitespace() => {
                if begun {
                    found.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            _ => {
                word.push(character);
                begun = true;
            }
        }
    }
    if begun {
        found.push(word);
    }
    found
}

/// Options of compilers whose value is the next argument.
#[rustfmt::skip]
const WITH_VALUE: [&str; 34] = [
    "-o", "-I", "-D", "-U", "-L", "-l", "-T", "-u", "-z", "-x", "-B", "-e", "-MF", "-MT", "-MQ", "-include", "-imacros",
    "-isystem", "-iquote", "-idirafter", "-iprefix", "-iwithprefix", "-isysroot", "-Xlinker", "-Xassembler",
    "-Xpreprocessor", "-Xclang", "-mllvm", "-aux-info", "--param", "-arch", "-target", "-dumpbase", "-dumpdir",
];

/// Names of sources that a compiler makes objects of.
#[rustfmt::skip]
const SOURCES: [&str; 13] = ["c", "i", "cc", "cp", "cpp", "cxx", "c++", "C", "CPP", "ii", "s", "S", "sx"];

/// What a compiler is asked to do.
#[derive(Debug, Default)]
pub(super) struct Compilation {
    /// The source files, as they are given.
    pub sources: Vec<String>,
    /// `-o`.
    pub output: Option<String>,
    /// Whether it stops before linking (`-c`).
    pub object: bool,
    /// Whether it makes no object at all (`-E`, `-S`, `-M`, …).
    pub none: bool,
    /// The arguments that say how to compile.
    pub options: Vec<String>,
}

/// Reads a compiler's arguments, without its name.
pub(super) fn compilation(arguments: &[String]) -> Compilation {
    let mut found = Compilation::default();
    let mut language = false;
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let value = if WITH_VALUE.contains(&argument.as_str()) {
            rest.next()
        } else {
            None
        };
        match argument.as_str() {
            "-o" => found.output = value.cloned(),
            "-c" => found.object = true,
            "-E" | "-S" | "-M" | "-MM" | "-fsyntax-only" | "-" | "-###" | "--version" => {
                found.none = true;
            }
            "-MF" | "-MT" | "-MQ" | "-L" | "-l" | "-T" | "-Xlinker" | "-z" | "-u" => {}
            _ if is_source(argument) || language && !argument.starts_with('-') => {
                found.sources.push(argument.clone());
            }
            _ if argument.starts_with("-o") && !argument.starts_with("-object") => {
                found.output = Some(argument[2..].to_owned());
            }
            _ if is_for_the_linker(argument) => {}
            _ => {
                language |= argument == "-x";
                found.options.push(argument.clone());
                found.options.extend(value.cloned());
            }
        }
    }
    found
}

fn is_source(argument: &str) -> bool {
    let extension = Path::new(argument)
        .extension()
        .and_then(|extension| extension.to_str());
    !argument.starts_with('-') && extension.is_some_and(|extension| SOURCES.contains(&extension))
}

fn is_for_the_linker(argument: &str) -> bool {
    [
        "-Wl,",
        "-l",
        "-L",
        "-M",
        "-shared",
        "-rdynamic",
        "-save-temps",
    ]
    .iter()
    .any(|prefix| argument.starts_with(prefix))
        || !argument.starts_with('-')
}

/// What a linker is asked to do: the output, and the files that it may read, in order.
pub(super) fn link(arguments: &[String], directory: &Path) -> (PathBuf, Vec<PathBuf>) {
    let mut output = PathBuf::from("a.out");
    let mut files = Vec::new();
    let mut search: Vec<PathBuf> = Vec::new();
    let mut fixed = false;
    let mut rest = arguments.iter().skip(1);
    while let Some(argument) = rest.next() {
        let mut value = |prefix: &str| match argument.strip_prefix(prefix) {
            Some("") => rest.next().cloned(),
            Some(text) => Some(text.to_owned()),
            None => None,
        };
        match argument.as_str() {
            "-static" | "-Bstatic" | "-dn" | "-non_shared" => fixed = true,
            "-Bdynamic" | "-dy" | "-call_shared" => fixed = false,
            "-plugin" | "-soname" | "-h" | "-z" | "-m" | "-T" | "-rpath" | "-e" | "-u"
            | "-dynamic-linker" | "-Map" | "-version-script" | "-rpath-link" => {
                rest.next();
            }
            "-o" | "--output" => output = rest.next().map_or(output, PathBuf::from),
            _ if argument.starts_with("-L") => {
                search.extend(value("-L").map(|path| directory.join(path)));
            }
            _ if argument.starts_with("-l") => {
                files.extend(value("-l").and_then(|name| library(&name, &search, fixed)));
            }
            _ if argument.starts_with("--output=") => output = PathBuf::from(&argument[9..]),
            _ if !argument.starts_with('-') => files.push(directory.join(argument)),
            _ => {}
        }
    }
    (directory.join(output), files)
}

/// The archive that `-lNAME` stands for, unless a shared library comes first.
fn library(name: &str, search: &[PathBuf], fixed: bool) -> Option<PathBuf> {
    for directory in search {
        if let Some(file) = name.strip_prefix(':') {
            let path = directory.join(file);
            if path.exists() {
                return Some(path);
            }
            continue;
        }
        if !fixed && directory.join(format!("lib{name}.so")).exists() {
            return None;
        }
        let archive = directory.join(format!("lib{name}.a"));
        if archive.exists() {
            return Some(archive);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn tools_are_known_by_their_names() {
        let of = |text: &str| tool(&split(text)).map(|(tool, rest)| (tool, rest.len()));
        assert_eq!(
            of("/usr/bin/x86_64-linux-gnu-gcc-12 -c a.c"),
            Some((Tool::Compiler, 3))
        );
        assert_eq!(of("ccache clang++-14 -c a.cc"), Some((Tool::Compiler, 3)));
        assert_eq!(of("/usr/bin/ld.bfd -o a"), Some((Tool::Linker, 3)));
        assert_eq!(of("ld -o a"), Some((Tool::Linker, 3)));
        for other in [
            "cc1 a.c",
            "as a.s",
            "ccache -s",
            "collect2 a.o",
            "make",
            "build",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn a_compilation_is_taken_apart() {
        let found = compilation(&split(
            "-O2 -I inc -MD -MF a.d -c src/a.c -o out/a.o -DX=1 -Wl,-z,now -pthread",
        ));
        assert_eq!(found.sources, ["src/a.c"]);
        assert_eq!(found.output.as_deref(), Some("out/a.o"));
        assert!(found.object && !found.none);
        assert_eq!(found.options, split("-O2 -I inc -DX=1 -pthread"));
        let linking = compilation(&split("a.c b.c lib.a -lm -o program"));
        assert_eq!((linking.sources.len(), linking.object), (2, false));
        assert!(compilation(&split("-E a.c")).none);
    }

    #[test]
    fn a_link_is_taken_apart() {
        let (output, files) = link(
            &split("ld -o bin/x -z now -soname libx.so.1 a.o sub/b.o --as-needed c.a"),
            Path::new("/d"),
        );
        assert_eq!(output, Path::new("/d/bin/x"));
        assert_eq!(files, ["/d/a.o", "/d/sub/b.o", "/d/c.a"].map(PathBuf::from));
    }

    #[test]
    fn response_files_are_read_as_the_linker_does() {
        assert_eq!(
            words("a 'b c'\n\"d\\\"e\" f\\ g ''"),
            ["a", "b c", "d\"e", "f g", ""]
        );
    }
}
