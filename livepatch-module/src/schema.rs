//! What module data looks like, as a number: two modules that agree on it can hand the same memory over.
//!
//! A fingerprint covers the names, the offsets and the schemas of all fields and the compiler, whose standard library lays out
//! `Vec`, `String` and maps. Only types whose values mean the same to another module have a [`Schema`]: no references
//! to constants, no functions, no trait objects, which all lie in the library that goes. `HashMap` has none either: an empty
//! one points to a constant of its library.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::Ipv4Addr;

/// A type of module data.
///
/// # Safety
/// Values must not refer to anything but memory of the global allocator, directly or not, and two types of the same
/// fingerprint must have the same layout and meaning. [`state!`](crate::state) sees to both.
pub unsafe trait Schema: 'static {
    /// The fingerprint.
    const FINGERPRINT: u64;
}

/// A fingerprint in the making: FNV-1a of 64 bits.
#[derive(Clone, Copy, Debug)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// Begins with the compiler, which decides how types are laid out.
    #[must_use]
    pub const fn of(kind: &str) -> Self {
        let begin = Self(0xcbf2_9ce4_8422_2325);
        begin.text(env!("LIVEPATCH_COMPILER")).text(kind)
    }

    /// Goes on with a name.
    #[must_use]
    pub const fn text(self, text: &str) -> Self {
        self.number(text.len() as u64).bytes(text.as_bytes())
    }

    /// Goes on with a number.
    #[must_use]
    pub const fn number(self, number: u64) -> Self {
        self.bytes(&number.to_le_bytes())
    }

    const fn bytes(self, bytes: &[u8]) -> Self {
        let mut hash = self.0;
        let mut index = 0;
        while index < bytes.len() {
            hash = step(hash, bytes[index]);
            index += 1;
        }
        Self(hash)
    }

    /// The end; never 0, which stands for no schema.
    #[must_use]
    pub const fn finish(self) -> u64 {
        if self.0 == 0 { 1 } else { self.0 }
    }
}

const fn step(hash: u64, byte: u8) -> u64 {
    (hash ^ byte as u64).wrapping_mul(0x0100_0000_01b3)
}

macro_rules! plain {
    ($($type:ty),*) => {$(
        // SAFETY: plain numbers mean the same everywhere.
        unsafe impl Schema for $type {
            const FINGERPRINT: u64 = Fingerprint::of(stringify!($type)).finish();
        }
    )*};
}

plain!(
    u8,
    u16,
    u32,
    u64,
    u128,
    usize,
    i8,
    i16,
    i32,
    i64,
    i128,
    isize,
    f32,
    f64,
    bool,
    char,
    ()
);
plain!(String, Ipv4Addr);

macro_rules! container {
    ($($type:ident<$($parameter:ident),*>),*) => {$(
        // SAFETY: it owns its values, in memory of the global allocator; when empty it points nowhere.
        unsafe impl<$($parameter: Schema),*> Schema for $type<$($parameter),*> {
            const FINGERPRINT: u64 = Fingerprint::of(stringify!($type))
                .number(size_of::<Self>() as u64)
                $(.number(<$parameter as Schema>::FINGERPRINT))*
                .finish();
        }
    )*};
}

container!(Vec<T>, VecDeque<T>, Box<T>, Option<T>, BTreeSet<T>, BTreeMap<K, V>);

// SAFETY: an array is its elements.
unsafe impl<T: Schema, const N: usize> Schema for [T; N] {
    const FINGERPRINT: u64 = Fingerprint::of("array")
        .number(N as u64)
        .number(T::FINGERPRINT)
        .finish();
}

// SAFETY: a pair is its elements; its layout is the compiler's, which the fingerprint covers.
unsafe impl<A: Schema, B: Schema> Schema for (A, B) {
    const FINGERPRINT: u64 = Fingerprint::of("pair")
        .number(A::FINGERPRINT)
        .number(B::FINGERPRINT)
        .finish();
}

/// Defines a structure, or an enumeration without fields, that module data may hold.
///
/// ```
/// livepatch_module::state! {
///     /// A route.
///     #[derive(Clone)]
///     pub struct Route {
///         /// How far it is.
///         pub metric: u32,
///         next: Option<Box<u64>>,
///     }
/// }
/// livepatch_module::state! {
///     #[derive(Clone, Copy, PartialEq)]
///     pub enum Phase { Idle, Busy }
/// }
/// ```
///
/// What would dangle once the module is gone does not compile:
///
/// ```compile_fail
/// livepatch_module::state! {
///     pub struct Named { name: &'static str }
/// }
/// ```
#[macro_export]
macro_rules! state {
    ($(#[$meta:meta])* $vis:vis struct $name:ident {
        $($(#[$field_meta:meta])* $field_vis:vis $field:ident: $type:ty),* $(,)?
    }) => {
        $(#[$meta])*
        $vis struct $name { $($(#[$field_meta])* $field_vis $field: $type),* }

        // SAFETY: every field has a schema, and all that lays the structure out is in the fingerprint.
        unsafe impl $crate::Schema for $name {
            const FINGERPRINT: u64 = $crate::Fingerprint::of(stringify!($name))
                .number(size_of::<Self>() as u64)
                .number(align_of::<Self>() as u64)
                $(.text(stringify!($field))
                  .number(std::mem::offset_of!(Self, $field) as u64)
                  .number(<$type as $crate::Schema>::FINGERPRINT))*
                .finish();
        }
    };
    ($(#[$meta:meta])* $vis:vis enum $name:ident {
        $($(#[$variant_meta:meta])* $variant:ident),+ $(,)?
    }) => {
        $(#[$meta])*
        #[repr(u8)]
        $vis enum $name { $($(#[$variant_meta])* $variant),+ }

        // SAFETY: a byte, whose values are in the fingerprint by name and order.
        unsafe impl $crate::Schema for $name {
            const FINGERPRINT: u64 = $crate::Fingerprint::of(stringify!($name))
                $(.text(stringify!($variant)))+
                .finish();
        }
    };
}

#[cfg(test)]
#[expect(dead_code, reason = "types are compared, not used")]
mod tests {
    use super::*;

    mod one {
        crate::state! { pub(super) struct Table { rows: Vec<u32>, last: u64 } }
    }
    mod same {
        crate::state! { pub(super) struct Table { rows: Vec<u32>, last: u64 } }
    }
    mod renamed {
        crate::state! { pub(super) struct Table { rows: Vec<u32>, first: u64 } }
    }
    mod deep {
        crate::state! { pub(super) struct Table { rows: Vec<i32>, last: u64 } }
    }
    mod two {
        crate::state! { pub(super) enum Two { A, B } }
    }
    mod swapped {
        crate::state! { pub(super) enum Two { B, A } }
    }

    #[test]
    fn equal_definitions_agree_and_others_do_not() {
        let fingerprint = one::Table::FINGERPRINT;
        assert_eq!(fingerprint, same::Table::FINGERPRINT);
        assert_ne!(fingerprint, renamed::Table::FINGERPRINT);
        assert_ne!(fingerprint, deep::Table::FINGERPRINT);
        assert_ne!(two::Two::FINGERPRINT, swapped::Two::FINGERPRINT);
    }

    #[test]
    fn containers_tell_what_they_hold() {
        assert_ne!(Vec::<u8>::FINGERPRINT, Vec::<i8>::FINGERPRINT);
        assert_ne!(<[u8; 3]>::FINGERPRINT, <[u8; 4]>::FINGERPRINT);
        assert_ne!(
            BTreeMap::<u8, u16>::FINGERPRINT,
            BTreeMap::<u16, u8>::FINGERPRINT
        );
    }
}
