//! The list of `queries.txt`, expanded.

const TEMPLATE: &str = include_str!("queries.txt");

/// A query of the list.
#[derive(Debug, Clone)]
pub struct Entry {
    pub query: String,
    /// It must be refused.
    pub refused: bool,
    /// The name of the difference in `live/dialect.rs` by which Prometheus 2.42 answers otherwise.
    pub differs: Option<&'static str>,
}

/// All entries: each line once for every choice of its variables.
pub fn entries() -> Vec<Entry> {
    let mut variables: Vec<(String, Vec<&'static str>)> = Vec::new();
    let mut entries = Vec::new();
    for line in TEMPLATE.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(definition) = line.strip_prefix("let ") {
            let (name, values) = definition.split_once(" = ").expect("a name and values");
            variables.push((format!("<{name}>"), values.split(" | ").collect()));
            continue;
        }
        let (differs, line) = match line.strip_prefix('~') {
            Some(rest) => rest.split_once(' ').map(|(name, rest)| (Some(name), rest)).unwrap(),
            None => (None, line),
        };
        let (refused, line) = line.strip_prefix("! ").map_or((false, line), |rest| (true, rest));
        for query in expand(line, &variables) {
            entries.push(Entry { query, refused, differs });
        }
    }
    entries
}

fn expand(line: &str, variables: &[(String, Vec<&'static str>)]) -> Vec<String> {
    let mut all = vec![line.to_owned()];
    for (name, values) in variables.iter().filter(|(name, _)| line.contains(name)) {
        all = all
            .iter()
            .flat_map(|text| values.iter().map(|value| text.replace(name, value)))
            .collect();
    }
    all
}
