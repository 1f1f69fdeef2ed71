//! What a live patch is: its model, its file format, its addresses, relocation kinds and build IDs.
//!
//! A [`Bundle`] is what `patchgen` writes and `livepatch` applies. [`write`](fn@write) encodes it as an
//! ordinary ELF64 x86-64 relocatable file, [`read`] decodes one and treats every byte as hostile.
//! [`sign`] encodes it with a signature, and a [`Keyring`] tells whether bytes are as their signer left them.
//! This crate decides nothing about matching, placement or processes.

#![forbid(unsafe_code)]

mod address;
mod build_id;
mod bundle;
mod called;
mod error;
mod file;
mod format;
mod hook;
mod kernel;
mod lines;
mod manifest;
mod policy;
mod problem;
mod reader;
mod relocation;
mod signature;
mod trusted;
mod verify;
mod writer;

pub use address::{LinkAddr, RunAddr};
pub use build_id::BuildId;
pub use bundle::{
    Bundle, Definition, Names, Reloc, Section, SectionId, SectionKind, Symbol, SymbolId, SymbolKind,
};
pub use error::{BundleError, JsonError};
pub use file::{check_writable, read_file, write_file, write_kernel_file, write_signed_file};
pub use hook::{Hook, Phase};
pub use kernel::{
    Fixup, FixupKind, KERNEL_KIND, KERNEL_SCHEMA, KernelFunction, KernelManifest, KernelObject,
    TablePlace, VMLINUX, read_kernel,
};
pub use lines::{FunctionLines, Lines, Row};
pub use manifest::{Function, Located, Manifest, Module, Piece, Reference, SCHEMA, Scope};
pub use policy::{CONFIG, KEYS, Policy, PolicyError, Sources};
pub use problem::{Problem, literal};
pub use reader::read;
pub use relocation::{Class, RelocKind};
pub use signature::{
    KeyError, KeyId, Keyring, PrivateKey, PublicKey, SignatureError, sign, sign_bytes, signer,
};
pub use trusted::{TrustedFileError, check_trusted, read_trusted};
pub use verify::{is_patch_name, verify};
pub use writer::write;
