//! The command `livepatch-component`, which `livepatch component` runs.

use std::process::ExitCode;

fn main() -> ExitCode {
    livepatch_cli::children::heed();
    livepatch_component::cli::main()
}
