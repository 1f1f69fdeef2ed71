//! Compiling changed objects again, with a section for each function and variable, with debug information, and to machine code also
//! where the build lets the linker optimise (`-flto`).
//!
//! The program that runs was made without these; what they change of the code, they change in old and new alike, and
//! that the old code is what runs is proved all the same. An object that cannot be made again is taken as it was built.

use super::arguments::{self, Compilation};
use super::inside::Again;
use super::record::{Compile, Input, Record};
use std::path::{Path, PathBuf};

/// What is added to a compilation.
const EXTRA: [&str; 4] = ["-ffunction-sections", "-fdata-sections", "-g", "-fno-lto"];

/// The compilation that makes an object again, as `output`.
pub(super) fn again(record: &Record, input: &Input, output: &Path) -> Option<Again> {
    let (compile, asked, source) = match input.compiled {
        Some((driver, source)) => {
            let compile = record.compiles.get(driver)?;
            let asked = arguments::compilation(&compile.arguments[1..]);
            let source = asked.sources.get(source)?.clone();
            (compile, asked, source)
        }
        None => maker(record, input)?,
    };
    let assembly = Path::new(&source)
        .extension()
        .is_some_and(|extension| extension == "s" || extension == "S");
    let mut arguments = vec![compile.arguments[0].clone()];
    arguments.extend(asked.options);
    if !assembly {
        arguments.extend(EXTRA.map(str::to_owned));
    }
    arguments.extend([
        "-c".to_owned(),
        source,
        "-o".to_owned(),
        output.to_str()?.to_owned(),
    ]);
    Some(Again {
        program: compile.program.clone(),
        arguments,
        directory: compile.directory.clone(),
        environment: record.environments.get(compile.environment)?.clone(),
    })
}

/// The last compilation that wrote this object, or one of this name before it went into an archive.
fn maker<'r>(record: &'r Record, input: &Input) -> Option<(&'r Compile, Compilation, String)> {
    let mut made: Vec<(PathBuf, &Compile, Compilation, String)> = Vec::new();
    for compile in record.compiles.iter().rev() {
        let asked = arguments::compilation(&compile.arguments[1..]);
        let [source] = &asked.sources[..] else {
            continue;
        };
        let source = source.clone();
        let path = clean(&compile.directory.join(output_of(&asked, &source)));
        let fits = match &input.member {
            None => path == clean(&input.path),
            Some(member) => path
                .file_name()
                .is_some_and(|name| name.to_str() == Some(member)),
        };
        // A launcher and its compiler write the same object.
        if asked.object && fits && made.iter().all(|(other, ..)| *other != path) {
            made.push((path, compile, asked, source));
        }
    }
    // Of several that an archive's member may be, it cannot be told which.
    let (_, compile, asked, source) = made.pop().filter(|_| made.is_empty())?;
    Some((compile, asked, source))
}

fn output_of(asked: &Compilation, source: &str) -> PathBuf {
    let beside = || {
        Path::new(source)
            .with_extension("o")
            .file_name()
            .map(PathBuf::from)
    };
    let told = asked.output.as_ref().map(PathBuf::from);
    told.or_else(beside).unwrap_or_default()
}

/// The path without `.` and `..`, as far as names tell.
fn clean(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir => {
                clean.pop();
            }
            part => clean.push(part),
        }
    }
    clean
}
