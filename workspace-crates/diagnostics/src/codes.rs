//! The stable codes of diagnostics. A code is never reused for something else.
//!
//! `PG01xx` files and syntax, `PG02xx` shape of tables, `PG03xx` references and parameters,
//! `PG04xx` gates, `PG05xx` calendars, `PG06xx` networks and operations, `PG07xx` files that
//! definitions name.

/// One code and what it stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeInfo {
    /// The code, such as `PG0201`.
    pub code: &'static str,
    /// A short name in kebab case, for SARIF.
    pub name: &'static str,
    /// What it stands for, in one sentence.
    pub summary: &'static str,
}

/// What a code stands for; nothing when there is no such code.
#[must_use]
pub fn explain(code: &str) -> Option<&'static CodeInfo> {
    CODES.iter().find(|info| info.code == code)
}

macro_rules! codes {
    ($($constant:ident = $code:literal, $name:literal, $summary:literal;)*) => {
        $(#[doc = $summary] pub const $constant: &str = $code;)*

        /// All codes, in order.
        pub const CODES: &[CodeInfo] =
            &[$(CodeInfo { code: $code, name: $name, summary: $summary },)*];
    };
}

codes! {
    NOT_UTF8 = "PG0101", "not-utf8", "A definition file is not UTF-8 text.";
    TOO_LARGE = "PG0102", "too-large", "A definition file is larger than 1 MiB.";
    LEAVES_ROOT = "PG0103", "leaves-root", "A definition file is a symbolic link that leaves the root of the definitions.";
    SYNTAX = "PG0104", "syntax", "A definition file is not well-formed TOML.";
    SCHEMA = "PG0105", "schema", "A definition file is written for another schema version.";
    NO_PIPELINE = "PG0106", "no-pipeline", "There is no pipeline to check.";
    NAME_MISMATCH = "PG0107", "name-mismatch", "The name in a definition differs from the name of its file or folder.";
    MISPLACED = "PG0108", "misplaced", "A definition file lies where no definition is expected.";
    MISSING_FILE = "PG0109", "missing-file", "A definition file that is always needed is missing.";

    UNKNOWN_KEY = "PG0201", "unknown-key", "A table has a key that means nothing there.";
    MISSING_KEY = "PG0202", "missing-key", "A table lacks a key that it must have.";
    WRONG_TYPE = "PG0203", "wrong-type", "A value has another type than its key needs.";
    BAD_VALUE = "PG0204", "bad-value", "A value has the right type but is not one that its key takes.";
    BAD_ID = "PG0205", "bad-id", "A name is not an identifier.";
    DUPLICATE = "PG0206", "duplicate", "Two things of one kind have the same name.";
    EMPTY = "PG0207", "empty", "A text or list that must say something is empty.";
    BAD_TIME = "PG0208", "bad-time", "A text is not a duration or an instant.";
    CONFLICT = "PG0209", "conflict", "Two keys exclude each other.";

    UNKNOWN_PHASE = "PG0301", "unknown-phase", "A phase is named that the pipeline does not have.";
    UNKNOWN_STAGE = "PG0302", "unknown-stage", "A stage is named that has no folder in `stages/`.";
    UNKNOWN_CALENDAR = "PG0303", "unknown-calendar", "A calendar is named that `pipeline/calendar.toml` does not have.";
    UNKNOWN_GATE = "PG0304", "unknown-gate", "A gate is named that its phase does not have.";
    PHASE_CYCLE = "PG0305", "phase-cycle", "Phases wait for each other in a circle.";
    INCLUDE_CYCLE = "PG0306", "include-cycle", "Stages include each other in a circle.";
    UNKNOWN_PARAMETER = "PG0307", "unknown-parameter", "A parameter is named that the stage does not have.";
    MISSING_PARAMETER = "PG0308", "missing-parameter", "A parameter has neither a value nor a default.";
    PARAMETER_TYPE = "PG0309", "parameter-type", "The value of a parameter has another type than the parameter.";
    PARAMETER_RANGE = "PG0310", "parameter-range", "The value of a parameter is not one that the stage allows.";
    UNUSED_PARAMETER = "PG0311", "unused-parameter", "A stage declares a parameter that it never uses.";
    BAD_SUBSTITUTION = "PG0312", "bad-substitution", "A `${…}` in a text cannot be replaced.";
    BAD_OVERRIDE = "PG0313", "bad-override", "A value given on the command line fits no parameter.";
    UNKNOWN_PRINCIPAL = "PG0314", "unknown-principal", "A principal or role is named that `pipeline/roles.toml` does not have.";
    BAD_THRESHOLD = "PG0315", "bad-threshold", "A role asks for more signers than it has, or for none.";
    NOT_UPSTREAM = "PG0316", "not-upstream", "A gate resets to a phase that does not come before its own.";
    TOO_MANY_INCLUDES = "PG0317", "too-many-includes", "A stage includes more stages than can be meant.";

    UNKNOWN_KIND = "PG0401", "unknown-kind", "A gate is of a kind that does not exist.";
    BAD_GATE = "PG0402", "bad-gate", "The parameters of a gate contradict each other or lack something.";
    BAD_QUERY = "PG0403", "bad-query", "A PromQL expression does not parse or uses what the evaluator does not have.";
    UNKNOWN_CONDITION = "PG0404", "unknown-condition", "A gate names a condition that its stage does not have.";
    UNKNOWN_OPERATION = "PG0405", "unknown-operation", "A gate names an operation that its phase does not have.";
    NO_CONDITION = "PG0406", "no-condition", "A gate has no condition to judge.";
    NO_CONTROL = "PG0407", "no-control", "A gate names nothing that must make it fail.";
    UNKNOWN_DEFECT = "PG0408", "unknown-defect", "A gate names a defect that the reference network does not have.";

    BAD_RULE = "PG0501", "bad-rule", "A recurrence rule is not one of RFC 5545.";
    BAD_ZONE = "PG0502", "bad-zone", "A time zone is not in the IANA database.";
    IMPOSSIBLE_SOAK = "PG0503", "impossible-soak", "A soak is longer than any span that its calendar leaves for it.";
    BAD_CIVIL_TIME = "PG0504", "bad-civil-time", "A text is not a civil date and time.";
    BAD_CALENDAR = "PG0505", "bad-calendar", "A calendar lacks an event, or its events and freezes leave nothing to do.";

    BAD_NETWORK = "PG0601", "bad-network", "A network cannot run with these values.";
    BAD_OPERATION = "PG0602", "bad-operation", "An operation is not one that a driver can perform.";
    UNSUPPORTED = "PG0603", "unsupported", "The driver cannot do what a phase asks for.";

    FILE_MISSING = "PG0701", "file-missing", "A definition names a file that is not there.";
    FILE_INVALID = "PG0702", "file-invalid", "A file that a definition names cannot be used.";
}

#[cfg(test)]
mod tests {
    use super::{CODES, explain};

    #[test]
    fn codes_are_in_order_distinct_and_explained() {
        for pair in CODES.windows(2) {
            assert!(pair[0].code < pair[1].code, "{} before {}", pair[0].code, pair[1].code);
        }
        for info in CODES {
            let digits = info.code.strip_prefix("PG").unwrap_or_default();
            assert!(digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_digit()));
            assert!(info.summary.ends_with('.'), "{}", info.code);
        }
        let names: std::collections::BTreeSet<_> = CODES.iter().map(|info| info.name).collect();
        assert_eq!(names.len(), CODES.len());
        assert_eq!(explain("PG0305").map(|info| info.name), Some("phase-cycle"));
        assert_eq!(explain("PG9999"), None);
    }
}
