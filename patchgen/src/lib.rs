//! Making a live patch from old and new object files.
//!
//! | step      | module                   | question                                              |
//! |-----------|--------------------------|-------------------------------------------------------|
//! | read      | [`input`], [`object`]    | what functions, data and constants are there?         |
//! | correlate | [`correlate`]            | which old one is which new one?                       |
//! | compare   | [`compare`]              | which mean something else?                            |
//! | join      | [`program`], [`globals`] | who defines what, over all objects?                   |
//! | closure   | [`closure`]              | what must travel, and what is referred to?            |
//! | hooks     | [`hooks`]                | what shall run in the target besides?                 |
//! | types     | [`types`]                | does live data still look as the new code takes it?   |
//! | refuse    | [`checks`], [`refusal`]  | what speaks against it?                               |
//! | prove     | [`proof`], [`anchors`]   | what shows that the running code is the old code?     |
//! | emit      | [`emit`]                 | how is it written down?                               |
//! | locate    | [`target`]               | where is all that in the program that runs?           |
//!
//! [`generate`](generate::generate) runs them all; [`build`] makes the objects before. Bytes in, values out: only [`input`],
//! [`build`] and [`target::Image`] read files. [`disasm`] shows what came out.

#![forbid(unsafe_code)]

pub mod anchors;
pub mod build;
pub mod checks;
pub mod closure;
pub mod compare;
mod copies;
pub mod correlate;
pub mod disasm;
pub mod emit;
mod escape;
pub mod generate;
pub mod globals;
pub mod hooks;
pub mod input;
pub mod kernel;
pub mod object;
pub mod pair;
mod parallel;
pub mod program;
pub mod proof;
pub mod refusal;
pub mod target;
mod texts;
mod twins;
pub mod types;
