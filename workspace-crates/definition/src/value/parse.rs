use std::sync::Arc;

use diagnostics::{Diagnostic, Location, codes};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Entry, Table, Value, ValueKind};

/// Reads a TOML document. What cannot be read is reported; the rest is returned all the same, so
/// that one missing quote does not hide every other mistake of the file.
pub(crate) fn parse_document(file: &str, text: &str) -> (Value, Vec<Diagnostic>) {
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut reader = Reader { file: file.into(), diagnostics: Vec::new() };
    for error in &errors {
        let span = error.span().unwrap_or_default();
        let location = Location::new(Arc::clone(&reader.file), span.start, span.end);
        let message = format!("TOML syntax: {}", error.message().replace('\n', "; "));
        reader.diagnostics.push(Diagnostic::error(codes::SYNTAX, message).at(&location));
    }
    // What is missing in a document is missing at its start, not in all of it.
    let location = Location::whole_file(Arc::clone(&reader.file));
    let kind = ValueKind::Table(reader.table(document.get_ref()));
    (Value { kind, location }, reader.diagnostics)
}

/// Reads one TOML value that was given outside a file, such as on the command line.
pub(crate) fn parse_fragment(origin: &str, text: &str) -> Result<Value, String> {
    let value = DeValue::parse(text).map_err(|error| error.message().to_owned())?;
    let mut reader = Reader { file: origin.into(), diagnostics: Vec::new() };
    match (reader.value(&value), reader.diagnostics.pop()) {
        (Some(value), None) => Ok(value),
        (_, Some(problem)) => Err(problem.message),
        (None, None) => Err("is not a value".to_owned()),
    }
}

struct Reader {
    file: Arc<str>,
    diagnostics: Vec<Diagnostic>,
}

impl Reader {
    fn locate<T>(&self, spanned: &Spanned<T>) -> Location {
        let span = spanned.span();
        Location::new(Arc::clone(&self.file), span.start, span.end)
    }

    fn table(&mut self, table: &DeTable<'_>) -> Table {
        let mut entries: Vec<Entry> = Vec::with_capacity(table.len());
        for (key, value) in table.iter() {
            if let Some(read) = self.value(value) {
                let key_location = self.locate(key);
                entries.push(Entry { key: key.get_ref().to_string(), key_location, value: read });
            }
        }
        entries.sort_by(|a, b| a.key_location.cmp(&b.key_location));
        Table { entries }
    }

    fn value(&mut self, value: &Spanned<DeValue<'_>>) -> Option<Value> {
        let location = self.locate(value);
        let kind = match value.get_ref() {
            DeValue::String(text) => ValueKind::Text(text.to_string()),
            DeValue::Integer(number) => {
                match i64::from_str_radix(number.as_str(), number.radix()) {
                    Ok(number) => ValueKind::Integer(number),
                    Err(_) => return self.refuse("an integer has to fit into 64 bits", &location),
                }
            }
            DeValue::Float(number) => match number.as_str().parse::<f64>() {
                Ok(number) if number.is_finite() => ValueKind::Number(number),
                _ => return self.refuse("a number has to be finite", &location),
            },
            DeValue::Boolean(flag) => ValueKind::Boolean(*flag),
            DeValue::Datetime(time) => ValueKind::Text(time.to_string()),
            DeValue::Array(items) => {
                ValueKind::List(items.iter().filter_map(|item| self.value(item)).collect())
            }
            DeValue::Table(table) => ValueKind::Table(self.table(table)),
        };
        Some(Value { kind, location })
    }

    fn refuse(&mut self, message: &str, location: &Location) -> Option<Value> {
        self.diagnostics.push(Diagnostic::error(codes::BAD_VALUE, message).at(location));
        None
    }
}
