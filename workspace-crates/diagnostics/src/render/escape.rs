/// The text with every character that could disturb a terminal or deceive a reader written as
/// `\u{…}`: control characters other than tabs and line feeds, and marks that turn the direction
/// of writing or cannot be seen.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if is_harmless(character) {
            escaped.push(character);
        } else {
            escaped.extend(character.escape_unicode());
        }
    }
    escaped
}

/// Valid JSON with the same characters written as `\uXXXX`: the same value, harmless on a terminal.
#[must_use]
pub fn escape_json(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for character in json.chars() {
        if is_harmless(character) {
            escaped.push(character);
            continue;
        }
        // Outside of texts JSON has nothing to escape, and inside of them this is the same character.
        for unit in character.encode_utf16(&mut [0; 2]) {
            escaped.push_str(&format!("\\u{unit:04x}"));
        }
    }
    escaped
}

/// The text on one line, escaped: it can neither end its line nor its cell of a table.
#[must_use]
pub fn escape_line(text: &str) -> String {
    escape(text).replace(['\n', '\t'], " ")
}

fn is_harmless(character: char) -> bool {
    let hidden = matches!(character,
        '\u{00ad}' | '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    matches!(character, '\t' | '\n') || !(character.is_control() || hidden)
}

#[cfg(test)]
mod tests {
    use super::{escape, escape_json, escape_line};

    #[test]
    fn controls_and_direction_marks_become_visible() {
        assert_eq!(escape("a\u{1b}[31mb\u{7}"), "a\\u{1b}[31mb\\u{7}");
        assert_eq!(escape("\u{202e}drow\u{2066}\u{9b}"), "\\u{202e}drow\\u{2066}\\u{9b}");
        assert_eq!(escape("tab\tline\nä中"), "tab\tline\nä中");
    }

    #[test]
    fn json_keeps_its_value_and_loses_its_danger() {
        let value =
            serde_json::json!({"a\u{202e}": "\u{7f}\u{9b}31m\u{e0041}\u{1b}\n", "b": [1.5, "中"]});
        let json = escape_json(&format!("{value:#}"));
        assert_eq!(escape(&json), json);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap(), value);
    }

    #[test]
    fn a_line_stays_one_line() {
        assert_eq!(escape_line("a\nb\tc\r\u{2028}"), "a b c\\u{d}\\u{2028}");
    }
}
