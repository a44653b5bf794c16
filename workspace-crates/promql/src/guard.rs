//! Refuses texts that the parser would misread or panic on.
//!
//! promql-parser 0.11 panics on durations such as `[1e30]` or `offset inf`, drops a part of a
//! duration that has more than nine digits, and takes every escaped byte for a character.

/// Seconds in a hundred years; no duration is longer.
const SECONDS_MAX: f64 = 3.2e9;
/// Digits of one part of a duration that the parser can hold.
const DIGITS_MAX: usize = 9;

/// # Errors
/// Why the text is refused.
pub(crate) fn check(text: &str) -> Result<(), &'static str> {
    let mut rest = text;
    let mut brackets = 0_usize;
    let mut follows_offset = false;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' | '\'' | '`' => string_length(rest)?,
            '#' => rest.find('\n').unwrap_or(rest.len()),
            c if is_word(c) => {
                let word = &rest[..word_length(rest)];
                if brackets > 0 || follows_offset {
                    check_duration(word)?;
                }
                follows_offset = word.eq_ignore_ascii_case("offset");
                word.len()
            }
            other => {
                match other {
                    '[' => brackets += 1,
                    ']' => brackets = brackets.saturating_sub(1),
                    _ => {}
                }
                // Signs and white space may stand between `offset` and its duration.
                follows_offset &= other.is_whitespace() || matches!(other, '-' | '+' | '(');
                other.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    Ok(())
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.')
}

/// The length of a word or number; the sign of an exponent is part of a number.
fn word_length(text: &str) -> usize {
    let is_number = text.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let mut previous = ' ';
    for (at, c) in text.char_indices() {
        let is_exponent = is_number && matches!(previous, 'e' | 'E') && matches!(c, '+' | '-');
        if !is_word(c) && !is_exponent {
            return at;
        }
        previous = c;
    }
    text.len()
}

/// The length of a string with its quotes; an open one goes to the end, for the parser to report.
fn string_length(text: &str) -> Result<usize, &'static str> {
    let mut chars = text.char_indices();
    let Some((_, quote)) = chars.next() else { return Ok(0) };
    while let Some((at, c)) = chars.next() {
        if c == quote {
            return Ok(at + 1);
        }
        if c == '\\' && quote != '`' {
            let escape = &text.as_bytes()[at + 1..];
            if matches!(escape, [b'x', b'8' | b'9' | b'a'..=b'f' | b'A'..=b'F', ..] | [b'2' | b'3', ..])
            {
                return Err("an escape names a byte beyond ASCII; write the character itself");
            }
            chars.next();
        }
    }
    Ok(text.len())
}

fn check_duration(word: &str) -> Result<(), &'static str> {
    if let Ok(seconds) = word.parse::<f64>() {
        return if seconds.is_finite() && seconds <= SECONDS_MAX {
            Ok(())
        } else {
            Err("a duration is longer than a hundred years")
        };
    }
    let mut parts = word.split(|c: char| !c.is_ascii_digit());
    if parts.any(|digits| digits.len() > DIGITS_MAX) {
        return Err("a part of a duration has more than nine digits");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn durations_that_the_parser_cannot_hold_are_refused() {
        for bad in [
            "foo[1e30]",
            "foo[18446744073709551616]",
            "foo[5m:1e300]",
            "foo[1e+30]",
            "foo offset 1e30",
            "foo offset -1e30",
            "foo OFFSET\n inf",
            "foo offset nan",
            "foo[1h5000000000s]",
            "foo offset 99999999999d",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn ordinary_texts_pass() {
        for good in [
            "sum by (offset) (rate(foo[5m] offset 1h30m)) / 1e30",
            "foo{a=\"[1e30]\", offset=\"inf\"} # [1e30",
            "'it\\'s [1e30]'",
            "`\\xff`",
            "\"\\x41\\n\"",
            "inf",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn escaped_bytes_beyond_ascii_are_refused() {
        for bad in ["\"\\xff\"", "'a\\xC5'", "\"\\305\""] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
