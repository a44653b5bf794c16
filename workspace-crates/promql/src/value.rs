use samples::Labels;

/// One value of a series at the time of an evaluation.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Milliseconds since the Unix epoch.
    pub t_ms: i64,
    /// The value; NaN and infinities are values.
    pub value: f64,
}

/// One element of an instant vector.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// What identifies the element.
    pub labels: Labels,
    /// The time of the evaluation, in milliseconds since the Unix epoch.
    pub t_ms: i64,
    /// The value; NaN and infinities are values.
    pub value: f64,
}

/// One series of a range result.
#[derive(Debug, Clone, PartialEq)]
pub struct MatrixSeries {
    /// What identifies the series.
    pub labels: Labels,
    /// Its points in time; a step at which the series is absent has none. Never empty.
    pub points: Vec<Point>,
}

/// The result of a query over a range: its series, sorted by labels.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Matrix {
    /// The series; none when nothing was selected, which is missing data and not a zero.
    pub series: Vec<MatrixSeries>,
}

impl Matrix {
    /// The only series, if there is exactly one.
    #[must_use]
    pub fn single(&self) -> Option<&MatrixSeries> {
        match self.series.as_slice() {
            [series] => Some(series),
            _ => None,
        }
    }
}

/// The result of a query at one instant.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A number.
    Scalar(Point),
    /// Elements, sorted by labels unless the query sorts them.
    Vector(Vec<Sample>),
    /// The samples themselves, of a query that is a range selector or a subquery.
    Matrix(Matrix),
    /// A text.
    Text(String),
}
