//! Layouts of structures out of BTF (`Documentation/bpf/btf.rst`).

use std::collections::BTreeMap;
use thiserror::Error;

/// Why a blob is no BTF, or does not tell.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum BtfError {
    /// Not BTF, or cut off.
    #[error("malformed BTF: {0}")]
    Malformed(&'static str),
    /// No such structure.
    #[error("BTF knows no `struct {0}`")]
    NoStruct(String),
    /// No such member.
    #[error("`struct {structure}` has no member `{member}` in BTF")]
    NoMember {
        /// The structure.
        structure: String,
        /// The member.
        member: String,
    },
}

/// Where the members of a structure are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The structure's name.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    members: BTreeMap<String, u64>,
}

impl Layout {
    /// Where a member begins, in bytes; members of nameless structures inside count as its own.
    ///
    /// # Errors
    /// When there is no such member, or no room for a pointer at its place.
    pub fn offset(&self, member: &str) -> Result<u64, BtfError> {
        let offset = self.members.get(member).copied();
        let offset = offset.ok_or_else(|| BtfError::NoMember {
            structure: self.name.clone(),
            member: member.to_owned(),
        })?;
        let end = offset.checked_add(8);
        if self.size > SIZE_MAX || end.is_none_or(|end| end > self.size) {
            return Err(BtfError::Malformed(
                "a member lies outside of its structure",
            ));
        }
        Ok(offset)
    }
}

/// More than any structure of the livepatch core or the module loader has.
const SIZE_MAX: u64 = 1 << 16;

const MAGIC: u16 = 0xeb9f;
const STRUCT: u8 = 4;
const UNION: u8 = 5;
/// How deep structures without names may lie in each other.
const DEPTH_MAX: usize = 16;

/// The types of a kernel.
#[derive(Debug)]
pub struct Btf<'d> {
    types: &'d [u8],
    strings: &'d [u8],
    /// Where each type is in `types`; the first one is number 1.
    starts: Vec<usize>,
}

/// A type's first three words.
struct Head {
    name: usize,
    kind: u8,
    count: usize,
    flag: bool,
    size: u32,
}

impl<'d> Btf<'d> {
    /// Reads the blob's index.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn parse(blob: &'d [u8]) -> Result<Self, BtfError> {
        let word = |at: usize| word(blob, at).map(|word| word as usize);
        let magic = blob
            .get(..2)
            .map(|two| u16::from_le_bytes([two[0], two[1]]));
        if magic != Some(MAGIC) {
            return Err(BtfError::Malformed("it has another magic number"));
        }
        let part = |offset: usize, len: usize| {
            let start = word(4)?.checked_add(word(offset)?)?;
            blob.get(start..start.checked_add(word(len)?)?)
        };
        let types = part(8, 12).ok_or(BtfError::Malformed("types are cut off"))?;
        let strings = part(16, 20).ok_or(BtfError::Malformed("strings are cut off"))?;
        let mut btf = Self {
            types,
            strings,
            starts: Vec::new(),
        };
        let mut at = 0;
        while at < types.len() {
            btf.starts.push(at);
            let head = btf
                .head(at)
                .ok_or(BtfError::Malformed("a type is cut off"))?;
            let extra = extra(&head).ok_or(BtfError::Malformed("a type of unknown kind"))?;
            at += 12 + extra;
        }
        Ok(btf)
    }

    /// The layout of a structure.
    ///
    /// # Errors
    /// When there is none of this name, or it is malformed.
    pub fn layout(&self, name: &str) -> Result<Layout, BtfError> {
        let named = |at: &&usize| {
            let head = self.head(**at);
            head.is_some_and(|head| head.kind == STRUCT && self.text(head.name) == Some(name))
        };
        let at = self.starts.iter().find(named);
        let at = *at.ok_or_else(|| BtfError::NoStruct(name.to_owned()))?;
        let mut members = BTreeMap::new();
        let size = self.collect(at, 0, 0, &mut members);
        let size = size.ok_or(BtfError::Malformed("a structure is cut off"))?;
        Ok(Layout {
            name: name.to_owned(),
            size: u64::from(size),
            members,
        })
    }

    /// Enters the members of the structure at `at`, which begins at `base`; returns its size.
    fn collect(
        &self,
        at: usize,
        base: u64,
        depth: usize,
        members: &mut BTreeMap<String, u64>,
    ) -> Option<u32> {
        let head = self.head(at)?;
        if !matches!(head.kind, STRUCT | UNION) || depth > DEPTH_MAX {
            return Some(head.size);
        }
        for index in 0..head.count {
            let member = at + 12 + 12 * index;
            let bits = word(self.types, member + 8)?;
            let bits = if head.flag { bits & 0x00ff_ffff } else { bits };
            let offset = base + u64::from(bits / 8);
            let name = self.text(word(self.types, member)? as usize)?;
            if name.is_empty() {
                let number = word(self.types, member + 4)? as usize;
                let inner = *self.starts.get(number.checked_sub(1)?)?;
                self.collect(inner, offset, depth + 1, members)?;
            } else {
                members.insert(name.to_owned(), offset);
            }
        }
        Some(head.size)
    }

    fn head(&self, at: usize) -> Option<Head> {
        let info = word(self.types, at.checked_add(4)?)?;
        Some(Head {
            name: word(self.types, at)? as usize,
            kind: (info >> 24 & 0x1f) as u8,
            count: (info & 0xffff) as usize,
            flag: info >> 31 == 1,
            size: word(self.types, at.checked_add(8)?)?,
        })
    }

    fn text(&self, offset: usize) -> Option<&'d str> {
        let rest = self.strings.get(offset..)?;
        let end = memchr::memchr(0, rest)?;
        std::str::from_utf8(&rest[..end]).ok()
    }
}

fn word(data: &[u8], at: usize) -> Option<u32> {
    let bytes = data.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

/// How many bytes follow the first three words of a type.
fn extra(head: &Head) -> Option<usize> {
    Some(match head.kind {
        // Pointer, forward, typedef, volatile, const, restrict, function, float, type tag.
        2 | 7 | 8 | 9 | 10 | 11 | 12 | 16 | 18 => 0,
        // Integer, variable, declaration tag.
        1 | 14 | 17 => 4,
        // Array.
        3 => 12,
        // Structure, union, data section, 64-bit enumeration.
        STRUCT | UNION | 15 | 19 => 12 * head.count,
        // Enumeration, function prototype.
        6 | 13 => 8 * head.count,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `struct outer { int a; union { struct inner { … } b; }; }` with a nameless union.
    fn blob() -> Vec<u8> {
        let strings = b"\0outer\0a\0b\0";
        let words: [u32; 3 + 1 + 3 + 3 + 3 + 3 + 3] = [
            0,
            1 << 24,
            4,
            32, // int
            0,
            5 << 24 | 1,
            8,
            9,
            1,
            0, // union { int b; }
            1,
            4 << 24 | 2,
            16,
            7,
            1,
            32,
            0,
            2,
            64, // struct outer { int a at 4; union at 8 }
        ];
        let types: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let mut blob = vec![0x9f, 0xeb, 1, 0];
        let header = [
            24,
            0,
            types.len() as u32,
            types.len() as u32,
            strings.len() as u32,
        ];
        blob.extend(header.iter().flat_map(|word: &u32| word.to_le_bytes()));
        blob.extend(types);
        blob.extend(strings);
        blob
    }

    #[test]
    fn members_of_nameless_members_count() {
        let blob = blob();
        let layout = Btf::parse(&blob).and_then(|btf| btf.layout("outer"));
        let layout = layout.expect("well formed");
        assert_eq!(
            (layout.size, layout.offset("a"), layout.offset("b")),
            (16, Ok(4), Ok(8))
        );
        assert!(layout.offset("c").is_err());
    }

    #[test]
    fn cut_off_blobs_are_told() {
        let blob = blob();
        for end in 0..blob.len() {
            let layout = Btf::parse(&blob[..end]).and_then(|btf| btf.layout("outer"));
            assert!(layout.is_err(), "cut off at {end}");
        }
    }
}
