use std::collections::BTreeSet;

/// A remark on a result that is a value nevertheless.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Annotation {
    /// A parameter of a quantile lies outside of 0 to 1, or is not a number.
    QuantileOutOfRange {
        /// The parameter, as text.
        value: String,
    },
    /// The parameter of `limit_ratio` lies outside of -1 to 1.
    RatioOutOfRange {
        /// The parameter, as text.
        value: String,
        /// What was taken instead, as text.
        capped: String,
    },
    /// A bucket of a classic histogram has no readable upper bound, and was left out.
    BadBucketLabel {
        /// The metric's name; empty when it has none.
        metric: String,
        /// The value of the label `le`.
        label: String,
    },
    /// `sort` and the like have no effect on a range.
    SortIneffective,
    /// `rate` or `increase` of a metric whose name is not that of a counter.
    MaybeNoCounter {
        /// The metric's name.
        metric: String,
    },
    /// `rate` or `increase` of a metric whose label `__type__` says that it is no counter.
    NoCounterType {
        /// The metric's name.
        metric: String,
        /// The value of the label `__type__`.
        kind: String,
    },
    /// The counts of a classic histogram fell from one bucket to the next and were evened out.
    ForcedMonotonic {
        /// The metric's name; empty when it has none.
        metric: String,
    },
}

impl Annotation {
    /// Whether the result is likely not what was meant; otherwise it is only worth knowing.
    #[must_use]
    pub fn is_warning(&self) -> bool {
        match self {
            Self::QuantileOutOfRange { .. }
            | Self::RatioOutOfRange { .. }
            | Self::BadBucketLabel { .. }
            | Self::SortIneffective => true,
            Self::MaybeNoCounter { .. }
            | Self::NoCounterType { .. }
            | Self::ForcedMonotonic { .. } => false,
        }
    }
}

impl std::fmt::Display for Annotation {
    /// The words of Prometheus, so that people find them again.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let level = if self.is_warning() { "warning" } else { "info" };
        write!(f, "PromQL {level}: ")?;
        match self {
            Self::QuantileOutOfRange { value } => {
                write!(f, "quantile value should be between 0 and 1, got {value}")
            }
            Self::RatioOutOfRange { value, capped } => write!(
                f,
                "ratio value should be between -1 and 1, got {value}, capping to {capped}"
            ),
            Self::BadBucketLabel { metric, label } => write!(
                f,
                "bucket label \"le\" is missing or has a malformed value of {label:?}{}",
                of_metric(metric)
            ),
            Self::SortIneffective => f.write_str(
                "sort is ineffective for range queries since results are always ordered by labels",
            ),
            Self::MaybeNoCounter { metric } => write!(
                f,
                "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: \
                 {metric:?}"
            ),
            Self::NoCounterType { metric, kind } => write!(
                f,
                "metric might not be a counter, __type__ label is not set to \"counter\" or \
                 \"histogram\", got {kind:?}: {metric:?}"
            ),
            Self::ForcedMonotonic { metric } => write!(
                f,
                "input to histogram_quantile needed to be fixed for monotonicity (see \
                 https://prometheus.io/docs/prometheus/latest/querying/functions/\
                 #histogram_quantile){}",
                of_metric(metric)
            ),
        }
    }
}

fn of_metric(metric: &str) -> String {
    if metric.is_empty() { String::new() } else { format!(" for metric name {metric:?}") }
}

/// The remarks on a result, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Annotations(BTreeSet<Annotation>);

impl Annotations {
    pub(crate) fn insert(&mut self, annotation: Annotation) {
        self.0.insert(annotation);
    }

    /// The warnings: the result is likely not what was meant.
    pub fn warnings(&self) -> impl Iterator<Item = &Annotation> {
        self.0.iter().filter(|annotation| annotation.is_warning())
    }

    /// The remarks that are only worth knowing.
    pub fn infos(&self) -> impl Iterator<Item = &Annotation> {
        self.0.iter().filter(|annotation| !annotation.is_warning())
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A result with the remarks on it.
#[derive(Debug, Clone, PartialEq)]
pub struct Annotated<T> {
    /// The result.
    pub value: T,
    /// What is remarkable about it.
    pub annotations: Annotations,
}
