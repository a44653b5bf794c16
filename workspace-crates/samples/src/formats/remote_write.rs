//! Reads remote write 1.0: a protobuf message in snappy's block format.
//!
//! The labels of each series must be sorted, without repetition, and hold a name; its samples must
//! be in increasing time. A series that breaks these rules is reported and left out. Staleness
//! markers are kept as they are. Native histograms, exemplars and metadata are counted.

use super::protobuf::{Field, Fields, Malformed};
use super::{FormatError, LABELS_MAX, SeriesSamples};
use crate::{Labels, METRIC_NAME};

/// Bytes that a message may have when it is uncompressed.
pub const MESSAGE_BYTES_MAX: usize = 64 << 20;
/// Bytes of a label's name or value.
pub const LABEL_BYTES_MAX: usize = 64 << 10;
/// Series that are given back with the reason why they were refused; further ones are counted.
const LISTED_MAX: usize = 100;
/// Times beyond are refused, as by the store.
const TIME_MAX_MS: u64 = 1 << 53;

/// What a message holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct WriteRequest {
    /// The series with at least one sample.
    pub series: Vec<SeriesSamples>,
    /// The first hundred series that were left out.
    pub refused: Vec<RefusedSeries>,
    /// How many series were left out.
    pub refused_count: u64,
    /// How many native histograms were left out: they are not supported.
    pub histograms: u64,
    /// How many exemplars were left out.
    pub exemplars: u64,
    /// How many descriptions of metrics were left out.
    pub metadata: u64,
}

/// A series that was left out, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("series {index}: {reason}")]
pub struct RefusedSeries {
    /// Its place in the message, from 0.
    pub index: usize,
    /// What is wrong with it.
    pub reason: SeriesReason,
}

/// What is wrong with a series.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SeriesReason {
    /// There is no label `__name__`.
    #[error("it has no metric name")]
    Nameless,
    /// A label's name or value is empty.
    #[error("a label without a name or a value")]
    EmptyLabel,
    /// The labels are not sorted by name, or one occurs twice.
    #[error("the label {0:?} is not in order, or occurs twice")]
    LabelOrder(String),
    /// A label's name or value is not UTF-8.
    #[error("a label that is not UTF-8")]
    Utf8,
    /// There are too many labels.
    #[error("more than {LABELS_MAX} labels")]
    ManyLabels,
    /// A label's name or value is too long.
    #[error("a label of more than {LABEL_BYTES_MAX} bytes")]
    LongLabel,
    /// The times do not increase.
    #[error("a sample at {t_ms} ms does not come after the one at {last_ms} ms")]
    NotLater {
        /// The sample before, in milliseconds since the Unix epoch.
        last_ms: i64,
        /// The refused one.
        t_ms: i64,
    },
    /// A time lies beyond ±2⁵³ ms.
    #[error("a sample at {0} ms lies outside of the range of times")]
    TimeOutOfRange(i64),
}

/// Checks the headers of a request before its body is read. Absent headers are taken as right, as
/// the specification says of old senders.
///
/// # Errors
/// When the body is of version 2, or in another type or compression.
pub fn check_headers(
    content_type: Option<&str>,
    content_encoding: Option<&str>,
) -> Result<(), FormatError> {
    let content_type = content_type.unwrap_or("application/x-protobuf").to_ascii_lowercase();
    let mut fields = content_type.split(';').map(str::trim);
    let refuse = |expected, found: &str| FormatError::RemoteWriteHeader {
        expected,
        found: found.chars().take(200).collect(),
    };
    if fields.next() != Some("application/x-protobuf") {
        return Err(refuse("application/x-protobuf", &content_type));
    }
    for proto in fields.filter_map(|field| field.strip_prefix("proto=")) {
        match proto.trim_matches('"') {
            "prometheus.writerequest" => {}
            "io.prometheus.write.v2.request" => return Err(FormatError::RemoteWriteVersion),
            other => return Err(refuse("proto=prometheus.WriteRequest", other)),
        }
    }
    match content_encoding {
        None => Ok(()),
        Some(encoding) if encoding.eq_ignore_ascii_case("snappy") => Ok(()),
        Some(encoding) => Err(refuse("Content-Encoding: snappy", encoding)),
    }
}

/// Reads the body of a request.
///
/// # Errors
/// When the message is larger than [`MESSAGE_BYTES_MAX`], its compression or its protobuf is
/// damaged, or it is of version 2. A series that breaks a rule is no error of the whole.
pub fn decode(body: &[u8]) -> Result<WriteRequest, FormatError> {
    let size = snap::raw::decompress_len(body).map_err(FormatError::Snappy)?;
    if size > MESSAGE_BYTES_MAX {
        return Err(FormatError::TooLarge {
            what: "an uncompressed message in bytes",
            size: size as u64,
            limit: MESSAGE_BYTES_MAX as u64,
        });
    }
    // Snappy at best writes 64 bytes for three: a larger promise is a lie that would cost memory.
    if size / 32 > body.len() {
        return Err(FormatError::Snappy(snap::Error::Header));
    }
    let message = snap::raw::Decoder::new().decompress_vec(body).map_err(FormatError::Snappy)?;
    decode_message(&message)
}

fn decode_message(message: &[u8]) -> Result<WriteRequest, FormatError> {
    let mut request = WriteRequest::default();
    let mut fields = Fields::new(message, 0);
    let mut index = 0;
    while let Some((number, field)) = fields.next()? {
        match (number, field) {
            (1, Field::Bytes(bytes)) => {
                request.add(index, fields.inner(bytes))?;
                index += 1;
            }
            (3, Field::Bytes(_)) => request.metadata += 1,
            // The symbols and the series of version 2.
            (4 | 5, Field::Bytes(_)) => return Err(FormatError::RemoteWriteVersion),
            _ => {}
        }
    }
    Ok(request)
}

impl WriteRequest {
    fn add(&mut self, index: usize, mut fields: Fields<'_>) -> Result<(), Malformed> {
        let mut labels: Vec<(&str, &str)> = Vec::new();
        let mut samples: Vec<(i64, f64)> = Vec::new();
        let mut reason = None;
        while let Some((number, field)) = fields.next()? {
            let Field::Bytes(bytes) = field else { continue };
            let inner = fields.inner(bytes);
            match number {
                1 => match label_of(inner)?.and_then(|label| in_order(label, labels.last())) {
                    Ok(_) if labels.len() == LABELS_MAX => {
                        reason = reason.or(Some(SeriesReason::ManyLabels));
                    }
                    Ok(label) => labels.push(label),
                    Err(broken) => reason = reason.or(Some(broken)),
                },
                2 => match later(sample_of(inner)?, samples.last()) {
                    Ok(sample) => samples.push(sample),
                    Err(broken) => reason = reason.or(Some(broken)),
                },
                3 => self.exemplars += 1,
                4 => self.histograms += 1,
                _ => {}
            }
        }
        if !labels.iter().any(|(name, _)| *name == METRIC_NAME) {
            reason = reason.or(Some(SeriesReason::Nameless));
        }
        match reason {
            Some(reason) => self.refuse(index, reason),
            None if samples.is_empty() => {}
            None => {
                let labels = Labels::from_pairs(labels);
                self.series.push(SeriesSamples { labels, samples });
            }
        }
        Ok(())
    }

    fn refuse(&mut self, index: usize, reason: SeriesReason) {
        self.refused_count += 1;
        if self.refused.len() < LISTED_MAX {
            self.refused.push(RefusedSeries { index, reason });
        }
    }
}

/// A label, or the rule that it breaks by itself.
type Label<'a> = Result<(&'a str, &'a str), SeriesReason>;

fn label_of(mut fields: Fields<'_>) -> Result<Label<'_>, Malformed> {
    let (mut name, mut value): (&[u8], &[u8]) = (&[], &[]);
    while let Some((number, field)) = fields.next()? {
        match (number, field) {
            (1, Field::Bytes(bytes)) => name = bytes,
            (2, Field::Bytes(bytes)) => value = bytes,
            _ => {}
        }
    }
    if name.len().max(value.len()) > LABEL_BYTES_MAX {
        return Ok(Err(SeriesReason::LongLabel));
    }
    Ok(match (std::str::from_utf8(name), std::str::from_utf8(value)) {
        (Ok(""), _) | (_, Ok("")) => Err(SeriesReason::EmptyLabel),
        (Ok(name), Ok(value)) => Ok((name, value)),
        _ => Err(SeriesReason::Utf8),
    })
}

fn in_order<'a>(label: (&'a str, &'a str), last: Option<&(&str, &str)>) -> Label<'a> {
    match last {
        Some((before, _)) if *before >= label.0 => {
            Err(SeriesReason::LabelOrder(label.0.chars().take(200).collect()))
        }
        _ => Ok(label),
    }
}

fn sample_of(mut fields: Fields<'_>) -> Result<(i64, f64), Malformed> {
    let (mut t_ms, mut value) = (0, 0.0);
    while let Some((number, field)) = fields.next()? {
        match (number, field) {
            (1, Field::Fixed64(bits)) => value = f64::from_bits(bits),
            (2, Field::Varint(time)) => t_ms = time.cast_signed(),
            _ => {}
        }
    }
    Ok((t_ms, value))
}

fn later(sample: (i64, f64), last: Option<&(i64, f64)>) -> Result<(i64, f64), SeriesReason> {
    let t_ms = sample.0;
    match last {
        _ if t_ms.unsigned_abs() > TIME_MAX_MS => Err(SeriesReason::TimeOutOfRange(t_ms)),
        Some((last_ms, _)) if t_ms <= *last_ms => {
            Err(SeriesReason::NotLater { last_ms: *last_ms, t_ms })
        }
        _ => Ok(sample),
    }
}

impl From<Malformed> for FormatError {
    fn from(Malformed(at): Malformed) -> Self {
        Self::Malformed { at }
    }
}

#[cfg(test)]
mod tests {
    use super::{MESSAGE_BYTES_MAX, WriteRequest, check_headers, decode};
    use crate::formats::FormatError;
    use crate::{Labels, STALE_NAN};
    use proptest::prelude::*;

    fn varint(mut value: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        while value >= 0x80 {
            bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        bytes.push(value as u8);
        bytes
    }

    fn bytes_field(number: u64, bytes: &[u8]) -> Vec<u8> {
        [varint(number << 3 | 2), varint(bytes.len() as u64), bytes.to_vec()].concat()
    }

    fn label(name: &str, value: &str) -> Vec<u8> {
        let pair = [bytes_field(1, name.as_bytes()), bytes_field(2, value.as_bytes())].concat();
        bytes_field(1, &pair)
    }

    fn sample(t_ms: i64, value: f64) -> Vec<u8> {
        let mut fields = vec![1 << 3 | 1];
        fields.extend(value.to_bits().to_le_bytes());
        fields.push(2 << 3);
        fields.extend(varint(t_ms as u64));
        bytes_field(2, &fields)
    }

    fn series(parts: &[Vec<u8>]) -> Vec<u8> {
        bytes_field(1, &parts.concat())
    }

    fn body(message: &[u8]) -> Vec<u8> {
        snap::raw::Encoder::new().compress_vec(message).unwrap()
    }

    fn message() -> Vec<u8> {
        [
            series(&[label("__name__", "up"), label("job", "é"), sample(-5, 1.0), sample(7, 2.5)]),
            series(&[label("__name__", "lag"), sample(7, STALE_NAN)]),
            bytes_field(3, b"\x08\x01"),
        ]
        .concat()
    }

    fn read(message: &[u8]) -> WriteRequest {
        decode(&body(message)).unwrap()
    }

    #[test]
    fn a_message_is_read_with_its_staleness_markers() {
        let request = read(&message());
        assert_eq!((request.series.len(), request.refused_count, request.metadata), (2, 0, 1));
        assert_eq!(request.series[0].labels, Labels::metric("up", &[("job", "é")]));
        assert_eq!(request.series[0].samples, [(-5, 1.0), (7, 2.5)]);
        assert_eq!(request.series[1].samples[0].1.to_bits(), STALE_NAN.to_bits());
    }

    #[test]
    fn series_that_break_a_rule_are_left_out_by_name() {
        let name = || label("__name__", "a");
        let many: Vec<Vec<u8>> = (0..200).map(|n| label(&format!("a{n:03}"), "x")).collect();
        let message = [
            series(&[label("job", "x"), sample(1, 1.0)]),
            series(&[name(), label("job", ""), sample(1, 1.0)]),
            series(&[name(), label("b", "x"), label("a", "x"), sample(1, 1.0)]),
            series(&[name(), label("b", "x"), label("b", "y"), sample(1, 1.0)]),
            series(&[name(), bytes_field(1, &bytes_field(1, b"\xff")), sample(1, 1.0)]),
            series(&[vec![name()], many].concat()),
            series(&[name(), label("b", &"x".repeat(70_000))]),
            series(&[name(), sample(5, 1.0), sample(5, 2.0)]),
            series(&[name(), sample(i64::MIN, 1.0)]),
            series(&[name(), bytes_field(4, b"")]),
            series(&[name(), bytes_field(3, b""), sample(1, 1.0)]),
        ]
        .concat();
        let request = read(&message);
        let refused: Vec<String> = request.refused.iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(refused.join("\n"), @r#"
        series 0: it has no metric name
        series 1: a label without a name or a value
        series 2: the label "a" is not in order, or occurs twice
        series 3: the label "b" is not in order, or occurs twice
        series 4: a label without a name or a value
        series 5: more than 128 labels
        series 6: a label of more than 65536 bytes
        series 7: a sample at 5 ms does not come after the one at 5 ms
        series 8: a sample at -9223372036854775808 ms lies outside of the range of times
        "#);
        assert_eq!((request.histograms, request.exemplars, request.series.len()), (1, 1, 1));
    }

    #[test]
    fn the_list_of_refusals_is_bounded() {
        let request = read(&series(&[sample(1, 1.0)]).repeat(500));
        assert_eq!((request.refused.len(), request.refused_count), (100, 500));
    }

    #[test]
    fn what_is_not_supported_is_refused_by_name() {
        let check = |content_type, encoding| {
            check_headers(content_type, encoding).map_err(|error| error.to_string())
        };
        assert_eq!(check(None, None), Ok(()));
        let v1 = "application/x-protobuf;proto=prometheus.WriteRequest";
        assert_eq!(check(Some(v1), Some("snappy")), Ok(()));
        let v2 = "application/x-protobuf; proto=io.prometheus.write.v2.Request";
        let errors = [
            check(Some(v2), Some("snappy")),
            check(Some("application/json"), None),
            check(Some("application/x-protobuf;proto=x.Y"), None),
            check(None, Some("gzip")),
            decode(&body(&bytes_field(4, b""))).map(|_| ()).map_err(|error| error.to_string()),
        ];
        let shown: Vec<String> = errors.into_iter().map(Result::unwrap_err).collect();
        insta::assert_snapshot!(shown.join("\n"), @r"
        remote write 2.0 is not supported: set the sender to 1.0 (`protobuf_message: prometheus.WriteRequest`)
        a remote-write message must be `application/x-protobuf`, not `application/json`
        a remote-write message must be `proto=prometheus.WriteRequest`, not `x.y`
        a remote-write message must be `Content-Encoding: snappy`, not `gzip`
        remote write 2.0 is not supported: set the sender to 1.0 (`protobuf_message: prometheus.WriteRequest`)
        ");
    }

    #[test]
    fn promises_of_size_are_not_believed() {
        let huge = varint(MESSAGE_BYTES_MAX as u64 + 1);
        assert!(matches!(decode(&huge), Err(FormatError::TooLarge { .. })));
        let lie = [varint(MESSAGE_BYTES_MAX as u64), vec![0; 8]].concat();
        assert!(matches!(decode(&lie), Err(FormatError::Snappy(_))));
        assert!(matches!(decode(b""), Err(FormatError::Snappy(_))));
        let zeros = vec![0; MESSAGE_BYTES_MAX];
        // What compresses best is still within what is believed.
        assert!(matches!(decode(&body(&zeros)), Err(FormatError::Malformed { at: 0 })));
    }

    #[test]
    fn a_message_that_was_cut_off_is_refused_or_ends_at_a_field() {
        let message = message();
        let whole = read(&message);
        for end in 0..message.len() {
            match decode(&body(&message[..end])) {
                // Compared as text: a staleness marker is a NaN, which equals nothing.
                Ok(part) => {
                    let whole = format!("{:?}", &whole.series[..part.series.len()]);
                    assert_eq!(format!("{:?}", part.series), whole, "{end}");
                }
                Err(error) => assert!(matches!(error, FormatError::Malformed { .. }), "{error}"),
            }
        }
        let body = body(&message);
        for end in 0..body.len() {
            assert!(decode(&body[..end]).is_err(), "{end}");
        }
    }

    proptest! {
        #[test]
        fn edited_messages_never_panic(
            edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)
        ) {
            let mut edited = message();
            for (place, byte) in &edits {
                let place = place.index(edited.len());
                edited[place] = *byte;
            }
            if let Ok(request) = decode(&body(&edited)) {
                for series in &request.series {
                    prop_assert!(!series.labels.metric_name().is_empty());
                    prop_assert!(series.samples.is_sorted_by(|a, b| a.0 < b.0));
                }
            }
            let mut compressed = body(&message());
            for (place, byte) in &edits {
                let place = place.index(compressed.len());
                compressed[place] = *byte;
            }
            let _ = decode(&compressed);
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
            let _ = decode(&body(&bytes));
        }
    }
}
