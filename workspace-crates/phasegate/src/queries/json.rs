//! Results in the response format of Prometheus' HTTP API. Values are texts there, because JSON
//! has no NaN and no infinity; times are seconds with at most three decimals.

use promql::{Matrix, Point, Value};
use samples::Labels;

use super::run::Remarks;

/// The answer to a query at one instant.
pub fn instant(value: &Value, at_ms: i64, remarks: &Remarks) -> String {
    let mut out = String::new();
    let kind = match value {
        Value::Scalar(_) => "scalar",
        Value::Vector(_) => "vector",
        Value::Matrix(_) => "matrix",
        Value::Text(_) => "string",
    };
    begin(&mut out, kind);
    match value {
        Value::Scalar(point) => pair(&mut out, point),
        Value::Text(text) => {
            out.push('[');
            time(&mut out, at_ms);
            out.push(',');
            quoted(&mut out, text);
            out.push(']');
        }
        Value::Vector(samples) => list(&mut out, samples, |out, sample| {
            out.push_str("{\"metric\":");
            labels(out, &sample.labels);
            out.push_str(",\"value\":");
            pair(out, &Point { t_ms: sample.t_ms, value: sample.value });
            out.push('}');
        }),
        Value::Matrix(matrix) => series(&mut out, matrix),
    }
    end(out, remarks)
}

/// The answer to a query over a range.
pub fn range(matrix: &Matrix, remarks: &Remarks) -> String {
    let mut out = String::new();
    begin(&mut out, "matrix");
    series(&mut out, matrix);
    end(out, remarks)
}

/// A list of texts, such as the names of labels.
pub fn names<'a>(all: impl IntoIterator<Item = &'a str>, notes: &[String]) -> String {
    let mut out = String::from("{\"status\":\"success\",\"data\":");
    let all: Vec<&str> = all.into_iter().collect();
    list(&mut out, &all, |out, name| quoted(out, name));
    noted(&mut out, "warnings", notes);
    out.push('}');
    out
}

/// The labels of some series.
pub fn label_sets(all: &[&Labels], notes: &[String]) -> String {
    let mut out = String::from("{\"status\":\"success\",\"data\":");
    list(&mut out, all, |out, one| labels(out, one));
    noted(&mut out, "warnings", notes);
    out.push('}');
    out
}

/// An error.
pub fn error(kind: &str, message: &str) -> String {
    let mut out = String::from("{\"status\":\"error\",\"errorType\":");
    quoted(&mut out, kind);
    out.push_str(",\"error\":");
    quoted(&mut out, message);
    out.push('}');
    out
}

/// A value as Prometheus writes it: never rounded, `NaN`, `+Inf` and `-Inf` by name.
pub fn number(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let size = value.abs();
    if size == 0.0 || (1e-6..1e21).contains(&size) {
        return value.to_string();
    }
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(exponent) => ('-', exponent),
        None => ('+', exponent),
    };
    format!("{digits}e{sign}{exponent:0>2}")
}

fn begin(out: &mut String, kind: &str) {
    out.push_str("{\"status\":\"success\",\"data\":{\"resultType\":\"");
    out.push_str(kind);
    out.push_str("\",\"result\":");
}

fn end(mut out: String, remarks: &Remarks) -> String {
    out.push('}');
    noted(&mut out, "warnings", &remarks.warnings);
    noted(&mut out, "infos", &remarks.infos);
    out.push('}');
    out
}

fn noted(out: &mut String, kind: &str, notes: &[String]) {
    if !notes.is_empty() {
        out.push_str(&format!(",\"{kind}\":"));
        list(out, notes, |out, note| quoted(out, note));
    }
}

fn series(out: &mut String, matrix: &Matrix) {
    list(out, &matrix.series, |out, one| {
        out.push_str("{\"metric\":");
        labels(out, &one.labels);
        out.push_str(",\"values\":");
        list(out, &one.points, pair);
        out.push('}');
    });
}

fn list<T>(out: &mut String, items: &[T], mut one: impl FnMut(&mut String, &T)) {
    out.push('[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        one(out, item);
    }
    out.push(']');
}

fn labels(out: &mut String, labels: &Labels) {
    out.push('{');
    for (index, (name, value)) in labels.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        quoted(out, name);
        out.push(':');
        quoted(out, value);
    }
    out.push('}');
}

fn pair(out: &mut String, point: &Point) {
    out.push('[');
    time(out, point.t_ms);
    out.push_str(",\"");
    out.push_str(&number(point.value));
    out.push_str("\"]");
}

fn time(out: &mut String, t_ms: i64) {
    let (seconds, fraction) = (t_ms.unsigned_abs() / 1_000, t_ms.unsigned_abs() % 1_000);
    let sign = if t_ms < 0 { "-" } else { "" };
    out.push_str(&format!("{sign}{seconds}"));
    if fraction > 0 {
        out.push_str(&format!(".{fraction:03}"));
    }
}

fn quoted(out: &mut String, text: &str) {
    // A text has a JSON form whatever is in it.
    out.push_str(&serde_json::Value::from(text).to_string());
}

#[cfg(test)]
mod tests {
    use super::{error, instant, number, range};
    use crate::queries::run::Remarks;
    use promql::{Matrix, MatrixSeries, Point, Sample, Value};
    use samples::Labels;

    fn remarks(warning: &str) -> Remarks {
        Remarks { warnings: vec![warning.to_owned()], infos: vec!["so".to_owned()] }
    }

    #[test]
    fn values_are_written_as_prometheus_does() {
        let cases = [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (0.1, "0.1"),
            (1.0 / 3.0, "0.3333333333333333"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (-2.5e-7, "-2.5e-07"),
            (1e-6, "0.000001"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ];
        for (value, text) in cases {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn an_instant_vector_is_that_of_the_documentation() {
        let sample = |job: &str, value| Sample {
            labels: Labels::metric("up", &[("job", job)]),
            t_ms: 1_435_781_451_781,
            value,
        };
        let value = Value::Vector(vec![sample("prometheus", 1.0), sample("a\"b\n", f64::NAN)]);
        assert_eq!(
            instant(&value, 0, &Remarks::default()),
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"up","job":"prometheus"},"value":[1435781451.781,"1"]},{"metric":{"__name__":"up","job":"a\"b\n"},"value":[1435781451.781,"NaN"]}]}}"#
        );
    }

    #[test]
    fn the_other_kinds_have_their_own_forms() {
        let none = Remarks::default();
        let point = Point { t_ms: 1_050, value: 2.0 };
        let scalar = Value::Scalar(point.clone());
        assert!(instant(&scalar, 0, &none).contains(r#""scalar","result":[1.050,"2"]"#));
        let text = Value::Text("so".to_owned());
        assert!(instant(&text, -1_500, &none).contains(r#""string","result":[-1.500,"so"]"#));
        let matrix =
            Matrix { series: vec![MatrixSeries { labels: Labels::empty(), points: vec![point] }] };
        assert_eq!(
            range(&matrix, &remarks("less")),
            r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1.050,"2"]]}]},"warnings":["less"],"infos":["so"]}"#
        );
        assert_eq!(
            error("bad_data", "no"),
            r#"{"status":"error","errorType":"bad_data","error":"no"}"#
        );
    }

    #[test]
    fn every_answer_is_json() {
        let labels = Labels::from_pairs([("a\u{1}", "\u{7f}\\\"é")]);
        let value = Value::Vector(vec![Sample { labels, t_ms: 7, value: 1e300 }]);
        let parsed: serde_json::Value =
            serde_json::from_str(&instant(&value, 0, &remarks("\u{0}"))).unwrap();
        assert_eq!(parsed["data"]["result"][0]["metric"]["a\u{1}"], "\u{7f}\\\"é");
        assert_eq!(parsed["warnings"][0], "\u{0}");
    }
}
