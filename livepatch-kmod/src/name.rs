// SPDX-License-Identifier: GPL-2.0
//! Names kept without allocation.
#![forbid(unsafe_code)]

use core::fmt;

/// Longest name that is kept whole, in bytes; what the kernel allows for a module is 55.
pub const MAX_NAME: usize = 63;

/// The name of a patch, module, function or task.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Name {
    length: u8,
    bytes: [u8; MAX_NAME],
}

impl Name {
    /// Keeps a name of up to [`MAX_NAME`] bytes; a longer one is none.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let mut bytes = [0; MAX_NAME];
        bytes
            .get_mut(..text.len())?
            .copy_from_slice(text.as_bytes());
        let length = u8::try_from(text.len()).ok()?;
        Some(Self { length, bytes })
    }

    /// The first bytes of a text that the kernel keeps in a field of fixed size, which ends at a zero.
    #[must_use]
    pub fn of_field(field: &[u8]) -> Self {
        let field = field.split(|byte| *byte == 0).next().unwrap_or_default();
        let text = core::str::from_utf8(field).unwrap_or("?");
        Self::new(text).unwrap_or(Self {
            length: 0,
            bytes: [0; MAX_NAME],
        })
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let bytes = self
            .bytes
            .get(..usize::from(self.length))
            .unwrap_or_default();
        core::str::from_utf8(bytes).unwrap_or("?")
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}
