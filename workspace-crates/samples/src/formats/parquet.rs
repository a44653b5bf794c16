//! Writes samples as an Apache Parquet file, one row per sample, for analysis with other tools.
//!
//! | column | type | content |
//! |---|---|---|
//! | `metric` | text | the metric's name |
//! | `labels` | text | the other labels as a JSON object, sorted by name |
//! | `t_ms` | timestamp | milliseconds since the Unix epoch, UTC |
//! | `value` | double | the value, NaN and infinities too |
//!
//! The rows are in the order of metric, labels and time; the same samples give the same bytes.
//! Staleness markers are left out and counted, as in [`openmetrics`](super::openmetrics).

use std::io::Write;
use std::sync::Arc;

use ::parquet::basic::{Compression, Encoding};
use ::parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use ::parquet::file::properties::{WriterProperties, WriterVersion};
use ::parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use ::parquet::schema::parser::parse_message_type;
use ::parquet::schema::types::{ColumnPath, TypePtr};

use super::FormatError;
use super::openmetrics::{Written, metric_names};
use crate::{Labels, METRIC_NAME, Matcher, SampleSource, Series, is_stale};

/// Rows that are gathered before they are written: some ten megabytes.
const GROUP_ROWS: usize = 1 << 17;
const SCHEMA: &str = "message samples {
    required byte_array metric (UTF8);
    required byte_array labels (UTF8);
    required int64 t_ms (TIMESTAMP(MILLIS, true));
    required double value;
}";

/// Writes the samples with `start_ms < t <= end_ms` of the series that satisfy all `matchers`.
///
/// # Errors
/// When a series has no metric name, the source cannot be read or `out` not be written. What was
/// written before then has no footer, and no reader takes it for a file.
pub fn write<W: Write + Send>(
    source: &dyn SampleSource,
    matchers: &[Matcher],
    (start_ms, end_ms): (i64, i64),
    out: W,
) -> Result<Written, FormatError> {
    let file = SerializedFileWriter::new(out, schema()?, Arc::new(properties()))?;
    let mut rows = Rows { file, pending: Columns::default(), written: Written::default() };
    for metric in metric_names(source, matchers, (start_ms, end_ms))? {
        let mut all = matchers.to_vec();
        all.push(Matcher::equal(METRIC_NAME, &metric));
        for series in source.select(&all, start_ms, end_ms)? {
            rows.add(&metric, &series)?;
        }
    }
    rows.finish()
}

fn schema() -> Result<TypePtr, FormatError> {
    Ok(Arc::new(parse_message_type(SCHEMA)?))
}

fn properties() -> WriterProperties {
    WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .set_compression(Compression::SNAPPY)
        // Neither a version nor a clock: the same samples give the same bytes.
        .set_created_by("phasegate".to_owned())
        .set_column_dictionary_enabled(ColumnPath::from("t_ms"), false)
        .set_column_encoding(ColumnPath::from("t_ms"), Encoding::DELTA_BINARY_PACKED)
        .build()
}

#[derive(Debug, Default)]
struct Columns {
    metrics: Vec<ByteArray>,
    labels: Vec<ByteArray>,
    times_ms: Vec<i64>,
    values: Vec<f64>,
}

struct Rows<W: Write + Send> {
    file: SerializedFileWriter<W>,
    pending: Columns,
    written: Written,
}

impl<W: Write + Send> Rows<W> {
    fn add(&mut self, metric: &str, series: &Series) -> Result<(), FormatError> {
        let metric = ByteArray::from(metric);
        let labels = ByteArray::from(json_of(series.labels()).as_str());
        let before = self.written.samples;
        for (t_ms, value) in series.times_ms().iter().zip(series.values()) {
            if is_stale(*value) {
                self.written.stale += 1;
                continue;
            }
            // Both are counted references: a row does not copy them.
            self.pending.metrics.push(metric.clone());
            self.pending.labels.push(labels.clone());
            self.pending.times_ms.push(*t_ms);
            self.pending.values.push(*value);
            self.written.samples += 1;
            if self.pending.values.len() == GROUP_ROWS {
                self.flush()?;
            }
        }
        self.written.series += u64::from(self.written.samples > before);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), FormatError> {
        if self.pending.values.is_empty() {
            return Ok(());
        }
        let mut group = self.file.next_row_group()?;
        let Columns { metrics, labels, times_ms, values } = &self.pending;
        column::<ByteArrayType, W>(&mut group, metrics)?;
        column::<ByteArrayType, W>(&mut group, labels)?;
        column::<Int64Type, W>(&mut group, times_ms)?;
        column::<DoubleType, W>(&mut group, values)?;
        group.close()?;
        self.pending = Columns::default();
        Ok(())
    }

    fn finish(mut self) -> Result<Written, FormatError> {
        self.flush()?;
        self.file.close()?;
        Ok(self.written)
    }
}

fn column<T: ::parquet::data_type::DataType, W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    values: &[T::T],
) -> Result<(), FormatError> {
    // The schema has exactly the columns that are written.
    if let Some(mut column) = group.next_column()? {
        column.typed::<T>().write_batch(values, None, None)?;
        column.close()?;
    }
    Ok(())
}

/// The labels but the name, as a JSON object.
fn json_of(labels: &Labels) -> String {
    let mut json = String::from("{");
    for (name, value) in labels.iter().filter(|(name, _)| *name != METRIC_NAME) {
        if json.len() > 1 {
            json.push(',');
        }
        push_json(name, &mut json);
        json.push(':');
        push_json(value, &mut json);
    }
    json.push('}');
    json
}

fn push_json(text: &str, json: &mut String) {
    json.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => json.extend(['\\', c]),
            c if c < ' ' => json.push_str(&format!("\\u{:04x}", c as u32)),
            c => json.push(c),
        }
    }
    json.push('"');
}

#[cfg(test)]
mod tests {
    use super::{GROUP_ROWS, write};
    use crate::{Labels, Matcher, STALE_NAN, Series, is_stale};
    use ::parquet::file::reader::{FileReader as _, SerializedFileReader};
    use ::parquet::record::RowAccessor as _;
    use std::sync::Arc;

    const ALL: (i64, i64) = (i64::MIN, i64::MAX);

    fn source(count: usize) -> Vec<Series> {
        let times: Arc<Vec<i64>> = Arc::new((0..count as i64).map(|n| n * 15_000 - 7).collect());
        let series = |labels, offset: f64| {
            let values = (0..count).map(|n| match n {
                3 => STALE_NAN,
                4 => f64::NAN,
                _ => n as f64 / 8.0 + offset,
            });
            Series::new(labels, Arc::clone(&times), values.collect()).unwrap()
        };
        vec![
            series(Labels::metric("up", &[("a", "\"\\\n"), ("b", "é")]), 0.0),
            series(Labels::metric("up", &[]), 0.5),
            series(Labels::metric("lag", &[]), 0.25),
        ]
    }

    fn bytes(source: &Vec<Series>, matchers: &[Matcher]) -> Vec<u8> {
        let mut out = Vec::new();
        write(source, matchers, ALL, &mut out).unwrap();
        out
    }

    #[test]
    fn every_row_is_read_back_across_row_groups() {
        let count = GROUP_ROWS / 2;
        let source = source(count);
        let mut file = Vec::new();
        let written = write(&source, &[], ALL, &mut file).unwrap();
        assert_eq!(
            (written.series, written.samples, written.stale),
            (3, 3 * (count as u64 - 1), 3)
        );
        let reader = SerializedFileReader::new(::bytes::Bytes::from(file)).unwrap();
        assert_eq!(reader.num_row_groups(), 2);
        assert_eq!(reader.metadata().file_metadata().created_by(), Some("phasegate"));
        let mut rows = reader.get_row_iter(None).unwrap();
        for (metric, labels, series) in [
            ("lag", "{}", &source[2]),
            ("up", "{}", &source[1]),
            ("up", "{\"a\":\"\\\"\\\\\\u000a\",\"b\":\"é\"}", &source[0]),
        ] {
            let samples = series.times_ms().iter().zip(series.values());
            for (t_ms, value) in samples.filter(|(_, value)| !is_stale(**value)) {
                let row = rows.next().unwrap().unwrap();
                assert_eq!(row.get_string(0).unwrap(), metric);
                assert_eq!(row.get_string(1).unwrap(), labels);
                assert_eq!(row.get_timestamp_millis(2).unwrap(), *t_ms);
                assert_eq!(row.get_double(3).unwrap().to_bits(), value.to_bits());
            }
        }
        assert!(rows.next().is_none());
    }

    #[test]
    fn the_same_samples_give_the_same_bytes() {
        let (one, mut other) = (source(1_000), source(1_000));
        other.reverse();
        assert_eq!(bytes(&one, &[]), bytes(&other, &[]));
        assert_ne!(bytes(&one, &[]), bytes(&one, &[Matcher::equal("__name__", "up")]));
    }

    #[test]
    fn an_empty_selection_is_a_file_without_rows() {
        let file = bytes(&source(5), &[Matcher::equal("__name__", "none")]);
        let reader = SerializedFileReader::new(::bytes::Bytes::from(file)).unwrap();
        assert_eq!(reader.metadata().file_metadata().num_rows(), 0);
    }
}
