//! Dead links between the Markdown files of the repository, anchors included.
use std::collections::BTreeMap;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::{File, Problem, Tree};

pub(crate) fn check(tree: &Tree) -> Vec<Problem> {
    let markdown = || tree.files.iter().filter(|file| file.extension() == "md");
    let anchors = markdown().map(|file| (file.path.as_str(), anchors(&file.text))).collect();
    markdown().flat_map(|file| check_file(file, tree, &anchors)).collect()
}

fn check_file(file: &File, tree: &Tree, anchors: &BTreeMap<&str, Vec<String>>) -> Vec<Problem> {
    let problem = |(line, link): (usize, String)| {
        let message = dead(&file.path, &link, tree, anchors)?;
        let cure = "correct the link, or add what it points at";
        Some(Problem::new(&file.path, line, "links", message, cure))
    };
    let mut problems: Vec<Problem> = links(&file.text).into_iter().filter_map(problem).collect();
    problems.retain(|problem| !file.allows(problem.line, "links"));
    problems
}

fn dead(
    from: &str,
    link: &str,
    tree: &Tree,
    anchors: &BTreeMap<&str, Vec<String>>,
) -> Option<String> {
    if has_scheme(link) {
        return None;
    }
    let (path, anchor) =
        link.split_once('#').map_or((link, None), |(path, anchor)| (path, Some(anchor)));
    let Some(target) = resolve(from, path) else {
        return Some(format!("`{link}` leaves the repository"));
    };
    if !target.is_empty() && !tree.paths.contains(&target) {
        return Some(format!("`{link}` points at `{target}`, which does not exist"));
    }
    // An anchor in a file that is not Markdown (`lib.rs#L10`) is the viewer's business.
    let known = anchors.get(target.as_str())?;
    let anchor = anchor.filter(|anchor| !anchor.is_empty())?;
    let missing = !known.iter().any(|name| name == anchor);
    missing.then(|| format!("`{link}`: `{target}` has no heading for `#{anchor}`"))
}

/// `https:`, `mailto:` and the like.
fn has_scheme(link: &str) -> bool {
    let scheme = link.split_once(':').map_or("", |(scheme, _)| scheme);
    scheme.len() > 1 && scheme.chars().all(|c| c.is_ascii_alphanumeric() || c == '+' || c == '-')
}

/// The path from the root. A leading `/` means the root, as on GitHub.
fn resolve(from: &str, path: &str) -> Option<String> {
    if path.is_empty() {
        return Some(from.to_owned());
    }
    let path = path.replace("%20", " ");
    let folder = from.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut parts: Vec<&str> = if path.starts_with('/') {
        Vec::new()
    } else {
        folder.split('/').filter(|part| !part.is_empty()).collect()
    };
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Links and pictures with their lines, also those of HTML tags.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut links = Vec::new();
    for (event, range) in Parser::new_ext(text, Options::ENABLE_TABLES).into_offset_iter() {
        let line = line_of(text, range.start);
        match event {
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                links.push((line, dest_url.into_string()));
            }
            Event::Html(html) | Event::InlineHtml(html) => {
                let found = ["src", "href"].map(|name| attributes(&html, name));
                links.extend(found.into_iter().flatten().map(|link| (line, link)));
            }
            _ => {}
        }
    }
    links
}

fn line_of(text: &str, offset: usize) -> usize {
    text.get(..offset).map_or(1, |before| before.matches('\n').count() + 1)
}

/// The values of `name="…"` in a piece of HTML.
fn attributes(html: &str, name: &str) -> Vec<String> {
    let start = format!("{name}=\"");
    let values = html.split(start.as_str()).skip(1);
    values.filter_map(|rest| rest.split_once('"')).map(|(value, _)| value.to_owned()).collect()
}

/// The anchors that GitHub makes from a file's headings, and those that HTML tags set.
fn anchors(text: &str) -> Vec<String> {
    let mut anchors: Vec<String> = Vec::new();
    let mut heading: Option<String> = None;
    for event in Parser::new(text) {
        match event {
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::Text(part) | Event::Code(part) => {
                if let Some(heading) = &mut heading {
                    heading.push_str(&part);
                }
            }
            Event::End(TagEnd::Heading(_)) => {
                let slug = slug(&heading.take().unwrap_or_default());
                anchors.push(distinct(slug, &anchors));
            }
            Event::Html(html) | Event::InlineHtml(html) => {
                anchors.extend(["id", "name"].iter().flat_map(|name| attributes(&html, name)));
            }
            _ => {}
        }
    }
    anchors
}

fn slug(heading: &str) -> String {
    let kept = heading.chars().filter(|&c| c.is_alphanumeric() || matches!(c, '-' | '_' | ' '));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// The second heading of one name gets `-1`.
fn distinct(slug: String, taken: &[String]) -> String {
    if !taken.contains(&slug) {
        return slug;
    }
    let numbered = (1..).map(|number| format!("{slug}-{number}"));
    numbered.into_iter().find(|name| !taken.contains(name)).unwrap_or(slug)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The messages for `docs/a.md` with this text, next to some files.
    fn found(text: &str) -> Vec<(usize, String)> {
        let tree = Tree::of(&[
            ("docs/a.md", text),
            ("docs/b.md", "# One `two`, three!\n\n## Same\n\n## Same\n\n<a id=\"own\"></a>\n"),
            ("README.md", "# Top\n"),
            ("xtask/src/lib.rs", ""),
        ]);
        check(&tree).into_iter().map(|problem| (problem.line, problem.message)).collect()
    }

    #[test]
    fn live_links_are_fine() {
        for link in [
            "b.md",
            "./b.md",
            "../README.md",
            "/README.md",
            "../xtask/",
            "../xtask/src/lib.rs#L3",
            "b.md#one-two-three",
            "b.md#same-1",
            "b.md#own",
            "#here",
            "..",
            "../README.md#",
            "https://example.org/no.md",
            "mailto:a@example.org",
        ] {
            assert_eq!(found(&format!("# Here\n[x]({link})")), [], "{link}");
        }
    }

    #[test]
    fn dead_links_are_found_with_their_line() {
        for link in ["c.md", "../docs/B.md", "b.md#two", "#there", "../../README.md", "/a.md"] {
            let problems = found(&format!("# Here\n\n[x]({link})"));
            assert_eq!(problems.len(), 1, "{link}");
            assert_eq!(problems[0].0, 3, "{link}");
        }
    }

    #[test]
    fn pictures_references_and_html_are_links_too() {
        assert_eq!(found("![x](no.png)").len(), 1);
        assert_eq!(found("[x][1]\n\n[1]: no.md").len(), 1);
        assert_eq!(found("<img src=\"no.png\" alt=\"x\">").len(), 1);
        assert_eq!(found("| a |\n|---|\n| [x](no.md) |\n").len(), 1);
    }

    #[test]
    fn code_is_not_a_link() {
        assert_eq!(found("`[x](no.md)`\n\n```\n[x](no.md)\n```\n"), []);
    }

    #[test]
    fn an_exception_with_a_reason_is_accepted() {
        assert_eq!(found("<!-- tidy-allow(links): generated at release -->\n[x](no.md)"), []);
    }
}
