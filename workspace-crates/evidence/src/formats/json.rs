//! JSON from elsewhere: bounded in size and depth, and errors with a position.

use serde::de::DeserializeOwned;

use crate::EvidenceError;

/// How much of a JSON text is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of the text.
    pub size_bytes: usize,
    /// Most levels of nested arrays and objects.
    pub depth: usize,
}

impl Limits {
    /// For stored records.
    pub const RECORD: Self = Self { size_bytes: 64 << 20, depth: 64 };
    /// For one answer of a web service.
    pub const ANSWER: Self = Self { size_bytes: 16 << 20, depth: 32 };
}

/// Reads `bytes`, which errors call `file`.
///
/// # Errors
/// [`EvidenceError::TooLarge`] or [`EvidenceError::Malformed`] with the position.
pub fn read<T: DeserializeOwned>(
    file: &str,
    bytes: &[u8],
    limits: Limits,
) -> Result<T, EvidenceError> {
    if bytes.len() > limits.size_bytes {
        return Err(EvidenceError::TooLarge {
            what: file.to_owned(),
            size_bytes: bytes.len() as u64,
            limit_bytes: limits.size_bytes as u64,
        });
    }
    check_depth(file, bytes, limits.depth)?;
    serde_json::from_slice(bytes).map_err(|e| EvidenceError::Malformed {
        file: file.to_owned(),
        line: e.line(),
        column: e.column(),
        reason: reason(&e),
    })
}

/// serde_json repeats the position at the end of its message.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&position).unwrap_or(&text).to_owned()
}

fn check_depth(file: &str, bytes: &[u8], depth_max: usize) -> Result<(), EvidenceError> {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for (offset, byte) in bytes.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                if depth > depth_max {
                    return Err(too_deep(file, bytes, offset, depth_max));
                }
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

fn too_deep(file: &str, bytes: &[u8], offset: usize, depth_max: usize) -> EvidenceError {
    let before = &bytes[..offset];
    let line_start = before.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
    EvidenceError::Malformed {
        file: file.to_owned(),
        line: before.iter().filter(|b| **b == b'\n').count() + 1,
        column: offset - line_start + 1,
        reason: format!("arrays and objects are nested more than {depth_max} levels deep"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Limits, read};
    use crate::EvidenceError;

    const SMALL: Limits = Limits { size_bytes: 40, depth: 3 };

    fn refusal(text: &str) -> String {
        read::<serde_json::Value>("answer.json", text.as_bytes(), SMALL).unwrap_err().to_string()
    }

    #[test]
    fn errors_name_file_line_and_column() {
        assert_eq!(refusal("[1,\n 2,,]"), "answer.json:2:4: expected value");
        assert_eq!(refusal(""), "answer.json:1:0: EOF while parsing a value");
    }

    #[test]
    fn depth_and_size_are_bounded_and_brackets_in_texts_do_not_count() {
        assert_eq!(
            refusal("[\n[[[1]]]]"),
            "answer.json:2:3: arrays and objects are nested more than 3 levels deep"
        );
        assert!(refusal(&" ".repeat(41)).contains("more than the limit of 40"));
        let text = br#"["[[[[", "\"[[[["]"#;
        assert!(read::<serde_json::Value>("a", text, SMALL).is_ok());
    }

    #[test]
    fn a_hundred_thousand_brackets_do_not_exhaust_the_stack() {
        let limits = Limits { size_bytes: 1 << 20, depth: 32 };
        let result = read::<serde_json::Value>("a", &[b'['; 100_000], limits);
        assert!(matches!(result, Err(EvidenceError::Malformed { column: 33, .. })));
    }
}
