//! Whether live data of an old type can be used as the new type.
//!
//! Two types are the same when every part has the same place, size and meaning: names of types count where both
//! have one (what they stand for is compared by itself), contents where they have none. Signedness, `const` and what
//! `void *` points to make no difference. What cannot be compared is different.

use super::model::{Encoding, Field, Key, Shape, Type, TypeId, TypeRef, Types};
use std::collections::{BTreeMap, HashMap};

/// Types are nested less deeply than this.
const DEPTH_MAX: usize = 200;

/// So many differences of one type are told.
const TOLD: usize = 6;

/// Compares types of an old object with types of a new one.
#[derive(Debug)]
pub struct Comparer<'t> {
    old: &'t Types,
    new: &'t Types,
    /// What was compared. An entry is made before its parts are looked at: a list is a list of its own kind.
    seen: HashMap<(TypeId, TypeId), bool>,
}

impl<'t> Comparer<'t> {
    /// A comparer that has seen nothing.
    #[must_use]
    pub fn new(old: &'t Types, new: &'t Types) -> Self {
        Self {
            old,
            new,
            seen: HashMap::new(),
        }
    }

    /// How two definitions of one name differ; empty when they do not.
    pub fn differences(&mut self, old: TypeId, new: TypeId) -> Vec<String> {
        let (one, other) = (self.old.get(old), self.new.get(new));
        let mut found = self.contents(one, other, 0);
        let told = matches!(one.shape, Shape::Alias(of) if unnamed(self.old, of).is_none());
        if !told || found.is_empty() {
            found.extend(self.sizes(old, new));
        }
        let more = found.len().saturating_sub(TOLD);
        if more > 0 {
            found.truncate(TOLD);
            found.push(format!("and {more} more"));
        }
        found
    }

    /// Whether what two references lead to is the same to live data.
    pub fn is_same(&mut self, old: Option<TypeRef>, new: Option<TypeRef>) -> bool {
        self.same(old, new, 0)
    }

    /// Sizes that differ. One that is not known belongs to a type that one version only declares.
    fn sizes(&self, old: TypeId, new: TypeId) -> Option<String> {
        let (one, other) = (self.old.size(old)?, self.new.size(new)?);
        (one != other).then(|| format!("it was {one} bytes long, and is {other} bytes"))
    }

    fn contents(&mut self, old: &Type, new: &Type, depth: usize) -> Vec<String> {
        match (&old.shape, &new.shape) {
            (
                Shape::Record {
                    fields: a,
                    slots: s,
                },
                Shape::Record {
                    fields: b,
                    slots: t,
                },
            ) => {
                let mut found = self.fields(a, b, depth);
                found.extend(slots(s, t));
                found
            }
            (Shape::Enumeration(a), Shape::Enumeration(b)) => enumerators(a, b),
            (Shape::Alias(a), Shape::Alias(b)) => {
                let (was, is) = (*a, *b);
                if let (Some(one), Some(other)) = (unnamed(self.old, was), unnamed(self.new, is)) {
                    let (one, other) = (self.old.get(one), self.new.get(other));
                    return self.contents(one, other, depth + 1);
                }
                let same = self.same(was, is, depth + 1);
                let text = || changed_type(self.old, self.new, was, is);
                (!same)
                    .then(|| format!("it stood for {}", text()))
                    .into_iter()
                    .collect()
            }
            _ => vec!["it is another kind of type now".to_owned()],
        }
    }

    fn fields(&mut self, old: &[Field], new: &[Field], depth: usize) -> Vec<String> {
        let mut found = Vec::new();
        let mut others: BTreeMap<_, _> = named(new).into_iter().collect();
        for (name, field) in named(old) {
            let label = label(self.old, field);
            match others.remove(&name) {
                Some(other) => found.extend(self.field(&label, field, other, depth)),
                None => found.push(format!("{label} {} is gone", place(field))),
            }
        }
        let mut added: Vec<&Field> = others.into_values().collect();
        added.sort_by_key(|field| field.bit);
        let added = added.into_iter();
        found.extend(
            added.map(|field| format!("{} {} is new", label(self.new, field), place(field))),
        );
        found
    }

    fn field(&mut self, label: &str, old: &Field, new: &Field, depth: usize) -> Option<String> {
        if (old.bit, old.width) != (new.bit, new.width) {
            return Some(format!("{label} was {}, and is {}", place(old), place(new)));
        }
        if !self.same(old.of, new.of, depth + 1) {
            let text = changed_type(self.old, self.new, old.of, new.of);
            return Some(format!("{label} {} was {text}", place(old)));
        }
        None
    }

    fn same(&mut self, old: Option<TypeRef>, new: Option<TypeRef>, depth: usize) -> bool {
        if depth > DEPTH_MAX {
            return false;
        }
        if old.is_none() && new.is_none() {
            return true;
        }
        let (old, new) = (self.old.find(old), self.new.find(new));
        let (Some(old), Some(new)) = (
            old.and_then(|id| plain(self.old, id)),
            new.and_then(|id| plain(self.new, id)),
        ) else {
            return false;
        };
        let same_name = self.same_name(old, new) && !self.names_several(old);
        // One name more or less says nothing yet.
        let (old, new) = (bare(self.old, old), bare(self.new, new));
        let (Some(old), Some(new)) = (old, new) else {
            return old.is_none() && new.is_none();
        };
        if same_name && !is_number(self.old.get(old)) && !is_number(self.new.get(new)) {
            return true;
        }
        if let Some(known) = self.seen.get(&(old, new)) {
            return *known;
        }
        self.seen.insert((old, new), true);
        let same = self.same_shape(old, new, depth);
        self.seen.insert((old, new), same);
        same
    }

    fn same_shape(&mut self, old: TypeId, new: TypeId, depth: usize) -> bool {
        let (one, other) = (self.old.get(old), self.new.get(new));
        if self.same_name(old, new) && !is_number(one) {
            return true;
        }
        match (&one.shape, &other.shape) {
            (Shape::Pointer(a), Shape::Pointer(b)) => self.same_pointee(*a, *b, depth),
            (Shape::Array(a, m), Shape::Array(b, n)) => m == n && self.same(*a, *b, depth + 1),
            (Shape::Function(a, p), Shape::Function(b, q)) => {
                p.len() == q.len()
                    && self.same(*a, *b, depth + 1)
                    && p.iter().zip(q).all(|(a, b)| self.same(*a, *b, depth + 1))
            }
            (
                Shape::Scalar(_) | Shape::Enumeration(_),
                Shape::Scalar(_) | Shape::Enumeration(_),
            ) if !both_enumerations(one, other) => {
                encoding(one) == encoding(other) && one.size == other.size
            }
            (Shape::Other(a, p), Shape::Other(b, q)) => a == b && self.same(*p, *q, depth + 1),
            _ if one.incomplete || other.incomplete => false,
            _ => one.size == other.size && self.contents(one, other, depth + 1).is_empty(),
        }
    }

    fn same_name(&self, old: TypeId, new: TypeId) -> bool {
        let key = &self.old.get(old).key;
        key.is_some() && *key == self.new.get(new).key
    }

    /// Whether a type's name says little.
    fn names_several(&self, old: TypeId) -> bool {
        let key = self.old.get(old).key.as_ref();
        key.is_some_and(|key| self.means_several(key))
    }

    /// Whether a name stands for several types in one of the objects.
    pub(super) fn means_several(&self, key: &Key) -> bool {
        self.old.several.contains(key) || self.new.several.contains(key)
    }

    /// What a pointer leads to may be unknown on either side.
    fn same_pointee(&mut self, old: Option<TypeRef>, new: Option<TypeRef>, depth: usize) -> bool {
        let is_void = |types: &Types, of: Option<TypeRef>| {
            of.is_none() || types.find(of).is_some_and(|id| bare(types, id).is_none())
        };
        is_void(self.old, old) || is_void(self.new, new) || self.same(old, new, depth + 1)
    }
}

/// The type without qualifiers; `None` for `const void`.
fn plain(types: &Types, id: TypeId) -> Option<TypeId> {
    stripped(types, id, |one| one.key.is_some())
}

/// The type without qualifiers and other names; `None` for what stands for `void`.
fn bare(types: &Types, id: TypeId) -> Option<TypeId> {
    stripped(types, id, |_| false)
}

fn stripped(types: &Types, mut id: TypeId, stop: impl Fn(&Type) -> bool) -> Option<TypeId> {
    for _ in 0..DEPTH_MAX {
        match &types.get(id).shape {
            Shape::Alias(of) if !stop(types.get(id)) => id = types.find(*of)?,
            _ => return Some(id),
        }
    }
    None
}

/// The structure or enumeration without a name of its own that this stands for.
fn unnamed(types: &Types, of: Option<TypeRef>) -> Option<TypeId> {
    let id = bare(types, types.find(of)?)?;
    let one = types.get(id);
    let whole = matches!(one.shape, Shape::Record { .. } | Shape::Enumeration(_));
    (whole && one.key.is_none()).then_some(id)
}

fn is_number(one: &Type) -> bool {
    matches!(one.shape, Shape::Scalar(_))
}

fn both_enumerations(one: &Type, other: &Type) -> bool {
    matches!(
        (&one.shape, &other.shape),
        (Shape::Enumeration(_), Shape::Enumeration(_))
    )
}

fn encoding(one: &Type) -> Encoding {
    match one.shape {
        Shape::Scalar(encoding) => encoding,
        _ => Encoding::Integer,
    }
}

/// Fields with their names; nameless ones with their number among their like.
fn named(fields: &[Field]) -> Vec<((usize, &str), &Field)> {
    let mut nameless = 0;
    let names = fields.iter().map(|field| match &field.name {
        Some(name) => ((0, name.as_str()), field),
        None => {
            nameless += 1;
            ((nameless, ""), field)
        }
    });
    names.collect()
}

fn label(types: &Types, field: &Field) -> String {
    match &field.name {
        Some(name) => format!("field `{name}`"),
        None => format!("the part of type `{}`", types.describe(field.of)),
    }
}

fn place(field: &Field) -> String {
    match (field.bit, field.width) {
        (None, _) => "at a place found at run time".to_owned(),
        (Some(bit), None) => format!("at offset {}", bit / 8),
        (Some(bit), Some(width)) => {
            format!(
                "at offset {}, bits {} to {}",
                bit / 8,
                bit % 8,
                (bit % 8).saturating_add(width).saturating_sub(1)
            )
        }
    }
}

fn changed_type(old: &Types, new: &Types, was: Option<TypeRef>, is: Option<TypeRef>) -> String {
    let text = |types: &Types, of| {
        let size = types.find(of).and_then(|id| types.size(id));
        let size = size.map_or(String::new(), |size| format!(" ({size} bytes)"));
        format!("`{}`{size}", types.describe(of))
    };
    format!("{}, and is {}", text(old, was), text(new, is))
}

fn enumerators(old: &BTreeMap<String, i128>, new: &BTreeMap<String, i128>) -> Vec<String> {
    let changed = old.iter().filter_map(|(name, value)| match new.get(name) {
        Some(now) if now == value => None,
        Some(now) => Some(format!("enumerator `{name}` was {value}, and is {now}")),
        None => Some(format!("enumerator `{name}` ({value}) is gone")),
    });
    changed.collect()
}

/// Objects keep the table of virtual functions that they were made with.
fn slots(old: &BTreeMap<u64, String>, new: &BTreeMap<u64, String>) -> Vec<String> {
    let mut found = Vec::new();
    for (slot, name) in old {
        match new.get(slot) {
            Some(now) if now == name => {}
            Some(now) => found.push(format!(
                "slot {slot} of its virtual functions was `{name}`, and is `{now}`"
            )),
            None => found.push(format!("virtual function `{name}` in slot {slot} is gone")),
        }
    }
    let added = new.iter().filter(|(slot, _)| !old.contains_key(slot));
    found.extend(
        added.map(|(slot, name)| format!("virtual function `{name}` in slot {slot} is new")),
    );
    found
}
