//! The command line: `livepatch component`.

mod again;
mod group;
mod options;
mod output;
mod run;
mod sign;
mod text;
mod time;

use crate::control::client::{ClientError, ask};
use crate::control::protocol::{Reply, Request};
use clap::{CommandFactory, Parser};
use livepatch_cli::Status;
use options::{Command, Options, Target};
use output::{complain, say, told};
use std::process::ExitCode;

/// Runs the command of this process's arguments.
#[must_use]
pub fn main() -> ExitCode {
    told(execute(Options::parse().command))
}

/// The description of the command line, for completions and manual pages.
#[must_use]
pub fn command() -> clap::Command {
    Options::command()
}

fn execute(command: Command) -> ExitCode {
    match command {
        Command::Run(run) => run::run(&run),
        Command::Show(show) => {
            let symbols = show.symbols;
            tell(&show.target, &Request::Show { symbols }, text::show)
        }
        Command::Upgrade(upgrade) => match upgrade.single() {
            Some((target, request)) => {
                let outlook = upgrade.outlook();
                let lines = |reply: &Reply| text::upgraded(reply, outlook.as_deref());
                tell(&target, &Request::Upgrade(request), lines)
            }
            None => group::upgrade(&upgrade),
        },
        Command::Rollback(rollback) => {
            let how = rollback.how.how();
            tell(&rollback.target, &Request::Rollback { how }, text::records)
        }
        Command::History(target) => tell(&target, &Request::History {}, text::history),
        Command::Sign(options) => sign::sign(&options),
        Command::Stop(target) => tell(&target, &Request::Stop {}, |_| Vec::new()),
        Command::Tell(command) => {
            let (target, words) = command.addressed().unwrap_or_else(|why| wrong_usage(&why));
            tell(&target, &Request::Command { words }, text::answer)
        }
    }
}

/// Ends the process as for any wrong command line.
fn wrong_usage(why: &str) -> ! {
    let error = Options::command().error(clap::error::ErrorKind::ValueValidation, why);
    error.exit()
}

/// Asks one component and tells what it answers.
fn tell(target: &Target, request: &Request, lines: impl Fn(&Reply) -> Vec<String>) -> ExitCode {
    let reply = ask(&target.place.directory(), &target.name, request);
    let reply = reply.unwrap_or_else(|error| unanswered(target, request, &error));
    if target.place.json {
        let text = serde_json::to_string(&reply).expect("replies are plain data");
        say(&text);
    } else {
        lines(&reply).iter().for_each(|line| say(line));
        complain(&reply.errors);
    }
    ExitCode::from(reply.status)
}

/// What is known when no answer came. A switch may have ended the process.
fn unanswered(target: &Target, request: &Request, error: &ClientError) -> Reply {
    match (request, error) {
        (Request::Upgrade(_) | Request::Rollback { .. }, ClientError::Gone(..)) => {
            again::reply(target, error)
        }
        _ => Reply::failed(Status::Error, error),
    }
}
