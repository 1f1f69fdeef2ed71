//! What the kernel's log says of a module from now on.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;

/// More lines than these explain nothing.
const MAX_LINES: usize = 8;

/// The log from a moment on.
#[derive(Debug)]
pub(super) struct Log(Option<File>);

impl Log {
    /// Begins to listen; a log that may not be read says nothing.
    pub(super) fn now() -> Self {
        let flags = nix::fcntl::OFlag::O_NONBLOCK.bits();
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(flags)
            .open("/dev/kmsg");
        Self(
            file.ok()
                .and_then(|mut file| file.seek(SeekFrom::End(0)).ok().map(|_| file)),
        )
    }

    /// The lines since then that name the module, or say why one is not taken without naming it.
    pub(super) fn about(&mut self, module: &str) -> Vec<String> {
        let Some(file) = &mut self.0 else {
            return Vec::new();
        };
        let mut lines = Vec::new();
        let mut record = [0; 8192];
        // Each read is one record; the end is EAGAIN.
        while let Ok(length) = file.read(&mut record) {
            let text = String::from_utf8_lossy(&record[..length]);
            if let Some(line) =
                message(&text).filter(|line| line.contains(module) || is_about_a_key(line))
                && lines.len() < MAX_LINES
            {
                lines.push(line.to_owned());
            }
        }
        lines
    }
}

/// `Loading of module with unavailable key is rejected`, in the kernel's `module_sig_check()`.
fn is_about_a_key(line: &str) -> bool {
    line.starts_with("Loading of ") && line.ends_with(" is rejected")
}

/// The message of a record: `4,1234,5678,-;message`, and lines with details that begin with a blank.
fn message(record: &str) -> Option<&str> {
    let (_, message) = record.split_once(';')?;
    message.lines().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_follows_the_prefix() {
        let record =
            "3,902,1234567,-;fix: disagrees about version of symbol printk\n SUBSYSTEM=module\n";
        assert_eq!(
            message(record),
            Some("fix: disagrees about version of symbol printk")
        );
        assert_eq!(message("no record"), None);
        assert!(is_about_a_key("Loading of unsigned module is rejected"));
        assert!(!is_about_a_key("is rejected"));
    }
}
