//! The command `livepatch`.

use livepatch_cli::Status;
use livepatch_cli::output::is_lost;
use livepatch_user::cli;
use livepatch_user::guardian::{self, Task};
use livepatch_user::interrupt;
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    livepatch_cli::children::heed();
    let options = cli::parse();
    let task = guardian::task();
    if cli::writes(&options) && task.is_none() {
        return ExitCode::from(cli::run_guarded(cli::output(&options)));
    }
    if task.is_some() {
        guardian::settle();
    }
    if task == Some(Task::Work) {
        interrupt::listen();
    }
    let filter =
        EnvFilter::try_from_env("LIVEPATCH_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .without_time()
        .log_internal_errors(false)
        .init();
    let status = match task {
        Some(Task::MakeGood) => cli::make_good(&options),
        Some(Task::Work) | None => cli::run(&options),
    };
    if status == Status::Done && is_lost() {
        return ExitCode::from(Status::Error.code());
    }
    ExitCode::from(status.code())
}
