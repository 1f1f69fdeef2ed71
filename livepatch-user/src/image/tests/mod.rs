//! Images of programs that run.

mod child;
mod layout;
