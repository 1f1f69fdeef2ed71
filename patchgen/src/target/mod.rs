//! What the linked program tells when the patch is made: its identity, where things are, and that it was built from the
//! old objects.
//!
//! Works on the finished bundle, as `livepatch` does when it applies one: each old function is compared with
//! the linked code where the symbol table has it, and the references of code that agrees settle which of several local
//! symbols of one name is meant. In a stripped target only this is looked for: whether it holds anything of the old objects.

mod image;
mod locate;
mod starts;

pub use image::{Definition, Image, ImageError};
pub use locate::locate;
