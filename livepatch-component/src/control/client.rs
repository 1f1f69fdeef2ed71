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
    /// The connection broke.
    #[error("the component `{0}` ended before it answered")]
    Gone(String, #[source] io::Error),
    /// The answer is not one.
    #[error("the component `{0}` did not answer as this version does")]
    Answer(String, #[source] serde_json::Error),
}

/// Asks the component `name` whose files are in `directory`.
///
/// # Errors
/// When there is no answer.
pub fn ask(directory: &Path, name: &str, request: &Request) -> Result<Reply, ClientError> {
    let path = socket_path(directory, name);
    let gone = |source| ClientError::Gone(name.to_owned(), source);
    let mut stream = UnixStream::connect(&path).map_err(|source| ClientError::Connect {
        name: name.to_owned(),
        path,
        source,
    })?;
    let mut line = serde_json::to_vec(request).expect("requests are plain data");
    line.push(b'\n');
    stream.write_all(&line).map_err(gone)?;
    let mut answer = String::new();
    let mut reader = BufReader::new(stream.take(REPLY_MAX));
    reader.read_line(&mut answer).map_err(gone)?;
    if !answer.ends_with('\n') {
        return Err(gone(io::ErrorKind::UnexpectedEof.into()));
    }
    serde_json::from_str(&answer).map_err(|source| ClientError::Answer(name.to_owned(), source))
}

/// The control socket of a component.
#[must_use]
pub fn socket_path(directory: &Path, name: &str) -> PathBuf {
    directory.join(format!("{name}.sock"))
}
