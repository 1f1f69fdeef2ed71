//! The ELF images that a process maps: build IDs, symbols, GOT and PLT.
//!
//! Memory is read first: files may have been deleted or replaced since the process started, or lie in another
//! mount namespace. A file counts only if its build ID is the one in memory. Everything read is hostile: every
//! offset, size and count is checked against what is mapped, and every walk is bounded.
//!
//! - `discover`: mappings -> images; `headers`, `notes`, `dynamic`: their headers; `inside`: bounded reads
//! - `sources` -> `files`, `debug_file`, `debug_data`, `dynsym`: symbol tables; `table`: look-up in one
//! - `find`: symbols of one image; `scope` and `lookup`: of the whole process, as the dynamic
//!   loader searches
//! - `slots`, `tls`, `ifunc`: what the dynamic loader has filled in
//! - `unwind_table`: function boundaries without symbols; `file_text`: what the file has for a page
//!
//! Nothing here changes or stops the process; it may load and unload libraries meanwhile.

mod context;
mod debug_data;
mod debug_file;
mod discover;
mod dynamic;
mod dynsym;
mod elf_file;
mod file_text;
mod files;
mod find;
mod gnu_hash;
mod headers;
mod ifunc;
#[expect(
    clippy::module_inception,
    reason = "`image::image` is one image, `image::images` all"
)]
mod image;
mod images;
mod inside;
mod link_map;
mod lookup;
mod notes;
mod scope;
mod slots;
mod sources;
mod symbol;
mod table;
#[cfg(test)]
mod tests;
mod tls;
mod unusable;
mod unwind_table;
mod versions;

pub use context::{Auxv, Context};
pub use files::file_build_id;
pub use headers::Segment;
pub use image::{Image, ImageId, Namespace, Role};
pub use images::Images;
pub use lookup::Resolved;
pub use slots::{Slot, SlotKind};
pub use symbol::{Binding, Kind, Provenance, SymbolHit};
pub use unusable::Unusable;
pub use unwind_table::CodeRange;
