//! Addresses of remotes in messages: who logs in, and with what, is nobody's business.

/// `text` with `***` for the name and password of every address in it.
#[must_use]
pub fn redacted(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + "://".len());
        shown.push_str(before);
        let ends = |c: char| c.is_whitespace() || matches!(c, '/' | '?' | '#' | '\'' | '"');
        let host = after.find(ends).unwrap_or(after.len());
        // A password may hold an `@` itself, so the last one counts.
        rest = match after[..host].rfind('@') {
            Some(sign) => {
                shown.push_str("***");
                &after[sign..]
            }
            None => after,
        };
    }
    shown + rest
}

#[cfg(test)]
mod tests {
    use super::redacted;

    #[test]
    fn names_and_passwords_of_addresses_are_not_shown() {
        for (text, shown) in [
            ("https://user:token@host/path", "https://***@host/path"),
            ("https://token@host", "https://***@host"),
            ("https://a:p@ss@host:8443/x?y", "https://***@host:8443/x?y"),
            (
                "fatal: unable to access 'https://u:t@h/': gone",
                "fatal: unable to access 'https://***@h/': gone",
            ),
            ("http://a:b@c and ssh://d@e", "http://***@c and ssh://***@e"),
            ("https://host/folder@2", "https://host/folder@2"),
            ("git@host:path", "git@host:path"),
            ("origin", "origin"),
            ("://", "://"),
            ("ü://ü@ü", "ü://***@ü"),
        ] {
            assert_eq!(redacted(text), shown);
        }
    }
}
