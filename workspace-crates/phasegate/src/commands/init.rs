//! `init`: the wizard that sets a programme up.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use base::{PipelineId, PrincipalId};
use definition::Policy;

use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::output::{Format, print, print_json, say};
use crate::session;
use crate::ssh_keys;
use crate::wizard::carry_out::{CarryOut, sign_waiting};
use crate::wizard::interview::{Interview, Wishes};
use crate::wizard::keys::NewKeys;
use crate::wizard::plan::{Action, Step, plan};
use crate::wizard::prompt::{Defaults, Prompt};
use crate::wizard::summary::Summary;
use crate::wizard::survey;
use crate::wizard::templates::{self, Template};
use crate::wizard::terminal::Terminal;
use crate::wizard::week::WeekTime;
use crate::wizard::write;
use crate::world::{Global, World};

/// Set up a programme in a repository, new or not: keys, roles, calendar, pipeline
///
/// Asks step by step and says what each step is for. What is there already stays as it is, so it can
/// be run again at any time: it does only what is missing.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  phasegate init
  phasegate init my-network --yes --name my-network
  phasegate init --yes --lead ada=~/.ssh/id_ed25519.pub --lead bob=bob.pub --lead cy=cy.pub
  phasegate init --dry-run --yes --template sequencer-prover-testnet
  phasegate init --sign-genesis genesis.json")]
pub struct Args {
    /// The folder [default: the repository around the current folder]
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Ask nothing: take the defaults for what no option says
    #[arg(long)]
    yes: bool,
    /// Only print what would be written
    #[arg(long)]
    dry_run: bool,
    /// Name of the programme, which is also its file's
    #[arg(long, value_name = "NAME")]
    name: Option<PipelineId>,
    /// Title of the programme in reports
    #[arg(long)]
    title: Option<String>,
    /// What the first pipeline is made from
    #[arg(long, value_enum)]
    template: Option<Template>,
    /// A lead with a public key or its file; without one a key is made. Once for each lead
    #[arg(long = "lead", value_name = "ID[=KEY]", value_parser = person)]
    leads: Vec<(PrincipalId, Option<String>)>,
    /// The public key of the weekly job, or its file [default: a key is made]
    #[arg(long, value_name = "KEY")]
    evaluator_key: Option<String>,
    /// A partner, with a key or without. Once for each partner
    #[arg(long = "partner", value_name = "ID[=KEY]", value_parser = person)]
    partners: Vec<(PrincipalId, Option<String>)>,
    /// Whether one lead may decide alone [default: solo for one lead, quorum for more]
    #[arg(long, value_enum)]
    policy: Option<PolicyName>,
    /// How many leads have to agree [default: 1 for solo, 2 for quorum]
    #[arg(long, value_name = "NUMBER")]
    threshold: Option<u32>,
    /// Time zone of the calendar [default: UTC]
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
    /// Time of internal deployments [default: Thursday 15:00]
    #[arg(long, value_name = "DAY TIME")]
    deploy: Option<WeekTime>,
    /// Time of evaluations [default: Monday 14:30]
    #[arg(long, value_name = "DAY TIME")]
    evaluate: Option<WeekTime>,
    /// Time at which reports are announced [default: Monday 18:00]
    #[arg(long, value_name = "DAY TIME")]
    announce: Option<WeekTime>,
    /// Time of public deployments [default: Tuesday 15:00]
    #[arg(long, value_name = "DAY TIME")]
    release: Option<WeekTime>,
    /// The git remote that the ledger is shared through
    #[arg(long, value_name = "REMOTE")]
    remote: Option<String>,
    /// Write everything but the ledger
    #[arg(long)]
    no_ledger: bool,
    /// Sign the first entry of a ledger that another lead prepared; the last one begins the ledger
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    sign_genesis: Option<PathBuf>,
    /// How the summary is printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Whether one lead may decide alone.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum PolicyName {
    /// One lead decides alone; every report says so.
    Solo,
    /// Nobody decides alone.
    Quorum,
}

fn person(text: &str) -> Result<(PrincipalId, Option<String>), String> {
    let (id, key) = match text.split_once('=') {
        Some((id, key)) => (id, Some(key.to_owned())),
        None => (text, None),
    };
    let id = PrincipalId::new(id).map_err(|error| report::clean(&error.to_string()))?;
    Ok((id, key))
}

impl Args {
    fn wishes(&self) -> Wishes {
        Wishes {
            name: self.name.clone(),
            title: self.title.clone(),
            template: self.template,
            leads: self.leads.clone(),
            evaluator_key: self.evaluator_key.clone(),
            partners: self.partners.clone(),
            policy: self.policy.map(|policy| match policy {
                PolicyName::Solo => Policy::Solo,
                PolicyName::Quorum => Policy::Quorum,
            }),
            threshold: self.threshold,
            zone: self.time_zone.clone(),
            events: [self.deploy, self.evaluate, self.announce, self.release],
            remote: self.remote.clone(),
            without_ledger: self.no_ledger,
        }
    }

    /// A person at the terminal, or the defaults.
    fn prompt(&self) -> Result<Box<dyn Prompt>, Failure> {
        if self.yes {
            return Ok(Box::new(Defaults));
        }
        if std::io::stdin().is_terminal() && std::io::stderr().is_terminal() {
            return Ok(Box::new(Terminal::new()?));
        }
        let failure = Failure::new(Exit::Usage, "there is no terminal to ask on");
        if self.sign_genesis.is_some() {
            return Err(failure.hint("Nothing was signed. --yes shows the entry and signs it."));
        }
        Err(failure.hint(
            "Add --yes, and what the defaults get wrong: --name, --title, --template, --lead, --evaluator-key, --partner, --policy, --threshold, --time-zone, --deploy, --evaluate, --announce, --release, --remote, --no-ledger. `phasegate init --help` explains them.",
        ))
    }
}

/// Sets a programme up, or signs for one.
pub fn run(global: &Global, args: &Args) -> Outcome {
    let mut prompt = args.prompt()?;
    let root = survey::root(args.dir.as_deref().or(global.root.as_deref()))?;
    let world = World { root };
    let wishes = args.wishes();
    let summary = match &args.sign_genesis {
        Some(file) => sign_waiting(&world, file, &wishes.key_files(), &mut *prompt)?,
        None => match set_up(&world, args, wishes, &mut *prompt)? {
            Some(summary) => summary,
            None => return Ok(Exit::Done),
        },
    };
    if prompt.is_interactive() {
        say("");
    }
    match args.format {
        Format::Json => print_json(&summary),
        Format::Human => print(&summary.describe()),
    }
}

fn set_up(
    world: &World,
    args: &Args,
    wishes: Wishes,
    prompt: &mut dyn Prompt,
) -> Result<Option<Summary>, Failure> {
    let survey = survey::look(&world.root)?;
    if prompt.is_interactive() {
        say(format!(
            "Setting up a programme in {}. Ctrl-C stops; the next run carries on.",
            world.root.display()
        ));
    }
    let named = wishes.key_files();
    let found = match prompt.is_interactive() {
        true => ssh_keys::discover(survey.signing_key.as_deref()),
        false => Vec::new(),
    };
    let mut interview =
        Interview { survey: &survey, world, wishes, found, prompt, keys: NewKeys::default() };
    let answers = interview.run()?;
    let Interview { keys, prompt, .. } = interview;
    let steps = plan(&survey, &answers);
    if args.dry_run {
        if args.format == Format::Human {
            print(&preview(&steps, &keys))?;
        }
        return Ok(Some(Summary::planned(&world.root, &steps)));
    }
    if !agreed(&steps, prompt)? {
        say("Nothing was written.");
        return Ok(None);
    }
    // Reading needs no lock, and a set-up that is complete is not touched.
    let lock = match steps.iter().all(|step| step.actions.is_empty()) {
        true => None,
        false => Some(session::lock(world)?),
    };
    if lock.is_some() {
        write::clear_leftovers(world)?;
    }
    let carried = CarryOut { world, keys: &keys, named: &named, prompt };
    Ok(Some(carried.run(&steps, survey.has_origin)?))
}

/// Shows a person what will be written, and asks.
fn agreed(steps: &[Step], prompt: &mut dyn Prompt) -> Result<bool, Failure> {
    let is_written = |action: &&Action| !matches!(action, Action::BeginLedger(_));
    let actions: Vec<_> = steps.iter().flat_map(|step| &step.actions).filter(is_written).collect();
    if actions.is_empty() {
        return Ok(true);
    }
    let mut lines: Vec<String> = Vec::new();
    for action in actions {
        let line = match action {
            Action::WriteFile { path, .. } => match templates::stage_of(path) {
                Some(stage) => format!("write the stage stages/{stage}"),
                None => action.describe(),
            },
            _ => action.describe(),
        };
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    prompt.step("Ready", &format!("This will be done:\n- {}", lines.join("\n- ")));
    prompt.confirm("Do it?", true)
}

/// The files as they would be written. Keys that are made for this are made anew when it is done.
fn preview(steps: &[Step], keys: &NewKeys) -> String {
    let mut text = String::new();
    for action in steps.iter().flat_map(|step| &step.actions) {
        match action {
            Action::WriteFile { path, text: content } if !path.starts_with("stages/") => {
                let mut content = content.clone();
                for public in keys.pairs.values().map(|pair| pair.public_openssh.as_str()) {
                    let bare: Vec<_> = public.split(' ').take(2).collect();
                    content = content.replace(&bare.join(" "), "(the key that is made)");
                }
                text.push_str(&format!("==> {path}\n{content}\n"));
            }
            other => text.push_str(&format!("==> {}\n\n", other.describe())),
        }
    }
    text
}

/// The path as a person would type it, from the folder that they are in.
pub fn shown(path: &Path) -> String {
    let here = std::env::current_dir().ok();
    let below = here.and_then(|here| path.strip_prefix(here).ok().map(Path::to_owned));
    below.unwrap_or_else(|| path.to_owned()).display().to_string()
}
