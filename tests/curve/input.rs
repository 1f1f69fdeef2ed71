//! Objects with many functions, from assembly language.

use anyhow::{Context, Result, ensure};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Old and new objects.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    /// Where they are.
    pub directory: PathBuf,
    /// How many objects each version has.
    pub pairs: usize,
    /// Functions of each object.
    pub functions: usize,
    /// Whether each function has a section.
    pub sections: bool,
}

impl Input {
    /// What `patchgen` is given: the only object, or the directory.
    pub(crate) fn version(&self, name: &str) -> PathBuf {
        let directory = self.directory.join(name);
        if self.pairs > 1 {
            directory
        } else {
            directory.join("0.o")
        }
    }

    /// Makes the objects that are not there yet.
    pub(crate) fn assemble(&self) -> Result<()> {
        for version in ["old", "new"] {
            let directory = self.directory.join(version);
            fs::create_dir_all(&directory)?;
            for pair in 0..self.pairs {
                let object = directory.join(format!("{pair}.o"));
                if object.exists() {
                    continue;
                }
                let source = self.directory.join("source.s");
                fs::write(&source, self.source(pair, version == "new"))?;
                let status = Command::new("as")
                    .arg(&source)
                    .arg("-o")
                    .arg(&object)
                    .status()?;
                ensure!(status.success(), "the assembler failed");
            }
        }
        Ok(())
    }

    /// Functions that use a string, a variable and the function before; one in a hundred has another constant when new.
    fn source(&self, pair: usize, new: bool) -> String {
        let mut text = String::from("\t.text\n");
        for number in 0..self.functions {
            let changed = new && number % 100 == 7 && pair.is_multiple_of(50);
            let constant = number * 3 + usize::from(changed);
            let name = format!("f{pair}_{number}");
            let callee = format!("f{pair}_{}", number.saturating_sub(1));
            if self.sections {
                let _ = writeln!(text, "\t.section .text.{name},\"ax\",@progbits");
            }
            let _ = writeln!(
                text,
                "\t.p2align 4\n\t.globl {name}\n\t.type {name}, @function\n{name}:\n\t.cfi_startproc\n\tpushq %rbx\n\
                 \t.cfi_adjust_cfa_offset 8\n\tmovl ${constant}, %ebx\n\taddl v{number}(%rip), %ebx\n\
                 \tleaq .LC{number}(%rip), %rdi\n\tcall puts@PLT\n\tcall {callee}@PLT\n\taddl %ebx, %eax\n\tpopq %rbx\n\
                 \t.cfi_adjust_cfa_offset -8\n\tret\n\t.cfi_endproc\n\t.size {name}, .-{name}\n\
                 \t.section .rodata.str1.1,\"aMS\",@progbits,1\n.LC{number}:\n\t.string \"text {number}\""
            );
            let section = if self.sections {
                format!(".section .data.v{number},\"aw\"")
            } else {
                ".data".to_owned()
            };
            let _ = writeln!(
                text,
                "\t{section}\n\t.type v{number}, @object\n\t.size v{number}, 4\n\t.p2align 2\nv{number}:\n\t.long {number}\n\t.text"
            );
        }
        text.push_str("\t.section .note.GNU-stack,\"\",@progbits\n");
        text
    }
}

/// The bytes of all files in a directory.
pub(crate) fn total_size(directory: &Path) -> Result<u64> {
    let mut size = 0;
    for entry in
        fs::read_dir(directory).with_context(|| format!("read `{}`", directory.display()))?
    {
        size += entry?.metadata()?.len();
    }
    Ok(size)
}
