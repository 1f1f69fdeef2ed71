// SPDX-License-Identifier: GPL-2.0
//! An empty stand-in: memcpy and the like are the kernel's, and 128-bit or float helpers must not be used (modpost
//! names what is undefined).
#![feature(compiler_builtins)]
#![allow(internal_features)]
#![compiler_builtins]
#![no_builtins]
#![no_std]
