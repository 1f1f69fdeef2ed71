//! What the running kernel shows of itself in `/proc` and `/sys`.

use super::KernelError;
use super::kcore::Kcore;
use livepatch_bundle::{BuildId, VMLINUX};
use livepatch_kernel::Kallsyms;
use livepatch_kernel::image::build_id_in;
use livepatch_kernel::live::Wanted;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The kernel behind `/proc` and `/sys`; tests have others.
#[derive(Clone, Debug)]
pub struct Running {
    proc: PathBuf,
    sys: PathBuf,
}

impl Default for Running {
    fn default() -> Self {
        Self {
            proc: "/proc".into(),
            sys: "/sys".into(),
        }
    }
}

impl Running {
    /// A kernel that shows itself elsewhere.
    #[must_use]
    pub fn at(proc: &Path, sys: &Path) -> Self {
        Self {
            proc: proc.to_owned(),
            sys: sys.to_owned(),
        }
    }

    /// `uname -r`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn release(&self) -> Result<String, KernelError> {
        let text = read(&self.proc.join("sys/kernel/osrelease"))?;
        Ok(String::from_utf8_lossy(&text).trim().to_owned())
    }

    /// The build ID of the kernel, or of a module that is loaded; `None` if it has none.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn build_id(&self, object: &str) -> Result<Option<BuildId>, KernelError> {
        let path = if object == VMLINUX {
            self.sys.join("kernel/notes")
        } else {
            self.sys
                .join("module")
                .join(object)
                .join("notes/.note.gnu.build-id")
        };
        match fs::read(&path) {
            Ok(notes) => Ok(build_id_in(&notes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(KernelError::Read { path, source }),
        }
    }

    /// Whether the kernel can be livepatched.
    #[must_use]
    pub fn has_livepatch(&self) -> bool {
        self.livepatches().is_dir()
    }

    /// The directory with the kernel's own view of patches.
    #[must_use]
    pub fn livepatches(&self) -> PathBuf {
        self.sys.join("kernel/livepatch")
    }

    /// What the companion says is in force; `None` when it is not loaded.
    #[must_use]
    pub fn companion(&self) -> Option<String> {
        let text = fs::read(self.sys.join("kernel/livepatch_kmod/patches")).ok()?;
        Some(String::from_utf8_lossy(&text).into_owned())
    }

    /// Whether a module is loaded, or the kernel itself is meant.
    #[must_use]
    pub fn has(&self, object: &str) -> bool {
        // Parts that are built in have such a directory, too; only a module has a state.
        object == VMLINUX
            || self
                .sys
                .join("module")
                .join(object)
                .join("initstate")
                .exists()
    }

    /// Where a section of a loaded module lies; `None` when the kernel does not tell.
    #[must_use]
    pub fn section(&self, module: &str, section: &[u8]) -> Option<u64> {
        let name = std::str::from_utf8(section).ok()?;
        let directory = self.sys.join("module").join(module).join("sections");
        // A name out of a file must not lead elsewhere.
        let plain = !name.contains('/') && name != "." && name != "..";
        let text = fs::read_to_string(directory.join(name))
            .ok()
            .filter(|_| plain)?;
        let address = u64::from_str_radix(text.trim().strip_prefix("0x")?, 16).ok();
        address.filter(|address| *address != 0)
    }

    /// Why modules must be signed; `None` if they need not be.
    #[must_use]
    pub fn enforcement(&self) -> Option<String> {
        let enforce = self.sys.join("module/module/parameters/sig_enforce");
        if fs::read_to_string(enforce).is_ok_and(|text| text.trim() == "Y") {
            return Some("module.sig_enforce".into());
        }
        // `none [integrity] confidentiality`
        let lockdown = fs::read_to_string(self.sys.join("kernel/security/lockdown")).ok()?;
        let mode = lockdown.split('[').nth(1)?.split(']').next()?;
        (mode != "none").then(|| format!("lockdown is `{mode}`"))
    }

    /// The kernel's own symbols that matter, out of its memory if it can be made out there; else, those of modules too.
    ///
    /// # Errors
    /// As [`Self::symbols`].
    pub fn own_symbols(
        &self,
        memory: &Kcore,
        wanted: &Wanted<'_>,
    ) -> Result<Kallsyms, KernelError> {
        let read = |address, length| memory.read(address, length);
        let found = memory
            .notes()
            .and_then(|notes| Kallsyms::of_memory(&notes, &read, wanted));
        found.map_or_else(|| self.symbols(wanted), Ok)
    }

    /// The symbols that matter, those of modules too, with their addresses: a kernel has 200,000, and few do.
    ///
    /// # Errors
    /// When they are hidden or malformed.
    pub fn symbols(&self, wanted: &Wanted<'_>) -> Result<Kallsyms, KernelError> {
        let text = read(&self.proc.join("kallsyms"))?;
        let text = String::from_utf8_lossy(&text);
        let lines = || text.split_inclusive('\n');
        // One is kept to tell that addresses are shown at all.
        let is_shown = |line: &&str| line.bytes().next().is_some_and(|digit| digit != b'0');
        let mut few: String = lines().find(is_shown).unwrap_or(&text).to_owned();
        few.extend(lines().filter(|line| symbol_of(line).is_some_and(|name| wanted.has(name))));
        Ok(Kallsyms::parse(&few)?)
    }

    /// The file that shows the kernel's memory.
    #[must_use]
    pub fn memory(&self) -> PathBuf {
        self.proc.join("kcore")
    }

    /// The directory of processes.
    #[must_use]
    pub fn processes(&self) -> &Path {
        &self.proc
    }
}

/// The name in a line, its third word.
fn symbol_of(line: &str) -> Option<&str> {
    line.split_ascii_whitespace().nth(2)
}

fn read(path: &Path) -> Result<Vec<u8>, KernelError> {
    fs::read(path).map_err(|source| KernelError::Read {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    fn write(directory: &TempDir, path: &str, text: &[u8]) {
        let path = directory.path().join(path);
        fs::create_dir_all(path.parent().expect("below the directory")).expect("writable");
        fs::write(path, text).expect("writable");
    }

    fn running(directory: &TempDir) -> Running {
        Running::at(
            &directory.path().join("proc"),
            &directory.path().join("sys"),
        )
    }

    #[test]
    fn signatures_are_wanted_by_a_parameter_or_by_lockdown() {
        let directory = TempDir::new().expect("a temporary directory");
        let running = running(&directory);
        assert_eq!(running.enforcement(), None);
        write(
            &directory,
            "sys/module/module/parameters/sig_enforce",
            b"N\n",
        );
        let lockdown = "sys/kernel/security/lockdown";
        write(&directory, lockdown, b"[none] integrity confidentiality\n");
        assert_eq!(running.enforcement(), None);
        write(&directory, lockdown, b"none [integrity] confidentiality\n");
        assert_eq!(
            running.enforcement().as_deref(),
            Some("lockdown is `integrity`")
        );
        write(
            &directory,
            "sys/module/module/parameters/sig_enforce",
            b"Y\n",
        );
        assert_eq!(running.enforcement().as_deref(), Some("module.sig_enforce"));
    }

    #[test]
    fn the_build_id_is_that_of_the_notes() {
        let directory = TempDir::new().expect("a temporary directory");
        let notes = b"\x04\0\0\0\x02\0\0\0\x03\0\0\0GNU\0\xab\xcd\0\0";
        write(&directory, "sys/kernel/notes", notes);
        let found = running(&directory).build_id(VMLINUX).expect("readable");
        assert_eq!(found, BuildId::new(&[0xab, 0xcd]));
        assert_eq!(running(&directory).build_id("nfsd").expect("absent"), None);
    }

    #[test]
    fn a_section_of_a_module_is_found() {
        let directory = TempDir::new().expect("a temporary directory");
        write(
            &directory,
            "sys/module/m/sections/.text.f",
            b"0xffffffffc0001000\n",
        );
        write(
            &directory,
            "sys/module/m/sections/.hidden",
            b"0x0000000000000000\n",
        );
        write(
            &directory,
            "sys/module/m/elsewhere",
            b"0xffffffffc0001000\n",
        );
        let running = running(&directory);
        let found = running.section("m", b".text.f");
        assert_eq!(found, Some(0xffff_ffff_c000_1000));
        for name in [&b".hidden"[..], b".absent", b"../elsewhere", b"..", b"\xff"] {
            assert_eq!(running.section("m", name), None);
        }
    }

    fn only_f() -> Wanted<'static> {
        Wanted {
            names: ["f"].into(),
            suffix: None,
        }
    }

    #[test]
    fn few_symbols_are_kept() {
        let directory = TempDir::new().expect("a temporary directory");
        let text = b"ffffffff81000000 T first\nffffffff81000010 t f\nffffffffc0000000 t f\t[m]\nffffffff81000020 t g\n";
        write(&directory, "proc/kallsyms", text);
        let symbols = running(&directory).symbols(&only_f());
        let symbols = symbols.expect("well-formed");
        assert_eq!(symbols.all().len(), 3);
        assert_eq!(symbols.named("f", Some("m")).count(), 1);
    }

    #[test]
    fn hidden_addresses_are_an_error() {
        let directory = TempDir::new().expect("a temporary directory");
        write(
            &directory,
            "proc/kallsyms",
            b"0000000000000000 T first\n0000000000000000 t f\n",
        );
        let symbols = running(&directory).symbols(&only_f());
        assert!(
            matches!(symbols, Err(KernelError::Symbols(_))),
            "{symbols:?}"
        );
    }

    #[test]
    fn what_is_built_in_is_no_module() {
        let directory = TempDir::new().expect("a temporary directory");
        write(&directory, "sys/module/printk/parameters/time", b"Y\n");
        write(&directory, "sys/module/dummy/initstate", b"live\n");
        let running = running(&directory);
        assert!(running.has("dummy") && running.has(VMLINUX) && !running.has("printk"));
    }
}
