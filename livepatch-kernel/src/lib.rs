//! Facts about a kernel, of the running machine or of unpacked packages.
//!
//! | question                                  | module       | from                                               |
//! |-------------------------------------------|--------------|----------------------------------------------------|
//! | which build is it?                        | [`image`]    | the image's notes, `/sys/kernel/notes`             |
//! | what is where, under which names?         | [`kallsyms`] | the tables in the image or in memory, `/proc/kallsyms` |
//! | how are its structures laid out?          | [`btf`]      | `.BTF` in the image, `/sys/kernel/btf/vmlinux`     |
//! | what may modules use, with which CRC?     | [`symvers`]  | `Module.symvers`                                   |
//! | what is in a module?                      | [`module`]   | its file                                           |
//! | where are these files?                    | [`kernel`]   | the paths of Debian's packages and of `kernel-install` |
//!
//! Files are believed no more than they can be checked: sizes are bounded, offsets are checked, and what is not
//! understood is an error.

#![forbid(unsafe_code)]

pub mod btf;
pub mod cache;
pub mod image;
pub mod kallsyms;
pub mod kernel;
pub mod live;
pub mod module;
pub mod symvers;
mod tables;
mod unpack;

pub use btf::{Btf, Layout};
pub use cache::Cache;
pub use image::Image;
pub use kallsyms::{Kallsyms, KernelSymbol};
pub use kernel::{Kernel, KernelError, Paths};
pub use module::ModuleFile;
pub use symvers::{Export, Symvers};
