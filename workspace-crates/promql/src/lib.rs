//! PromQL evaluator over any sample source.
//!
//! Gates judge with PromQL: over HTTP where a Prometheus-compatible server is at hand, and with this
//! evaluator where none is. It has the float language of Prometheus 3: range windows and the
//! 5-minute look-back are open on the left, staleness markers end a series, NaN is a value. Metric
//! names are dropped at the end of a query (Prometheus' `promql-delayed-name-removal`).
//!
//! What is not supported is refused by [`Query::parse`] by name; [`excluded`] lists it with reasons,
//! and [`functions`] what there is.
//!
//! Expressions that work on each series by itself are computed series by series, as the parts of a
//! source are read, on all cores, and folded into the aggregation around them: what is held at once
//! is one series for each core and the groups. Window functions take time in proportion to the
//! samples, or n log n (`quantile_over_time`, `mad_over_time`); only
//! `double_exponential_smoothing` looks at every sample of every window.
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
mod fresh;
mod function;
mod guard;
mod hash;
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
mod reference;
mod regression;
mod select;
mod stream;
mod syntax;
mod time_functions;
mod value;
mod window;
mod window_functions;

pub use annotation::{Annotated, Annotation, Annotations};
pub use error::{EvalError, Failure, Place, QueryError};
pub use eval::{instant, instant_annotated, range, range_annotated};
pub use limits::{Asked, Limits};
pub use query::{Query, ValueKind};
pub use reference::{Excluded, FunctionInfo, excluded, functions};
pub use value::{Matrix, MatrixSeries, Point, Sample, Value};
