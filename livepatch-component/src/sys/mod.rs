//! All `unsafe` of this crate, behind functions that are safe to call.

pub(crate) mod arena;
pub(crate) mod fork;
pub(crate) mod helper;
pub(crate) mod module;
pub(crate) mod pages;
pub(crate) mod signals;
pub(crate) mod table;
