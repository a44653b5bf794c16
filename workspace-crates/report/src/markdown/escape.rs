/// Text as it stands in a line, a list item or a table cell of Markdown: no markup, no HTML, no
/// link. An at sign becomes `(at)`, because code hosts turn it into a mention or a mail link
/// whatever stands before it.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 8);
    for (index, character) in text.char_indices() {
        match character {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '@' => escaped.push_str("(at)"),
            // Some dialects read attributes between braces, and site generators templates.
            '{' => escaped.push_str("&#123;"),
            '}' => escaped.push_str("&#125;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '!' | '$' | '^' | '#' => {
                escaped.push('\\');
                escaped.push(character);
            }
            ':' if text[index..].starts_with("://") => escaped.push_str("\\:"),
            '.' if ends_in_www(&text[..index]) => escaped.push_str("\\."),
            '+' | '-' | '=' if index == 0 => {
                escaped.push('\\');
                escaped.push(character);
            }
            '.' | ')' if index > 0 && text[..index].bytes().all(|b| b.is_ascii_digit()) => {
                escaped.push('\\');
                escaped.push(character);
            }
            other => escaped.push(other),
        }
    }
    escaped
}

fn ends_in_www(text: &str) -> bool {
    let tail = text.as_bytes();
    tail.len() >= 3 && tail[tail.len() - 3..].eq_ignore_ascii_case(b"www")
}

/// Text as code within a line.
pub(super) fn code(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let pad = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    if text.trim().is_empty() {
        "(empty)".to_owned()
    } else {
        format!("{fence}{pad}{text}{pad}{fence}")
    }
}

#[cfg(test)]
mod tests {
    use super::{code, escape};
    use proptest::prelude::*;
    use pulldown_cmark::{Event, Options, Parser, Tag};

    fn events(markdown: &str) -> Vec<Event<'_>> {
        // Typographic quotes are no markup; everything else that any dialect knows is on.
        let options = Options::all().difference(Options::ENABLE_SMART_PUNCTUATION);
        Parser::new_ext(markdown, options).collect()
    }

    /// Foreign text in each place where the report puts it.
    fn places(text: &str) -> [String; 4] {
        [
            format!("**{text}**\n"),
            format!("- {text}\n- next\n"),
            format!("| a | b |\n|---|---|\n| x | {text} |\n"),
            format!("## Phase: {text}\n"),
        ]
    }

    fn shown(markdown: &str) -> String {
        let texts = events(markdown).into_iter().filter_map(|event| match event {
            Event::Text(text) => Some(text.to_string()),
            _ => None,
        });
        texts.collect()
    }

    #[test]
    fn markup_of_every_kind_is_shown_as_it_is() {
        for text in [
            "<script>alert(1)</script>",
            "[x](javascript:alert(1))",
            "![x](http://x)",
            "# heading",
            "heading #",
            "1. list",
            "- list",
            "a | b",
            "`code`",
            "**bold** _it_ ~~no~~",
            "&lt;b&gt;",
            "$x$",
            "<http://x>",
            "a {#id .class onclick=x}",
            "{{ 7 * 7 }} {% raw %}",
        ] {
            for markdown in [format!("- {}\n", escape(text)), format!("## {}\n", escape(text))] {
                assert_eq!(shown(&markdown), text, "{markdown}");
            }
        }
    }

    #[test]
    fn addresses_do_not_become_links_on_code_hosts() {
        assert_eq!(escape("see https://x.org"), "see https\\://x.org");
        assert_eq!(escape("WWW.x.org"), "WWW\\.x.org");
        assert_eq!(escape("a@b.c"), "a(at)b.c");
    }

    #[test]
    fn code_stays_in_its_fence() {
        assert_eq!(shown(&format!("- {}\n", code("a"))), "");
        for text in ["a", "`", "``x`", "x`", "<b>"] {
            let markdown = format!("- {}\n", code(text));
            let found =
                events(&markdown).into_iter().any(|e| matches!(e, Event::Code(c) if *c == *text));
            assert!(found, "{markdown}");
        }
    }

    proptest! {
        #[test]
        fn no_text_becomes_markup(text in "[ -~äß–]{0,60}|.{0,40}") {
            let text = crate::clean(&text);
            for markdown in places(&escape(&text)) {
                for event in events(&markdown) {
                    let markup = matches!(
                        event,
                        Event::Html(_) | Event::InlineHtml(_) | Event::Code(_)
                            | Event::InlineMath(_) | Event::DisplayMath(_)
                            | Event::FootnoteReference(_) | Event::TaskListMarker(_)
                            | Event::Start(Tag::Link { .. } | Tag::Image { .. } | Tag::Emphasis
                                | Tag::Strikethrough | Tag::BlockQuote(_) | Tag::CodeBlock(_)
                                | Tag::HtmlBlock | Tag::FootnoteDefinition(_))
                    );
                    prop_assert!(!markup, "{:?} in {}", event, markdown);
                }
            }
        }

        #[test]
        fn the_text_itself_is_shown(text in "[ -~äß–]{0,60}") {
            let text = crate::clean(&text);
            let markdown = format!("- x {}\n", escape(&text));
            let expected = format!("x {}", text.replace('@', "(at)"));
            prop_assert_eq!(shown(&markdown), expected.trim_end());
        }
    }
}
