//! What is compared of data: its bytes without relocated fields, and its pointers.

use crate::object::{AtomId, AtomKind, Link, Object};

/// The contents of an atom from some place on.
pub(super) struct View<'o> {
    /// Bytes that the file holds, relocated fields blanked.
    pub bytes: Vec<u8>,
    /// The whole size, with what is zero and not in the file; of a literal without the zeros at its end, which may be
    /// padding.
    pub size: u64,
    /// Pointers, with their offsets in the view.
    pub links: Vec<(u64, &'o Link)>,
}

impl<'o> View<'o> {
    /// The contents of `id` from `from` on: of a literal up to where the next one begins, of all else the whole. `None` when
    /// that is no place in it, or when its relocations are not all understood.
    pub(super) fn of(object: &'o Object<'_>, id: AtomId, from: i64) -> Option<Self> {
        let literal = object.atom(id).kind == AtomKind::Literal;
        let from = if literal {
            u64::try_from(from).ok()?
        } else {
            0
        };
        let mut view = Self {
            bytes: Vec::new(),
            size: 0,
            links: Vec::new(),
        };
        for part in parts(object, id) {
            let atom = object.atom(part);
            if atom.unlinked {
                return None;
            }
            let base = view.size;
            view.size += atom.size;
            view.bytes.extend_from_slice(atom.bytes);
            view.links
                .extend(atom.links.iter().map(|link| (base + link.offset(), link)));
        }
        if from > view.size {
            return None;
        }
        view.blank();
        if literal {
            view.cut(from);
        }
        Some(view)
    }

    fn blank(&mut self) {
        for (offset, link) in &self.links {
            let start = usize::try_from(*offset).unwrap_or(usize::MAX);
            let end = start
                .saturating_add(link.kind.width())
                .min(self.bytes.len());
            self.bytes[start.min(end)..end].fill(0);
        }
    }

    /// Leaves out what is before `from` and the zeros at the end.
    fn cut(&mut self, from: u64) {
        let last_link = self.links.last();
        let last_link = last_link.map_or(0, |(offset, link)| offset + link.kind.width() as u64);
        let last_byte = self.bytes.iter().rposition(|byte| *byte != 0);
        let end = last_byte.map_or(0, |at| at as u64 + 1).max(last_link);
        let len = self.bytes.len() as u64;
        let (start, end) = (from.min(len), end.clamp(from.min(len), len));
        self.bytes = self.bytes[start as usize..end as usize].to_vec();
        self.size = end - start;
        self.links.retain(|(offset, _)| *offset >= from);
        for (offset, _) in &mut self.links {
            *offset -= from;
        }
    }

    /// The first byte that differs. What the file does not hold is zero.
    pub(super) fn first_difference(&self, other: &Self) -> Option<usize> {
        if self.bytes == other.bytes {
            return None;
        }
        let byte = |view: &Self, at: usize| view.bytes.get(at).copied().unwrap_or(0);
        let len = self.bytes.len().max(other.bytes.len());
        (0..len).find(|at| byte(self, *at) != byte(other, *at))
    }
}

/// The atom, and the parts that may belong to it.
fn parts(object: &Object<'_>, id: AtomId) -> impl Iterator<Item = AtomId> {
    let later = object.enumerate_from(AtomId(id.0.saturating_add(1)));
    let rest = later
        .take_while(|(_, atom)| atom.continues)
        .map(|(id, _)| id);
    std::iter::once(id).chain(rest)
}
