//! What is planned from what is there and what is answered.

use std::collections::{BTreeSet, VecDeque};
use std::path::Path;

use base::PipelineId;
use definition::{CALENDARS_PATH, Files, Overrides, Policy, ROLES_PATH};

use super::git::Place;
use super::interview::{Interview, Wishes};
use super::keys::NewKeys;
use super::plan::{Action, Answers, Step, definitions_after, plan};
use super::prompt::{Check, Prompt};
use super::survey::{LedgerThere, Survey};
use super::templates::{self, Programme, Template};
use crate::failure::Failure;
use crate::ssh_keys::Found;
use crate::world::{self, World};

/// Answers that are written down; an empty one takes the default.
struct Scripted {
    answers: VecDeque<&'static str>,
    said: Vec<String>,
}

impl Scripted {
    fn new(answers: &[&'static str]) -> Self {
        Self { answers: answers.iter().copied().collect(), said: Vec::new() }
    }

    fn next(&mut self, question: &str) -> &'static str {
        let answer = self.answers.pop_front();
        answer
            .unwrap_or_else(|| panic!("nobody answers `{question}`; said so far: {:#?}", self.said))
    }

    fn has_said(&self, text: &str) -> bool {
        self.said.iter().any(|said| said.contains(text))
    }
}

impl Prompt for Scripted {
    fn is_interactive(&self) -> bool {
        true
    }

    fn step(&mut self, title: &str, explanation: &str) {
        self.said.push(format!("{title}: {explanation}"));
    }

    fn note(&mut self, text: &str) {
        self.said.push(text.to_owned());
    }

    fn text(
        &mut self,
        question: &str,
        default: Option<&str>,
        check: Check<'_>,
    ) -> Result<String, Failure> {
        loop {
            let answer = match self.next(question) {
                "" => default.unwrap_or_default(),
                answer => answer,
            };
            match check(answer) {
                Ok(()) => return Ok(answer.to_owned()),
                Err(problem) => self.said.push(problem),
            }
        }
    }

    fn confirm(&mut self, question: &str, default: bool) -> Result<bool, Failure> {
        Ok(match self.next(question) {
            "" => default,
            "y" => true,
            "n" => false,
            other => panic!("`{other}` is no answer to `{question}`"),
        })
    }

    fn choose(
        &mut self,
        question: &str,
        options: &[String],
        default: usize,
    ) -> Result<usize, Failure> {
        let answer = self.next(question);
        if answer.is_empty() {
            return Ok(default);
        }
        let chosen = options.iter().position(|option| option.contains(answer));
        Ok(chosen.unwrap_or_else(|| panic!("`{answer}` is none of {options:?}")))
    }
}

fn empty() -> Survey {
    Survey {
        root: Path::new("/nowhere/project").to_owned(),
        place: Place::Outside,
        present: BTreeSet::new(),
        definitions: Files::new(),
        ledger: LedgerThere::None,
        has_origin: false,
        ledger_remote: None,
        person: ("ada".to_owned(), "Ada Lovelace".to_owned()),
        signing_key: None,
    }
}

fn key(seed: u8) -> String {
    let pair = ledger::keys::generate_ed25519(Some([seed; 32])).unwrap();
    ledger::keys::PublicKey::parse(&pair.public_openssh).unwrap().to_openssh()
}

fn ask(
    survey: &Survey,
    wishes: Wishes,
    found: &[u8],
    prompt: &mut Scripted,
) -> Result<Answers, Failure> {
    let world = World { root: survey.root.clone() };
    let found = found.iter().map(|seed| Found {
        label: format!("key {seed}"),
        public: key(*seed),
        file: None,
        in_agent: true,
    });
    let mut interview = Interview {
        survey,
        world: &world,
        wishes,
        found: found.collect(),
        prompt,
        keys: NewKeys::default(),
    };
    interview.run()
}

/// What there is once the steps are done.
fn after(survey: &Survey, steps: &[Step]) -> Survey {
    let mut survey = Survey { definitions: definitions_after(survey, steps), ..survey.clone() };
    for action in steps.iter().flat_map(|step| &step.actions) {
        match action {
            Action::MakeRepository => survey.place = Place::WorkTree(survey.root.clone()),
            Action::WriteFile { path, .. } => {
                survey.present.insert(path.clone());
            }
            Action::SetRemote(name) => survey.ledger_remote = Some(name.clone()),
            Action::WriteKey(_) | Action::BeginLedger(_) => {}
        }
    }
    survey
}

fn actions(steps: &[Step]) -> Vec<String> {
    steps.iter().flat_map(|step| &step.actions).map(Action::describe).collect()
}

/// Enter, however often it takes.
const ENTER: &[&str] = &[""; 12];

#[test]
fn enter_alone_gives_a_small_solo_programme() {
    let survey = empty();
    let mut prompt = Scripted::new(ENTER);
    let answers = ask(&survey, Wishes::default(), &[], &mut prompt).unwrap();
    assert!(prompt.answers.is_empty(), "{:?} answers are left", prompt.answers.len());
    let people = answers.people.as_ref().unwrap();
    assert_eq!((people.policy, people.threshold), (Policy::Solo, 1));
    assert!(prompt.has_said("each report will say that one person decides alone"));
    let steps = plan(&survey, &answers);
    let done = actions(&steps);
    assert_eq!(done.first().unwrap(), "make a git repository");
    assert_eq!(
        done[1..4],
        [
            "write the key of ada, .phasegate/keys/ada",
            "write the key of evaluator, .phasegate/keys/evaluator",
            "write pipeline/roles.toml",
        ]
    );
    assert_eq!(
        done[done.len() - 2..],
        ["write pipeline/first-network.toml", "begin the ledger of first-network"]
    );
    let checked = world::check_files(&definitions_after(&survey, &steps), &Overrides::default());
    assert!(checked.diagnostics.is_empty(), "{:?}", checked.diagnostics);
    // And once it is done, there is nothing to ask or do but the ledger.
    let survey = after(&survey, &steps);
    let answers = ask(&survey, Wishes::default(), &[], &mut Scripted::new(&[])).unwrap();
    assert_eq!(actions(&plan(&survey, &answers)), ["begin the ledger of first-network"]);
}

#[test]
fn a_key_of_this_machine_is_the_first_choice_and_each_counts_once() {
    let survey = empty();
    let bob = Box::leak(key(2).into_boxed_str());
    let mut prompt = Scripted::new(&[
        "", // repository
        "",
        "",
        "",
        "y", // ada with the first key
        "ada",
        "bob",
        "Bob \u{1b}[31m",
        "Bob", // an id that is taken, and a name with a control
        "another",
        bob,
        "y", // a key of another machine
        "cy",
        "",
        "another",
        bob,
        "nonsense",
        "ssh-ed25519 AAAA", // the same key, and no keys
        Box::leak(key(3).into_boxed_str()),
        "n",
        "paste",
        Box::leak(key(1).into_boxed_str()),
        Box::leak(key(4).into_boxed_str()), // the job's is not a lead's
        "n",
        "",
        "1",
        "4",
        "", // partners, policy, threshold
        "",
        "",
        "",
        "",
        "", // zone, week, template, name, title
    ]);
    let answers = ask(&survey, Wishes::default(), &[1], &mut prompt).unwrap();
    let people = answers.people.unwrap();
    let keys: Vec<_> = people.leads.iter().map(|lead| lead.key.clone().unwrap()).collect();
    assert_eq!(keys, [key(1), key(2), key(3)]);
    assert_eq!((people.policy, people.threshold), (Policy::Quorum, 2));
    assert!(answers.new_keys.is_empty());
    for problem in [
        "`ada` is taken",
        "without control characters",
        "this is the key of bob",
        "is neither a public key nor a file",
        "is not an OpenSSH public key",
        "this is the key of ada",
        "write a number from 2 to 3",
    ] {
        assert!(prompt.has_said(problem), "{problem}: {:#?}", prompt.said);
    }
}

#[test]
fn times_that_leave_no_room_for_the_soak_are_asked_again() {
    let survey = empty();
    let mut prompt = Scripted::new(&[
        "",
        "",
        "",
        "",
        "",
        "",
        "", // repository, lead, key, no other lead, job's key, no partner
        "Mars/Olympus",
        "Europe/Berlin",
        "n",
        "Friday 15:00",
        "Monday 9:00",
        "",
        "", // the week
        "sequencer",
        "",
        "", // 66 h are too short for 90 h
        "",
        "",
        "",
        "",
        "", // again, with the usual answers
    ]);
    let answers = ask(&survey, Wishes::default(), &[], &mut prompt).unwrap();
    assert!(prompt.has_said("is not in the IANA time zone database"));
    assert!(prompt.has_said("cannot be complete at the evaluation"), "{:#?}", prompt.said);
    assert!(
        prompt.has_said("is 67h; 90h soak and 1h warm-up need 91h, which is 24h too long"),
        "{:#?}",
        prompt.said
    );
    assert_eq!(answers.pipeline.unwrap().template, Template::FirstNetwork);
    assert!(answers.people.unwrap().partners.is_empty(), "the other programme's partners are gone");
}

#[test]
fn what_is_there_is_neither_asked_nor_written() {
    let survey = empty();
    let answers = ask(&survey, Wishes::default(), &[], &mut Scripted::new(ENTER)).unwrap();
    let steps = plan(&survey, &answers);
    let all: Vec<Action> = steps.iter().flat_map(|step| step.actions.clone()).collect();
    let whole = after(&survey, &steps);
    // Any one file that is missing is the only one that is written again.
    for action in &all {
        let Action::WriteFile { path, .. } = action else { continue };
        let mut survey = whole.clone();
        survey.present.remove(path);
        survey.definitions.remove(path);
        let mut prompt = Scripted::new(ENTER);
        let answers = ask(&survey, Wishes::default(), &[], &mut prompt).unwrap();
        let written = actions(&plan(&survey, &answers));
        let files: Vec<_> = written.iter().filter(|one| !one.contains(".phasegate")).collect();
        let is_part_of_a_stage = path.starts_with("stages/") && !path.ends_with("stage.toml");
        let is_script = path.starts_with("pipeline/rehearsals/");
        // Somebody may have removed these; what they belong to is complete.
        let expected = if is_part_of_a_stage || is_script { 1 } else { 2 };
        assert_eq!(files.len(), expected, "{path}: {written:?}");
        if expected == 2 {
            assert_eq!(*files[0], format!("write {path}"));
        }
    }
}

#[test]
fn a_new_pipeline_follows_the_calendar_that_is_there() {
    let mut survey = empty();
    let text = super::week::Week::default().to_toml().replace("weekly-train", "our-week");
    survey.present.insert(CALENDARS_PATH.to_owned());
    survey.definitions.insert(CALENDARS_PATH.to_owned(), text);
    for template in ["first-network", "sequencer"] {
        let answers: Vec<_> = [&[""; 7][..], &[template, "", ""]].concat();
        let answers = ask(&survey, Wishes::default(), &[], &mut Scripted::new(&answers)).unwrap();
        let files = definitions_after(&survey, &plan(&survey, &answers));
        let checked = world::check_files(&files, &Overrides::default());
        let calendars: Vec<_> = checked
            .definitions
            .unwrap()
            .pipelines
            .values()
            .map(|one| one.calendar.clone())
            .collect();
        assert_eq!(calendars, ["our-week"]);
    }
}

#[test]
fn a_ledger_is_begun_once_and_for_one_pipeline() {
    let survey = empty();
    let answers = ask(&survey, Wishes::default(), &[], &mut Scripted::new(ENTER)).unwrap();
    let mut survey = after(&survey, &plan(&survey, &answers));
    let there = |ledger, survey: &Survey, wishes: Wishes, answers: &[&'static str]| {
        let survey = Survey { ledger, ..survey.clone() };
        let answers = ask(&survey, wishes, &[], &mut Scripted::new(answers)).unwrap();
        answers.ledger_of.map(|id| id.to_string())
    };
    let one = Some("first-network".to_owned());
    assert_eq!(there(LedgerThere::None, &survey, Wishes::default(), &[]), one);
    assert_eq!(there(LedgerThere::AtOrigin, &survey, Wishes::default(), &[]), None);
    let without = Wishes { without_ledger: true, ..Wishes::default() };
    assert_eq!(there(LedgerThere::None, &survey, without, &[]), None);
    let text = survey.definitions["pipeline/first-network.toml"].replace("first-network", "second");
    survey.definitions.insert("pipeline/second.toml".to_owned(), text);
    assert_eq!(
        there(LedgerThere::None, &survey, Wishes::default(), &["second"]),
        Some("second".to_owned())
    );
    let named = Wishes { name: Some(PipelineId::new("second").unwrap()), ..Wishes::default() };
    assert_eq!(there(LedgerThere::None, &survey, named, &[]), Some("second".to_owned()));
}

#[test]
fn a_shared_ledger_is_a_setting_and_asked_once() {
    let survey = Survey { has_origin: true, place: Place::WorkTree(empty().root), ..empty() };
    let enter = [&ENTER[1..], &[""]].concat();
    let answers = ask(&survey, Wishes::default(), &[], &mut Scripted::new(&enter)).unwrap();
    let steps = plan(&survey, &answers);
    assert!(actions(&steps).contains(&"set git's phasegate.remote to origin".to_owned()));
    let survey = after(&survey, &steps);
    let answers = ask(&survey, Wishes::default(), &[], &mut Scripted::new(&[])).unwrap();
    assert_eq!(answers.remote, None);
}

#[test]
fn every_file_of_the_stages_is_in_the_program() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../stages");
    let mut found = BTreeSet::new();
    let mut folders = vec![(root, "stages".to_owned())];
    while let Some((folder, path)) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let path = format!("{path}/{}", entry.file_name().to_str().unwrap());
            if entry.path().is_dir() {
                folders.push((entry.path(), path));
            } else {
                found.insert(path);
            }
        }
    }
    let shipped: Vec<_> = templates::STAGES.iter().map(|file| file.path.to_owned()).collect();
    assert_eq!(
        shipped.iter().cloned().collect::<BTreeSet<_>>(),
        found,
        "add it to templates::STAGES"
    );
    // Where `stage.toml` is, the rest was written before.
    for stage in templates::stage_ids() {
        let own = shipped.iter().filter(|path| templates::stage_of(path) == Some(stage));
        assert!(own.clone().next_back().unwrap().ends_with("/stage.toml"), "{stage}");
    }
}

#[test]
fn templates_fit_the_stages_under_any_name() {
    let name = PipelineId::new("ours").unwrap();
    for template in Template::ALL {
        let title = "Ours \"and\" {{name}}";
        let files = template.files(&Programme {
            name: &name,
            title,
            calendar: "weekly-train",
            partners: &[],
        });
        let (path, text) = files.last().unwrap();
        assert_eq!(path, "pipeline/ours.toml");
        let document: toml::Table = text.parse().unwrap();
        assert_eq!(document["title"].as_str(), Some(title), "{template:?}");
        let script = document["rehearsal"]["script"].as_str().unwrap();
        assert!(files.iter().any(|(path, _)| path == script), "{script}");
        assert!(text.lines().all(|line| line.len() <= 400 || template.asks_partners()));
        assert!(!files.iter().any(|(path, _)| path == ROLES_PATH));
    }
}
