//! A page as a browser takes it apart.

use base::Digest;
use base64::Engine as _;
use html5ever::tendril::TendrilSink as _;
use html5ever::{ParseOpts, parse_document};
use markup5ever_rcdom::{Handle, NodeData, RcDom};

/// One element with the names and values of its attributes.
#[derive(Debug)]
pub struct Element {
    pub depth: usize,
    pub name: String,
    pub attributes: Vec<(String, String)>,
}

/// A page: its elements in order, and what a reader sees.
pub struct Page {
    pub elements: Vec<Element>,
    pub text: String,
    style: String,
}

impl Page {
    pub fn of(html: &str) -> Self {
        let dom = parse_document(RcDom::default(), ParseOpts::default()).one(html);
        let mut page = Self { elements: Vec::new(), text: String::new(), style: String::new() };
        page.walk(&dom.document, 0, false);
        page
    }

    fn walk(&mut self, node: &Handle, depth: usize, in_style: bool) {
        let mut is_style = in_style;
        match &node.data {
            NodeData::Text { contents } => {
                let text = if in_style { &mut self.style } else { &mut self.text };
                text.push_str(&contents.borrow());
            }
            NodeData::Element { name, attrs, .. } => {
                let attributes = attrs.borrow();
                let attributes = attributes.iter().map(|one| {
                    let prefix = one.name.prefix.as_ref().map_or("", |prefix| prefix);
                    (format!("{prefix}:{}", one.name.local), one.value.to_string())
                });
                let name = name.local.to_string();
                is_style = name == "style";
                self.elements.push(Element { depth, name, attributes: attributes.collect() });
            }
            NodeData::Comment { .. } => {
                let comment = Element { depth, name: "!--".to_owned(), attributes: Vec::new() };
                self.elements.push(comment);
            }
            _ => {}
        }
        for child in node.children.borrow().iter() {
            self.walk(child, depth + 1, is_style);
        }
    }

    /// How the page is built: every element at its depth with the names of its attributes.
    pub fn structure(&self) -> Vec<String> {
        let lines = self.elements.iter().map(|element| {
            let names = element.attributes.iter().map(|(name, _)| name.as_str());
            let names: Vec<&str> = names.collect();
            format!("{} {} {}", element.depth, element.name, names.join(" "))
        });
        lines.collect()
    }

    fn attributes(&self) -> impl Iterator<Item = (&Element, &str, &str)> {
        self.elements.iter().flat_map(|element| {
            let all = element.attributes.iter();
            all.map(move |(name, value)| (element, name.trim_start_matches(':'), value.as_str()))
        })
    }

    /// What no page of ours has, whatever it shows.
    #[track_caller]
    pub fn does_nothing(&self) {
        for element in &self.elements {
            let active = [
                "script",
                "iframe",
                "object",
                "embed",
                "base",
                "form",
                "link",
                "input",
                "img",
                "image",
                "use",
                "foreignobject",
                "foreignObject",
                "animate",
                "set",
                "template",
                "audio",
                "video",
                "!--",
            ];
            assert!(!active.contains(&element.name.as_str()), "{element:?}");
        }
        for (element, name, value) in self.attributes() {
            assert!(!name.starts_with("on") && name != "style", "{element:?}");
            if ["href", "src", "srcdoc", "action", "formaction", "xlink:href"].contains(&name) {
                assert!(name == "href" && is_local(value), "{element:?}");
            }
        }
    }

    /// The policy stands before everything that could load or run something, and allows only the
    /// style sheet that the page has.
    #[track_caller]
    pub fn has_its_policy(&self) {
        let digest = Digest::of(self.style.as_bytes()).0;
        let hash = base64::engine::general_purpose::STANDARD.encode(digest);
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{hash}'; img-src data:; base-uri 'none'; form-action 'none'"
        );
        let in_head = self.elements.iter().skip_while(|element| element.name != "head").skip(1);
        let names: Vec<String> = in_head
            .take(2)
            .map(|element| format!("{} {:?}", element.name, element.attributes))
            .collect();
        let expected = [
            format!("meta {:?}", [(":charset", "utf-8")]),
            format!(
                "meta {:?}",
                [(":http-equiv", "Content-Security-Policy"), (":content", policy.as_str())]
            ),
        ];
        assert_eq!(names, expected);
        let policies = self.attributes().filter(|(_, name, _)| *name == "http-equiv").count();
        assert_eq!(policies, 1);
    }
}

/// A place on the same page, or a page below the same folder.
fn is_local(link: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    let (path, place) = link.split_once('#').unwrap_or((link, ""));
    path.chars().all(plain)
        && place.chars().all(plain)
        && !path.starts_with('/')
        && !path.contains("..")
}
