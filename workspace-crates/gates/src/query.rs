//! PromQL as gates use it: checked when the definition is, and split so that missing data shows.

use base::Duration;
use diagnostics::{Diagnostic, codes};
use promql::{Query, ValueKind};
use promql_parser::label::{MatchOp, Matcher as Labelled};
use promql_parser::parser::{
    AtModifier, BinaryExpr, Call, Expr, Offset, SubqueryExpr, VectorSelector, value::ValueType,
};
use samples::{METRIC_NAME, Matcher};

/// Functions that read every fall of a series as a restart of its counter.
const COUNTER_FUNCTIONS: [&str; 3] = ["rate", "increase", "irate"];
/// How the names of counters end.
const COUNTER_SUFFIXES: [&str; 4] = ["_total", "_count", "_sum", "_bucket"];

/// A query with what it takes to tell a value from a guess.
#[derive(Debug, Clone)]
pub(crate) struct GateQuery {
    pub(crate) query: Query,
    /// The two sides of a comparison with `bool` at the top, one of them a plain number.
    pub(crate) sides: Option<Sides>,
    pub(crate) presence: Presence,
    /// How far before a point the query looks at most.
    pub(crate) reach: Duration,
}

/// A comparison that is evaluated side by side, so that its value is known and not only its truth.
#[derive(Debug, Clone)]
pub(crate) struct Sides {
    pub(crate) left: Query,
    pub(crate) comparison: Comparison,
    pub(crate) right: Query,
}

/// A comparison of two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
}

impl Comparison {
    fn from_symbol(symbol: &str) -> Option<Self> {
        Some(match symbol {
            "<" => Self::Less,
            "<=" => Self::LessOrEqual,
            ">" => Self::Greater,
            ">=" => Self::GreaterOrEqual,
            "==" => Self::Equal,
            "!=" => Self::NotEqual,
            _ => return None,
        })
    }

    pub(crate) fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
            Self::Equal => left == right,
            Self::NotEqual => left != right,
        }
    }
}

/// Which samples must be there for a value to be more than a guess.
#[derive(Debug, Clone)]
pub(crate) enum Presence {
    Selector(Selector),
    Subquery(Box<Subquery>),
    All(Vec<Presence>),
    Any(Vec<Presence>),
}

/// A selector; a range selector needs a fresh sample just like an instant one.
#[derive(Debug, Clone)]
pub(crate) struct Selector {
    /// Its text without modifiers.
    pub(crate) text: String,
    pub(crate) matchers: Vec<Matcher>,
    pub(crate) offset: Duration,
}

/// A subquery: its inner query must have values at its own steps.
#[derive(Debug, Clone)]
pub(crate) struct Subquery {
    pub(crate) inner: GateQuery,
    pub(crate) range: Duration,
    pub(crate) step: Duration,
    pub(crate) offset: Duration,
}

/// What a query is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A number over time.
    Value,
    /// True (1) or false (0).
    Condition,
}

/// What is wrong with a query, and its cure.
struct Fault {
    message: String,
    help: Option<&'static str>,
}

impl Fault {
    fn new(message: impl Into<String>, help: &'static str) -> Self {
        Self { message: message.into(), help: Some(help) }
    }
}

/// Reads a query. `counters` are names of counters that do not end as counters do; `problem`
/// makes a diagnostic at the place of the query.
pub(crate) fn parse(
    text: &str,
    purpose: Purpose,
    counters: &[String],
    problem: &dyn Fn(&'static str, String) -> Diagnostic,
) -> Result<GateQuery, Vec<Diagnostic>> {
    let mut walk = Walk { counters, faults: Vec::new() };
    let parsed = walk.query(text, purpose);
    match parsed {
        Some(query) if walk.faults.is_empty() => Ok(query),
        _ => Err(walk
            .faults
            .into_iter()
            .map(|fault| problem(codes::BAD_QUERY, fault.message).help_if(fault.help))
            .collect()),
    }
}

impl GateQuery {
    /// The text as it stands in the definition.
    pub(crate) fn text(&self) -> &str {
        self.query.text()
    }

    /// The metrics that it names, sorted.
    pub(crate) fn metrics(&self) -> Vec<String> {
        self.query.metric_names().into_iter().collect()
    }
}

/// One walk over a query, collecting every fault.
struct Walk<'a> {
    counters: &'a [String],
    faults: Vec<Fault>,
}

impl Walk<'_> {
    fn query(&mut self, text: &str, purpose: Purpose) -> Option<GateQuery> {
        // Ours goes first: it bounds the size before the other parser recurses.
        let query = match Query::parse(text) {
            Ok(query) => query,
            Err(error) => {
                self.faults.push(Fault { message: error.to_string(), help: None });
                return None;
            }
        };
        if !matches!(query.kind(), ValueKind::Vector | ValueKind::Scalar) {
            self.faults.push(Fault::new(
                format!("`{text}` gives samples or a text, not a number"),
                "apply a function such as `rate` or `max_over_time`",
            ));
            return None;
        }
        if purpose == Purpose::Condition && query.is_comparison() && !query.is_boolean() {
            self.faults.push(Fault::new(
                format!("`{text}` is empty where it is false, which looks like missing data"),
                "write `bool` after the comparison, such as `< bool 4`",
            ));
        }
        let Ok(expr) = promql_parser::parser::parse(text) else {
            self.faults.push(Fault { message: format!("`{text}` is not PromQL"), help: None });
            return None;
        };
        let mut reach = Duration::ZERO;
        let Some(presence) = self.presence(&expr, &mut reach) else {
            self.faults.push(Fault::new(
                format!("`{text}` reads no metric, so it says nothing about the network"),
                "name at least one metric",
            ));
            return None;
        };
        let sides = if purpose == Purpose::Condition { sides(&expr) } else { None };
        Some(GateQuery { query, sides, presence, reach })
    }

    /// What must be there for `expr`; `None` when it reads nothing.
    fn presence(&mut self, expr: &Expr, reach: &mut Duration) -> Option<Presence> {
        match expr {
            Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => None,
            Expr::Paren(paren) => self.presence(&paren.expr, reach),
            Expr::Unary(unary) => self.presence(&unary.expr, reach),
            Expr::VectorSelector(selector) => self.selector(selector, Duration::ZERO, reach),
            Expr::MatrixSelector(matrix) => {
                self.selector(&matrix.vs, from_std(matrix.range), reach)
            }
            Expr::Subquery(subquery) => self.subquery(subquery, reach),
            Expr::Aggregate(aggregate) => {
                let parts = [aggregate.param.as_deref(), Some(&aggregate.expr)];
                self.all(parts.into_iter().flatten(), reach)
            }
            Expr::Call(call) => self.call(call, reach),
            Expr::Binary(binary) => self.binary(binary, reach),
        }
    }

    fn all<'e>(
        &mut self,
        parts: impl Iterator<Item = &'e Expr>,
        reach: &mut Duration,
    ) -> Option<Presence> {
        let mut present: Vec<Presence> = parts.filter_map(|e| self.presence(e, reach)).collect();
        if present.len() > 1 { Some(Presence::All(present)) } else { present.pop() }
    }

    fn selector(
        &mut self,
        selector: &VectorSelector,
        range: Duration,
        reach: &mut Duration,
    ) -> Option<Presence> {
        let offset = self.offset(selector.at.as_ref(), selector.offset.as_ref());
        *reach = (*reach).max(range + offset);
        let text = bare_text(selector);
        match matchers(selector) {
            Ok(matchers) => Some(Presence::Selector(Selector { text, matchers, offset })),
            Err(message) => {
                self.faults.push(Fault { message, help: None });
                None
            }
        }
    }

    fn offset(&mut self, at: Option<&AtModifier>, offset: Option<&Offset>) -> Duration {
        if at.is_some() {
            self.faults.push(Fault::new(
                "a gate's query cannot fix its time with `@`",
                "leave `@` out; the gate's window says which time is judged",
            ));
        }
        match offset {
            None => Duration::ZERO,
            Some(Offset::Pos(length)) => from_std(*length),
            Some(Offset::Neg(_)) => {
                self.faults.push(Fault::new(
                    "a gate's query cannot look ahead with a negative offset",
                    "leave the offset out",
                ));
                Duration::ZERO
            }
        }
    }

    fn subquery(&mut self, subquery: &SubqueryExpr, reach: &mut Duration) -> Option<Presence> {
        let offset = self.offset(subquery.at.as_ref(), subquery.offset.as_ref());
        // `Query::parse` has refused subqueries without a step.
        let step = from_std(subquery.step?);
        let range = from_std(subquery.range);
        let inner = self.query(&subquery.expr.to_string(), Purpose::Value)?;
        *reach = (*reach).max(range + offset + inner.reach);
        Some(Presence::Subquery(Box::new(Subquery { inner, range, step, offset })))
    }

    fn call(&mut self, call: &Call, reach: &mut Duration) -> Option<Presence> {
        let name = call.func.name;
        if name.starts_with("absent") {
            self.faults.push(Fault::new(
                format!("`{name}` answers with data where data is missing"),
                "leave it out: a gate is inconclusive by itself when data is missing",
            ));
        }
        if COUNTER_FUNCTIONS.contains(&name) {
            call.args.args.iter().for_each(|argument| self.counter(name, argument));
        }
        self.all(call.args.args.iter().map(AsRef::as_ref), reach)
    }

    /// Refuses `increase(height[1h])`: it reads the fall of a height in a reorg as growth.
    fn counter(&mut self, function: &str, argument: &Expr) {
        let Expr::MatrixSelector(matrix) = argument else { return };
        let Some(name) = metric_name(&matrix.vs) else { return };
        let is_counter = COUNTER_SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
            || self.counters.contains(&name);
        if !is_counter {
            self.faults.push(Fault::new(
                format!("`{function}` reads every fall of `{name}` as growth, and by its name it is no counter"),
                "use `delta` for a gauge, or list the metric in `counters` when it only ever grows",
            ));
        }
    }

    fn binary(&mut self, binary: &BinaryExpr, reach: &mut Duration) -> Option<Presence> {
        if binary.op.to_string() != "or" {
            return self.all([&*binary.lhs, &*binary.rhs].into_iter(), reach);
        }
        let sides = [self.presence(&binary.lhs, reach), self.presence(&binary.rhs, reach)];
        if sides.iter().any(Option::is_none) {
            self.faults.push(Fault::new(
                "`or` with a fixed value invents data where data is missing",
                "leave the fixed value out: a gate is inconclusive by itself when data is missing",
            ));
        }
        Some(Presence::Any(sides.into_iter().flatten().collect()))
    }
}

/// The sides of a comparison at the top, when it can be evaluated side by side: against a plain
/// number no labels have to match.
fn sides(expr: &Expr) -> Option<Sides> {
    let binary = match expr {
        Expr::Paren(paren) => return sides(&paren.expr),
        Expr::Binary(binary) if binary.return_bool() => binary,
        _ => return None,
    };
    let comparison = Comparison::from_symbol(&binary.op.to_string())?;
    let is_scalar = |side: &Expr| side.value_type() == ValueType::Scalar;
    if !is_scalar(&binary.lhs) && !is_scalar(&binary.rhs) {
        return None;
    }
    Some(Sides { left: side(&binary.lhs)?, comparison, right: side(&binary.rhs)? })
}

/// One side as a query of its own, if its printed form means the same.
fn side(expr: &Expr) -> Option<Query> {
    let text = expr.to_string();
    let reread = promql_parser::parser::parse(&text).ok()?;
    if reread != *expr {
        return None;
    }
    Query::parse(&text).ok()
}

/// The selector in PromQL, without its modifiers, as servers are asked.
fn bare_text(selector: &VectorSelector) -> String {
    let is_plain = |name: &str| {
        let mut chars = name.chars();
        chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_' || c == ':')
            && chars.all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
    };
    let plain = selector.name.as_deref().filter(|name| is_plain(name));
    let quoted = selector.name.as_deref().filter(|name| !is_plain(name));
    let named = quoted.map(|name| Labelled::new(MatchOp::Equal, METRIC_NAME, name).to_string());
    let others = selector.matchers.matchers.iter().map(ToString::to_string);
    let matchers = named.into_iter().chain(others).collect::<Vec<_>>().join(",");
    match (plain, matchers.is_empty()) {
        (Some(name), true) => name.to_owned(),
        (name, _) => format!("{}{{{matchers}}}", name.unwrap_or_default()),
    }
}

fn metric_name(selector: &VectorSelector) -> Option<String> {
    let exact = |m: &&promql_parser::label::Matcher| {
        m.name == METRIC_NAME && matches!(m.op, MatchOp::Equal)
    };
    selector
        .name
        .clone()
        .or_else(|| selector.matchers.matchers.iter().find(exact).map(|m| m.value.clone()))
}

fn matchers(selector: &VectorSelector) -> Result<Vec<Matcher>, String> {
    let name = selector.name.iter().map(|name| Ok(Matcher::equal(METRIC_NAME, name)));
    let labels = selector.matchers.matchers.iter().map(|parsed| {
        let (name, value) = (&parsed.name, &parsed.value);
        match &parsed.op {
            MatchOp::Equal => Ok(Matcher::equal(name, value)),
            MatchOp::NotEqual => Ok(Matcher::not_equal(name, value)),
            MatchOp::Re(pattern) => Matcher::matches(name, pattern.as_str()),
            MatchOp::NotRe(pattern) => Matcher::matches_not(name, pattern.as_str()),
        }
        .map_err(|e| e.to_string())
    });
    name.chain(labels).collect()
}

fn from_std(length: std::time::Duration) -> Duration {
    Duration::from_micros(i64::try_from(length.as_micros()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests;
