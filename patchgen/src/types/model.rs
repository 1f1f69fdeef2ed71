//! The types and variables that the debug information of one object file describes.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Where the debug information describes a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TypeRef {
    /// An offset in one of the object's `.debug_info` or `.debug_types` sections.
    Place {
        /// Which of them.
        section: usize,
        /// Offset in it.
        offset: usize,
    },
    /// The signature of a type unit.
    Signature(u64),
}

/// The index of a type in [`Types`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TypeId(pub usize);

/// What kind of thing a name stands for: `struct a` and `typedef … a` are two things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// `struct` or `class`.
    Record,
    /// `union`.
    Union,
    /// `enum`.
    Enumeration,
    /// `typedef`, `using`.
    Alias,
    /// A variable of static storage duration.
    Variable,
}

impl Family {
    /// The word before the name.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Record => "struct",
            Self::Union => "union",
            Self::Enumeration => "enum",
            Self::Alias => "typedef",
            Self::Variable => "variable",
        }
    }
}

/// A name with what it stands for. The name has the namespaces, classes and functions around it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// What it stands for.
    pub family: Family,
    /// `outer::inner::name`.
    pub name: String,
}

impl Key {
    /// Whether this is its name, alone or behind its family's word.
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        let bare = name.strip_prefix(self.family.word());
        self.name == name || bare.and_then(|bare| bare.strip_prefix(' ')) == Some(&self.name)
    }
}

/// How the bits of a number are read; signedness is no matter of layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Integers, characters, Booleans, enumerators.
    Integer,
    /// Binary floating point.
    Float,
    /// Anything else, by its `DW_ATE` number.
    Other(u8),
}

/// A member, base class, or part of a variant.
#[derive(Clone, Debug)]
pub struct Field {
    /// Its name; `None` for an unnamed union or structure inside.
    pub name: Option<String>,
    /// Where it begins, in bits; `None` when that is computed at run time.
    pub bit: Option<u64>,
    /// Its width in bits, for a bit-field.
    pub width: Option<u64>,
    /// Its type.
    pub of: Option<TypeRef>,
}

/// What a type is made of.
#[derive(Clone, Debug)]
pub enum Shape {
    /// A number.
    Scalar(Encoding),
    /// A pointer or reference.
    Pointer(Option<TypeRef>),
    /// Another name for a type, or a qualified type.
    Alias(Option<TypeRef>),
    /// An array, with the number of elements by dimension, where it is known.
    Array(Option<TypeRef>, Vec<Option<u64>>),
    /// A structure, class or union.
    Record {
        /// Members and base classes.
        fields: Vec<Field>,
        /// Virtual functions by their slot in the table.
        slots: BTreeMap<u64, String>,
    },
    /// Enumerators with their values.
    Enumeration(BTreeMap<String, i128>),
    /// A function's result and parameters.
    Function(Option<TypeRef>, Vec<Option<TypeRef>>),
    /// Something else, by its DWARF tag.
    Other(u16, Option<TypeRef>),
}

/// A type.
#[derive(Clone, Debug)]
pub struct Type {
    /// What it is called, if it has a name.
    pub key: Option<Key>,
    /// Its size in bytes, if told.
    pub size: Option<u64>,
    /// Whether only its name is known here.
    pub incomplete: bool,
    /// The file that it is declared in, without directories.
    pub file: Option<String>,
    /// What it is made of.
    pub shape: Shape,
}

/// A variable of static storage duration.
#[derive(Clone, Debug)]
pub struct Variable {
    /// Its name.
    pub key: Key,
    /// Its type.
    pub of: Option<TypeRef>,
    /// How its value is computed from what lies at its address, or of which parts it is made, as text: compilers keep some in another form
    /// than their type's. Empty for most; `None` where it has no place of its own.
    pub form: Option<String>,
}

/// All that one object describes.
#[derive(Debug, Default)]
pub struct Types {
    /// The types, in the order of the debug information.
    pub types: Vec<Type>,
    /// Where each stands.
    pub places: HashMap<TypeRef, TypeId>,
    /// The types of each name; those that are complete.
    pub named: HashMap<Key, Vec<TypeId>>,
    /// Other names for types that do not stand for one type alone: debug information names templates of aliases without
    /// their arguments.
    pub several: HashSet<Key>,
    /// Types that other files describe although this one may use their parts: compilers describe a class with virtual
    /// functions only where its table is. In C such a type is opaque.
    pub elsewhere: BTreeSet<Key>,
    /// Variables, in the order of the debug information.
    pub variables: Vec<Variable>,
    /// Variables that are declared here and lie nowhere: the compiler has put constants in their place, or nobody uses them.
    pub placeless: BTreeSet<Key>,
    /// What functions return, by the names of their symbols; of those of one name all.
    pub results: HashMap<String, Vec<Option<TypeRef>>>,
}

impl Types {
    /// The type of this number.
    #[must_use]
    pub fn get(&self, id: TypeId) -> &Type {
        &self.types[id.0]
    }

    /// The type that a reference leads to; `None` for `void` and for what is not described.
    #[must_use]
    pub fn find(&self, of: Option<TypeRef>) -> Option<TypeId> {
        self.places.get(&of?).copied()
    }

    /// Finds out which names do not stand for one type.
    pub(super) fn find_several(&mut self) {
        let several = |(key, definitions): &(&Key, &Vec<TypeId>)| {
            key.family == Family::Alias
                && (is_of_library(&key.name) || !self.is_one(definitions.as_slice()))
        };
        let found = self.named.iter().filter(several);
        self.several = found.map(|(key, _)| key.clone()).collect();
    }

    /// Whether all definitions of a name are alike, as far as names tell.
    fn is_one(&self, definitions: &[TypeId]) -> bool {
        let meaning = |id: &TypeId| match self.get(*id).shape {
            Shape::Alias(of) => self.describe(of),
            _ => String::new(),
        };
        let mut meanings = definitions.iter().map(meaning);
        let first = meanings.next();
        meanings.all(|other| Some(other) == first)
    }

    /// The size in bytes, as far as it is known.
    #[must_use]
    pub fn size(&self, id: TypeId) -> Option<u64> {
        let mut id = id;
        let mut elements: u64 = 1;
        // More than any compiler nests; a circle ends here, too.
        for _ in 0..64 {
            let one = self.get(id);
            if let Some(size) = one.size {
                return size.checked_mul(elements);
            }
            match &one.shape {
                Shape::Pointer(_) => return elements.checked_mul(8),
                Shape::Alias(of) => id = self.find(*of)?,
                Shape::Array(of, counts) => {
                    for count in counts {
                        elements = elements.checked_mul((*count)?)?;
                    }
                    id = self.find(*of)?;
                }
                _ => return None,
            }
        }
        None
    }

    /// Whether a function of this name returns its result in `%rax` and `%rdx` (psABI 3.2.3: more than 8 bytes, at most 16), as far
    /// as its size tells; `None` where no such function is described.
    #[must_use]
    pub fn returns_two_registers(&self, function: &str) -> Option<bool> {
        let results = self.results.get(function)?;
        Some(results.iter().any(|of| match self.find(*of) {
            Some(id) => self.size(id).is_none_or(|size| (9..=16).contains(&size)),
            None => of.is_some(),
        }))
    }

    /// What people call the type.
    #[must_use]
    pub fn describe(&self, of: Option<TypeRef>) -> String {
        self.described(of, 8)
    }

    fn described(&self, of: Option<TypeRef>, depth: usize) -> String {
        if of.is_none() {
            return "void".to_owned();
        }
        let Some(id) = self.find(of) else {
            return "an unknown type".to_owned();
        };
        let one = self.get(id);
        if let Some(key) = &one.key {
            return match key.family {
                Family::Alias => key.name.clone(),
                family => format!("{} {}", family.word(), key.name),
            };
        }
        if depth == 0 {
            return "…".to_owned();
        }
        let inner = |of| self.described(of, depth - 1);
        match &one.shape {
            Shape::Scalar(_) | Shape::Other(..) => "a basic type".to_owned(),
            Shape::Pointer(of) => format!("{} *", inner(*of)),
            Shape::Alias(of) => inner(*of),
            Shape::Array(of, counts) => {
                let counts = counts.iter().map(|count| match count {
                    Some(count) => format!("[{count}]"),
                    None => "[]".to_owned(),
                });
                format!("{}{}", inner(*of), counts.collect::<String>())
            }
            Shape::Record { .. } => "an unnamed structure".to_owned(),
            Shape::Enumeration(_) => "an unnamed enum".to_owned(),
            Shape::Function(result, _) => format!("a function returning {}", inner(*result)),
        }
    }
}

/// Whether it is a name of the C++ library, which is no part of what is patched.
fn is_of_library(name: &str) -> bool {
    ["std::", "__gnu_cxx::"]
        .iter()
        .any(|space| name.starts_with(space))
}
