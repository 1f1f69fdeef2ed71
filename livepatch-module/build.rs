//! Tells the crate which compiler builds it: the layout of Rust types is that compiler's own.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let rustc = env::var_os("RUSTC").expect("cargo tells build scripts the compiler");
    let output = Command::new(rustc).arg("-vV").output();
    let output = output.expect("the compiler that builds this crate can be run");
    let text = String::from_utf8_lossy(&output.stdout).replace('\n', "; ");
    println!("cargo::rustc-env=LIVEPATCH_COMPILER={text}");
}
