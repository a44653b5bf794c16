//! From questions to answers: what is named beforehand is not asked, what is there is not asked, and
//! everything else has a default.

mod people;
mod programme;

use std::path::PathBuf;

use base::{PipelineId, PrincipalId};
use definition::{Checked, Overrides, Policy};

use super::git::{self, Place};
use super::keys::NewKeys;
use super::plan::{Answers, definitions_after, plan};
use super::prompt::Prompt;
use super::survey::{LedgerThere, Survey};
use super::templates::Template;
use super::week::WeekTime;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{say, stderr_has_colour};
use crate::ssh_keys::{Found, expanded};
use crate::world::{self, World};

/// What was named beforehand, by options of the command line.
#[derive(Debug, Clone, Default)]
pub struct Wishes {
    /// The pipeline's name.
    pub name: Option<PipelineId>,
    /// Its title.
    pub title: Option<String>,
    /// What it is made from.
    pub template: Option<Template>,
    /// Leads, each with a public key or a file that has one; without it a key is made.
    pub leads: Vec<(PrincipalId, Option<String>)>,
    /// The key of the weekly job.
    pub evaluator_key: Option<String>,
    /// Partners, each with a key or without.
    pub partners: Vec<(PrincipalId, Option<String>)>,
    /// Whether one person may decide alone.
    pub policy: Option<Policy>,
    /// How many leads have to agree.
    pub threshold: Option<u32>,
    /// The time zone of the calendar.
    pub zone: Option<String>,
    /// The events in the order deploy, evaluate, announce, release.
    pub events: [Option<WeekTime>; 4],
    /// The remote that the ledger is shared through.
    pub remote: Option<String>,
    /// Whether no ledger is to be begun.
    pub without_ledger: bool,
}

impl Wishes {
    /// The key files that were named.
    pub fn key_files(&self) -> Vec<PathBuf> {
        let keys = self.leads.iter().filter_map(|(_, key)| key.as_ref());
        keys.map(|key| expanded(key)).filter(|path| path.is_file()).collect()
    }

    fn names_people(&self) -> bool {
        let Self { leads, evaluator_key, partners, policy, threshold, .. } = self;
        !leads.is_empty()
            || !partners.is_empty()
            || evaluator_key.is_some()
            || policy.is_some()
            || threshold.is_some()
    }

    fn names_times(&self) -> bool {
        self.zone.is_some() || self.events.iter().any(Option::is_some)
    }
}

/// One run of questions.
pub struct Interview<'a> {
    /// What there is.
    pub survey: &'a Survey,
    /// The repository, for the keys of earlier runs.
    pub world: &'a World,
    /// What was named beforehand.
    pub wishes: Wishes,
    /// The public keys of this machine.
    pub found: Vec<Found>,
    /// Who answers.
    pub prompt: &'a mut dyn Prompt,
    /// Pairs that were made for the answers.
    pub keys: NewKeys,
}

impl Interview<'_> {
    /// Asks everything that is missing.
    pub fn run(&mut self) -> Result<Answers, Failure> {
        self.repository()?;
        let people = self.people()?;
        let mut answers = Answers {
            people: None,
            new_keys: Vec::new(),
            week: None,
            pipeline: None,
            ledger_of: None,
            remote: None,
        };
        loop {
            answers.week = self.week()?;
            answers.pipeline = self.pipeline()?;
            answers.people = self.with_partners(people.clone(), answers.pipeline.as_ref());
            match self.problems(&answers) {
                None => break,
                // Without anybody who answers anew, the same answers would come again.
                Some(problems) if self.can_ask_again(&answers) => {
                    self.prompt.note(&short(&problems));
                    self.prompt.note("The calendar and the pipeline do not fit together, so both are asked again.");
                    self.forget_programme();
                }
                Some(problems) => return Err(refused(&problems)),
            }
        }
        answers.remote = self.remote()?;
        answers.ledger_of = self.ledger(&answers)?;
        answers.new_keys = self.keys.principals();
        Ok(answers)
    }

    fn can_ask_again(&self, answers: &Answers) -> bool {
        self.prompt.is_interactive() && answers.week.is_some() && answers.pipeline.is_some()
    }

    /// What the check of the definitions would find, when any of it is an error.
    fn problems(&self, answers: &Answers) -> Option<Checked> {
        let files = definitions_after(self.survey, &plan(self.survey, answers));
        let checked = world::check_files(&files, &Overrides::default());
        diagnostics::has_errors(&checked.diagnostics).then_some(checked)
    }

    fn repository(&mut self) -> Result<(), Failure> {
        self.prompt.step(
            "Git repository",
            "Definitions are files of a git repository, and the ledger is a branch of it: whoever clones the repository can verify everything.",
        );
        match &self.survey.place {
            Place::WorkTree(top) => {
                self.there(&format!("the repository {}.", top.display()));
                Ok(())
            }
            Place::Outside => {
                let question = format!("Make a git repository in {}?", self.survey.root.display());
                if self.prompt.confirm(&question, true)? {
                    return Ok(());
                }
                Err(Failure::new(
                    Exit::Usage,
                    "without a git repository there is no place for a ledger",
                )
                .hint("Run `phasegate init DIR` with the folder of a repository."))
            }
        }
    }

    /// Says that something is there, to somebody who follows the steps.
    fn there(&mut self, what: &str) {
        if self.prompt.is_interactive() {
            self.prompt.note(&format!("Already there: {what}"));
        }
    }

    fn remote(&mut self) -> Result<Option<String>, Failure> {
        if let Some(name) = self.wishes.remote.clone() {
            let is_name = !name.contains(['/', ':']);
            if is_name
                && git::config(&existing(self.survey), &format!("remote.{name}.url"))?.is_none()
            {
                return Err(Failure::new(
                    Exit::Usage,
                    format!("git knows no remote `{}`", report::clean(&name)),
                )
                .hint("`git remote add NAME URL` makes it known."));
            }
            return Ok(Some(name));
        }
        if !self.survey.has_origin
            || self.survey.ledger_remote.is_some()
            || !self.prompt.is_interactive()
        {
            return Ok(None);
        }
        self.prompt.step(
            "Sharing the ledger",
            "When several machines write the ledger, such as the weekly job's and those of the leads, the branch at a git remote is the one that counts.",
        );
        let shared =
            self.prompt.confirm("Is the ledger shared through the remote `origin`?", true)?;
        Ok(shared.then(|| "origin".to_owned()))
    }

    fn ledger(&mut self, answers: &Answers) -> Result<Option<PipelineId>, Failure> {
        if self.survey.ledger != LedgerThere::None || self.wishes.without_ledger {
            return Ok(None);
        }
        if let Some(new) = &answers.pipeline {
            return Ok(Some(new.name.clone()));
        }
        if let Some(name) = &self.wishes.name {
            return Ok(Some(name.clone()));
        }
        let ids = self.survey.pipelines();
        match ids.as_slice() {
            [only] => Ok(Some(only.clone())),
            several if self.prompt.is_interactive() => {
                let options: Vec<_> = several.iter().map(ToString::to_string).collect();
                let chosen = self.prompt.choose("Whose ledger is it?", &options, 0)?;
                Ok(several.get(chosen).cloned())
            }
            _ => Err(Failure::new(
                Exit::Usage,
                "there are several pipelines, and a repository has one ledger",
            )
            .hint("Name the pipeline with --name, or write no ledger with --no-ledger.")),
        }
    }
}

/// The first error in plain words: the files that it is about are not written yet.
fn short(checked: &Checked) -> String {
    let first = checked.diagnostics.iter().find(|one| one.is_error());
    let first = first.map(|one| [std::slice::from_ref(&one.message), &one.notes].concat());
    first.unwrap_or_default().join("\n")
}

fn refused(checked: &Checked) -> Failure {
    let colour = stderr_has_colour();
    say(diagnostics::render::human(&checked.diagnostics, &checked.sources, colour).trim_end());
    Failure::new(Exit::Definition, "the definitions would have errors, so nothing was written").hint(
        "Mend the files, or choose other times or another template; then run `phasegate init` again.",
    )
}

/// The folder, or the nearest one above it that exists.
fn existing(survey: &Survey) -> PathBuf {
    let dirs = survey.root.ancestors();
    dirs.into_iter().find(|dir| dir.is_dir()).map_or_else(|| PathBuf::from("/"), PathBuf::from)
}
