//! Questions about the week and the first pipeline.

use base::PipelineId;
use definition::CALENDARS_PATH;

use super::people::{ID_RULE, sayable};
use super::{Interview, Wishes};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::wizard::plan::NewPipeline;
use crate::wizard::templates::Template;
use crate::wizard::week::{Week, WeekTime};

impl Interview<'_> {
    /// When the events are; nothing when the definitions say so already.
    pub(super) fn week(&mut self) -> Result<Option<Week>, Failure> {
        self.prompt.step(
            "Calendar",
            "Every week the network is deployed internally, soaks over the weekend, is judged, and what passed is released. A soak that cannot be complete by the evaluation is refused.",
        );
        if self.survey.has(CALENDARS_PATH) {
            self.there(&format!("{CALENDARS_PATH}."));
            if self.wishes.names_times() {
                self.prompt.note(&format!("{CALENDARS_PATH} is there and stays as it is: the options about times were not used."));
            }
            return Ok(None);
        }
        let mut week = Week::default();
        week.zone = match &self.wishes.zone {
            Some(zone) => {
                known_zone(zone).map_err(|problem| Failure::new(Exit::Usage, problem))?;
                zone.clone()
            }
            None => self.prompt.text(
                "Time zone, such as Europe/Berlin",
                Some(&week.zone),
                &known_zone,
            )?,
        };
        let asked = self.wishes.events;
        let mut own = asked.iter().any(Option::is_some);
        if !own {
            if self.prompt.is_interactive() {
                self.prompt.note(&format!("The usual week: {}.", week.describe()));
            }
            own = !self.prompt.confirm("Use the usual week?", true)?;
        }
        if own {
            let [deploy, evaluate, announce, release] = asked;
            week.deploy = self.time("Internal deployment", deploy, week.deploy)?;
            week.evaluate = self.time("Evaluation", evaluate, week.evaluate)?;
            week.announce = self.time("Announcement of the report", announce, week.announce)?;
            week.release = self.time("Public deployment", release, week.release)?;
        }
        Ok(Some(week))
    }

    fn time(
        &mut self,
        question: &str,
        asked: Option<WeekTime>,
        usual: WeekTime,
    ) -> Result<WeekTime, Failure> {
        if let Some(time) = asked {
            return Ok(time);
        }
        let check = |text: &str| text.parse::<WeekTime>().map(|_| ());
        let text = self.prompt.text(question, Some(&usual.to_string()), &check)?;
        text.parse().map_err(|problem| Failure::new(Exit::Usage, problem))
    }

    /// The first pipeline; nothing when the one that is meant is there.
    pub(super) fn pipeline(&mut self) -> Result<Option<NewPipeline>, Failure> {
        self.prompt.step(
            "First pipeline",
            "A programme is a file of phases, each with gates that have to pass. It starts from a template and is yours to change; the stages that it uses are written beside it.",
        );
        let there = self.survey.pipelines();
        let is_there = match &self.wishes.name {
            Some(name) => there.contains(name),
            None => !there.is_empty(),
        };
        if is_there {
            let ids: Vec<_> = there.iter().map(|id| format!("pipeline/{id}.toml")).collect();
            self.there(&format!("{}.", ids.join(", ")));
            return Ok(None);
        }
        let template = match self.wishes.template {
            Some(template) => template,
            None => {
                let options = Template::ALL.map(|one| one.describe().to_owned());
                let chosen = self.prompt.choose("Template", &options, 0)?;
                Template::ALL.get(chosen).copied().unwrap_or_default()
            }
        };
        let name = match self.wishes.name.clone() {
            Some(name) => {
                free_name(name.as_str()).map_err(|problem| Failure::new(Exit::Usage, problem))?;
                name
            }
            None => {
                let question = "Name of the programme, which is also its file's";
                let text = self.prompt.text(question, Some(template.name()), &free_name)?;
                PipelineId::new(text).map_err(|error| Failure::of(Exit::Usage, &error))?
            }
        };
        let title = match self.wishes.title.clone() {
            Some(title) => {
                sayable(&title)
                    .map_err(|problem| Failure::new(Exit::Usage, format!("--title: {problem}")))?;
                title.trim().to_owned()
            }
            None => {
                self.prompt.text("Title in reports", Some(&title_of(&name, template)), &sayable)?
            }
        };
        Ok(Some(NewPipeline { template, name, title }))
    }

    /// Asks about times and template anew, whatever was named beforehand.
    pub(super) fn forget_programme(&mut self) {
        self.wishes = Wishes { events: [None; 4], template: None, ..self.wishes.clone() };
    }
}

/// The usual title for the template's own name, or the name in words.
fn title_of(name: &PipelineId, template: Template) -> String {
    if name.as_str() == template.name() {
        return template.title().to_owned();
    }
    let words = name.as_str().replace(['-', '_', '.'], " ");
    let mut characters = words.trim().chars();
    match characters.next() {
        Some(first) => first.to_uppercase().chain(characters).collect(),
        None => template.title().to_owned(),
    }
}

fn free_name(text: &str) -> Result<(), String> {
    let id = PipelineId::new(text).map_err(|_| ID_RULE.to_owned())?;
    match id.as_str() {
        "calendar" | "roles" => {
            Err(format!("`pipeline/{id}.toml` is the file of something else; choose another name"))
        }
        _ => Ok(()),
    }
}

fn known_zone(text: &str) -> Result<(), String> {
    match calendar::is_zone(text) {
        true => Ok(()),
        false => Err(format!(
            "`{}` is not in the IANA time zone database; write a name such as `UTC` or `Europe/Berlin`",
            report::clean(text)
        )),
    }
}
