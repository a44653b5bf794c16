//! Bodies of remote write.

use samples::METRIC_NAME;
use samples::formats::{Grouper, remote_write};

use crate::Target;

/// A first byte, then a body when it is 0, or else a protobuf message that is yet to be packed.
pub const TARGET: Target = Target {
    name: "remote_write",
    run,
    seeds,
    repair: crate::no_repair,
    words: &[
        "__name__",
        "up",
        "instance",
        "\x0a\x00",
        "\x12\x10",
        "\x1a",
        "\x22\x02",
        "\x7f\x7f\x7f\x7f",
    ],
};

/// Every series that is accepted has a name and increasing times, and finds its group.
#[must_use]
pub fn run(bytes: &[u8]) -> bool {
    let Some((first, rest)) = bytes.split_first() else { return false };
    let read = match first {
        0 => remote_write::decode(rest),
        _ => remote_write::decode(&pack(rest)),
    };
    let Ok(request) = read else { return false };
    for series in &request.series {
        assert!(!series.labels.get(METRIC_NAME).is_empty(), "a series without a name");
        assert!(!series.samples.is_empty(), "a series without samples");
        assert!(series.samples.is_sorted_by(|a, b| a.0 < b.0), "times do not increase");
    }
    assert!(request.refused.len() as u64 <= request.refused_count);
    let samples: usize = request.series.iter().map(|series| series.samples.len()).sum();
    let mut grouper = Grouper::new();
    let mut grouped = 0;
    for group in grouper.group(request.series) {
        grouped += group.rows.iter().map(|(_, values)| values.len()).sum::<usize>();
    }
    assert_eq!(grouped, samples, "grouping loses samples");
    true
}

/// Snappy's block format, with nothing compressed.
fn pack(message: &[u8]) -> Vec<u8> {
    let mut body = varint(message.len() as u64);
    for chunk in message.chunks(1 << 16) {
        body.push(61 << 2);
        body.extend_from_slice(&((chunk.len() - 1) as u16).to_le_bytes());
        body.extend_from_slice(chunk);
    }
    body
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// A field of a message that has a length.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    [vec![number << 3 | 2], varint(content.len() as u64), content.to_vec()].concat()
}

fn label(name: &str, value: &str) -> Vec<u8> {
    field(1, &[field(1, name.as_bytes()), field(2, value.as_bytes())].concat())
}

fn sample(value: f64, t_ms: u64) -> Vec<u8> {
    field(2, &[vec![9], value.to_le_bytes().to_vec(), vec![16], varint(t_ms)].concat())
}

fn seeds() -> Vec<Vec<u8>> {
    let series = |instance: &str, samples: &[Vec<u8>]| {
        let labels = [label("__name__", "up"), label("instance", instance)].concat();
        field(1, &[labels, samples.concat()].concat())
    };
    let times: Vec<Vec<u8>> =
        (0..20).map(|n| sample(n as f64 / 4.0, 1_700_000_000_000 + n * 15_000)).collect();
    let message = [
        series("a", &times),
        series("b", &times[..3]),
        series("c", &[sample(f64::NAN, 5)]),
        // A description of a metric.
        field(3, &[vec![8, 1], field(2, b"up")].concat()),
    ]
    .concat();
    vec![[vec![0], pack(&message)].concat(), [vec![1], message].concat()]
}
