//! Events of a deployment, one JSON object to a line.

use crate::formats::json::{self, Limits};
use crate::{Event, EvidenceError};

const FILE_BYTES_MAX: usize = 512 << 20;
const LINE: Limits = Limits { size_bytes: 64 << 10, depth: 8 };

/// Events as lines, in the order given.
///
/// # Errors
/// When an event has no JSON form.
pub fn write(events: &[Event]) -> Result<Vec<u8>, EvidenceError> {
    let mut bytes = Vec::new();
    for event in events {
        bytes.extend(base::canonical_json(event)?);
    }
    Ok(bytes)
}

/// Reads lines, which errors call `file`. Empty lines are left out.
///
/// # Errors
/// [`EvidenceError::TooLarge`] or [`EvidenceError::Malformed`] with the position.
pub fn read(file: &str, bytes: &[u8]) -> Result<Vec<Event>, EvidenceError> {
    if bytes.len() > FILE_BYTES_MAX {
        return Err(EvidenceError::TooLarge {
            what: file.to_owned(),
            size_bytes: bytes.len() as u64,
            limit_bytes: FILE_BYTES_MAX as u64,
        });
    }
    let mut events = Vec::new();
    for (index, line) in bytes.split(|b| *b == b'\n').enumerate() {
        if !line.trim_ascii().is_empty() {
            events.push(json::read(file, line, LINE).map_err(|e| on_line(e, index + 1))?);
        }
    }
    Ok(events)
}

fn on_line(error: EvidenceError, number: usize) -> EvidenceError {
    match error {
        EvidenceError::Malformed { file, column, reason, .. } => {
            EvidenceError::Malformed { file, line: number, column, reason }
        }
        EvidenceError::TooLarge { what, size_bytes, limit_bytes } => {
            EvidenceError::TooLarge { what: format!("{what}:{number}"), size_bytes, limit_bytes }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::{read, write};
    use crate::Event;
    use base::Instant;

    #[test]
    fn events_are_read_back_as_written() {
        let events = [
            Event::new(Instant::from_unix_millis(1_500), "drill.injected").with("operation", "a\n"),
            Event::new(Instant::from_unix_millis(2_000), "client_upgrade.node_replaced")
                .on_node("validator-1"),
        ];
        let bytes = write(&events).unwrap();
        assert_eq!(bytes.iter().filter(|b| **b == b'\n').count(), 2);
        assert_eq!(read("events.jsonl", &bytes).unwrap(), events);
    }

    #[test]
    fn the_stored_form_is_pinned() {
        let event = Event::new(Instant::from_unix_millis(0), "x").with("k", "v").on_node("n");
        let line = "{\"at\":\"1970-01-01T00:00:00Z\",\"attributes\":{\"k\":\"v\"},\"name\":\"x\",\"node\":\"n\"}\n";
        assert_eq!(write(&[event]).unwrap(), line.as_bytes());
    }

    #[test]
    fn a_torn_or_foreign_line_is_named() {
        let good = "{\"at\":\"1970-01-01T00:00:00Z\",\"name\":\"x\"}\n";
        for bad in ["{\"at\":\"1970-01-01T00:00", "{\"at\":1}", "[]", "{\"name\":\"x\"}"] {
            let error = read("e.jsonl", format!("{good}\n{bad}").as_bytes()).unwrap_err();
            assert!(error.to_string().starts_with("e.jsonl:3:"), "{error}");
        }
    }
}
