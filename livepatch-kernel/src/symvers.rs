//! `Module.symvers`: what the kernel and its modules export, with the CRCs of `CONFIG_MODVERSIONS`.
//!
//! ```text
//! 0x4c9d28b0    phys_base    vmlinux    EXPORT_SYMBOL
//! 0x815f2897    dma_buf_get    drivers/dma-buf/dma-buf    EXPORT_SYMBOL_GPL    DMA_BUF
//! ```

use std::collections::HashMap;
use thiserror::Error;

/// A line that is not of the expected form, from 1.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("line {0} of `Module.symvers` is malformed")]
pub struct SymversError(pub usize);

/// An exported symbol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// The CRC of its type.
    pub crc: u32,
    /// Who exports it: `vmlinux`, or the module's name as `/proc/modules` shows it.
    pub owner: String,
    /// Whether only modules under the GPL may use it.
    pub gpl: bool,
    /// The namespace that a module must import to use it; empty for none.
    pub namespace: String,
}

/// Exported symbols by name.
#[derive(Debug, Default)]
pub struct Symvers(HashMap<String, Export>);

impl Symvers {
    /// Reads the file's text.
    ///
    /// # Errors
    /// The first malformed line.
    pub fn parse(text: &str) -> Result<Self, SymversError> {
        let mut exports = HashMap::new();
        for (index, line) in text.lines().enumerate() {
            let (name, export) = line_of(line).ok_or(SymversError(index + 1))?;
            exports.insert(name, export);
        }
        Ok(Self(exports))
    }

    /// The export of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Export> {
        self.0.get(name)
    }
}

fn line_of(line: &str) -> Option<(String, Export)> {
    let mut parts = line.split('\t');
    let crc = parts.next()?.strip_prefix("0x")?;
    let crc = u32::from_str_radix(crc, 16).ok()?;
    let name = parts.next().filter(|name| !name.is_empty())?;
    let owner = parts.next()?;
    let gpl = match parts.next()? {
        "EXPORT_SYMBOL" => false,
        "EXPORT_SYMBOL_GPL" => true,
        _ => return None,
    };
    let export = Export {
        crc,
        owner: module_name(owner),
        gpl,
        namespace: parts.next().unwrap_or_default().to_owned(),
    };
    Some((name.to_owned(), export))
}

/// The name under which the kernel knows the module of a path: `snd_hda_intel` for `sound/pci/hda/snd-hda-intel`.
#[must_use]
pub fn module_name(path: &str) -> String {
    let base = path.rsplit('/').next().unwrap_or(path);
    base.replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exports_are_read() {
        let text = "0x4c9d28b0\tphys_base\tvmlinux\tEXPORT_SYMBOL\t\n\
                    0x00000001\tget\tdrivers/dma-buf/dma-buf\tEXPORT_SYMBOL_GPL\tDMA_BUF\n";
        let symvers = Symvers::parse(text).expect("well formed");
        let base = symvers.get("phys_base").expect("there");
        assert_eq!(
            (base.crc, base.owner.as_str(), base.gpl),
            (0x4c9d_28b0, "vmlinux", false)
        );
        let get = symvers.get("get").expect("there");
        assert_eq!((get.owner.as_str(), get.gpl), ("dma_buf", true));
        assert_eq!(get.namespace, "DMA_BUF");
    }

    #[test]
    fn malformed_lines_are_told() {
        for line in [
            "",
            "0x1\ta\tvmlinux",
            "1\ta\tvmlinux\tEXPORT_SYMBOL\t",
            "0x1\ta\tv\tX\t",
        ] {
            let text = format!("0x1\ta\tvmlinux\tEXPORT_SYMBOL\t\n{line}\n");
            assert_eq!(Symvers::parse(&text).err(), Some(SymversError(2)), "{line}");
        }
    }
}
