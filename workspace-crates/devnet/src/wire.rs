use std::sync::Arc;

use base::{Digest, Instant};

use crate::NodeId;

/// Version of the encoding, the first byte of every encoded value.
pub const WIRE_VERSION: u8 = 1;
/// Longest encoded value that is taken, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 16 * 1_024 * 1_024;

/// Bytes that are not an encoded value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The bytes end too early.
    #[error("the bytes end in the middle of a value")]
    Short,
    /// Bytes are left over.
    #[error("{0} bytes follow the end of the value")]
    Trailing(usize),
    /// More than [`MESSAGE_BYTES_MAX`].
    #[error("{0} bytes are more than the {MESSAGE_BYTES_MAX} that are taken")]
    Long(usize),
    /// Another version of the encoding.
    #[error("the encoding has version {0}, not {WIRE_VERSION}: the peer runs another client")]
    Version(u8),
    /// A tag that no variant has.
    #[error("tag {tag} is no {what}")]
    Tag {
        /// What was being read.
        what: &'static str,
        /// The tag found.
        tag: u8,
    },
    /// A value outside its range.
    #[error("a {0} is outside its range")]
    Range(&'static str),
}

/// Bytes that are being read.
#[derive(Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, count: usize) -> Result<&'a [u8], WireError> {
        let (head, tail) = self.0.split_at_checked(count).ok_or(WireError::Short)?;
        self.0 = tail;
        Ok(head)
    }
}

/// A value with a compact binary form: little-endian integers, counted lists, tagged variants.
pub trait Wire: Sized {
    /// Appends the value.
    fn put(&self, out: &mut Vec<u8>);

    /// Reads a value.
    ///
    /// # Errors
    /// When the bytes are not an encoded value.
    fn take(input: &mut Reader<'_>) -> Result<Self, WireError>;
}

/// The value as bytes: the version, then the value.
#[must_use]
pub fn encode<T: Wire>(value: &T) -> Vec<u8> {
    let mut out = vec![WIRE_VERSION];
    value.put(&mut out);
    out
}

/// The value that `bytes` hold.
///
/// # Errors
/// When they hold none, more than one, or one of another version.
pub fn decode<T: Wire>(bytes: &[u8]) -> Result<T, WireError> {
    if bytes.len() > MESSAGE_BYTES_MAX {
        return Err(WireError::Long(bytes.len()));
    }
    let (version, rest) = bytes.split_first().ok_or(WireError::Short)?;
    if *version != WIRE_VERSION {
        return Err(WireError::Version(*version));
    }
    let mut reader = Reader(rest);
    let value = T::take(&mut reader)?;
    if reader.0.is_empty() { Ok(value) } else { Err(WireError::Trailing(reader.0.len())) }
}

macro_rules! wire_integers {
    ($($type:ty),*) => {$(
        impl Wire for $type {
            fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
            fn take(input: &mut Reader<'_>) -> Result<Self, WireError> {
                let mut bytes = [0; size_of::<$type>()];
                bytes.copy_from_slice(input.bytes(size_of::<$type>())?);
                Ok(<$type>::from_le_bytes(bytes))
            }
        }
    )*};
}
wire_integers!(u8, u32, u64, i64);

impl Wire for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
    fn take(input: &mut Reader<'_>) -> Result<Self, WireError> {
        match u8::take(input)? {
            0 => Ok(false),
            1 => Ok(true),
            tag => Err(WireError::Tag { what: "truth value", tag }),
        }
    }
}

impl<const N: usize> Wire for [u8; N] {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
    fn take(input: &mut Reader<'_>) -> Result<Self, WireError> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(input.bytes(N)?);
        Ok(bytes)
    }
}

impl Wire for Digest {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
    }
    fn take(input: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self(Wire::take(input)?))
    }
}

impl Wire for NodeId {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
    }
    fn take(input: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self(Wire::take(input)?))
    }
}

impl Wire for Instant {
    fn put(&self, out: &mut Vec<u8>) {
        self.unix_micros().put(out);
    }
    fn take(input: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self::from_unix_micros(Wire::take(input)?))
    }
}

impl<A: Wire, B: Wire> Wire for (A, B) {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        self.1.put(out);
    }
    fn take(input: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok((Wire::take(input)?, Wire::take(input)?))
    }
}

impl<T: Wire> Wire for Arc<T> {
    fn put(&self, out: &mut Vec<u8>) {
        (**self).put(out);
    }
    fn take(input: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self::new(T::take(input)?))
    }
}

impl<T: Wire> Wire for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.is_some()));
        if let Some(value) = self {
            value.put(out);
        }
    }
    fn take(input: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(if bool::take(input)? { Some(T::take(input)?) } else { None })
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn put(&self, out: &mut Vec<u8>) {
        (u32::try_from(self.len()).unwrap_or(u32::MAX)).put(out);
        for value in self {
            value.put(out);
        }
    }
    fn take(input: &mut Reader<'_>) -> Result<Self, WireError> {
        let count = u32::take(input)? as usize;
        // Every value takes at least one byte, so a forged count cannot reserve memory.
        if count > input.0.len() {
            return Err(WireError::Short);
        }
        let mut values = Self::new();
        for _ in 0..count {
            values.push(T::take(input)?);
        }
        Ok(values)
    }
}

/// Implements [`Wire`] for a struct as its fields in the given order.
macro_rules! wire_struct {
    ($type:ty { $($field:ident),* $(,)? }) => {
        impl $crate::wire::Wire for $type {
            fn put(&self, out: &mut Vec<u8>) {
                $($crate::wire::Wire::put(&self.$field, out);)*
            }
            fn take(
                input: &mut $crate::wire::Reader<'_>,
            ) -> Result<Self, $crate::wire::WireError> {
                Ok(Self { $($field: $crate::wire::Wire::take(input)?),* })
            }
        }
    };
}

/// Implements [`Wire`] for an enum of one-field variants as a tag and the field.
macro_rules! wire_enum {
    ($type:ty, $what:literal { $($tag:literal => $variant:ident),* $(,)? }) => {
        impl $crate::wire::Wire for $type {
            fn put(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$variant(value) => {
                        out.push($tag);
                        $crate::wire::Wire::put(value, out);
                    })*
                }
            }
            fn take(
                input: &mut $crate::wire::Reader<'_>,
            ) -> Result<Self, $crate::wire::WireError> {
                match u8::take(input)? {
                    $($tag => Ok(Self::$variant($crate::wire::Wire::take(input)?)),)*
                    tag => Err($crate::wire::WireError::Tag { what: $what, tag }),
                }
            }
        }
    };
}

pub(crate) use {wire_enum, wire_struct};
