//! The command `patchgen`.

#![forbid(unsafe_code)]

mod command;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let command = command::Command::parse();
    match command::run(&command) {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            command::complain(&error);
            ExitCode::from(command::ERROR)
        }
    }
}
