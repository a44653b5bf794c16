//! What has to be done: a pure function of what there is and what is wanted.

use std::collections::BTreeSet;

use base::{PipelineId, PrincipalId};
use definition::{CALENDARS_PATH, Files, ROLES_PATH};

use super::git::Place;
use super::people::{PARTNER, People};
use super::survey::{LedgerThere, Survey};
use super::templates::{self, Programme, Shipped, Template};
use super::week::Week;

/// The step that checks the definitions as they are on the disk. It changes nothing.
pub const CHECK: &str = "check";

/// A pipeline that is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPipeline {
    /// What it is made from.
    pub template: Template,
    /// Its name.
    pub name: PipelineId,
    /// Its title in reports.
    pub title: String,
}

/// What is wanted; nothing where it is there already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answers {
    /// Who decides and signs.
    pub people: Option<People>,
    /// Principals whose pairs were made and have to be written.
    pub new_keys: Vec<PrincipalId>,
    /// When the events are.
    pub week: Option<Week>,
    /// The first pipeline.
    pub pipeline: Option<NewPipeline>,
    /// The pipeline whose ledger is begun; nothing when no ledger is to be begun now.
    pub ledger_of: Option<PipelineId>,
    /// The remote that the ledger is shared through from now on.
    pub remote: Option<String>,
}

/// One thing that is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Make a git repository.
    MakeRepository,
    /// Write the pair that was made for a principal.
    WriteKey(PrincipalId),
    /// Write a file.
    WriteFile {
        /// From the root on.
        path: String,
        /// What is in it.
        text: String,
    },
    /// Set the remote of the ledger.
    SetRemote(String),
    /// Begin the ledger of this pipeline.
    BeginLedger(PipelineId),
}

/// One step of the set-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// One word.
    pub name: &'static str,
    /// What there is, or will be, in a few words.
    pub what: String,
    /// What is missing; empty when all of it is there.
    pub actions: Vec<Action>,
    /// Whether the step is left out on purpose.
    pub skipped: bool,
}

/// The steps in their order. A pipeline comes after everything that it needs, so that a set-up that
/// was interrupted is carried on by the next one.
pub fn plan(survey: &Survey, answers: &Answers) -> Vec<Step> {
    vec![
        repository(survey),
        people(survey, answers),
        calendar(survey, answers),
        stages(survey, answers),
        pipeline(survey, answers),
        step(CHECK, "the definitions have no errors", Vec::new()),
        remote(survey, answers),
        ledger(survey, answers),
    ]
}

/// The definitions as they will be once the steps are done.
pub fn definitions_after(survey: &Survey, steps: &[Step]) -> Files {
    let mut files = survey.definitions.clone();
    for action in steps.iter().flat_map(|step| &step.actions) {
        if let Action::WriteFile { path, text } = action
            && is_definition(path)
        {
            files.insert(path.clone(), text.clone());
        }
    }
    files
}

fn is_definition(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    match parts.as_slice() {
        ["pipeline", name] => name.ends_with(".toml"),
        ["stages", _, "stage.toml"] => true,
        _ => false,
    }
}

fn step(name: &'static str, what: impl Into<String>, actions: Vec<Action>) -> Step {
    Step { name, what: what.into(), actions, skipped: false }
}

fn file(survey: &Survey, path: &str, text: impl Into<String>) -> Option<Action> {
    let missing = !survey.has(path);
    missing.then(|| Action::WriteFile { path: path.to_owned(), text: text.into() })
}

fn repository(survey: &Survey) -> Step {
    match &survey.place {
        Place::WorkTree(top) if *top == survey.root => {
            step("repository", top.display().to_string(), Vec::new())
        }
        Place::WorkTree(top) => {
            step("repository", format!("{}, above this folder", top.display()), Vec::new())
        }
        Place::Outside => {
            step("repository", survey.root.display().to_string(), vec![Action::MakeRepository])
        }
    }
}

fn people(survey: &Survey, answers: &Answers) -> Step {
    let Some(people) = &answers.people else {
        let roles = survey.roles().map(|roles| super::people::describe(&roles));
        return step("people", roles.unwrap_or_else(|| ROLES_PATH.to_owned()), Vec::new());
    };
    let mut actions: Vec<_> = answers.new_keys.iter().cloned().map(Action::WriteKey).collect();
    actions.extend(file(survey, ROLES_PATH, people.to_toml()));
    step("people", people.describe(), actions)
}

fn calendar(survey: &Survey, answers: &Answers) -> Step {
    match &answers.week {
        Some(week) => {
            let actions = file(survey, CALENDARS_PATH, week.to_toml());
            step("calendar", week.describe(), actions.into_iter().collect())
        }
        None => step("calendar", CALENDARS_PATH, Vec::new()),
    }
}

fn stages(survey: &Survey, answers: &Answers) -> Step {
    let needed = needed_stages(survey, answers);
    let is_missing = |id: &&str| !survey.has(&format!("stages/{id}/stage.toml"));
    let missing: BTreeSet<&str> = needed.iter().copied().filter(is_missing).collect();
    let belongs = |file: &&Shipped| {
        templates::stage_of(file.path).is_some_and(|stage| missing.contains(stage))
    };
    let files = templates::STAGES.iter().filter(belongs);
    let actions = files.filter_map(|one| file(survey, one.path, one.text)).collect();
    let what = if needed.is_empty() {
        "none of the shipped ones is used".to_owned()
    } else {
        needed.join(", ")
    };
    step("stages", what, actions)
}

/// The shipped stages that the pipelines name, and those that these include.
fn needed_stages(survey: &Survey, answers: &Answers) -> Vec<&'static str> {
    let mut named: BTreeSet<String> = BTreeSet::new();
    for (path, text) in &survey.definitions {
        if path.starts_with("pipeline/") {
            named.extend(stages_named(text, "phase"));
        }
    }
    if let Some(new) = &answers.pipeline {
        let files = pipeline_files(survey, answers, new);
        named.extend(files.iter().flat_map(|(_, text)| stages_named(text, "phase")));
    }
    // An included stage includes no further one that is not found here: the list only grows.
    loop {
        let before = named.len();
        let texts = templates::STAGES.iter().filter(|file| {
            file.path.ends_with("/stage.toml")
                && templates::stage_of(file.path).is_some_and(|id| named.contains(id))
        });
        let included: Vec<_> = texts.flat_map(|file| stages_named(file.text, "include")).collect();
        named.extend(included);
        if named.len() == before {
            break;
        }
    }
    templates::stage_ids().into_iter().filter(|id| named.contains(*id)).collect()
}

/// The stages that the tables `[[key]]` of a definition name. What cannot be read names none: the
/// check says what is wrong with it.
fn stages_named(text: &str, key: &str) -> Vec<String> {
    let Ok(document) = text.parse::<toml::Table>() else { return Vec::new() };
    let tables = document.get(key).and_then(toml::Value::as_array).into_iter().flatten();
    let stages = tables.filter_map(|table| table.get("stage")?.as_str());
    stages.map(str::to_owned).collect()
}

fn pipeline(survey: &Survey, answers: &Answers) -> Step {
    let Some(new) = &answers.pipeline else {
        let ids: Vec<_> = survey.pipelines().iter().map(ToString::to_string).collect();
        return step("pipeline", ids.join(", "), Vec::new());
    };
    let files = pipeline_files(survey, answers, new);
    let actions = files.into_iter().filter_map(|(path, text)| file(survey, &path, text)).collect();
    step("pipeline", format!("{}, from the template {}", new.name, new.template.name()), actions)
}

fn pipeline_files(survey: &Survey, answers: &Answers, new: &NewPipeline) -> Vec<(String, String)> {
    let partners: Vec<PrincipalId> = match &answers.people {
        Some(people) => people.partners.iter().map(|one| one.id.clone()).collect(),
        None => survey
            .roles()
            .and_then(|mut roles| roles.roles.remove(PARTNER))
            .map(|role| role.of)
            .unwrap_or_default(),
    };
    new.template.files(&Programme {
        name: &new.name,
        title: &new.title,
        calendar: &survey.calendar_name(),
        partners: &partners,
    })
}

fn remote(survey: &Survey, answers: &Answers) -> Step {
    match (&survey.ledger_remote, &answers.remote) {
        (there, Some(wanted)) if there.as_ref() != Some(wanted) => {
            let what = format!("the ledger is shared through `{wanted}`");
            step("remote", what, vec![Action::SetRemote(wanted.clone())])
        }
        (Some(there), _) => {
            step("remote", format!("the ledger is shared through `{there}`"), Vec::new())
        }
        _ => {
            Step { skipped: true, ..step("remote", "the ledger stays on this machine", Vec::new()) }
        }
    }
}

fn ledger(survey: &Survey, answers: &Answers) -> Step {
    match (&survey.ledger, &answers.ledger_of) {
        (LedgerThere::Here { entries, genesis, pipeline }, _) => {
            let entries = crate::output::count(*entries, "entry", "entries");
            step("ledger", format!("{pipeline}, {entries}, genesis {genesis}"), Vec::new())
        }
        (LedgerThere::AtOrigin, _) => Step {
            skipped: true,
            ..step(
                "ledger",
                "it is at `origin`; `git fetch origin phase-ledger:phase-ledger` brings it here",
                Vec::new(),
            )
        },
        (LedgerThere::None, Some(id)) => {
            step("ledger", format!("of {id}"), vec![Action::BeginLedger(id.clone())])
        }
        (LedgerThere::None, None) => Step {
            skipped: true,
            ..step("ledger", "not begun; `phasegate init` begins it", Vec::new())
        },
    }
}

impl Action {
    /// What is done, in a few words.
    pub fn describe(&self) -> String {
        match self {
            Self::MakeRepository => "make a git repository".to_owned(),
            Self::WriteKey(id) => format!("write the key of {id}, .phasegate/keys/{id}"),
            Self::WriteFile { path, .. } => format!("write {path}"),
            Self::SetRemote(name) => {
                format!("set git's {} to {name}", super::genesis::REMOTE_SETTING)
            }
            Self::BeginLedger(id) => format!("begin the ledger of {id}"),
        }
    }
}
