//! Documents of a repository, as a gate looks at them.

use gates::kinds::local_links;

use crate::Target;

/// A text in Markdown.
pub const TARGET: Target = Target {
    name: "document",
    run,
    seeds,
    repair: crate::no_repair,
    words: &[
        "# ",
        "\n## ",
        "[a](b.md)",
        "[a](<b c.md>)",
        "![a](b.png)",
        "[a]: b.md\n",
        "[a][a]",
        "<b.md>",
        "```\n",
        "> ",
        "- [ ] ",
        "| a | b |\n|---|---|\n",
        "&#x2e;",
        "%2e%2e/",
        "../",
        "//",
        "https:",
        "#",
        "?",
        "\\",
        "<a href=\"b\">",
        "\0",
        "\u{202e}",
    ],
};

/// The links that are looked up are those of files: no addresses, no places in a document.
#[must_use]
pub fn run(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let links = local_links(text);
    for link in &links {
        assert!(!link.is_empty() && !link.contains('#') && !link.starts_with("//"), "{link}");
        assert!(!link.to_ascii_lowercase().starts_with("javascript:"), "{link}");
    }
    assert_eq!(local_links(text), links);
    !links.is_empty()
}

fn seeds() -> Vec<Vec<u8>> {
    vec![
        b"# A\n\n[a](b.md#c) ![d](e/f.png) [g](https://x.example) [h](#i)\n\n[j]: k.md\n[j]\n"
            .to_vec(),
    ]
}
