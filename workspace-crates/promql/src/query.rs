use std::collections::BTreeSet;

use base::Duration;
use samples::METRIC_NAME;

use crate::ast::{Node, Operator, Selector};
use crate::error::QueryError;
use crate::lower;

/// What a query gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueKind {
    /// A number.
    Scalar,
    /// An instant vector.
    Vector,
    /// A range vector: samples themselves. It cannot be evaluated over a range.
    Matrix,
    /// A text. It cannot be evaluated over a range.
    Text,
}

/// A checked query: everything in it can be evaluated.
#[derive(Debug, Clone)]
pub struct Query {
    text: String,
    pub(crate) root: Node,
    kind: ValueKind,
}

impl Query {
    /// Reads and checks a query.
    ///
    /// # Errors
    /// When the text is not PromQL, uses something that this crate does not evaluate, has a
    /// subquery without a step, or is larger than 4,096 bytes or 64 levels.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        Self::parse_with(text, None)
    }

    /// As [`Query::parse`], with a step for subqueries that state none. Servers take it from their
    /// configuration, so a query that has to mean the same everywhere states it.
    ///
    /// # Errors
    /// As [`Query::parse`].
    pub fn parse_with_subquery_step(text: &str, step: Duration) -> Result<Self, QueryError> {
        Self::parse_with(text, Some(step.millis().max(1)))
    }

    fn parse_with(text: &str, subquery_step_ms: Option<i64>) -> Result<Self, QueryError> {
        let (root, kind) = lower::lower(text, subquery_step_ms)?;
        Ok(Self { text: text.to_owned(), root, kind })
    }

    /// The text as it was given.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What the query gives.
    #[must_use]
    pub fn kind(&self) -> ValueKind {
        self.kind
    }

    /// The metric names that the selectors name. Selectors by pattern only add nothing.
    #[must_use]
    pub fn metric_names(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        visit(&self.root, &mut |node| {
            if let Node::Selector(selector) | Node::Range(selector, _) = node {
                names.extend(metric_name(selector));
            }
        });
        names
    }

    /// Whether the result answers yes or no: a comparison (also with `bool`), or set operators on
    /// such. Without `bool`, "no" is an absent element: then missing data and "no" look the same.
    #[must_use]
    pub fn is_comparison(&self) -> bool {
        is_comparison(&self.root)
    }

    /// Whether the result is 0 or 1 at the top: a comparison with `bool`.
    #[must_use]
    pub fn is_boolean(&self) -> bool {
        matches!(&self.root, Node::Binary(binary) if binary.returns_bool)
    }
}

fn metric_name(selector: &Selector) -> Option<String> {
    let named = |m: &&samples::Matcher| m.name() == METRIC_NAME;
    selector.matchers.iter().find(named)?.exact_value().map(str::to_owned)
}

fn is_comparison(node: &Node) -> bool {
    let Node::Binary(binary) = node else { return false };
    match binary.operator {
        Operator::And | Operator::Unless => is_comparison(&binary.left),
        Operator::Or => is_comparison(&binary.left) && is_comparison(&binary.right),
        operator => operator.is_comparison(),
    }
}

fn visit(node: &Node, see: &mut impl FnMut(&Node)) {
    see(node);
    match node {
        Node::Number(_) | Node::Text(_) | Node::Selector(_) | Node::Range(..) => {}
        Node::Subquery(subquery) => visit(&subquery.expr, see),
        Node::Negate(inner) => visit(inner, see),
        Node::Binary(binary) => {
            visit(&binary.left, see);
            visit(&binary.right, see);
        }
        Node::Aggregate(aggregate) => {
            aggregate.parameter.iter().for_each(|parameter| visit(parameter, see));
            visit(&aggregate.expr, see);
        }
        Node::Call(_, arguments) => arguments.iter().for_each(|argument| visit(argument, see)),
    }
}
