//! The functions that are supported, by name.

use crate::window_functions::WindowFunction;

#[derive(Debug, Clone, Copy)]
pub(crate) enum Function {
    /// A number for each element.
    Math(fn(f64) -> f64),
    /// A property of the time that the element's value states.
    Calendar(fn(&crate::time_functions::Civil) -> f64),
    /// A number for each window of samples.
    Window(WindowFunction),
    Absent,
    AbsentOverTime,
    Clamp,
    ClampMax,
    ClampMin,
    End,
    HistogramFraction,
    HistogramQuantile,
    HistogramQuantiles,
    LabelJoin,
    LabelReplace,
    MaxOf,
    MinOf,
    Pi,
    Range,
    Round,
    Scalar,
    Sort,
    SortDesc,
    SortByLabel,
    SortByLabelDesc,
    Start,
    Step,
    Time,
    Timestamp,
    Vector,
}

impl Function {
    /// Whether it gives one number for each step, and no vector.
    pub(crate) fn is_scalar(self) -> bool {
        matches!(
            self,
            Self::End
                | Self::MaxOf
                | Self::MinOf
                | Self::Pi
                | Self::Range
                | Self::Scalar
                | Self::Start
                | Self::Step
                | Self::Time
        )
    }

    /// The function called `name`; `None` when it is not supported.
    pub(crate) fn named(name: &str) -> Option<Self> {
        math(name)
            .map(Self::Math)
            .or_else(|| crate::time_functions::named(name).map(Self::Calendar))
            .or_else(|| WindowFunction::named(name).map(Self::Window))
            .or_else(|| other(name))
    }
}

fn math(name: &str) -> Option<fn(f64) -> f64> {
    Some(match name {
        "abs" => f64::abs,
        "acos" => f64::acos,
        "acosh" => f64::acosh,
        "asin" => f64::asin,
        "asinh" => f64::asinh,
        "atan" => f64::atan,
        "atanh" => f64::atanh,
        "ceil" => f64::ceil,
        "cos" => f64::cos,
        "cosh" => f64::cosh,
        "deg" => f64::to_degrees,
        "exp" => f64::exp,
        "floor" => f64::floor,
        "ln" => f64::ln,
        "log10" => f64::log10,
        "log2" => f64::log2,
        "rad" => f64::to_radians,
        "sgn" => sign,
        "sin" => f64::sin,
        "sinh" => f64::sinh,
        "sqrt" => f64::sqrt,
        "tan" => f64::tan,
        "tanh" => f64::tanh,
        _ => return None,
    })
}

/// Unlike `f64::signum`, zero has no sign.
fn sign(value: f64) -> f64 {
    if value == 0.0 { value } else { value.signum() }
}

fn other(name: &str) -> Option<Function> {
    Some(match name {
        "absent" => Function::Absent,
        "absent_over_time" => Function::AbsentOverTime,
        "clamp" => Function::Clamp,
        "clamp_max" => Function::ClampMax,
        "clamp_min" => Function::ClampMin,
        "histogram_fraction" => Function::HistogramFraction,
        "histogram_quantile" => Function::HistogramQuantile,
        "histogram_quantiles" => Function::HistogramQuantiles,
        "label_join" => Function::LabelJoin,
        "label_replace" => Function::LabelReplace,
        "end" => Function::End,
        "max_of" => Function::MaxOf,
        "min_of" => Function::MinOf,
        "range" => Function::Range,
        "start" => Function::Start,
        "step" => Function::Step,
        "pi" => Function::Pi,
        "round" => Function::Round,
        "scalar" => Function::Scalar,
        "sort" => Function::Sort,
        "sort_desc" => Function::SortDesc,
        "sort_by_label" => Function::SortByLabel,
        "sort_by_label_desc" => Function::SortByLabelDesc,
        "time" => Function::Time,
        "timestamp" => Function::Timestamp,
        "vector" => Function::Vector,
        _ => return None,
    })
}
