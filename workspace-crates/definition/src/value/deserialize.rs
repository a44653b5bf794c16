use std::fmt;

use diagnostics::{Diagnostic, Location, codes, suggestion};
use serde::de::{self, DeserializeSeed, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use super::{Entry, Value, ValueKind};

/// A serde deserializer over a located value: every error knows the value it is about.
pub(crate) struct ValueDeserializer<'de> {
    value: &'de Value,
}

impl<'de> ValueDeserializer<'de> {
    pub(crate) fn new(value: &'de Value) -> Self {
        Self { value }
    }
}

/// What serde refused, and where.
#[derive(Debug)]
pub(crate) struct DeserializeError {
    problem: Problem,
    location: Option<Location>,
}

#[derive(Debug)]
enum Problem {
    UnknownField { name: String, known: &'static [&'static str] },
    UnknownVariant { name: String, known: &'static [&'static str] },
    MissingField(&'static str),
    WrongType { found: String, expected: String },
    Other(String),
}

impl DeserializeError {
    fn new(problem: Problem) -> Self {
        Self { problem, location: None }
    }

    fn or_at(mut self, location: &Location) -> Self {
        self.location.get_or_insert_with(|| location.clone());
        self
    }

    /// The diagnostic, at the whole table when nothing more exact is known.
    pub(crate) fn into_diagnostic(self, table: &Value) -> Diagnostic {
        let location = self.location.as_ref().unwrap_or(&table.location);
        let message = self.to_string();
        let code = match &self.problem {
            Problem::UnknownField { .. } => codes::UNKNOWN_KEY,
            Problem::MissingField(_) => codes::MISSING_KEY,
            Problem::WrongType { .. } => codes::WRONG_TYPE,
            Problem::UnknownVariant { .. } | Problem::Other(_) => codes::BAD_VALUE,
        };
        let help = match &self.problem {
            Problem::UnknownField { name, known } | Problem::UnknownVariant { name, known } => {
                suggestion(name, known.iter().copied())
            }
            _ => None,
        };
        Diagnostic::error(code, message).at(location).help_if(help)
    }
}

impl fmt::Display for DeserializeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.problem {
            Problem::UnknownField { name, .. } => write!(f, "unknown key `{name}`"),
            Problem::UnknownVariant { name, known } => {
                let known: Vec<String> = known.iter().map(|word| format!("`{word}`")).collect();
                write!(f, "`{name}` is not one of {}", known.join(", "))
            }
            Problem::MissingField(name) => write!(f, "missing key `{name}`"),
            Problem::WrongType { found, expected } => {
                write!(f, "expected {expected}, found {found}")
            }
            Problem::Other(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for DeserializeError {}

impl de::Error for DeserializeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(Problem::Other(message.to_string()))
    }

    fn invalid_type(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let expected = in_our_words(&expected.to_string());
        Self::new(Problem::WrongType { found: describe(&found), expected })
    }

    fn invalid_value(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let found = describe(&found);
        Self::new(Problem::Other(format!("{found} is not {}", in_our_words(&expected.to_string()))))
    }

    fn unknown_field(name: &str, known: &'static [&'static str]) -> Self {
        Self::new(Problem::UnknownField { name: name.to_owned(), known })
    }

    fn unknown_variant(name: &str, known: &'static [&'static str]) -> Self {
        Self::new(Problem::UnknownVariant { name: name.to_owned(), known })
    }

    fn missing_field(name: &'static str) -> Self {
        Self::new(Problem::MissingField(name))
    }
}

fn describe(found: &de::Unexpected<'_>) -> String {
    match found {
        de::Unexpected::Str(text) => format!("the text {text:?}"),
        de::Unexpected::Signed(number) => format!("the integer {number}"),
        de::Unexpected::Unsigned(number) => format!("the integer {number}"),
        de::Unexpected::Float(number) => format!("the number {number:?}"),
        de::Unexpected::Bool(flag) => format!("the boolean {flag}"),
        de::Unexpected::Seq => "a list".to_owned(),
        de::Unexpected::Map => "a table".to_owned(),
        other => other.to_string(),
    }
}

/// serde speaks of Rust types; definitions are written in TOML.
fn in_our_words(expected: &str) -> String {
    match expected {
        "a string" | "str" => "a text".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "a table".to_owned(),
        "f64" | "f32" => "a number".to_owned(),
        "i64" | "i32" | "i16" | "i8" => "an integer".to_owned(),
        "usize" | "u64" | "u128" => "an integer that is not negative".to_owned(),
        "u32" => "an integer from 0 to 4294967295".to_owned(),
        "u16" => "an integer from 0 to 65535".to_owned(),
        "u8" => "an integer from 0 to 255".to_owned(),
        other if other.starts_with("struct ") => "a table".to_owned(),
        other => other.to_owned(),
    }
}

impl<'de> de::Deserializer<'de> for ValueDeserializer<'de> {
    type Error = DeserializeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        match &self.value.kind {
            ValueKind::Text(text) => visitor.visit_borrowed_str(text),
            ValueKind::Integer(number) => visitor.visit_i64(*number),
            ValueKind::Number(number) => visitor.visit_f64(*number),
            ValueKind::Boolean(flag) => visitor.visit_bool(*flag),
            ValueKind::List(items) => visitor.visit_seq(Items { items: items.iter() }),
            ValueKind::Table(table) => {
                visitor.visit_map(Entries { entries: table.entries.iter(), pending: None })
            }
        }
        .map_err(|error: DeserializeError| error.or_at(&self.value.location))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        let location = &self.value.location;
        match &self.value.kind {
            ValueKind::Text(text) => visitor.visit_enum(text.as_str().into_deserializer()),
            ValueKind::Table(table) => match table.entries.as_slice() {
                [entry] => visitor.visit_enum(Variant { entry }),
                _ => Err(DeserializeError::new(Problem::Other(format!(
                    "a table with exactly one of the keys `{}` is needed here",
                    variants.join("`, `")
                )))),
            },
            kind => Err(DeserializeError::new(Problem::WrongType {
                found: kind.describe().to_owned(),
                expected: format!("one of `{}`", variants.join("`, `")),
            })),
        }
        .map_err(|error: DeserializeError| error.or_at(location))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

struct Items<'de> {
    items: std::slice::Iter<'de, Value>,
}

impl<'de> de::SeqAccess<'de> for Items<'de> {
    type Error = DeserializeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Self::Error> {
        let Some(value) = self.items.next() else { return Ok(None) };
        seed.deserialize(ValueDeserializer::new(value))
            .map(Some)
            .map_err(|error| error.or_at(&value.location))
    }
}

struct Entries<'de> {
    entries: std::slice::Iter<'de, Entry>,
    pending: Option<&'de Entry>,
}

impl<'de> de::MapAccess<'de> for Entries<'de> {
    type Error = DeserializeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Self::Error> {
        self.pending = self.entries.next();
        let Some(entry) = self.pending else { return Ok(None) };
        seed.deserialize(de::value::BorrowedStrDeserializer::new(&entry.key))
            .map(Some)
            .map_err(|error: DeserializeError| error.or_at(&entry.key_location))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, Self::Error> {
        let Some(entry) = self.pending.take() else {
            return Err(de::Error::custom("a value was asked for before its key"));
        };
        seed.deserialize(ValueDeserializer::new(&entry.value))
            .map_err(|error| error.or_at(&entry.value.location))
    }
}

/// A variant with content, written as a table with one key.
struct Variant<'de> {
    entry: &'de Entry,
}

impl<'de> de::EnumAccess<'de> for Variant<'de> {
    type Error = DeserializeError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Self), Self::Error> {
        let name = de::value::BorrowedStrDeserializer::new(&self.entry.key);
        match seed.deserialize(name) {
            Ok(variant) => Ok((variant, self)),
            Err(error) => {
                let error: DeserializeError = error;
                Err(error.or_at(&self.entry.key_location))
            }
        }
    }
}

impl<'de> de::VariantAccess<'de> for Variant<'de> {
    type Error = DeserializeError;

    fn unit_variant(self) -> Result<(), Self::Error> {
        let message = format!("`{}` takes no value; write it as a text", self.entry.key);
        let error: DeserializeError = de::Error::custom(message);
        Err(error.or_at(&self.entry.key_location))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(
        self,
        seed: T,
    ) -> Result<T::Value, Self::Error> {
        seed.deserialize(ValueDeserializer::new(&self.entry.value))
            .map_err(|error| error.or_at(&self.entry.value.location))
    }

    fn tuple_variant<V: Visitor<'de>>(
        self,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        de::Deserializer::deserialize_any(ValueDeserializer::new(&self.entry.value), visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        de::Deserializer::deserialize_any(ValueDeserializer::new(&self.entry.value), visitor)
    }
}
