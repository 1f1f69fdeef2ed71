//! Modules as files, before they run, and the names by which they and the component know each other.

pub(crate) mod file;
pub(crate) mod mapper;
pub(crate) mod note;
pub(crate) mod repository;
