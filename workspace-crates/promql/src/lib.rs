//! PromQL evaluator over any sample source.
//!
//! Gates judge with PromQL: over HTTP where a Prometheus-compatible server is at hand, and with this
//! evaluator where none is. It has the float language of Prometheus 3: range windows and the
//! 5-minute look-back are open on the left, staleness markers end a series, NaN is a value. Metric
//! names are dropped at the end of a query (Prometheus' `promql-delayed-name-removal`).
//!
//! Not supported, and refused by [`Query::parse`] with a reason: native histograms, `info`,
//! `anchored` and `smoothed`, `fill` modifiers, durations that are expressions, start timestamps,
//! and subqueries that do not state their step.
//!
//! Architecture invariant: this crate reads no clock and performs no I/O. Samples come from a
//! [`samples::SampleSource`], a deadline from [`Limits::deadline`].

mod accumulate;
mod aggregate;
mod annotation;
mod ast;
mod binary;
mod call;
mod change;
mod column;
mod context;
mod error;
mod eval;
mod extrapolate;
mod function;
mod guard;
mod histogram;
mod label_functions;
mod limits;
mod lower;
mod matching;
mod number;
mod order;
mod plan;
mod query;
mod rank;
mod regression;
mod select;
mod stream;
mod time_functions;
mod value;
mod window;
mod window_functions;

pub use annotation::{Annotated, Annotation, Annotations};
pub use error::{EvalError, Failure, QueryError};
pub use eval::{instant, instant_annotated, range, range_annotated};
pub use limits::{Asked, Limits};
pub use query::{Query, ValueKind};
pub use value::{Matrix, MatrixSeries, Point, Sample, Value};
