//! The form in which queries are evaluated: checked, without parentheses, times in milliseconds.

use samples::Matcher;

use crate::function::Function;

#[derive(Debug, Clone)]
pub(crate) enum Node {
    Number(f64),
    Text(String),
    Selector(Selector),
    Range(Selector, i64),
    Subquery(Box<Subquery>),
    Negate(Box<Node>),
    Binary(Box<Binary>),
    Aggregate(Box<Aggregate>),
    Call(Function, Vec<Node>),
}

impl Node {
    /// Whether it gives one number for each step, and no vector.
    pub(crate) fn is_scalar(&self) -> bool {
        match self {
            Self::Number(_) => true,
            Self::Negate(inner) => inner.is_scalar(),
            Self::Binary(binary) => binary.left.is_scalar() && binary.right.is_scalar(),
            Self::Call(function, _) => function.is_scalar(),
            _ => false,
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Selector {
    pub(crate) matchers: Vec<Matcher>,
    pub(crate) shift: Shift,
}

#[derive(Debug, Clone)]
pub(crate) struct Subquery {
    pub(crate) expr: Node,
    pub(crate) range_ms: i64,
    pub(crate) step_ms: i64,
    pub(crate) shift: Shift,
}

/// The `@` and `offset` modifiers.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Shift {
    pub(crate) at: Option<At>,
    pub(crate) offset_ms: i64,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum At {
    Start,
    End,
    Ms(i64),
}

#[derive(Debug, Clone)]
pub(crate) struct Binary {
    pub(crate) operator: Operator,
    pub(crate) left: Node,
    pub(crate) right: Node,
    /// Whether comparisons give 0 or 1 instead of filtering.
    pub(crate) returns_bool: bool,
    pub(crate) matching: Matching,
    pub(crate) grouping: Grouping,
}

impl Binary {
    /// Whether values that do not satisfy the comparison disappear.
    pub(crate) fn filters(&self) -> bool {
        self.operator.is_comparison() && !self.returns_bool
    }
}

#[derive(Debug, Clone)]
pub(crate) enum Matching {
    On(Vec<String>),
    Ignoring(Vec<String>),
}

/// Which side may have many series per group, and the labels taken from the other side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Grouping {
    OneToOne,
    ManyLeft(Vec<String>),
    ManyRight(Vec<String>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Power,
    Atan2,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    And,
    Or,
    Unless,
}

impl Operator {
    pub(crate) fn is_comparison(self) -> bool {
        use Operator::*;
        matches!(self, Equal | NotEqual | Less | LessOrEqual | Greater | GreaterOrEqual)
    }

    pub(crate) fn is_set(self) -> bool {
        matches!(self, Self::And | Self::Or | Self::Unless)
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Aggregate {
    pub(crate) operator: Aggregation,
    pub(crate) parameter: Option<Node>,
    pub(crate) expr: Node,
    pub(crate) by: By,
}

#[derive(Debug, Clone)]
pub(crate) enum By {
    These(Vec<String>),
    AllBut(Vec<String>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aggregation {
    Sum,
    Avg,
    Count,
    Min,
    Max,
    Group,
    Stddev,
    Stdvar,
    TopK,
    BottomK,
    Quantile,
    CountValues,
    LimitK,
    LimitRatio,
}
