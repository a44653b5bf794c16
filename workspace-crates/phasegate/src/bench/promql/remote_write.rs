//! Remote-write requests: how the servers get the data set.

use samples::{Labels, is_stale};

use super::data::SERIES;

/// The labels of a target's series, encoded once.
pub struct Encoder {
    labels: Vec<Vec<u8>>,
    samples: Vec<u8>,
}

/// What the servers want to see with a request.
pub const HEADERS: [(&str, &str); 3] = [
    ("Content-Encoding", "snappy"),
    ("Content-Type", "application/x-protobuf"),
    ("X-Prometheus-Remote-Write-Version", "0.1.0"),
];

impl Encoder {
    pub fn new(labels: &[Labels]) -> Self {
        Self { labels: labels.iter().map(encoded).collect(), samples: Vec::new() }
    }

    /// Appends the scrapes of a target to a request. Of staleness markers in a row only the first
    /// is written, as a scraping server would.
    pub fn write(
        &mut self,
        times_ms: &[i64],
        rows: &[[f64; SERIES]],
        before: &[f64; SERIES],
        request: &mut Vec<u8>,
    ) -> u64 {
        let mut written = 0;
        for (column, labels) in self.labels.iter().enumerate() {
            self.samples.clear();
            let mut was_stale = is_stale(before[column]);
            for (t_ms, row) in times_ms.iter().zip(rows) {
                let stale = is_stale(row[column]);
                if !(stale && was_stale) {
                    sample(*t_ms, row[column], &mut self.samples);
                    written += 1;
                }
                was_stale = stale;
            }
            request.push(1 << 3 | 2);
            varint((labels.len() + self.samples.len()) as u64, request);
            request.extend(labels);
            request.extend(&self.samples);
        }
        written
    }
}

fn encoded(labels: &Labels) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in labels.iter() {
        let mut label = Vec::new();
        bytes_field(1, name.as_bytes(), &mut label);
        bytes_field(2, value.as_bytes(), &mut label);
        bytes_field(1, &label, &mut out);
    }
    out
}

fn sample(t_ms: i64, value: f64, out: &mut Vec<u8>) {
    // A time of our century takes six bytes as a varint.
    out.extend([2 << 3 | 2, 16, 1 << 3 | 1]);
    out.extend(value.to_le_bytes());
    out.push(2 << 3);
    varint(t_ms as u64, out);
}

fn bytes_field(field: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(field << 3 | 2);
    varint(bytes.len() as u64, out);
    out.extend(bytes);
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Snappy's block format without compression: only literals.
pub fn snappy(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 16_384 + 16);
    varint(bytes.len() as u64, &mut out);
    for chunk in bytes.chunks(1 << 16) {
        out.push(61 << 2);
        out.extend(((chunk.len() - 1) as u16).to_le_bytes());
        out.extend(chunk);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::data::{Node, SERIES, labels};
    use super::{Encoder, snappy};
    use samples::STALE_NAN;

    #[test]
    fn a_request_is_what_the_collector_reads() {
        let series = labels(0);
        let (mut node, mut rows, mut times) = (Node::new(0), Vec::new(), Vec::new());
        for _ in 0..3 {
            let mut row = [0.0; SERIES];
            times.extend(node.scrape(&mut row));
            rows.push(row);
        }
        rows[1][5] = STALE_NAN;
        rows[2][5] = STALE_NAN;
        let mut request = Vec::new();
        let written = Encoder::new(&series).write(&times, &rows, &[0.0; SERIES], &mut request);
        assert_eq!(written, 3 * SERIES as u64 - 1);
        let read = samples::formats::remote_write::decode(&snappy(&request)).unwrap();
        assert_eq!(read.series.len(), SERIES);
        for (column, (one, labels)) in read.series.iter().zip(&series).enumerate() {
            assert_eq!(&one.labels, labels);
            let expected = if column == 5 { 2 } else { 3 };
            assert_eq!(one.samples.len(), expected);
            for ((t_ms, value), (expected_ms, row)) in
                one.samples.iter().zip(times.iter().zip(&rows))
            {
                assert_eq!((t_ms, value.to_bits()), (expected_ms, row[column].to_bits()));
            }
        }
    }
}
