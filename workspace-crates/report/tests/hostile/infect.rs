//! Puts words or attacks wherever somebody else may write.

use std::sync::OnceLock;

use definition::Pipeline;
use gates::Evaluation;
use report::{EpochEvidence, Rendered, model, render, site};
use serde_json::Value;

use crate::support;

/// How many points of a series are drawn; more say nothing about texts.
const POINTS: usize = 8;

/// What stands at the place with the number `n`: a word that is found again, and the attack.
pub fn marked(n: usize, text: &str) -> String {
    format!("word{n}x {text}")
}

/// What comes out for people.
pub struct Output {
    pub rendered: Rendered,
    pub index: String,
    /// How many places have a text of their own.
    pub places: usize,
}

/// A report in which every free text is a mark and `text`.
pub fn output(text: &str) -> Output {
    let mut places = Places { text, count: 0 };
    let evaluation = places.evaluation();
    let mut pipeline = support::pipeline();
    places.pipeline(&mut pipeline);
    let mut input = support::held_input(&pipeline, &evaluation);
    for row in &mut input.phases {
        places.put(&mut row.state);
    }
    places.put(&mut input.week);
    places.put(&mut input.host.name);
    places.put(&mut input.host.signatures);
    let mut system = String::new();
    places.put(&mut system);
    input.host.epoch_evidence = EpochEvidence::Proof(system);
    input.not_known.iter_mut().for_each(|one| places.put(one));
    let model = model::build(&input);
    let entry = site::Entry::of(&model, "2026-W04");
    let hidden = site::Entry { folder: marked(0, text), ..entry.clone() };
    let index = site::index(&[entry, hidden]).unwrap();
    Output { rendered: render(&model).unwrap(), index, places: places.count }
}

struct Places<'a> {
    text: &'a str,
    count: usize,
}

impl Places<'_> {
    fn put(&mut self, place: &mut String) {
        *place = marked(self.count, self.text);
        self.count += 1;
    }

    fn pipeline(&mut self, pipeline: &mut Pipeline) {
        self.put(&mut pipeline.title);
        self.put(&mut pipeline.summary);
        for hypothesis in &mut pipeline.hypotheses {
            self.put(&mut hypothesis.id);
            self.put(&mut hypothesis.statement);
        }
        for phase in &mut pipeline.phases {
            self.put(&mut phase.title);
            self.put(&mut phase.summary);
        }
    }

    /// The evaluation of the sample, with every place replaced that takes any text.
    fn evaluation(&mut self) -> Evaluation {
        let (mut value, free) = free_places();
        for place in free {
            let mut text = String::new();
            self.put(&mut text);
            place.put(&mut value, text);
        }
        serde_json::from_value(value).unwrap()
    }
}

/// A text in a tree of JSON: a value, or a key below an object.
#[derive(Debug, Clone)]
struct Place {
    pointer: String,
    key: Option<String>,
}

impl Place {
    fn put(&self, value: &mut Value, text: String) {
        let found = value.pointer_mut(&self.pointer).unwrap();
        match &self.key {
            None => *found = Value::String(text),
            Some(key) => {
                let fields = found.as_object_mut().unwrap();
                let inner = fields.remove(key).unwrap();
                fields.insert(text, inner);
            }
        }
    }

    /// Whether any text may stand here: ids, digests, times and words of ours are refused when read.
    fn is_free(&self, sample: &Value) -> bool {
        let mut changed = sample.clone();
        self.put(&mut changed, "Any text, <b>!".to_owned());
        let read = serde_json::from_value::<Evaluation>(changed.clone());
        // A key that is not known is ignored when read, and so is not written again.
        read.is_ok_and(|read| serde_json::to_value(read).unwrap() == changed)
    }
}

/// The sample's evaluation, and every place in it that takes any text; found by trying, so that a
/// new field is among them. Keys come last and from the end, because they change the pointers.
fn free_places() -> (Value, Vec<Place>) {
    static FREE: OnceLock<(Value, Vec<Place>)> = OnceLock::new();
    let find = || {
        let mut evaluation = support::held_evaluation();
        for finding in evaluation.phases.iter_mut().flat_map(|phase| &mut phase.findings) {
            finding.owner.get_or_insert_with(|| "somebody".to_owned());
            for series in &mut finding.explanation.series {
                series.points.truncate(POINTS);
            }
        }
        let value = serde_json::to_value(&evaluation).unwrap();
        let (mut texts, mut keys) = (Vec::new(), Vec::new());
        walk(&value, "", &mut texts, &mut keys);
        keys.reverse();
        texts.extend(keys);
        texts.retain(|place| place.is_free(&value));
        (value, texts)
    };
    FREE.get_or_init(find).clone()
}

fn walk(value: &Value, pointer: &str, texts: &mut Vec<Place>, keys: &mut Vec<Place>) {
    match value {
        Value::String(_) => texts.push(Place { pointer: pointer.to_owned(), key: None }),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                walk(item, &format!("{pointer}/{index}"), texts, keys);
            }
        }
        Value::Object(fields) => {
            for (key, item) in fields {
                keys.push(Place { pointer: pointer.to_owned(), key: Some(key.clone()) });
                walk(item, &format!("{pointer}/{key}"), texts, keys);
            }
        }
        _ => {}
    }
}

/// The last key before each text of a model that is not one of ours to choose, such as a digest.
pub fn typed_fields(json: &[u8]) -> std::collections::BTreeSet<String> {
    let mut found = std::collections::BTreeSet::new();
    typed(&serde_json::from_slice(json).unwrap(), "", &mut found);
    found
}

fn typed(value: &Value, name: &str, found: &mut std::collections::BTreeSet<String>) {
    match value {
        Value::String(text) if !text.contains("word") && !name.contains("word") => {
            found.insert(name.to_owned());
        }
        Value::Array(items) => items.iter().for_each(|item| typed(item, name, found)),
        Value::Object(fields) => {
            fields.iter().for_each(|(key, item)| typed(item, key, found));
        }
        _ => {}
    }
}
