/// Longest foreign text that is shown, in characters.
const CHARACTERS_MAX: usize = 2_000;

/// Foreign text as it may be shown: terminal escape sequences, control characters, invisible and
/// direction-changing characters are taken out, white space is one space, and what is longer than
/// 2,000 characters is cut.
///
/// The result is plain text; every renderer still escapes it for its own format.
#[must_use]
pub fn clean(text: &str) -> String {
    let mut kept = String::new();
    let mut characters = text.chars();
    let mut count = 0;
    while let Some(character) = characters.next() {
        if character == '\u{1b}' {
            skip_escape_sequence(&mut characters);
        } else if character.is_whitespace() || character == '\u{85}' {
            if !kept.is_empty() && !kept.ends_with(' ') {
                kept.push(' ');
            }
        } else if !character.is_control() && !is_invisible(character) {
            count += 1;
            if count > CHARACTERS_MAX {
                kept.push('…');
                break;
            }
            kept.push(character);
        }
    }
    kept.truncate(kept.trim_end().len());
    kept
}

/// Takes out the rest of a terminal escape sequence after ESC: `[…m`, `]…BEL`, or one character.
fn skip_escape_sequence(characters: &mut std::str::Chars<'_>) {
    let mut ahead = characters.clone();
    match ahead.next() {
        Some('[') => {
            let end = ahead.find(|c| !matches!(c, ' '..='?'));
            if end.is_some_and(|c| matches!(c, '@'..='~')) {
                *characters = ahead;
            }
        }
        Some(']') => {
            // Without its end it is no sequence, and what follows is text that has to be seen.
            let rest = ahead.as_str();
            let ends = ["\u{7}", "\u{9c}", "\u{1b}\\"];
            let ends = ends.iter().filter_map(|end| Some(rest.find(end)? + end.len()));
            if let Some(end) = ends.min() {
                *characters = rest[end..].chars();
            }
        }
        _ => {}
    }
}

/// Characters that change how others are shown, or show nothing.
fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::clean;
    use proptest::prelude::*;

    #[test]
    fn terminal_sequences_bidi_and_invisible_characters_are_taken_out() {
        assert_eq!(clean("\u{1b}[31mred\u{1b}[0m"), "red");
        assert_eq!(clean("\u{1b}]8;;http://x\u{7}link\u{1b}]8;;\u{7}"), "link");
        assert_eq!(clean("\u{1b}]8;;x\u{1b}\\link"), "link");
        assert_eq!(clean("\u{1b}]no end, C:\\"), "]no end, C:\\");
        assert_eq!(clean("admin\u{202e}gpj.exe"), "admingpj.exe");
        assert_eq!(clean("a\u{200b}b\u{feff}c\u{0}d\u{9b}e"), "abcde");
        assert_eq!(clean("  one\r\n\ttwo\u{2028}three  "), "one two three");
        assert_eq!(clean("ends in escape\u{1b}"), "ends in escape");
        assert_eq!(clean("open \u{1b}[999"), "open [999");
    }

    #[test]
    fn long_text_is_cut_and_says_so() {
        let cut = clean(&"x".repeat(5_000));
        assert_eq!(cut.chars().count(), 2_001);
        assert!(cut.ends_with('…'));
    }

    #[test]
    fn ordinary_text_of_any_language_stays() {
        for text in ["Zürich – 5 × 3 ≥ 2", "网络稳定", "שלום", "<b>&amp;</b>"] {
            assert_eq!(clean(text), text);
        }
    }

    proptest! {
        #[test]
        fn cleaning_twice_is_cleaning_once_and_leaves_no_control(text in any::<String>()) {
            let once = clean(&text);
            prop_assert_eq!(clean(&once), once.clone());
            prop_assert!(!once.chars().any(char::is_control));
        }
    }
}
