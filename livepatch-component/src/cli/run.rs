//! `run`: the supervisor, or the main task itself.

use super::options::Run;
use super::output::fail_as;
use crate::component::{Component, Settings, StartError, give_up, last_module};
use crate::module::repository::{RepositoryError, find};
use crate::supervisor::{self, Before, TooManyCrashes};
use crate::sys::fork::leave;
use livepatch_bundle::{Policy, PolicyError, Sources};
use livepatch_cli::Status;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use thiserror::Error;

/// Why a component does not run.
#[derive(Debug, Error)]
enum RunError {
    #[error("cannot find the module")]
    Repository(#[from] RepositoryError),
    #[error("cannot run the component")]
    Start(#[from] StartError),
    #[error(transparent)]
    Policy(#[from] PolicyError),
    #[error("the event loop failed")]
    Loop(#[source] io::Error),
    #[error("cannot supervise the component")]
    Supervise(#[source] io::Error),
    #[error(transparent)]
    Crashes(#[from] TooManyCrashes),
}

/// `livepatch component run`.
pub(super) fn run(options: &Run) -> ExitCode {
    let done = match options.unsupervised {
        true => be_the_main_task(options),
        false => {
            let mut arguments: Vec<String> = std::env::args().skip(1).collect();
            arguments.push("--unsupervised".to_owned());
            let ended = supervisor::supervise(&arguments).map_err(RunError::Supervise);
            ended.and_then(|ended| {
                Ok(ended.inspect_err(|_| give_up(&settings(options, Before::default())))?)
            })
        }
    };
    let json = options.target.place.json;
    done.unwrap_or_else(|error| fail_as(json, Status::Error, &error))
}

fn be_the_main_task(options: &Run) -> Result<ExitCode, RunError> {
    let before = supervisor::begin().map_err(RunError::Supervise)?;
    let settings = settings(options, before);
    let policy = Policy::read(&Sources {
        config: options.config.clone(),
        keys: options.keys.clone(),
    })?;
    let module = module(options, &settings)?;
    let mut component = Component::start(settings, policy, &module)?;
    component.run().map_err(RunError::Loop)?;
    component.finish();
    // No destructors of modules, whose data is gone.
    leave(0)
}

fn settings(options: &Run, before: Before) -> Settings {
    Settings {
        name: options.target.name.clone(),
        directory: options.target.place.directory(),
        repository: options.repository.clone(),
        queue_bound: options.queue,
        memory: options.memory as usize * (1 << 20),
        backing: options.backing,
        leftovers_bound: options.leftovers,
        restarts: before.restarts,
        ended_by: before.ended_by,
    }
}

/// The module to start with: after a crash the one that ran.
fn module(options: &Run, settings: &Settings) -> Result<PathBuf, RunError> {
    if settings.restarts > 0
        && let Some(last) = last_module(settings)
    {
        return Ok(last);
    }
    let repository = options.repository.as_deref();
    Ok(find(repository, &options.target.name, &options.version)?)
}
