//! Deterministic CBOR (RFC 8949, section 4.2.1), and nothing else of CBOR.
//!
//! The reader accepts exactly one encoding of every value: shortest integers, definite lengths, sorted unique keys. What
//! it accepted therefore encodes to the same bytes again, and bytes can be signed, hashed and compared as they are.
//! Absent on purpose: floats, tags, null, indefinite lengths, map keys other than unsigned integers and text.

use crate::planted::{self, Bug};
use std::collections::BTreeMap;

/// Nesting allowed in a value whose shape is not known here.
const DEPTH_MAX: u8 = 16;

const UNSIGNED: u8 = 0;
const NEGATIVE: u8 = 1;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;
const SIMPLE: u8 = 7;
const FALSE: u64 = 20;
const TRUE: u64 = 21;

/// Why bytes are not the one encoding of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CborError {
    /// The bytes end inside a value.
    #[error("the bytes end too early")]
    Truncated,
    /// Bytes follow the value.
    #[error("bytes follow the end")]
    Trailing,
    /// A length or an integer is not written in its shortest form, or an empty optional value is written out.
    #[error("not in the shortest form")]
    NotShortest,
    /// Map keys are not in ascending order, or one stands twice.
    #[error("map keys are not sorted and unique")]
    Unsorted,
    /// Another type than the one expected at this place.
    #[error("a value has the wrong type")]
    Type,
    /// A float, a tag, null, an indefinite length: never part of creel's encoding.
    #[error("a kind of CBOR that creel never writes")]
    Unsupported,
    /// A required key is missing.
    #[error("a required field is missing")]
    Missing,
    /// A key that this version does not know.
    #[error("an unknown field")]
    UnknownKey,
    /// A number, a string or a list is outside its limits.
    #[error("a value is out of range")]
    Range,
    /// A text is not UTF-8.
    #[error("a text is not UTF-8")]
    Utf8,
    /// Nested too deeply.
    #[error("nested too deeply")]
    Depth,
}

/// A value with one CBOR encoding.
pub trait Encode {
    /// Appends the value.
    fn encode(&self, writer: &mut Writer);
    /// Whether the value is left out when it stands under an optional key of a map.
    fn absent(&self) -> bool {
        false
    }
    /// The value's bytes.
    fn to_cbor(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        self.encode(&mut writer);
        writer.bytes
    }
}

/// A value read from its one CBOR encoding.
pub trait Decode: Sized {
    /// Reads the value.
    fn decode(reader: &mut Reader<'_>) -> Result<Self, CborError>;
    /// The value that a missing key of a map stands for; `None` if the key is required.
    fn when_absent() -> Option<Self> {
        None
    }
    /// Reads the value from `bytes`, all of them.
    fn from_cbor(bytes: &[u8]) -> Result<Self, CborError> {
        let mut reader = Reader::new(bytes);
        let value = Self::decode(&mut reader)?;
        reader.end()?;
        Ok(value)
    }
}

/// Appends values in their one encoding.
#[derive(Debug, Default)]
pub struct Writer {
    /// What was written so far.
    pub bytes: Vec<u8>,
}

impl Writer {
    fn head(&mut self, major: u8, value: u64) {
        let major = major << 5;
        let wide = value.to_be_bytes();
        match value {
            0..=23 => self.bytes.push(major | wide[7]),
            24..=0xff => self.bytes.extend([major | 0x18, wide[7]]),
            0x100..=0xffff => {
                self.bytes.push(major | 0x19);
                self.bytes.extend(&wide[6..]);
            }
            0x1_0000..=0xffff_ffff => {
                self.bytes.push(major | 0x1a);
                self.bytes.extend(&wide[4..]);
            }
            _ => {
                self.bytes.push(major | 0x1b);
                self.bytes.extend(wide);
            }
        }
    }

    /// An unsigned integer.
    pub fn unsigned(&mut self, value: u64) {
        self.head(UNSIGNED, value);
    }

    /// A signed integer.
    pub fn signed(&mut self, value: i64) {
        if value < 0 { self.head(NEGATIVE, !value.cast_unsigned()) } else { self.head(UNSIGNED, value.cast_unsigned()) }
    }

    /// A byte string.
    pub fn byte_string(&mut self, value: &[u8]) {
        self.head(BYTES, value.len() as u64);
        self.bytes.extend(value);
    }

    /// A text.
    pub fn text(&mut self, value: &str) {
        self.head(TEXT, value.len() as u64);
        self.bytes.extend(value.as_bytes());
    }

    /// The head of an array of `length` items, which the caller writes next.
    pub fn array(&mut self, length: usize) {
        self.head(ARRAY, length as u64);
    }

    /// The head of a map of `length` pairs, which the caller writes next, in order.
    pub fn map(&mut self, length: usize) {
        self.head(MAP, length as u64);
    }

    /// A truth value.
    pub fn boolean(&mut self, value: bool) {
        self.head(SIMPLE, if value { TRUE } else { FALSE });
    }

    /// Bytes that are a value's encoding already.
    pub fn raw(&mut self, encoded: &[u8]) {
        self.bytes.extend(encoded);
    }
}

/// Reads values from their one encoding.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader at the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    fn take(&mut self, count: u64) -> Result<&'a [u8], CborError> {
        let count = usize::try_from(count).map_err(|_| CborError::Truncated)?;
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(CborError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn head(&mut self) -> Result<(u8, u64), CborError> {
        let first = self.take(1)?[0];
        let (major, short) = (first >> 5, first & 31);
        let (width, least) = match short {
            0..=23 => return Ok((major, u64::from(short))),
            24 => (1, 24),
            25 => (2, 0x100),
            26 => (4, 0x1_0000),
            27 => (8, 0x1_0000_0000),
            _ => return Err(CborError::Unsupported),
        };
        let value = self.take(width)?.iter().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
        if major == SIMPLE {
            return Err(CborError::Unsupported);
        }
        if value < least { Err(CborError::NotShortest) } else { Ok((major, value)) }
    }

    fn expect(&mut self, expected: u8) -> Result<u64, CborError> {
        let (major, value) = self.head()?;
        if major == expected { Ok(value) } else { Err(CborError::Type) }
    }

    /// An unsigned integer.
    pub fn unsigned(&mut self) -> Result<u64, CborError> {
        self.expect(UNSIGNED)
    }

    /// A signed integer.
    pub fn signed(&mut self) -> Result<i64, CborError> {
        let (major, value) = self.head()?;
        let value = i64::try_from(value).map_err(|_| CborError::Range)?;
        match major {
            UNSIGNED => Ok(value),
            NEGATIVE => Ok(!value),
            _ => Err(CborError::Type),
        }
    }

    /// A byte string.
    pub fn byte_string(&mut self) -> Result<&'a [u8], CborError> {
        let length = self.expect(BYTES)?;
        self.take(length)
    }

    /// A text.
    pub fn text(&mut self) -> Result<&'a str, CborError> {
        let length = self.expect(TEXT)?;
        std::str::from_utf8(self.take(length)?).map_err(|_| CborError::Utf8)
    }

    /// The number of items of an array. No more than there are bytes left, so that nobody can make us reserve memory.
    pub fn array(&mut self) -> Result<usize, CborError> {
        let length = self.expect(ARRAY)?;
        self.bounded(length)
    }

    /// The number of pairs of a map.
    pub fn map(&mut self) -> Result<usize, CborError> {
        let length = self.expect(MAP)?;
        self.bounded(length)
    }

    fn bounded(&self, length: u64) -> Result<usize, CborError> {
        usize::try_from(length).ok().filter(|length| *length <= self.rest.len()).ok_or(CborError::Truncated)
    }

    /// A truth value.
    pub fn boolean(&mut self) -> Result<bool, CborError> {
        match self.expect(SIMPLE)? {
            FALSE => Ok(false),
            TRUE => Ok(true),
            _ => Err(CborError::Unsupported),
        }
    }

    /// The bytes of the next value, whatever it is, after checking that they are its one encoding.
    pub fn any(&mut self) -> Result<&'a [u8], CborError> {
        let before = self.rest;
        self.skip(DEPTH_MAX)?;
        Ok(&before[..before.len() - self.rest.len()])
    }

    fn skip(&mut self, depth: u8) -> Result<(), CborError> {
        let depth = depth.checked_sub(1).ok_or(CborError::Depth)?;
        let (major, value) = self.head()?;
        match major {
            UNSIGNED => Ok(()),
            // As everywhere, nothing below -2^63.
            NEGATIVE => i64::try_from(value).map(drop).map_err(|_| CborError::Range),
            BYTES => self.take(value).map(drop),
            TEXT => std::str::from_utf8(self.take(value)?).map(drop).map_err(|_| CborError::Utf8),
            ARRAY => (0..self.bounded(value)?).try_for_each(|_| self.skip(depth)),
            MAP => {
                let mut last: &[u8] = &[];
                for _ in 0..self.bounded(value)? {
                    let before = self.rest;
                    let (major, length) = self.head()?;
                    match major {
                        UNSIGNED => {}
                        TEXT => {
                            std::str::from_utf8(self.take(length)?).map_err(|_| CborError::Utf8)?;
                        }
                        _ => return Err(CborError::Unsupported),
                    }
                    let key = &before[..before.len() - self.rest.len()];
                    if key <= last {
                        return Err(CborError::Unsorted);
                    }
                    last = key;
                    self.skip(depth)?;
                }
                Ok(())
            }
            SIMPLE if value == FALSE || value == TRUE => Ok(()),
            _ => Err(CborError::Unsupported),
        }
    }

    /// Whether everything was read.
    pub fn end(&self) -> Result<(), CborError> {
        if self.rest.is_empty() { Ok(()) } else { Err(CborError::Trailing) }
    }
}

/// Reads a map with integer keys: hands out each value in ascending order of keys.
#[derive(Debug)]
pub struct MapReader {
    left: usize,
    next: Option<u64>,
    last: Option<u64>,
}

impl MapReader {
    /// Reads the head of a map.
    pub fn new(reader: &mut Reader<'_>) -> Result<Self, CborError> {
        Ok(Self { left: reader.map()?, next: None, last: None })
    }

    /// The value under `key`; keys must be asked for in ascending order.
    pub fn field<T: Encode + Decode>(&mut self, key: u64, reader: &mut Reader<'_>) -> Result<T, CborError> {
        match self.peek(reader)? {
            Some(next) if next == key => {
                self.next = None;
                let value = T::decode(reader)?;
                if value.absent() { Err(CborError::NotShortest) } else { Ok(value) }
            }
            Some(next) if next < key => Err(CborError::UnknownKey),
            _ => T::when_absent().ok_or(CborError::Missing),
        }
    }

    /// Whether every pair was asked for.
    pub fn end(self) -> Result<(), CborError> {
        if self.next.is_none() && self.left == 0 { Ok(()) } else { Err(CborError::UnknownKey) }
    }

    /// Passes over the keys before `key` that nobody asked for, if they are below [`KEYS_MUST_KNOW`]. Tells how many.
    pub fn pass_before(&mut self, key: u64, reader: &mut Reader<'_>) -> Result<u64, CborError> {
        let mut passed = 0;
        while let Some(next) = self.peek(reader)?
            && next < key
        {
            if next >= KEYS_MUST_KNOW || planted::is(Bug::LaterKeyVoids) {
                return Err(CborError::UnknownKey);
            }
            self.next = None;
            reader.any()?;
            passed += 1;
        }
        Ok(passed)
    }

    /// The key that stands next.
    fn peek(&mut self, reader: &mut Reader<'_>) -> Result<Option<u64>, CborError> {
        if self.next.is_none() && self.left > 0 {
            let next = reader.unsigned()?;
            if self.last.is_some_and(|last| next <= last) {
                return Err(CborError::Unsorted);
            }
            self.left -= 1;
            (self.next, self.last) = (Some(next), Some(next));
        }
        Ok(self.next)
    }
}

/// In a map that may grow, a reader passes over keys below this one that it does not know. From here on an unknown key
/// makes the value unreadable: a later version puts there what nobody may ignore.
pub const KEYS_MUST_KNOW: u64 = 128;

/// Declares a struct whose encoding is a map with integer keys. Fields stand in ascending order of keys; an `Option`
/// that is `None`, an empty list and an empty map are left out.
macro_rules! cbor_map {
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$field_meta:meta])* $key:literal => $field:ident : $type:ty,)* }) => {
        $(#[$meta])*
        pub struct $name { $($(#[$field_meta])* pub $field: $type,)* }
        impl $crate::cbor::Encode for $name {
            fn encode(&self, writer: &mut $crate::cbor::Writer) {
                writer.map([$(!$crate::cbor::Encode::absent(&self.$field)),*].iter().filter(|there| **there).count());
                $(if !$crate::cbor::Encode::absent(&self.$field) {
                    writer.unsigned($key);
                    $crate::cbor::Encode::encode(&self.$field, writer);
                })*
            }
        }
        impl $crate::cbor::Decode for $name {
            fn decode(reader: &mut $crate::cbor::Reader<'_>) -> Result<Self, $crate::cbor::CborError> {
                let mut map = $crate::cbor::MapReader::new(reader)?;
                $(let $field = map.field($key, reader)?;)*
                map.end()?;
                Ok(Self { $($field,)* })
            }
        }
    };
}
pub(crate) use cbor_map;

/// Declares a struct as [`cbor_map`] does, whose map may hold keys that a reader does not know: it passes over those below
/// [`KEYS_MUST_KNOW`]. They are not part of the struct, which counts them in `unknown` where it has such a field; what
/// keeps them is the bytes that the struct was read from.
macro_rules! growing_map {
    ($(#[$meta:meta])* pub struct $name:ident {
        $($(#[$field_meta:meta])* $key:literal => $field:ident : $type:ty,)*
        $(; $(#[$unknown_meta:meta])* unknown => $unknown:ident,)?
    }) => {
        $(#[$meta])*
        pub struct $name { $($(#[$field_meta])* pub $field: $type,)* $($(#[$unknown_meta])* pub $unknown: u64,)? }
        impl $crate::cbor::Encode for $name {
            fn encode(&self, writer: &mut $crate::cbor::Writer) {
                writer.map([$(!$crate::cbor::Encode::absent(&self.$field)),*].iter().filter(|there| **there).count());
                $(if !$crate::cbor::Encode::absent(&self.$field) {
                    writer.unsigned($key);
                    $crate::cbor::Encode::encode(&self.$field, writer);
                })*
            }
        }
        impl $crate::cbor::Decode for $name {
            fn decode(reader: &mut $crate::cbor::Reader<'_>) -> Result<Self, $crate::cbor::CborError> {
                let mut map = $crate::cbor::MapReader::new(reader)?;
                let mut passed = 0;
                $(
                    passed += map.pass_before($key, reader)?;
                    let $field = map.field($key, reader)?;
                )*
                passed += map.pass_before(u64::MAX, reader)?;
                map.end()?;
                $(let $unknown = passed;)?
                let _ = passed;
                Ok(Self { $($field,)* $($unknown,)? })
            }
        }
    };
}
pub(crate) use growing_map;

macro_rules! integer {
    ($type:ty, $write:ident, $read:ident) => {
        impl Encode for $type {
            fn encode(&self, writer: &mut Writer) {
                writer.$write((*self).into());
            }
        }
        impl Decode for $type {
            fn decode(reader: &mut Reader<'_>) -> Result<Self, CborError> {
                reader.$read()?.try_into().map_err(|_| CborError::Range)
            }
        }
    };
}
integer!(u64, unsigned, unsigned);
integer!(u32, unsigned, unsigned);
integer!(u8, unsigned, unsigned);
integer!(i64, signed, signed);
integer!(i32, signed, signed);

impl Encode for bool {
    fn encode(&self, writer: &mut Writer) {
        writer.boolean(*self);
    }
}

impl Decode for bool {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, CborError> {
        reader.boolean()
    }
}

impl Encode for String {
    fn encode(&self, writer: &mut Writer) {
        writer.text(self);
    }
}

impl Decode for String {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, CborError> {
        reader.text().map(str::to_owned)
    }
}

impl<T: Encode> Encode for Option<T> {
    fn encode(&self, writer: &mut Writer) {
        if let Some(value) = self {
            value.encode(writer);
        }
    }

    fn absent(&self) -> bool {
        self.is_none()
    }
}

impl<T: Decode> Decode for Option<T> {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, CborError> {
        T::decode(reader).map(Some)
    }

    fn when_absent() -> Option<Self> {
        Some(None)
    }
}

impl<T: Encode> Encode for Vec<T> {
    fn encode(&self, writer: &mut Writer) {
        writer.array(self.len());
        self.iter().for_each(|item| item.encode(writer));
    }

    fn absent(&self) -> bool {
        self.is_empty()
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, CborError> {
        (0..reader.array()?).map(|_| T::decode(reader)).collect()
    }

    fn when_absent() -> Option<Self> {
        Some(Vec::new())
    }
}

impl<T: Encode, U: Encode> Encode for (T, U) {
    fn encode(&self, writer: &mut Writer) {
        writer.array(2);
        self.0.encode(writer);
        self.1.encode(writer);
    }
}

impl<T: Decode, U: Decode> Decode for (T, U) {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, CborError> {
        if reader.array()? != 2 {
            return Err(CborError::Type);
        }
        Ok((T::decode(reader)?, U::decode(reader)?))
    }
}

impl<V: Encode> Encode for BTreeMap<String, V> {
    fn encode(&self, writer: &mut Writer) {
        // The one order is that of the encoded keys: shorter texts first.
        let mut pairs: Vec<_> = self.iter().collect();
        pairs.sort_by_key(|(key, _)| (key.len(), key.as_bytes()));
        writer.map(pairs.len());
        for (key, value) in pairs {
            writer.text(key);
            value.encode(writer);
        }
    }

    fn absent(&self) -> bool {
        self.is_empty()
    }
}

impl<V: Decode> Decode for BTreeMap<String, V> {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, CborError> {
        let mut pairs = Self::new();
        let mut last: Option<(usize, &str)> = None;
        for _ in 0..reader.map()? {
            let key = reader.text()?;
            if last.is_some_and(|last| (key.len(), key) <= last) {
                return Err(CborError::Unsorted);
            }
            last = Some((key.len(), key));
            pairs.insert(key.to_owned(), V::decode(reader)?);
        }
        Ok(pairs)
    }

    fn when_absent() -> Option<Self> {
        Some(Self::new())
    }
}

/// Bytes as a byte string (a `Vec<u8>` would be an array of numbers).
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Bytes(pub Vec<u8>);

impl Encode for Bytes {
    fn encode(&self, writer: &mut Writer) {
        writer.byte_string(&self.0);
    }
}

impl Decode for Bytes {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, CborError> {
        reader.byte_string().map(|bytes| Self(bytes.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(hex: &str, expect: Result<(), CborError>) {
        let bytes = data_encoding::HEXLOWER.decode(hex.as_bytes()).expect("the test writes hex");
        let mut reader = Reader::new(&bytes);
        let seen = reader.any().map(drop).and_then(|()| reader.end());
        assert_eq!(seen, expect, "{hex}");
    }

    /// Promise 10: admission accepts one encoding of a value and no other.
    #[test]
    fn one_encoding_only() {
        check("00", Ok(()));
        check("1817", Err(CborError::NotShortest));
        check("1818", Ok(()));
        check("190018", Err(CborError::NotShortest));
        check("a2010202f5", Ok(()));
        check("a202f50102", Err(CborError::Unsorted));
        check("a201020103", Err(CborError::Unsorted));
        check("a2613101626161f4", Ok(()));
        check("a2626161f4613101", Err(CborError::Unsorted));
        check("9f00ff", Err(CborError::Unsupported));
        check("f6", Err(CborError::Unsupported));
        check("f90000", Err(CborError::Unsupported));
        check("c000", Err(CborError::Unsupported));
        check("62c328", Err(CborError::Utf8));
        check("9b7fffffffffffffff", Err(CborError::Truncated));
        check("0000", Err(CborError::Trailing));
        check(&("81".repeat(40) + "00"), Err(CborError::Depth));
        check("a1420102", Err(CborError::Unsupported));
    }
}
