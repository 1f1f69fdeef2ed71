//! Making a live patch from old and new object files.

#![forbid(unsafe_code)]

pub mod compare;
pub mod correlate;
pub mod object;
pub mod pair;
