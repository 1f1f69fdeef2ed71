//! From DWARF (versions 2 to 5) to [`Types`].
//!
//! A walk over all entries of all units, type units too. Entries that say nothing about types or variables only
//! name what is inside them. References are kept as they are and followed when two types are compared.

use super::attributes::{Attributes, Section};
use super::model::{Encoding, Family, Field, Key, Shape, Type, TypeId, TypeRef, Types, Variable};
use super::sections::Sections;
use crate::object::Object;
use gimli::{AttributeValue, DebugInfo, DebugTypes, EndianSlice, LittleEndian, constants as dw};
use std::collections::{BTreeMap, HashMap};
use thiserror::Error;

/// Why there is nothing to compare.
#[derive(Debug, Error)]
pub enum TypesError {
    /// No types are described.
    #[error("no debug information about types")]
    Missing,
    /// The types are in another file.
    #[error("the debug information is in a split file (`.dwo`)")]
    Split,
    /// Compressed in an unknown way.
    #[error("the section `{0}` is compressed in a way that is not understood")]
    Compressed(String),
    /// Malformed.
    #[error("malformed debug information")]
    Dwarf(#[from] gimli::Error),
}

/// Reads the types of an object.
///
/// # Errors
/// When there are none, or when the debug information is malformed.
pub fn read(object: &Object<'_>) -> Result<Types, TypesError> {
    let sections = Sections::of(object)?;
    let mut reader = Reader::default();
    for (number, (name, data)) in sections.units().enumerate() {
        let mut dwarf = sections.shared();
        if name == ".debug_types" {
            dwarf.debug_types = DebugTypes::new(data, LittleEndian);
        } else {
            dwarf.debug_info = DebugInfo::new(data, LittleEndian);
        }
        reader.section(&Section { number, dwarf })?;
    }
    if reader.types.types.is_empty() {
        return Err(if reader.split {
            TypesError::Split
        } else {
            TypesError::Missing
        });
    }
    let Types {
        named, elsewhere, ..
    } = &mut reader.types;
    elsewhere.retain(|key| !named.contains_key(key));
    reader.types.find_several();
    Ok(reader.types)
}

/// Deeper names than any program has are cut.
const PATH_MAX: usize = 4096;

/// What an entry is to the entries inside it.
#[derive(Clone, Debug, Default)]
struct Scope {
    /// Names before the names inside.
    path: String,
    /// The type that is being described.
    inside: Option<TypeId>,
    /// Whether the entry is part of a function.
    function: bool,
    /// The value that selects a variant.
    variant: Option<String>,
}

impl Scope {
    fn name(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}::{name}", self.path)
        }
    }

    fn within(&self, name: Option<&str>) -> Self {
        let longer = name.filter(|_| self.path.len() < PATH_MAX);
        Self {
            path: longer.map_or_else(|| self.path.clone(), |name| self.name(name)),
            inside: None,
            function: self.function,
            variant: None,
        }
    }
}

#[derive(Default)]
struct Reader {
    types: Types,
    split: bool,
    /// Variables that are declared, by the place of the declaration.
    declared: HashMap<TypeRef, Key>,
    /// Whether the unit is in C.
    c: bool,
}

impl Reader {
    fn section(&mut self, section: &Section<'_>) -> Result<(), TypesError> {
        let mut units = section.dwarf.units();
        while let Some(header) = units.next()? {
            self.unit(section, header)?;
        }
        let mut units = section.dwarf.type_units();
        while let Some(header) = units.next()? {
            self.unit(section, header)?;
        }
        Ok(())
    }

    fn unit(
        &mut self,
        section: &Section<'_>,
        header: super::attributes::Header<'_>,
    ) -> Result<(), TypesError> {
        self.split |= matches!(header.type_(), gimli::UnitType::Skeleton(_));
        let unit = section.dwarf.unit(header)?;
        self.split |= unit.dwo_name().is_ok_and(|name| name.is_some());
        let mut scopes: Vec<(isize, Scope)> = Vec::new();
        let mut entries = unit.entries();
        while let Some(entry) = entries.next_dfs()? {
            let depth = entry.depth();
            while scopes.last().is_some_and(|(above, _)| *above >= depth) {
                scopes.pop();
            }
            let around = scopes
                .last()
                .map_or_else(Scope::default, |(_, scope)| scope.clone());
            if entry.tag() == dw::DW_TAG_compile_unit {
                self.c = is_c(entry.attr_value(dw::DW_AT_language));
            }
            let attributes = Attributes {
                section,
                unit: &unit,
                entry,
            };
            let inner = self.entry(&attributes, &around);
            if entry.has_children() {
                scopes.push((depth, inner));
            }
        }
        if let Some((signature, place)) = Section::signature(&unit.header) {
            let place = section.place(&unit.header, place);
            if let Some(id) = self.types.places.get(&place).copied() {
                self.types.places.insert(TypeRef::Signature(signature), id);
            }
        }
        Ok(())
    }

    /// Takes in one entry; returns what it is to those inside it.
    fn entry(&mut self, entry: &Attributes<'_, '_>, around: &Scope) -> Scope {
        let name = entry.name();
        match entry.tag() {
            dw::DW_TAG_namespace | dw::DW_TAG_module => {
                around.within(Some(name.as_deref().unwrap_or("(anonymous)")))
            }
            dw::DW_TAG_subprogram => self.function(entry, around),
            dw::DW_TAG_lexical_block | dw::DW_TAG_inlined_subroutine => around.within(None),
            dw::DW_TAG_variable => {
                self.variable(entry, around);
                around.within(None)
            }
            dw::DW_TAG_member | dw::DW_TAG_inheritance => {
                self.field(entry, around);
                around.within(None)
            }
            dw::DW_TAG_variant_part => around.clone(),
            dw::DW_TAG_variant => {
                let value = entry.number(dw::DW_AT_discr_value);
                let variant = value.map_or_else(|| "else".to_owned(), |value| value.to_string());
                Scope {
                    variant: Some(variant),
                    ..around.clone()
                }
            }
            dw::DW_TAG_enumerator => {
                if let (Some(Shape::Enumeration(values)), Some(name), Some(value)) = (
                    self.shape(around),
                    name,
                    entry.number(dw::DW_AT_const_value),
                ) {
                    values.insert(name, value);
                }
                around.within(None)
            }
            dw::DW_TAG_subrange_type if around.inside.is_some() => {
                if let Some(Shape::Array(_, counts)) = self.shape(around) {
                    counts.push(entry.element_count());
                }
                around.within(None)
            }
            dw::DW_TAG_formal_parameter => {
                if let Some(Shape::Function(_, parameters)) = self.shape(around) {
                    parameters.push(entry.of());
                }
                around.within(None)
            }
            _ => self.maybe_type(entry, around),
        }
    }

    fn shape(&mut self, scope: &Scope) -> Option<&mut Shape> {
        let id = scope.inside?;
        Some(&mut self.types.types[id.0].shape)
    }

    fn function(&mut self, entry: &Attributes<'_, '_>, around: &Scope) -> Scope {
        let name = entry.text(dw::DW_AT_linkage_name).or_else(|| entry.name());
        if let (Some(Shape::Record { slots, .. }), Some(slot)) = (self.shape(around), entry.slot())
        {
            slots.insert(slot, name.clone().unwrap_or_default());
        }
        if let Some(name) = &name {
            let results = self.types.results.entry(name.clone()).or_default();
            results.push(entry.of());
        }
        Scope {
            function: true,
            ..around.within(name.as_deref())
        }
    }

    fn variable(&mut self, entry: &Attributes<'_, '_>, around: &Scope) {
        let is_static = !around.function || entry.has_fixed_place();
        let key = entry.name().map(|name| Key {
            family: Family::Variable,
            name: around.name(&name),
        });
        if entry.flag(dw::DW_AT_declaration) {
            self.declared
                .extend(key.clone().map(|key| (entry.place(), key)));
        } else if !entry.has_place() {
            // g++ declares what is in a namespace there and defines it elsewhere.
            let declaration = entry.reference(dw::DW_AT_specification);
            let declared = declaration.and_then(|place| self.declared.get(&place).cloned());
            self.types.placeless.extend(key.clone().or(declared));
        }
        if let (true, None, Some(key)) = (is_static, around.inside, key) {
            self.types.variables.push(Variable {
                key,
                of: entry.of(),
                form: entry.form(),
            });
        }
    }

    fn field(&mut self, entry: &Attributes<'_, '_>, around: &Scope) {
        if entry.flag(dw::DW_AT_declaration) || entry.flag(dw::DW_AT_external) {
            // A static member is a variable.
            return;
        }
        let of = entry.of();
        let mut name = entry.name();
        if let Some(variant) = &around.variant {
            name = Some(format!("{} (variant {variant})", name.unwrap_or_default()));
        }
        let field = Field {
            name,
            bit: entry.bit_offset(),
            width: entry.udata(dw::DW_AT_bit_size),
            of,
        };
        if let Some(Shape::Record { fields, .. }) = self.shape(around) {
            fields.push(field);
        }
    }

    /// The name of the declaration that this completes; what refers to that refers to `id` from now on.
    fn declared(&mut self, entry: &Attributes<'_, '_>, id: TypeId) -> Option<Key> {
        let place = entry.reference(dw::DW_AT_specification)?;
        let declaration = self.types.places.insert(place, id)?;
        self.types.get(declaration).key.clone()
    }

    fn maybe_type(&mut self, entry: &Attributes<'_, '_>, around: &Scope) -> Scope {
        let Some((family, shape)) = shape(entry) else {
            return around.within(None);
        };
        let name = entry.name();
        let id = TypeId(self.types.types.len());
        // Some definitions stand beside the namespace that they belong to.
        let declared = self.declared(entry, id);
        let key = declared.or_else(|| {
            let counts = family.is_some() || matches!(shape, Shape::Scalar(_) | Shape::Other(..));
            let name = around.name(name.as_deref().filter(|_| counts)?);
            Some(Key {
                family: family.unwrap_or(Family::Alias),
                name,
            })
        });
        let of_type_unit = entry.reference(dw::DW_AT_signature);
        let size = entry.udata(dw::DW_AT_byte_size);
        let measured = matches!(family, Some(family) if family != Family::Alias);
        let one = Type {
            key,
            size,
            incomplete: entry.flag(dw::DW_AT_declaration) || measured && size.is_none(),
            file: entry.file(),
            shape: of_type_unit.map_or(shape, |of| Shape::Alias(Some(of))),
        };
        if let (Some(key), Some(_), false, None) = (&one.key, family, one.incomplete, of_type_unit)
        {
            self.types.named.entry(key.clone()).or_default().push(id);
        }
        if let (Some(key), true, None, false) = (&one.key, one.incomplete, of_type_unit, self.c) {
            self.types.elsewhere.insert(key.clone());
        }
        self.types.places.insert(entry.place(), id);
        self.types.types.push(one);
        let transparent = matches!(family, Some(Family::Record | Family::Union));
        Scope {
            inside: Some(id),
            ..around.within(name.as_deref().filter(|_| transparent))
        }
    }
}

/// What kind of type the entry describes.
fn shape(entry: &Attributes<'_, '_>) -> Option<(Option<Family>, Shape)> {
    let record = || Shape::Record {
        fields: Vec::new(),
        slots: BTreeMap::new(),
    };
    Some(match entry.tag() {
        dw::DW_TAG_structure_type | dw::DW_TAG_class_type | dw::DW_TAG_interface_type => {
            (Some(Family::Record), record())
        }
        dw::DW_TAG_union_type => (Some(Family::Union), record()),
        dw::DW_TAG_enumeration_type => (
            Some(Family::Enumeration),
            Shape::Enumeration(BTreeMap::new()),
        ),
        dw::DW_TAG_typedef => (Some(Family::Alias), Shape::Alias(entry.of())),
        dw::DW_TAG_const_type
        | dw::DW_TAG_volatile_type
        | dw::DW_TAG_restrict_type
        | dw::DW_TAG_atomic_type
        | dw::DW_TAG_immutable_type
        | dw::DW_TAG_packed_type
        | dw::DW_TAG_shared_type => (None, Shape::Alias(entry.of())),
        dw::DW_TAG_pointer_type | dw::DW_TAG_reference_type | dw::DW_TAG_rvalue_reference_type => {
            (None, Shape::Pointer(entry.of()))
        }
        dw::DW_TAG_base_type => (None, Shape::Scalar(encoding(entry))),
        dw::DW_TAG_array_type => (None, Shape::Array(entry.of(), Vec::new())),
        dw::DW_TAG_subroutine_type => (None, Shape::Function(entry.of(), Vec::new())),
        tag @ (dw::DW_TAG_unspecified_type
        | dw::DW_TAG_ptr_to_member_type
        | dw::DW_TAG_string_type
        | dw::DW_TAG_set_type
        | dw::DW_TAG_subrange_type) => (None, Shape::Other(tag.0, entry.of())),
        _ => return None,
    })
}

fn is_c(language: Option<AttributeValue<EndianSlice<'_, LittleEndian>>>) -> bool {
    const C: [dw::DwLang; 6] = [
        dw::DW_LANG_C,
        dw::DW_LANG_C89,
        dw::DW_LANG_C99,
        dw::DW_LANG_C11,
        dw::DW_LANG_C17,
        dw::DW_LANG_Mips_Assembler,
    ];
    matches!(language, Some(AttributeValue::Language(language)) if C.contains(&language))
}

fn encoding(entry: &Attributes<'_, '_>) -> Encoding {
    match entry.encoding() {
        dw::DW_ATE_signed
        | dw::DW_ATE_unsigned
        | dw::DW_ATE_signed_char
        | dw::DW_ATE_unsigned_char
        | dw::DW_ATE_boolean
        | dw::DW_ATE_UTF
        | dw::DW_ATE_UCS
        | dw::DW_ATE_ASCII => Encoding::Integer,
        dw::DW_ATE_float => Encoding::Float,
        other => Encoding::Other(other.0),
    }
}
