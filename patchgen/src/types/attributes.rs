//! Attributes of debug information entries, in the forms that compilers use.

use super::model::TypeRef;
use gimli::{
    AttributeValue, DwAt, DwAte, DwTag, EndianSlice, LittleEndian, Reader as _, UnitOffset,
    constants as dw,
};

type Slice<'d> = EndianSlice<'d, LittleEndian>;
pub(super) type Dwarf<'d> = gimli::Dwarf<Slice<'d>>;
pub(super) type Header<'d> = gimli::UnitHeader<Slice<'d>>;
type Unit<'d> = gimli::Unit<Slice<'d>>;
type Entry<'d> = gimli::DebuggingInformationEntry<Slice<'d>>;

/// One of the sections that hold units.
pub(super) struct Section<'d> {
    /// Its number among them.
    pub(super) number: usize,
    /// The section, with those that it refers to.
    pub(super) dwarf: Dwarf<'d>,
}

impl Section<'_> {
    /// Where an entry of a unit stands.
    pub(super) fn place(&self, header: &Header<'_>, offset: UnitOffset) -> TypeRef {
        let start = header.offset().0;
        TypeRef::Place {
            section: self.number,
            offset: start.saturating_add(offset.0),
        }
    }

    /// The signature of a type unit, and its type.
    pub(super) fn signature(header: &Header<'_>) -> Option<(u64, UnitOffset)> {
        match header.type_() {
            gimli::UnitType::Type {
                type_signature,
                type_offset,
            }
            | gimli::UnitType::SplitType {
                type_signature,
                type_offset,
            } => Some((type_signature.0, type_offset)),
            _ => None,
        }
    }
}

/// An entry with what its attributes refer to.
pub(super) struct Attributes<'a, 'd> {
    pub(super) section: &'a Section<'d>,
    pub(super) unit: &'a Unit<'d>,
    pub(super) entry: &'a Entry<'d>,
}

impl Attributes<'_, '_> {
    pub(super) fn tag(&self) -> DwTag {
        self.entry.tag()
    }

    pub(super) fn place(&self) -> TypeRef {
        self.section.place(&self.unit.header, self.entry.offset())
    }

    pub(super) fn text(&self, name: DwAt) -> Option<String> {
        let value = self.entry.attr_value(name)?;
        let text = self.section.dwarf.attr_string(self.unit, value).ok()?;
        let text = text.to_string_lossy();
        Some(text.into_owned()).filter(|text| !text.is_empty())
    }

    pub(super) fn name(&self) -> Option<String> {
        self.text(dw::DW_AT_name)
    }

    pub(super) fn udata(&self, name: DwAt) -> Option<u64> {
        self.entry.attr_value(name)?.udata_value()
    }

    pub(super) fn flag(&self, name: DwAt) -> bool {
        matches!(
            self.entry.attr_value(name),
            Some(AttributeValue::Flag(true))
        )
    }

    /// How a basic type is encoded; 0 when that is not told.
    pub(super) fn encoding(&self) -> DwAte {
        match self.entry.attr_value(dw::DW_AT_encoding) {
            Some(AttributeValue::Encoding(encoding)) => encoding,
            _ => DwAte(0),
        }
    }

    /// A constant of any sign.
    pub(super) fn number(&self, name: DwAt) -> Option<i128> {
        let value = self.entry.attr_value(name)?;
        match value {
            AttributeValue::Udata(value) => Some(i128::from(value)),
            other => other
                .sdata_value()
                .map(i128::from)
                .or_else(|| other.udata_value().map(i128::from)),
        }
    }

    pub(super) fn reference(&self, name: DwAt) -> Option<TypeRef> {
        match self.entry.attr_value(name)? {
            AttributeValue::UnitRef(offset) => Some(self.section.place(&self.unit.header, offset)),
            // Compilers refer by section offset only within the section of compilation units, which is the first.
            AttributeValue::DebugInfoRef(offset) => Some(TypeRef::Place {
                section: 0,
                offset: offset.0,
            }),
            AttributeValue::DebugTypesRef(signature) => Some(TypeRef::Signature(signature.0)),
            _ => None,
        }
    }

    /// The type that the entry is of.
    pub(super) fn of(&self) -> Option<TypeRef> {
        self.reference(dw::DW_AT_type)
    }

    /// The file of the declaration, without directories.
    pub(super) fn file(&self) -> Option<String> {
        let number = match self.entry.attr_value(dw::DW_AT_decl_file)? {
            AttributeValue::FileIndex(number) => number,
            other => other.udata_value()?,
        };
        let program = self.unit.line_program.as_ref()?;
        let file = program.header().file(number)?;
        let path = self
            .section
            .dwarf
            .attr_string(self.unit, file.path_name())
            .ok()?;
        let path = path.to_string_lossy();
        Some(path.rsplit('/').next().unwrap_or_default().to_owned())
    }

    /// Where a member begins, in bits (DWARF 5, section 5.7.6; DWARF 3, section 5.6.6, for `DW_AT_bit_offset`).
    pub(super) fn bit_offset(&self) -> Option<u64> {
        if let Some(bits) = self.udata(dw::DW_AT_data_bit_offset) {
            return Some(bits);
        }
        let start = match self.entry.attr_value(dw::DW_AT_data_member_location) {
            None => 0,
            Some(AttributeValue::Exprloc(expression)) => constant_offset(expression.0)?,
            Some(value) => value.udata_value()?,
        };
        let start = start.checked_mul(8)?;
        // Counted from the most significant bit of a unit of storage.
        let (Some(from_top), Some(width)) = (
            self.number(dw::DW_AT_bit_offset),
            self.udata(dw::DW_AT_bit_size),
        ) else {
            return Some(start);
        };
        let unit = self.udata(dw::DW_AT_byte_size)?.checked_mul(8)?;
        let bit = i128::from(start) + i128::from(unit) - from_top - i128::from(width);
        u64::try_from(bit).ok()
    }

    /// The number of elements of one dimension of an array.
    pub(super) fn element_count(&self) -> Option<u64> {
        if let Some(count) = self.udata(dw::DW_AT_count) {
            return Some(count);
        }
        let last = self.number(dw::DW_AT_upper_bound)?;
        let first = self.number(dw::DW_AT_lower_bound).unwrap_or(0);
        u64::try_from(last.checked_sub(first)?.checked_add(1)?).ok()
    }

    /// The slot of a virtual function in the table of its class.
    pub(super) fn slot(&self) -> Option<u64> {
        match self.entry.attr_value(dw::DW_AT_vtable_elem_location)? {
            AttributeValue::Exprloc(expression) => {
                let mut bytes = expression.0;
                match dw::DwOp(bytes.read_u8().ok()?) {
                    dw::DW_OP_constu => bytes.read_uleb128().ok(),
                    _ => None,
                }
            }
            value => value.udata_value(),
        }
    }

    /// Whether it is told where the variable is, at least for a while.
    pub(super) fn has_place(&self) -> bool {
        self.entry.attr_value(dw::DW_AT_location).is_some()
    }

    /// Whether the variable has an address of its own, or an offset among thread-local variables.
    pub(super) fn has_fixed_place(&self) -> bool {
        let Some(AttributeValue::Exprloc(expression)) = self.entry.attr_value(dw::DW_AT_location)
        else {
            return false;
        };
        let first = expression.0.slice().first().copied().map(dw::DwOp);
        matches!(
            first,
            Some(
                dw::DW_OP_addr
                    | dw::DW_OP_addrx
                    | dw::DW_OP_const8u
                    | dw::DW_OP_constx
                    | dw::DW_OP_GNU_addr_index
            )
        )
    }

    /// What its location does beyond naming an address (DWARF 5, 2.6): clang keeps an `int` of which it has seen two values as a
    /// `bool` (`DW_OP_deref_size 1 DW_OP_constu 5 DW_OP_mul …`), and a structure as single fields (`DW_OP_piece 4 …`).
    pub(super) fn form(&self) -> Option<String> {
        let location = self.entry.attr_value(dw::DW_AT_location)?;
        let AttributeValue::Exprloc(expression) = location else {
            return None;
        };
        let mut form = String::new();
        let mut operations = expression.operations(self.unit.encoding());
        let mut address = false;
        while let Ok(Some(operation)) = operations.next() {
            let offset = matches!(operation, gimli::Operation::PlusConstant { .. }) && address;
            address = is_address(&operation);
            if !address && !offset {
                form.push_str(&format!("{operation:?} "));
            }
        }
        Some(form)
    }
}

fn is_address(operation: &gimli::Operation<Slice<'_>>) -> bool {
    use gimli::Operation as Op;
    matches!(
        operation,
        Op::Address { .. } | Op::AddressIndex { .. } | Op::ConstantIndex { .. } | Op::TLS
    )
}

/// `DW_OP_plus_uconst N`, the one expression that C compilers use for members.
fn constant_offset(mut expression: Slice<'_>) -> Option<u64> {
    match dw::DwOp(expression.read_u8().ok()?) {
        dw::DW_OP_plus_uconst => expression.read_uleb128().ok(),
        _ => None,
    }
}
