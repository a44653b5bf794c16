//! The wire format of protocol buffers, as far as remote write needs it.

use crate::bytes::Reader;

/// A field of a message: its number, and what it holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Field<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32,
}

/// Reads the fields of one message. `base` is where the message lies in the whole, for errors.
#[derive(Debug, Clone)]
pub(super) struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
    base: usize,
}

/// Where the bytes are no protocol buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) usize);

impl<'a> Fields<'a> {
    pub(super) fn new(bytes: &'a [u8], base: usize) -> Self {
        Self { bytes, at: 0, base }
    }

    /// The next field with its number; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<(u64, Field<'a>)>, Malformed> {
        if self.at == self.bytes.len() {
            return Ok(None);
        }
        let start = self.at;
        self.field().map(Some).ok_or(Malformed(self.base + start))
    }

    /// The fields of the message that [`Fields::next`] has just given as `bytes`.
    pub(super) fn inner(&self, bytes: &'a [u8]) -> Self {
        Self::new(bytes, self.here() - bytes.len())
    }

    /// Where reading stands in the whole.
    pub(super) fn here(&self) -> usize {
        self.base + self.at
    }

    fn field(&mut self) -> Option<(u64, Field<'a>)> {
        let key = self.varint()?;
        let number = key >> 3;
        let field = match key & 7 {
            0 => Field::Varint(self.varint()?),
            1 => Field::Fixed64(u64::from_le_bytes(self.take(8)?.try_into().ok()?)),
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Field::Bytes(self.take(length)?)
            }
            5 => {
                self.take(4)?;
                Field::Fixed32
            }
            _ => return None,
        };
        (number > 0).then_some((number, field))
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(length)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut reader = Reader::new(self.bytes.get(self.at..)?);
        let value = reader.varint()?;
        self.at = self.bytes.len() - reader.remaining();
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::{Field, Fields, Malformed};

    #[test]
    fn fields_are_read_in_order() {
        let bytes = [0x08, 0x96, 0x01, 0x12, 0x02, b'h', b'i', 0x1d, 1, 2, 3, 4];
        let mut fields = Fields::new(&bytes, 0);
        assert_eq!(fields.next(), Ok(Some((1, Field::Varint(150)))));
        assert_eq!(fields.next(), Ok(Some((2, Field::Bytes(b"hi")))));
        assert_eq!(fields.inner(b"hi").here(), 5);
        assert_eq!(fields.next(), Ok(Some((3, Field::Fixed32))));
        assert_eq!(fields.next(), Ok(None));
    }

    #[test]
    fn damage_is_found_where_it_is() {
        for bytes in [
            &[0x08][..],                                                         // no value
            &[0x12, 0x05, 1],                                                    // too short
            &[0x0b],                                                             // a group
            &[0x00, 0x01],                                                       // field 0
            &[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02], // above 64 bits
            &[0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], // above the memory
        ] {
            assert_eq!(Fields::new(bytes, 7).next(), Err(Malformed(7)), "{bytes:?}");
        }
    }
}
