//! `livepatch component`: another program. A process that hosts modules must not link a debugger.

use super::fail;
use super::options::{Component, Output};
use crate::status::Status;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use thiserror::Error;

/// The program.
const PROGRAM: &str = "livepatch-component";

/// It could not be run.
#[derive(Debug, Error)]
#[error("cannot run `{}`, which `livepatch component` needs", program.display())]
struct NoProgram {
    program: PathBuf,
    source: io::Error,
}

/// The command line with what the other program takes, too: for completions and manual pages.
pub(super) fn described(command: clap::Command) -> clap::Command {
    command.mut_subcommand("component", |_| {
        livepatch_component::cli::command().name("component")
    })
}

/// Becomes the program; returns only when that fails.
pub(super) fn run(options: &Component) -> Status {
    let program = program();
    let source = Command::new(&program).args(&options.arguments).exec();
    fail(
        Output { json: false },
        Status::Error,
        &NoProgram { program, source },
    )
}

/// The one that was installed with this program, or the one that PATH finds.
fn program() -> PathBuf {
    let own = std::env::current_exe().ok();
    let beside = own.map(|own| own.with_file_name(PROGRAM));
    let beside = beside.filter(|path| path.is_file());
    beside.unwrap_or_else(|| PROGRAM.into())
}
