//! Bringing a linked patch into the target's address space, and taking it out again.
//!
//! The target makes a memfd (memfd_create(2)), we fill it through `/proc/PID/fd` and seal it, and the target maps it
//! privately: first part read-execute, second part read-write. So no page is ever writable and executable, the code is
//! complete before it is mapped, a fork shares the code and not the data, and the mapping has a name. Nothing leads there
//! yet: until the switch every failure is undone by unmapping.

use crate::link::{Image, Layout};
use crate::place::PAGE;
use livepatch_bundle::RunAddr;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use thiserror::Error;

/// Prefix of the memfd's name, as `/proc/PID/maps` shows it.
pub const NAME_PREFIX: &str = "livepatch:";
/// Linux 6.3: says that the file may be executed; older kernels refuse it (memfd_create(2)).
const MFD_EXEC: u64 = 0x10;

/// System calls on behalf of the target.
pub trait Hands {
    /// Lets the target make a system call.
    ///
    /// # Errors
    /// What the call returned, or why it could not be made.
    fn syscall(&mut self, number: i64, arguments: [u64; 6]) -> io::Result<u64>;
    /// Lends the target `bytes` for the next system calls.
    ///
    /// # Errors
    /// When there is no room.
    fn lend(&mut self, bytes: &[u8]) -> io::Result<RunAddr>;
    /// Opens a file descriptor of the target for reading and writing.
    ///
    /// # Errors
    /// When it may not be opened.
    fn open_descriptor(&mut self, descriptor: u64) -> io::Result<File>;
}

/// Why a patch could not be brought in. Nothing of it is left in the target unless [`InstallError::LeftBehind`].
#[derive(Debug, Error)]
pub enum InstallError {
    /// The target could not make the file.
    #[error("the target cannot create a memfd")]
    Create(#[source] io::Error),
    /// The file could not be filled.
    #[error("cannot fill the target's memfd")]
    Fill(#[source] io::Error),
    /// The kernel or a security policy does not let the target map executable memory.
    #[error("the target may not map executable memory")]
    Forbidden(#[source] io::Error),
    /// Mapping failed otherwise.
    #[error("the target cannot map the patch at {address}")]
    Map {
        /// Where.
        address: RunAddr,
        /// Why.
        source: io::Error,
    },
    /// Every place was taken, or too far away.
    #[error("no free memory within reach of the module")]
    NoPlace,
    /// Undoing failed, too.
    #[error(
        "the patch's memory at {address} could not be unmapped again; nothing leads there and it does no harm"
    )]
    LeftBehind {
        /// Where.
        address: RunAddr,
        /// Why.
        source: io::Error,
    },
}

/// A patch that is mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapped {
    /// Where it begins.
    pub base: RunAddr,
    /// Length of both parts in bytes.
    pub len: u64,
}

/// The bytes for one place: text with prelude and record, and data.
pub type LinkAt<'a, E> = dyn Fn(RunAddr) -> Result<Image, E> + 'a;

/// Maps a patch at the first of `places` that is still free and for which `link` succeeds.
///
/// # Errors
/// [`InstallError`], or what `link` said about the last place when none could be linked.
pub fn install<E: From<InstallError>>(
    hands: &mut dyn Hands,
    name: &str,
    layout: &Layout,
    places: &[RunAddr],
    link: &LinkAt<'_, E>,
) -> Result<Mapped, E> {
    let descriptor = create(hands, name)?;
    let mapped = fill_and_map(hands, descriptor, layout, places, link);
    // Closing cannot fail for a descriptor that the target just got; were it closed by the target itself, so be it.
    let _ = hands.syscall(libc::SYS_close, [descriptor, 0, 0, 0, 0, 0]);
    mapped
}

/// Unmaps a patch.
///
/// # Errors
/// When the target could not be made to.
pub fn uninstall(hands: &mut dyn Hands, mapped: Mapped) -> Result<(), InstallError> {
    unmap(hands, mapped.base, mapped.len)
}

fn create(hands: &mut dyn Hands, name: &str) -> Result<u64, InstallError> {
    let name = format!("{NAME_PREFIX}{name}\0");
    let flags = u64::from(libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING);
    let address = hands.lend(name.as_bytes()).map_err(InstallError::Create)?.0;
    let mut attempt = |flags| hands.syscall(libc::SYS_memfd_create, [address, flags, 0, 0, 0, 0]);
    match attempt(flags | MFD_EXEC) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => attempt(flags),
        result => result,
    }
    .map_err(InstallError::Create)
}

fn fill_and_map<E: From<InstallError>>(
    hands: &mut dyn Hands,
    descriptor: u64,
    layout: &Layout,
    places: &[RunAddr],
    link: &LinkAt<'_, E>,
) -> Result<Mapped, E> {
    let file = hands
        .open_descriptor(descriptor)
        .map_err(InstallError::Fill)?;
    let mut refused = None;
    for &base in places {
        match link(base) {
            Err(error) => refused = Some(error),
            Ok(image) => {
                fill(&file, &image).map_err(InstallError::Fill)?;
                match map(hands, descriptor, layout, base) {
                    Err(error) if error.raw_os_error() == Some(libc::EEXIST) => {}
                    Err(source) if is_forbidden(&source) => {
                        return Err(InstallError::Forbidden(source).into());
                    }
                    Err(source) => {
                        return Err(InstallError::Map {
                            address: base,
                            source,
                        }
                        .into());
                    }
                    Ok(()) => return Ok(sealed(hands, &file, base, layout.len())?),
                }
            }
        }
    }
    Err(refused.unwrap_or_else(|| InstallError::NoPlace.into()))
}

fn fill(file: &File, image: &Image) -> io::Result<()> {
    file.set_len((image.text.len() + image.data.len()) as u64)?;
    file.write_all_at(&image.text, 0)?;
    file.write_all_at(&image.data, image.text.len() as u64)
}

/// Seals what was mapped; a patch that could still be changed does not stay.
fn sealed(
    hands: &mut dyn Hands,
    file: &File,
    base: RunAddr,
    len: u64,
) -> Result<Mapped, InstallError> {
    match seal(file) {
        Ok(()) => Ok(Mapped { base, len }),
        Err(source) => {
            unmap(hands, base, len)?;
            Err(InstallError::Fill(source))
        }
    }
}

/// From here on nobody can change the code: what runs is what was written.
fn seal(file: &File) -> io::Result<()> {
    use nix::fcntl::{FcntlArg, SealFlag, fcntl};
    let seals = SealFlag::F_SEAL_WRITE
        | SealFlag::F_SEAL_SHRINK
        | SealFlag::F_SEAL_GROW
        | SealFlag::F_SEAL_SEAL;
    fcntl(file, FcntlArg::F_ADD_SEALS(seals))?;
    Ok(())
}

/// Maps the data first: whoever finds the record in the code, finds all of the patch.
fn map(hands: &mut dyn Hands, descriptor: u64, layout: &Layout, base: RunAddr) -> io::Result<()> {
    let (text_len, data_len) = (layout.text_len, layout.data_len);
    let part = |offset: u64, len, protection| Place {
        address: RunAddr(base.0 + offset),
        len,
        protection,
    };
    let data = part(text_len, data_len, libc::PROT_READ | libc::PROT_WRITE);
    if data_len > 0 {
        map_exactly(hands, data, libc::MAP_PRIVATE, (descriptor, text_len))?;
    }
    let text = part(0, text_len, libc::PROT_READ | libc::PROT_EXEC);
    let mapped = map_exactly(hands, text, libc::MAP_PRIVATE, (descriptor, 0));
    if mapped.is_err() && data_len > 0 {
        hands.syscall(libc::SYS_munmap, [data.address.0, data_len, 0, 0, 0, 0])?;
    }
    mapped
}

/// Where something is to be mapped, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) address: RunAddr,
    pub(crate) len: u64,
    pub(crate) protection: i32,
}

/// Maps the target's descriptor from an offset on, at this place or not at all: `EEXIST`.
pub(crate) fn map_exactly(
    hands: &mut dyn Hands,
    place: Place,
    flags: i32,
    (descriptor, offset): (u64, u64),
) -> io::Result<()> {
    let (at, len) = (place.address.0, place.len);
    let flags = (flags | libc::MAP_FIXED_NOREPLACE) as u64;
    let arguments = [at, len, place.protection as u64, flags, descriptor, offset];
    let got = hands.syscall(libc::SYS_mmap, arguments)?;
    if got == at {
        return Ok(());
    }
    // A kernel before 4.17 takes MAP_FIXED_NOREPLACE for a hint (mmap(2)).
    hands.syscall(libc::SYS_munmap, [got, len, 0, 0, 0, 0])?;
    Err(io::Error::from_raw_os_error(libc::EEXIST))
}

fn is_forbidden(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EACCES | libc::EPERM))
}

fn unmap(hands: &mut dyn Hands, address: RunAddr, len: u64) -> Result<(), InstallError> {
    debug_assert_eq!(address.0 % PAGE, 0, "patches begin at a page");
    match hands.syscall(libc::SYS_munmap, [address.0, len, 0, 0, 0, 0]) {
        Ok(_) => Ok(()),
        Err(source) => Err(InstallError::LeftBehind { address, source }),
    }
}

#[cfg(test)]
mod tests;
