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

fn is_harmless(character: char) -> bool {
    let hidden = matches!(character,
        '\u{00ad}' | '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    matches!(character, '\t' | '\n') || !(character.is_control() || hidden)
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn controls_and_direction_marks_become_visible() {
        assert_eq!(escape("a\u{1b}[31mb\u{7}"), "a\\u{1b}[31mb\\u{7}");
        assert_eq!(escape("\u{202e}drow\u{2066}\u{9b}"), "\\u{202e}drow\\u{2066}\\u{9b}");
        assert_eq!(escape("tab\tline\nä中"), "tab\tline\nä中");
    }
}
