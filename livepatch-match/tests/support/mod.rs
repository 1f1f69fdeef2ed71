//! Object files and linked programs as the tests see them: functions with their fields, and where things really are.

#![allow(dead_code, unused_imports, reason = "each test binary uses its part")]

mod check;
mod image;
mod pieces;
mod tools;

pub(crate) use check::{Report, check_object};
pub(crate) use image::Image;
pub(crate) use pieces::{Piece, Unit};
pub(crate) use tools::{Workshop, program};
