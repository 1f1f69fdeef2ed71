//! What a build did: which objects it linked into what, and how it compiled them.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Everything of interest that a build did, in order.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Record {
    /// Compilations.
    pub compiles: Vec<Compile>,
    /// Links.
    pub links: Vec<Link>,
    /// Environments, each as `NAME=value`.
    pub environments: Vec<Vec<String>>,
}

/// A compiler was run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Compile {
    /// The compiler's own file.
    pub program: PathBuf,
    /// Its arguments, response files expanded; the first is what it was called.
    pub arguments: Vec<String>,
    /// Where it ran.
    pub directory: PathBuf,
    /// Index into [`Record::environments`].
    pub environment: usize,
    /// The process.
    pub process: i32,
}

/// A linker was run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Link {
    /// What it wrote.
    pub output: PathBuf,
    /// The objects that it read, in order; those inside archives, too.
    pub inputs: Vec<Input>,
}

/// An object that a linker read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Input {
    /// The object file or archive.
    pub path: PathBuf,
    /// The archive's member, with `#2` after the second of one name.
    pub member: Option<String>,
    /// The SHA-256 of its bytes; its copy in the store has this name.
    pub digest: String,
    /// The compilation that made it and which of its sources it is, for objects that only the compiler saw.
    pub compiled: Option<(usize, usize)>,
}
