//! Events of a deployment, one JSON object to a line.

use evidence::formats::event_lines::{read, write};

use crate::Target;

/// Lines of events.
pub const TARGET: Target = Target {
    name: "event_lines",
    run,
    seeds,
    repair: crate::no_repair,
    words: json_words![
        "\n",
        "\r\n",
        "\n\n",
        "{\"at\":\"2026-01-08T15:00:00Z\",\"name\":\"x\"}",
        "\"node\":\"",
        "\"attributes\":{",
    ],
};

/// What is read can be written, and is read again the same.
#[must_use]
pub fn run(bytes: &[u8]) -> bool {
    let Ok(events) = read("events", bytes) else { return false };
    let Ok(written) = write(&events) else { return false };
    assert_eq!(read("events", &written).ok(), Some(events));
    true
}

fn seeds() -> Vec<Vec<u8>> {
    let at = base::Instant::from_unix_millis(1_767_884_400_000);
    let events = [
        evidence::Event::new(at, "started").on_node("validator-0"),
        evidence::Event::new(at, "fault").with("kind", "stall"),
    ];
    write(&events).into_iter().collect()
}
