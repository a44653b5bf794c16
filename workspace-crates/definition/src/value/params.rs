use diagnostics::{Diagnostic, Location};
use serde::de::DeserializeOwned;
use serde::{Serialize, Serializer};

use super::deserialize::{self, DeserializeError};
use super::{Table, Value, ValueKind, parse_document};

/// A table that this crate does not interpret: the parameters of a gate, the network of a phase,
/// the action of an operation. Stage parameters are already filled in.
///
/// The crate that owns the meaning reads it with [`Params::deserialize`] into a struct with
/// `#[serde(deny_unknown_fields)]`; its mistakes are reported at the line where they stand.
#[derive(Debug, Clone, PartialEq)]
pub struct Params {
    table: Value,
    used_in: Option<String>,
}

impl Params {
    /// A table without keys at `location`.
    #[must_use]
    pub fn empty(location: Location) -> Self {
        Self { table: Value { kind: ValueKind::Table(Table::default()), location }, used_in: None }
    }

    pub(crate) fn new(table: Table, location: Location, used_in: Option<String>) -> Self {
        Self { table: Value { kind: ValueKind::Table(table), location }, used_in }
    }

    /// Reads a table from TOML text, for tests and for values given outside the definitions.
    /// Locations point into a file named `params`.
    ///
    /// # Errors
    /// When the text is not TOML.
    pub fn from_toml(text: &str) -> Result<Self, Vec<Diagnostic>> {
        let (table, problems) = parse_document("params", text);
        if problems.is_empty() { Ok(Self { table, used_in: None }) } else { Err(problems) }
    }

    /// The table as a `T`. Integers are taken where `T` wants a number with a fraction.
    ///
    /// # Errors
    /// When a key is unknown or missing or a value does not fit: a diagnostic at the key or value,
    /// with a suggestion, and the phase it is used in as a note. Only the first is reported.
    pub fn deserialize<T: DeserializeOwned>(&self) -> Result<T, Vec<Diagnostic>> {
        T::deserialize(deserialize::ValueDeserializer::new(&self.table)).map_err(
            |error: DeserializeError| vec![self.with_use(error.into_diagnostic(&self.table))],
        )
    }

    /// A diagnostic at the value of `path` (see [`Params::find`]), or at the whole table when there
    /// is no such value, with the phase it is used in as a note.
    #[must_use]
    pub fn problem(
        &self,
        code: &'static str,
        path: &str,
        message: impl Into<String>,
    ) -> Diagnostic {
        let location = self.find(path).map_or(self.location(), |value| &value.location);
        self.with_use(Diagnostic::error(code, message).at(location))
    }

    fn with_use(&self, diagnostic: Diagnostic) -> Diagnostic {
        match &self.used_in {
            Some(place) => diagnostic.note(place.clone()),
            None => diagnostic,
        }
    }

    /// The table as JSON, without locations.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        to_json(&self.table)
    }

    /// Where the table stands.
    #[must_use]
    pub fn location(&self) -> &Location {
        &self.table.location
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.table.as_table()?.get(key)
    }

    /// The value at a path of keys and list indices with `.` between them: `events.2.name`.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<&Value> {
        path.split('.').try_fold(&self.table, |value, step| match &value.kind {
            ValueKind::Table(table) => table.get(step),
            ValueKind::List(items) => items.get(step.parse::<usize>().ok()?),
            _ => None,
        })
    }

    /// The keys, in the order of the file.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.table.as_table().into_iter().flat_map(Table::keys)
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.as_table().is_none_or(Table::is_empty)
    }
}

impl Serialize for Params {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.table.serialize(serializer)
    }
}

fn to_json(value: &Value) -> serde_json::Value {
    match &value.kind {
        ValueKind::Text(text) => text.clone().into(),
        ValueKind::Integer(number) => (*number).into(),
        ValueKind::Number(number) => (*number).into(),
        ValueKind::Boolean(flag) => (*flag).into(),
        ValueKind::List(items) => items.iter().map(to_json).collect(),
        ValueKind::Table(table) => {
            table.entries.iter().map(|e| (e.key.clone(), to_json(&e.value))).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use base::Duration;
    use diagnostics::{SourceMap, codes};
    use serde::Deserialize;

    use super::Params;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Metric {
        query: String,
        above: f64,
        #[serde(default)]
        window: Option<Window>,
        step: Option<Duration>,
        #[serde(default)]
        labels: Vec<String>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "snake_case")]
    enum Window {
        Deployment,
        AfterEvent { delay: Duration },
        Last(Duration),
    }

    /// Code, line:column, message and help of the first problem.
    fn problem(text: &str) -> (String, String, String, String) {
        let mut sources = SourceMap::default();
        sources.insert("params", text);
        let problems = Params::from_toml(text).unwrap().deserialize::<Metric>().unwrap_err();
        let first = &problems[0];
        let place = sources.describe(first.primary.as_ref().unwrap());
        let help = first.help.clone().unwrap_or_default();
        (first.code.to_owned(), place, first.message.clone(), help)
    }

    #[test]
    fn enums_options_lists_and_integers_for_numbers_are_read() {
        let text =
            "query = 'up'\nabove = 1\nwindow = { after_event = { delay = '2h' } }\nlabels = ['a']";
        let metric: Metric = Params::from_toml(text).unwrap().deserialize().unwrap();
        assert_eq!(metric.above, 1.0);
        assert_eq!(metric.window, Some(Window::AfterEvent { delay: Duration::from_hours(2) }));
        assert_eq!(metric.labels, ["a"]);
        let text = "query = 'up'\nabove = 1.5\nwindow = 'deployment'\nstep = '1m'";
        let metric: Metric = Params::from_toml(text).unwrap().deserialize().unwrap();
        assert_eq!(metric.window, Some(Window::Deployment));
        assert_eq!(metric.step, Some(Duration::from_minutes(1)));
        let text = "query = 'up'\nabove = 1.5\nwindow = { last = '1h' }";
        let metric: Metric = Params::from_toml(text).unwrap().deserialize().unwrap();
        assert_eq!(metric.window, Some(Window::Last(Duration::from_hours(1))));
    }

    #[test]
    fn an_unknown_key_is_reported_at_the_key_with_a_suggestion() {
        let (code, place, message, help) = problem("query = 'up'\nabov = 1\n");
        assert_eq!((code.as_str(), place.as_str()), (codes::UNKNOWN_KEY, "params:2:1"));
        assert_eq!(message, "unknown key `abov`");
        assert_eq!(help, "did you mean `above`?");
    }

    #[test]
    fn a_wrong_type_is_reported_at_the_value() {
        let (code, place, message, _) = problem("query = 'up'\nabove = 1\nlabels = ['a', 7]\n");
        assert_eq!((code.as_str(), place.as_str()), (codes::WRONG_TYPE, "params:3:16"));
        assert_eq!(message, "expected a text, found the integer 7");
    }

    #[test]
    fn a_value_that_a_newtype_refuses_is_reported_at_the_value() {
        let (code, place, message, _) = problem("query = 'up'\nabove = 1\nstep = '1x'\n");
        assert_eq!((code.as_str(), place.as_str()), (codes::BAD_VALUE, "params:3:8"));
        assert!(message.contains("`1x` is not a duration"), "{message}");
    }

    #[test]
    fn a_missing_key_is_reported_at_the_table() {
        let (code, place, message, _) = problem("query = 'up'\n");
        assert_eq!((code.as_str(), place.as_str()), (codes::MISSING_KEY, "params:1:1"));
        assert_eq!(message, "missing key `above`");
    }

    #[test]
    fn an_unknown_variant_is_reported_with_a_suggestion() {
        let (code, place, message, help) = problem("query = 'up'\nabove = 1\nwindow = 'deploymnt'");
        assert_eq!((code.as_str(), place.as_str()), (codes::BAD_VALUE, "params:3:10"));
        assert_eq!(message, "`deploymnt` is not one of `deployment`, `after_event`, `last`");
        assert_eq!(help, "did you mean `deployment`?");
    }

    #[test]
    fn paths_reach_into_lists_and_tables() {
        let params = Params::from_toml("events = [{ name = 'a' }, { name = 'b' }]").unwrap();
        assert_eq!(params.find("events.1.name").unwrap().as_text(), Some("b"));
        assert_eq!(params.find("events.2.name"), None);
        assert_eq!(params.find("events.1.name.x"), None);
    }
}
