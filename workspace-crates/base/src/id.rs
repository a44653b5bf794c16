use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

/// A text that is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not {what}: an identifier starts with a-z or 0-9, goes on with a-z, 0-9, `.`, `_` or `-`, and has 1 to 64 characters"
)]
pub struct IdError {
    what: &'static str,
    text: String,
}

fn is_identifier(text: &str) -> bool {
    let head = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let tail = |b: u8| head(b) || matches!(b, b'.' | b'_' | b'-');
    let bytes = text.as_bytes();
    matches!(bytes, [first, rest @ ..] if head(*first) && rest.iter().all(|b| tail(*b)))
        && bytes.len() <= 64
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Takes `text` when it is an identifier.
            ///
            /// # Errors
            /// When it has another form than `[a-z0-9][a-z0-9._-]{0,63}`.
            pub fn new(text: impl Into<String>) -> Result<Self, IdError> {
                let text = text.into();
                if is_identifier(&text) {
                    Ok(Self(text))
                } else {
                    Err(IdError { what: $what, text: text.chars().take(80).collect() })
                }
            }

            /// The identifier as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::new(text)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::new(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
            }
        }
    };
}

identifier!(
    /// Names a pipeline: the stem of its file in `pipeline/`.
    PipelineId,
    "a pipeline id"
);
identifier!(
    /// Names a phase within its pipeline.
    PhaseId,
    "a phase id"
);
identifier!(
    /// Names a stage: its folder in `stages/`.
    StageId,
    "a stage id"
);
identifier!(
    /// Names a gate within its phase.
    GateId,
    "a gate id"
);
identifier!(
    /// Names a person, a machine or an organisation that signs.
    PrincipalId,
    "a principal id"
);
identifier!(
    /// Names the network that a subject ran on.
    NetworkId,
    "a network id"
);
identifier!(
    /// Names one deployment: `<phase>.<track>.<attempt>`.
    DeploymentId,
    "a deployment id"
);

#[cfg(test)]
mod tests {
    use super::PhaseId;
    use proptest::prelude::*;

    #[test]
    fn paths_and_markup_are_no_identifiers() {
        for bad in ["", ".", "..", "../x", "-x", "A", "a b", "a/b", "<b>", "ä", "a\0"] {
            assert!(PhaseId::new(bad).is_err(), "{bad:?}");
        }
        assert!(PhaseId::new("a".repeat(65)).is_err());
    }

    proptest! {
        #[test]
        fn well_formed_texts_are_taken_as_they_are(text in "[a-z0-9][a-z0-9._-]{0,63}") {
            let id = PhaseId::new(text.clone()).unwrap();
            prop_assert_eq!(id.as_str(), text);
        }
    }
}
