//! Says more about texts that the parser refuses than the parser does, and where.

/// What a text holds outside of strings and comments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    /// A name, keyword, number or duration.
    Word(&'a str),
    Symbol(char),
    /// A string that nothing closes.
    OpenString,
}

/// Why a text is refused.
pub(crate) enum Refusal {
    /// It is of the language, but not supported here.
    Unsupported { construct: &'static str, position: usize },
    /// It is not of the language.
    Syntax { reason: String, position: Option<usize> },
}

/// Looks for the cause in the text of a query that the parser refused with `reason`.
pub(crate) fn explain(text: &str, reason: String) -> Refusal {
    let tokens = tokens(text);
    unsupported(&tokens)
        .or_else(|| unbalanced(&tokens))
        .unwrap_or_else(|| Refusal::Syntax { position: named(text, &reason), reason })
}

fn unsupported(tokens: &[(usize, Token<'_>)]) -> Option<Refusal> {
    let mut brackets = 0_usize;
    let mut follows_offset = false;
    let mut in_offset = 0_usize;
    for (position, token) in tokens.iter().copied() {
        let refuse = |construct| Some(Refusal::Unsupported { construct, position });
        match token {
            Token::Word(word) if word.eq_ignore_ascii_case("anchored") => {
                return refuse("the modifier `anchored`");
            }
            Token::Word(word) if word.eq_ignore_ascii_case("smoothed") => {
                return refuse("the modifier `smoothed`");
            }
            Token::Symbol('[') => brackets += 1,
            Token::Symbol(']') => brackets = brackets.saturating_sub(1),
            Token::Symbol('(') if follows_offset || brackets > 0 => in_offset += 1,
            Token::Symbol(')') => in_offset = in_offset.saturating_sub(1),
            Token::Symbol('+' | '-' | '*' | '/' | '%' | '^') if brackets + in_offset > 0 => {
                return refuse("a duration that is an expression");
            }
            Token::Word(word)
                if (brackets + in_offset > 0 || follows_offset) && is_function(word) =>
            {
                return refuse("a duration that is an expression");
            }
            _ => {}
        }
        follows_offset = matches!(token, Token::Word(word) if word.eq_ignore_ascii_case("offset"))
            || follows_offset && matches!(token, Token::Symbol('+' | '-'));
    }
    None
}

/// Functions that durations may be made of.
fn is_function(word: &str) -> bool {
    let names = ["step", "range", "min_of", "max_of"];
    names.iter().any(|name| word.eq_ignore_ascii_case(name))
}

fn unbalanced(tokens: &[(usize, Token<'_>)]) -> Option<Refusal> {
    let mut open: Vec<(usize, char)> = Vec::new();
    for (position, token) in tokens.iter().copied() {
        let refuse = |reason: String| Some(Refusal::Syntax { reason, position: Some(position) });
        match token {
            Token::OpenString => return refuse("the string is not closed".to_owned()),
            Token::Symbol(opening @ ('(' | '[' | '{')) => open.push((position, opening)),
            Token::Symbol(closing @ (')' | ']' | '}')) => {
                let expected = match closing {
                    ')' => '(',
                    ']' => '[',
                    _ => '{',
                };
                match open.pop() {
                    Some((_, opening)) if opening == expected => {}
                    Some((_, opening)) => {
                        return refuse(format!("`{closing}` closes `{opening}`"));
                    }
                    None => return refuse(format!("`{closing}` closes nothing")),
                }
            }
            _ => {}
        }
    }
    let (position, opening) = open.pop()?;
    let reason = format!("`{opening}` is not closed");
    Some(Refusal::Syntax { reason, position: Some(position) })
}

/// The place of what the parser quotes, if it stands in the text exactly once.
fn named(text: &str, reason: &str) -> Option<usize> {
    if reason.contains("unexpected end") {
        return Some(text.len());
    }
    ['\'', '"', '`'].iter().find_map(|quote| {
        let quoted = reason.split(*quote).nth(1).filter(|quoted| !quoted.is_empty())?;
        let mut places = text.match_indices(quoted).map(|(at, _)| at);
        let first = places.next()?;
        places.next().is_none().then_some(first)
    })
}

fn tokens(text: &str) -> Vec<(usize, Token<'_>)> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        let length = match first {
            '"' | '\'' | '`' => string_length(rest).unwrap_or_else(|| {
                tokens.push((at, Token::OpenString));
                rest.len()
            }),
            '#' => rest.find('\n').unwrap_or(rest.len()),
            c if is_word(c) => {
                let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
                tokens.push((at, Token::Word(&rest[..length])));
                length
            }
            c => {
                if !c.is_whitespace() {
                    tokens.push((at, Token::Symbol(c)));
                }
                c.len_utf8()
            }
        };
        at += length;
    }
    tokens
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '.')
}

/// The length of a string with its quotes; `None` when nothing closes it.
fn string_length(text: &str) -> Option<usize> {
    let mut chars = text.char_indices();
    let (_, quote) = chars.next()?;
    while let Some((at, c)) = chars.next() {
        if c == quote {
            return Some(at + c.len_utf8());
        }
        if c == '\\' && quote != '`' {
            chars.next();
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{Refusal, explain};

    #[test]
    fn the_cause_is_found_with_its_place() {
        for (text, reason, place) in [
            ("sum(rate(x[5m])", "`(` is not closed", 3),
            ("sum(x))", "`)` closes nothing", 6),
            ("x{a=\"1\"]", "`]` closes `{`", 7),
            ("x{a=\"1}", "the string is not closed", 4),
            ("ü + sum(", "`(` is not closed", 8),
            ("x # (\n + {", "`{` is not closed", 9),
        ] {
            match explain(text, "invalid".to_owned()) {
                Refusal::Syntax { reason: found, position } => {
                    assert_eq!((found.as_str(), position), (reason, Some(place)), "{text}");
                }
                Refusal::Unsupported { construct, .. } => panic!("{text}: {construct}"),
            }
        }
    }
}
