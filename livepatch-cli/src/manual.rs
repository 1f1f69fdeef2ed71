//! Completions for shells and manual pages, made from the description of a command line.

use crate::out;
use clap::{Args, Command};
use clap_complete::Shell;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Options of `completions`.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell.
    pub shell: Shell,
}

/// Options of `man`.
#[derive(Debug, Args)]
pub struct Man {
    /// The directory that gets them, as /usr/local/share/man/man1; it is made if it is missing.
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
}

/// Prints what makes a shell complete the command.
pub fn complete(options: &Completions, mut command: Command) {
    let mut script = Vec::new();
    let name = command.get_name().to_owned();
    clap_complete::generate(options.shell, &mut command, name, &mut script);
    out!("{}", String::from_utf8_lossy(&script));
}

/// Writes the manual pages of the command and of its verbs.
///
/// # Errors
/// When a file cannot be written.
pub fn write_pages(directory: &Path, command: Command) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    clap_mangen::generate_to(command, directory)
}
