//! Arguments, and what is done for them.

mod inspect;
mod make;

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// A bundle was written, or shown.
pub(crate) const DONE: u8 = 0;
/// Something went wrong.
pub(crate) const ERROR: u8 = 1;
/// Nothing that matters changed.
pub(crate) const UNCHANGED: u8 = 3;
/// No patch is possible.
pub(crate) const REFUSED: u8 = 4;

/// What the sources of fixes include.
const HEADER: &str = include_str!("../../include/livepatch.h");

/// Make a live patch from old and new object files.
#[derive(Debug, Parser)]
#[command(
    name = "patchgen",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "Exit status: 0 bundle written, 1 error, 2 usage, 3 no functional change (no bundle), \
                  4 refused (all reasons on standard error).\n\nExample:\n  \
                  patchgen build.old/ build.new/ -o fix.lpatch --target /usr/sbin/daemon\n  \
                  patchgen inspect fix.lpatch"
)]
pub(crate) struct Command {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    make: Option<Make>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show what a bundle changes.
    Inspect(Inspect),
    /// Print `livepatch.h`, the header for hooks and shadow variables in the source of a fix.
    #[command(after_help = "Example:\n  patchgen header >livepatch.h")]
    Header,
}

/// OLD and NEW are each an object file, an archive (`.a`), or a directory of objects, paired by relative path.
#[derive(Debug, Args)]
struct Make {
    /// The objects that the running program was built from.
    old: PathBuf,
    /// The objects with the fix, compiled alike.
    new: PathBuf,
    /// Write the bundle here; a file there is removed if there is nothing to write (status 3 or 4).
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// The executable or shared library that runs: check the old objects against it and record where things are.
    /// Repeat for several. Default: all is found when the patch is applied.
    #[arg(long, value_name = "FILE")]
    target: Vec<PathBuf>,
    /// What `livepatch list` and `revert` call the patch. Default: the output's file name without extension.
    #[arg(long)]
    name: Option<String>,
    /// One line for people.
    #[arg(long, default_value = "")]
    description: String,
    /// A function that, too, may be on no stack when the patch is applied. Repeat for several.
    #[arg(long, value_name = "FUNCTION")]
    quiesce: Vec<String>,
    /// Go on though the initial value of this variable changed. Risk: the running program keeps the old value, and
    /// the new code works with it.
    #[arg(long, value_name = "SYMBOL")]
    allow_data: Vec<String>,
    /// Go on though the layout of this type changed. Risk: data that the running program already has keeps the old
    /// layout, and the new code reads and writes it with the new one; sound only if no such data lives when the patch
    /// is applied, or reverted.
    #[arg(long, value_name = "TYPE")]
    allow_layout: Vec<String>,
}

#[derive(Debug, Args)]
struct Inspect {
    /// The bundle.
    bundle: PathBuf,
    /// Print JSON: the manifest, sections and symbols.
    #[arg(long)]
    json: bool,
}

/// Does what the command says.
///
/// # Errors
/// When files cannot be read or written.
pub(crate) fn run(command: &Command) -> anyhow::Result<u8> {
    match (&command.verb, &command.make) {
        (Some(Verb::Inspect(inspect)), _) => inspect::run(inspect),
        (Some(Verb::Header), _) => {
            print!("{HEADER}");
            Ok(DONE)
        }
        (None, Some(make)) => make::run(make),
        (None, None) => anyhow::bail!("nothing to do: see `patchgen --help`"),
    }
}
