//! The command `livepatch`.

use livepatch_user::cli;
use livepatch_user::guardian;
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let options = cli::parse();
    if cli::writes(&options) && !guardian::is_guardian() {
        return ExitCode::from(cli::run_guarded(cli::output(&options)));
    }
    if guardian::is_guardian() {
        guardian::settle();
    }
    let filter =
        EnvFilter::try_from_env("LIVEPATCH_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .without_time()
        .init();
    ExitCode::from(cli::run(&options).code())
}
