//! Stops all threads of a process, checks nothing, and lets them go: what the stop itself costs.
//!
//! `bare-stop PID [COUNT]`, for `prototypes/pause/pause.py --expect 41 --apply 'bare-stop {pid}'`.

use livepatch_user::process::{Pid, ProcessMemory, examine};
use livepatch_user::stop::{Roster, stop};
use std::convert::Infallible;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let pid = Pid(arguments.next().unwrap_or_default().parse()?);
    let count = arguments.next().map_or(Ok(1), |count| count.parse())?;
    let target = examine(pid)?;
    let memory = ProcessMemory::open(&target)?;
    for _ in 0..count {
        let roster = Roster::take(&target)?;
        let deadline = Instant::now() + Duration::from_secs(10);
        let check = |_: &[_], _: &_| ControlFlow::<Infallible>::Continue(());
        let ControlFlow::Continue(stopped) = stop(roster, &memory, deadline, check)?;
        let threads = stopped.threads().len();
        let timings = stopped.release()?;
        println!(
            "{threads} threads, pause {:?}: {timings:?}",
            timings.pause()
        );
    }
    Ok(())
}
