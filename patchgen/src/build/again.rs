//! Compiling changed objects again, with a section for each function and variable and with debug information.
//!
//! The program that runs was made without these; what they change of the code, they change in old and new alike, and
//! that the old code is what runs is proved all the same. An object that cannot be made again is taken as it was built.

use super::arguments::{self, Compilation};
use super::inside::Again;
use super::record::{Compile, Input, Record};
use std::path::Path;

/// What is added to a compilation.
const EXTRA: [&str; 3] = ["-ffunction-sections", "-fdata-sections", "-g"];

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
    let mut by_name = None;
    for compile in record.compiles.iter().rev() {
        let asked = arguments::compilation(&compile.arguments[1..]);
        if !asked.object || asked.sources.len() != 1 {
            continue;
        }
        let source = asked.sources[0].clone();
        let output = asked.output.clone().unwrap_or_else(|| {
            let stem = Path::new(&source).with_extension("o");
            stem.file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned()
        });
        let path = compile.directory.join(&output);
        match &input.member {
            None if clean(&path) == clean(&input.path) => return Some((compile, asked, source)),
            None => {}
            Some(member) => {
                let name = path
                    .file_name()
                    .is_some_and(|name| name.to_str() == Some(member));
                if name && by_name.is_some() {
                    // Which of them it is cannot be told.
                    return None;
                }
                if name {
                    by_name = Some((compile, asked, source));
                }
            }
        }
    }
    by_name
}

/// The path without `.` and `..`, as far as names tell.
fn clean(path: &Path) -> std::path::PathBuf {
    let mut clean = std::path::PathBuf::new();
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
