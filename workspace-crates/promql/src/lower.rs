//! From the parser's tree to ours, refusing what is not supported.

use std::time::{Duration as StdDuration, SystemTime};

use promql_parser::label::{MatchOp, Matcher as ParsedMatcher, Matchers};
use promql_parser::parser::token::*;
use promql_parser::parser::value::ValueType;
use promql_parser::parser::{
    AggregateExpr, AtModifier, BinaryExpr, Call, Expr, LabelModifier, Offset, SubqueryExpr,
    VectorMatchCardinality, VectorSelector,
};
use samples::{METRIC_NAME, Matcher};

use crate::ast::{
    Aggregate, Aggregation, At, Binary, By, Grouping, Matching, Node, Operator, Selector, Shift,
    Subquery,
};
use crate::error::{Place, QueryError};
use crate::function::Function;
use crate::query::ValueKind;
use crate::syntax::{self, Refusal};

const LENGTH_MAX: usize = 4_096;
const DEPTH_MAX: usize = 64;
/// A hundred years: no window is longer, and sums of times stay far from overflow.
const DURATION_MS_MAX: i64 = 100 * 366 * 86_400_000;

pub(crate) fn lower(
    text: &str,
    subquery_step_ms: Option<i64>,
) -> Result<(Node, ValueKind), QueryError> {
    let lowering = Lowering { text, subquery_step_ms };
    lowering.check_size()?;
    crate::guard::check(text).map_err(|reason| lowering.refused(reason.to_owned()))?;
    let parsed = lowering.parse()?;
    let kind = match parsed.value_type() {
        ValueType::Scalar => ValueKind::Scalar,
        ValueType::Vector => ValueKind::Vector,
        ValueType::Matrix => ValueKind::Matrix,
        ValueType::String => ValueKind::Text,
    };
    Ok((lowering.node(&parsed, 0)?, kind))
}

struct Lowering<'a> {
    text: &'a str,
    subquery_step_ms: Option<i64>,
}

impl Lowering<'_> {
    fn shortened(&self) -> String {
        self.text.chars().take(200).collect()
    }

    fn syntax(&self, reason: String) -> QueryError {
        QueryError::Syntax { query: self.shortened(), reason, place: None }
    }

    /// Refuses `construct`, and points to `word` where the text has it.
    fn unsupported(&self, construct: String, word: &str) -> QueryError {
        self.unsupported_at(construct, self.position(word))
    }

    fn unsupported_at(&self, construct: String, position: Option<usize>) -> QueryError {
        let place = position.map(|offset| Place::of(self.text, offset));
        QueryError::Unsupported { query: self.shortened(), construct, position, place }
    }

    /// Where `word` stands as a word of its own.
    fn position(&self, word: &str) -> Option<usize> {
        let text = self.text.to_ascii_lowercase();
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let places = text.match_indices(word).map(|(at, _)| at);
        let mut whole = places.filter(|at| {
            let after = &text[at + word.len()..];
            !text[..*at].ends_with(is_part) && !after.starts_with(is_part)
        });
        whole.next().filter(|_| !word.is_empty())
    }

    /// What the parser does not say.
    fn refused(&self, reason: String) -> QueryError {
        match syntax::explain(self.text, reason) {
            Refusal::Unsupported { construct, position } => {
                self.unsupported_at(construct.to_owned(), Some(position))
            }
            Refusal::Syntax { reason, position } => {
                let place = position.map(|offset| Place::of(self.text, offset));
                QueryError::Syntax { query: self.shortened(), reason, place }
            }
        }
    }

    fn too_large(&self) -> QueryError {
        let query = self.shortened();
        QueryError::TooLarge { query, length_max: LENGTH_MAX, depth_max: DEPTH_MAX }
    }

    /// The parser recurses, so depth is bounded before it runs.
    fn check_size(&self) -> Result<(), QueryError> {
        let (mut depth, mut deepest) = (0_usize, 0);
        for byte in self.text.bytes() {
            match byte {
                b'(' | b'[' | b'{' => depth += 1,
                b')' | b']' | b'}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            deepest = deepest.max(depth);
        }
        if self.text.len() > LENGTH_MAX || deepest > DEPTH_MAX {
            return Err(self.too_large());
        }
        Ok(())
    }

    /// The guard keeps out the texts that the parser is known to panic on; a panic on any other one
    /// is that text's fault as well, and must not end the process.
    fn parse(&self) -> Result<Expr, QueryError> {
        std::panic::catch_unwind(|| promql_parser::parser::parse(self.text))
            .unwrap_or_else(|_| Err("the parser gave up".to_owned()))
            .map_err(|reason| self.refused(reason))
    }

    fn node(&self, expr: &Expr, depth: usize) -> Result<Node, QueryError> {
        if depth > 4 * DEPTH_MAX {
            return Err(self.too_large());
        }
        let depth = depth + 1;
        Ok(match expr {
            Expr::NumberLiteral(number) => Node::Number(number.val),
            Expr::StringLiteral(text) => Node::Text(text.val.clone()),
            Expr::Paren(paren) => self.node(&paren.expr, depth)?,
            Expr::Unary(unary) => Node::Negate(Box::new(self.node(&unary.expr, depth)?)),
            Expr::VectorSelector(selector) => Node::Selector(self.selector(selector)?),
            Expr::MatrixSelector(matrix) => {
                Node::Range(self.selector(&matrix.vs)?, self.range_ms(matrix.range)?)
            }
            Expr::Subquery(subquery) => Node::Subquery(Box::new(self.subquery(subquery, depth)?)),
            Expr::Binary(binary) => Node::Binary(Box::new(self.binary(binary, depth)?)),
            Expr::Aggregate(aggregate) => {
                Node::Aggregate(Box::new(self.aggregate(aggregate, depth)?))
            }
            Expr::Call(call) => self.call(call, depth)?,
            Expr::Extension(_) => {
                return Err(self.unsupported("an extension of the grammar".to_owned(), ""));
            }
        })
    }

    fn duration_ms(&self, duration: StdDuration) -> Result<i64, QueryError> {
        match i64::try_from(duration.as_millis()) {
            Ok(ms) if ms <= DURATION_MS_MAX => Ok(ms),
            _ => Err(self.syntax("a duration is longer than a hundred years".to_owned())),
        }
    }

    fn range_ms(&self, duration: StdDuration) -> Result<i64, QueryError> {
        match self.duration_ms(duration)? {
            0 => Err(self.syntax("a range is shorter than a millisecond".to_owned())),
            ms => Ok(ms),
        }
    }

    fn shift(&self, at: Option<&AtModifier>, offset: Option<&Offset>) -> Result<Shift, QueryError> {
        let offset_ms = match offset {
            None => 0,
            Some(Offset::Pos(duration)) => self.duration_ms(*duration)?,
            Some(Offset::Neg(duration)) => -self.duration_ms(*duration)?,
        };
        let at = match at {
            None => None,
            Some(AtModifier::Start) => Some(At::Start),
            Some(AtModifier::End) => Some(At::End),
            Some(AtModifier::At(time)) => Some(At::Ms(self.unix_ms(*time)?)),
        };
        Ok(Shift { at, offset_ms })
    }

    fn unix_ms(&self, time: SystemTime) -> Result<i64, QueryError> {
        let (distance, sign) = match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => (after, 1),
            Err(before) => (before.duration(), -1),
        };
        match i64::try_from(distance.as_millis()) {
            Ok(ms) if ms <= 1 << 53 => Ok(sign * ms),
            _ => Err(self.syntax("the time after `@` is out of range".to_owned())),
        }
    }

    fn selector(&self, parsed: &VectorSelector) -> Result<Selector, QueryError> {
        let Matchers { matchers, or_matchers } = &parsed.matchers;
        if !or_matchers.is_empty() {
            return Err(self.unsupported("`or` between matchers".to_owned(), "or"));
        }
        let name = parsed.name.iter().map(|name| Ok(Matcher::equal(METRIC_NAME, name)));
        let matchers = name.chain(matchers.iter().map(|m| self.matcher(m)));
        let shift = self.shift(parsed.at.as_ref(), parsed.offset.as_ref())?;
        Ok(Selector { matchers: matchers.collect::<Result<_, _>>()?, shift })
    }

    fn matcher(&self, parsed: &ParsedMatcher) -> Result<Matcher, QueryError> {
        let (name, value) = (&parsed.name, &parsed.value);
        match &parsed.op {
            MatchOp::Equal => Ok(Matcher::equal(name, value)),
            MatchOp::NotEqual => Ok(Matcher::not_equal(name, value)),
            // The parser rewrites what Go accepts and Rust does not; its anchors are its own.
            MatchOp::Re(regex) => Matcher::matches(name, regex.as_str()),
            MatchOp::NotRe(regex) => Matcher::matches_not(name, regex.as_str()),
        }
        .map_err(|reason| self.syntax(reason.to_string()))
    }

    fn subquery(&self, parsed: &SubqueryExpr, depth: usize) -> Result<Subquery, QueryError> {
        let step_ms = match parsed.step {
            Some(step) => Some(self.duration_ms(step)?),
            None => self.subquery_step_ms,
        };
        let Some(step_ms) = step_ms else {
            return Err(QueryError::SubqueryWithoutStep { query: self.shortened() });
        };
        if step_ms == 0 {
            return Err(self.syntax("a subquery's step is shorter than a millisecond".to_owned()));
        }
        Ok(Subquery {
            expr: self.node(&parsed.expr, depth)?,
            range_ms: self.range_ms(parsed.range)?,
            step_ms,
            shift: self.shift(parsed.at.as_ref(), parsed.offset.as_ref())?,
        })
    }

    fn binary(&self, parsed: &BinaryExpr, depth: usize) -> Result<Binary, QueryError> {
        let operator = operator(parsed.op.id()).ok_or_else(|| {
            let symbol = parsed.op.to_string();
            self.unsupported(format!("the operator `{symbol}`"), &symbol)
        })?;
        let (mut matching, mut grouping) = (Matching::Ignoring(Vec::new()), Grouping::OneToOne);
        if let Some(modifier) = &parsed.modifier {
            if modifier.fill_values.lhs.is_some() || modifier.fill_values.rhs.is_some() {
                return Err(self.unsupported("a `fill` modifier".to_owned(), "fill"));
            }
            matching = match &modifier.matching {
                Some(LabelModifier::Include(labels)) => Matching::On(labels.labels.clone()),
                Some(LabelModifier::Exclude(labels)) => Matching::Ignoring(labels.labels.clone()),
                None => matching,
            };
            grouping = match &modifier.card {
                VectorMatchCardinality::ManyToOne(labels) => {
                    Grouping::ManyLeft(labels.labels.clone())
                }
                VectorMatchCardinality::OneToMany(labels) => {
                    Grouping::ManyRight(labels.labels.clone())
                }
                VectorMatchCardinality::OneToOne | VectorMatchCardinality::ManyToMany => grouping,
            };
        }
        Ok(Binary {
            operator,
            left: self.node(&parsed.lhs, depth)?,
            right: self.node(&parsed.rhs, depth)?,
            returns_bool: parsed.return_bool(),
            matching,
            grouping,
        })
    }

    fn aggregate(&self, parsed: &AggregateExpr, depth: usize) -> Result<Aggregate, QueryError> {
        let operator = aggregation(parsed.op.id()).ok_or_else(|| {
            let name = parsed.op.to_string();
            self.unsupported(format!("the aggregation `{name}`"), &name)
        })?;
        let by = match &parsed.modifier {
            None => By::These(Vec::new()),
            Some(LabelModifier::Include(labels)) => By::These(labels.labels.clone()),
            Some(LabelModifier::Exclude(labels)) => By::AllBut(labels.labels.clone()),
        };
        let parameter = parsed.param.as_ref().map(|p| self.node(p, depth)).transpose()?;
        Ok(Aggregate { operator, parameter, expr: self.node(&parsed.expr, depth)?, by })
    }

    fn call(&self, parsed: &Call, depth: usize) -> Result<Node, QueryError> {
        let name = parsed.func.name;
        let function = Function::named(name)
            .ok_or_else(|| self.unsupported(format!("the function `{name}`"), name))?;
        let arguments = parsed.args.args.iter().map(|argument| self.node(argument, depth));
        Ok(Node::Call(function, arguments.collect::<Result<_, _>>()?))
    }
}

fn operator(id: TokenId) -> Option<Operator> {
    Some(match id {
        T_ADD => Operator::Add,
        T_SUB => Operator::Subtract,
        T_MUL => Operator::Multiply,
        T_DIV => Operator::Divide,
        T_MOD => Operator::Modulo,
        T_POW => Operator::Power,
        T_ATAN2 => Operator::Atan2,
        T_EQLC => Operator::Equal,
        T_NEQ => Operator::NotEqual,
        T_LSS => Operator::Less,
        T_LTE => Operator::LessOrEqual,
        T_GTR => Operator::Greater,
        T_GTE => Operator::GreaterOrEqual,
        T_LAND => Operator::And,
        T_LOR => Operator::Or,
        T_LUNLESS => Operator::Unless,
        _ => return None,
    })
}

fn aggregation(id: TokenId) -> Option<Aggregation> {
    Some(match id {
        T_SUM => Aggregation::Sum,
        T_AVG => Aggregation::Avg,
        T_COUNT => Aggregation::Count,
        T_MIN => Aggregation::Min,
        T_MAX => Aggregation::Max,
        T_GROUP => Aggregation::Group,
        T_STDDEV => Aggregation::Stddev,
        T_STDVAR => Aggregation::Stdvar,
        T_TOPK => Aggregation::TopK,
        T_BOTTOMK => Aggregation::BottomK,
        T_QUANTILE => Aggregation::Quantile,
        T_COUNT_VALUES => Aggregation::CountValues,
        T_LIMITK => Aggregation::LimitK,
        T_LIMIT_RATIO => Aggregation::LimitRatio,
        _ => return None,
    })
}
