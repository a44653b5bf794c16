//! Strict JSON for bytes that are hashed and signed.
//!
//! Two parsers must never read the same signed bytes differently, so whatever the JSON grammar
//! leaves open is refused: repeated keys, deep nesting, trailing bytes, oversized input.

use std::fmt;

use serde::de::{
    Deserialize, DeserializeOwned, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess,
};
use serde_json::{Map, Number, Value};

/// The deepest nesting of arrays and objects that is read.
pub const DEPTH_MAX: usize = 32;

/// Why bytes are not the JSON document that they should be.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    /// More bytes than a document of this sort may have.
    #[error("it has {size_bytes} bytes; at most {size_bytes_max} are read")]
    TooLarge {
        /// Bytes found.
        size_bytes: usize,
        /// Bytes allowed.
        size_bytes_max: usize,
    },
    /// Not JSON, or JSON with a repeated key, too deep a nesting, or a foreign shape.
    #[error("{0}")]
    Malformed(#[from] serde_json::Error),
}

/// Reads one JSON document of at most `size_bytes_max` bytes.
///
/// # Errors
/// When the bytes are too many, are no JSON, repeat a key in an object, nest deeper than
/// 32 levels, go on after the document, or do not have the shape of `T`.
pub fn parse_strict<T: DeserializeOwned>(
    bytes: &[u8],
    size_bytes_max: usize,
) -> Result<T, JsonError> {
    if bytes.len() > size_bytes_max {
        return Err(JsonError::TooLarge { size_bytes: bytes.len(), size_bytes_max });
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = StrictValue { depth: 0 }.deserialize(&mut reader)?;
    reader.end()?;
    Ok(serde_json::from_value(value)?)
}

/// Reads JSON documents that stand one after another, as in JSON lines, with the number of the line
/// on which each begins.
///
/// # Errors
/// As [`parse_strict`] for any of them; the place in the error counts from the first document.
pub fn parse_strict_documents(
    bytes: &[u8],
    size_bytes_max: usize,
) -> Result<Vec<(usize, Value)>, JsonError> {
    if bytes.len() > size_bytes_max {
        return Err(JsonError::TooLarge { size_bytes: bytes.len(), size_bytes_max });
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes).into_iter::<Strict>();
    let (mut found, mut line, mut counted) = (Vec::new(), 1, 0);
    loop {
        let rest = bytes.get(reader.byte_offset()..).unwrap_or_default();
        let blank = rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let begins = reader.byte_offset() + blank;
        let passed = bytes.get(counted..begins).unwrap_or_default();
        line += passed.iter().filter(|byte| **byte == b'\n').count();
        counted = begins;
        match reader.next() {
            None => return Ok(found),
            Some(document) => found.push((line, document?.0)),
        }
    }
}

/// A value that was read strictly.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        StrictValue { depth: 0 }.deserialize(deserializer).map(Self)
    }
}

struct StrictValue {
    depth: usize,
}

impl StrictValue {
    fn deeper<E: serde::de::Error>(&self) -> Result<Self, E> {
        if self.depth >= DEPTH_MAX {
            return Err(E::custom(format!("nested deeper than {DEPTH_MAX} levels")));
        }
        Ok(Self { depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for StrictValue {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> serde::de::Visitor<'de> for StrictValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("a number is not finite"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut found = Vec::new();
        while let Some(item) = items.next_element_seed(self.deeper()?)? {
            found.push(item);
        }
        Ok(Value::Array(found))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut found = Map::new();
        while let Some(key) = fields.next_key::<String>()? {
            let value = fields.next_value_seed(self.deeper()?)?;
            if found.insert(key.clone(), value).is_some() {
                return Err(A::Error::custom(format!("the key `{key}` is repeated in one object")));
            }
        }
        Ok(Value::Object(found))
    }
}

#[cfg(test)]
mod tests {
    use super::{DEPTH_MAX, parse_strict, parse_strict_documents};
    use proptest::prelude::*;
    use serde_json::Value;

    fn refusal(text: &str) -> String {
        parse_strict::<Value>(text.as_bytes(), 1_000).unwrap_err().to_string()
    }

    #[test]
    fn repeated_keys_are_refused_at_every_level() {
        assert!(refusal(r#"{"a":1,"a":1}"#).contains("`a` is repeated"));
        assert!(refusal(r#"{"x":[{"b":1,"b":2}]}"#).contains("`b` is repeated"));
        // The same key, written with an escape.
        assert!(refusal(r#"{"a":1,"\u0061":2}"#).contains("`a` is repeated"));
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(parse_strict::<Value>(nested(DEPTH_MAX).as_bytes(), 1_000).is_ok());
        assert!(refusal(&nested(DEPTH_MAX + 1)).contains("nested deeper"));
    }

    #[test]
    fn oversized_and_trailing_bytes_are_refused() {
        assert!(refusal(&format!("\"{}\"", "x".repeat(1_000))).contains("at most 1000"));
        assert!(refusal("{} {}").contains("trailing"));
        assert!(refusal("1e999").contains("out of range"));
    }

    #[test]
    fn documents_in_a_row_are_read_with_their_lines() {
        let text = "\n{\"a\": 1}\n\n{\n\"b\": [2,\n3]}  {}\n";
        let found = parse_strict_documents(text.as_bytes(), 1_000).unwrap();
        let lines: Vec<usize> = found.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [2, 4, 6]);
        assert_eq!(found[1].1["b"][1], 3);
        assert!(parse_strict_documents(b" \n", 1_000).unwrap().is_empty());
    }

    #[test]
    fn a_bad_document_in_a_row_is_told_with_its_place() {
        let refusal =
            |text: &str| parse_strict_documents(text.as_bytes(), 40).unwrap_err().to_string();
        assert_eq!(
            refusal("{}\n{\"a\":1,\"a\":2}"),
            "the key `a` is repeated in one object at line 2 column 13"
        );
        assert!(refusal("{}\n{").contains("at line 2"), "{}", refusal("{}\n{"));
        assert!(refusal(&"{}".repeat(21)).contains("at most 40"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let ours = parse_strict::<Value>(&bytes, 200);
            if let Ok(value) = ours {
                // Whatever is taken, the lenient parser reads in the same way.
                prop_assert_eq!(serde_json::from_slice::<Value>(&bytes).unwrap(), value);
            }
        }
    }
}
