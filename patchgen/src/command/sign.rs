//! `patchgen keygen` and `patchgen sign`.

use super::{DONE, Keygen, Sign};
use anyhow::Context;
use livepatch_bundle::{PrivateKey, read, read_file, write_signed_file};
use livepatch_cli::outln;
use std::path::Path;

pub(super) fn keygen(arguments: &Keygen) -> anyhow::Result<u8> {
    let key = PrivateKey::generate()?;
    let public = key.store(&arguments.key)?;
    outln!(
        "private key `{}`, public key `{}`, key id {}",
        arguments.key.display(),
        public.display(),
        key.public().id()
    );
    Ok(DONE)
}

pub(super) fn sign(arguments: &Sign) -> anyhow::Result<u8> {
    let key = PrivateKey::read(&arguments.key)?;
    let output = arguments.output.as_ref().unwrap_or(&arguments.bundle);
    let path = arguments.bundle.display();
    let bytes = read_file(&arguments.bundle).with_context(|| format!("cannot read `{path}`"))?;
    let bundle = read(&bytes).with_context(|| format!("`{path}` is no bundle that can be used"))?;
    write_signed_file(&bundle, &key, output)
        .with_context(|| format!("cannot write `{}`", output.display()))?;
    outln!(
        "`{}` is signed with key {}",
        output.display(),
        key.public().id()
    );
    Ok(DONE)
}

/// Reads the key of `--sign-key` before any work is done for nothing.
pub(super) fn key(path: Option<&Path>) -> anyhow::Result<Option<PrivateKey>> {
    Ok(path.map(PrivateKey::read).transpose()?)
}
