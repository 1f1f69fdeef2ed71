//! Asks a component.

use super::protocol::{Reply, Request};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// No answer is longer, in bytes.
const REPLY_MAX: u64 = 16 << 20;

/// Why there was no answer.
#[derive(Debug, Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error("no component `{name}` runs here: cannot connect to `{}`", path.display())]
    Connect {
        /// The component.
        name: String,
        /// Its socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The socket is there for root and the component's user.
    #[error("you may not control `{name}`: only root and its user may")]
    NotAllowed {
        /// The component.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// The connection broke.
    #[error("the component `{0}` ended before it answered")]
    Gone(String, #[source] io::Error),
    /// The answer is not one.
    #[error("the component `{0}` did not answer as this version does")]
    Answer(String, #[source] serde_json::Error),
}

/// A connection to a component.
#[derive(Debug)]
pub struct Client {
    name: String,
    stream: BufReader<UnixStream>,
}

impl Client {
    /// Connects to the component `name` whose files are in `directory`.
    ///
    /// # Errors
    /// When nobody listens there.
    pub fn connect(directory: &Path, name: &str) -> Result<Self, ClientError> {
        let path = socket_path(directory, name);
        let stream = UnixStream::connect(&path);
        let stream = stream.map_err(|source| unconnected(name, path, source))?;
        Ok(Self {
            name: name.to_owned(),
            stream: BufReader::new(stream),
        })
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn ask(&mut self, request: &Request) -> Result<Reply, ClientError> {
        let gone = |source| ClientError::Gone(self.name.clone(), source);
        let mut line = serde_json::to_vec(request).expect("requests are plain data");
        line.push(b'\n');
        self.stream.get_mut().write_all(&line).map_err(gone)?;
        let mut answer = String::new();
        let mut reader = (&mut self.stream).take(REPLY_MAX);
        reader.read_line(&mut answer).map_err(gone)?;
        if !answer.ends_with('\n') {
            return Err(gone(io::ErrorKind::UnexpectedEof.into()));
        }
        serde_json::from_str(&answer)
            .map_err(|source| ClientError::Answer(self.name.clone(), source))
    }
}

fn unconnected(name: &str, path: PathBuf, source: io::Error) -> ClientError {
    let name = name.to_owned();
    match source.kind() {
        io::ErrorKind::PermissionDenied => ClientError::NotAllowed { name, source },
        _ => ClientError::Connect { name, path, source },
    }
}

/// Asks the component `name` whose files are in `directory`.
///
/// # Errors
/// When there is no answer.
pub fn ask(directory: &Path, name: &str, request: &Request) -> Result<Reply, ClientError> {
    Client::connect(directory, name)?.ask(request)
}

/// The control socket of a component.
#[must_use]
pub fn socket_path(directory: &Path, name: &str) -> PathBuf {
    directory.join(format!("{name}.sock"))
}
