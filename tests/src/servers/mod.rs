//! Programs that nobody here wrote, with a real security fix each: built from Debian's source
//! (`tests/programs/build`), started on a free port of the loopback device, probed and loaded.

mod cjson;
mod http;
mod instance;
mod load;
mod mosquitto;
mod nginx;
mod redis;
mod tinyproxy;

pub use instance::{Installation, Instance, Variant};
pub use load::{Load, Report};

use anyhow::Result;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// How long a server may take to answer; a guard against hanging.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a probe finds: a difference in behaviour, with no memory misused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The bug is there.
    Vulnerable,
    /// The fix is there.
    Fixed,
}

/// A client that sends verified requests over one connection.
pub trait Client: Send {
    /// Sends request number `k`, which reaches the patched function, and checks the answer, which is
    /// the same with and without the fix.
    ///
    /// # Errors
    /// When the answer is wrong or none comes.
    fn request(&mut self, k: u64) -> Result<()>;
}

/// A real program.
pub trait Server: Sync {
    /// Its directory under `tests/programs`.
    fn name(&self) -> &'static str;

    /// The command that runs `program` in the foreground, listening on `port`, with its files in `run`.
    ///
    /// # Errors
    /// When its configuration cannot be written.
    fn command(&self, program: &Path, run: &Path, port: u16) -> Result<Command>;

    /// How many processes there are to patch.
    fn processes(&self) -> usize {
        1
    }

    /// Tells whether the bug is there.
    ///
    /// # Errors
    /// When the server behaves like neither version.
    fn probe(&self, port: u16) -> Result<Verdict>;

    /// Checks normal service.
    ///
    /// # Errors
    /// With what does not work.
    fn smoke(&self, port: u16) -> Result<()>;

    /// A new client, the `index`th, connected.
    ///
    /// # Errors
    /// When the server does not accept it.
    fn client(&self, port: u16, index: usize) -> Result<Box<dyn Client>>;
}

/// All programs.
#[must_use]
pub fn all() -> Vec<&'static dyn Server> {
    vec![
        &cjson::Cjson,
        &mosquitto::Mosquitto,
        &nginx::Nginx,
        &redis::Redis,
        &tinyproxy::Tinyproxy,
    ]
}

/// Connects to a port of the loopback device.
fn connect(port: u16) -> Result<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
