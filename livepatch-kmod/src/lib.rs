// SPDX-License-Identifier: GPL-2.0
//! What the companion kernel module decides.
//!
//! The module switches functions of the running kernel all at once: it stops the machine, looks at every task's stack, and
//! if none is inside a function that changes, lets all of them lead to new code. Here is everything of it that is
//! not the kernel's own machinery: the commands ([`command`]), which redirects are in force ([`policy`]), and the verdict
//! on stacks ([`walk`]). It takes the kernel as a trait ([`kernel::Kernel`]) and never allocates, so the same code runs in
//! `cargo test` with a kernel made of arrays. The kernel's side is C (`kbuild/shim.c`), and `linux` joins the two.
#![cfg_attr(not(test), no_std)]
#![deny(unsafe_op_in_unsafe_fn)]

pub mod command;
pub mod kernel;
pub mod name;
pub mod policy;
pub mod report;
pub mod walk;

#[cfg(livepatch_kernel)]
mod linux;
#[cfg(test)]
mod tests;
