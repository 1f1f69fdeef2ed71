//! An object file as *atoms*: functions, variables, constants and strings, each with links to other atoms.
//!
//! ELF speaks of sections; a patch moves functions. Atoms are carved out of sections by symbol, so that it makes no
//! difference whether the compiler gave each function a section of its own. Where no symbol tells (string
//! constants, jump tables, anonymous literals), contents and references do, see [`carve`].

mod atom;
mod attached;
pub mod btf_ids;
mod carve;
mod code;
pub mod code_view;
pub mod debug;
pub mod exceptions;
mod extents;
mod functions;
pub mod lines;
mod link;
mod literals;
pub(crate) mod mapping;
mod model;
pub mod names;
mod order;
pub mod places;
pub mod raw;
mod reference;
pub mod rust;
mod strings;
pub mod tables;
mod unwind;

pub use atom::{Atom, AtomId, AtomKind};
pub use attached::{Attached, traced_at};
pub use carve::{read, read_kernel};
pub use code::{Role, Site};
pub use model::{Function, FunctionId, Object};
pub use raw::ObjectError;
pub use reference::Link;
pub use unwind::{Frame, Handler, PCREL_SDATA4, START as FRAME_START};
