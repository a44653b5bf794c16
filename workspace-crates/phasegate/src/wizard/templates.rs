//! What a new programme starts from: the shipped stages and programmes, held in the program itself,
//! and the first pipeline of a new one.

use base::{PipelineId, PrincipalId};
use clap::ValueEnum;

/// A file of the repository, by its path from the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shipped {
    /// From the root of the repository, with `/` between the parts.
    pub path: &'static str,
    /// What is in it.
    pub text: &'static str,
}

/// The file's text is read when the program is built, so that it cannot differ from the repository's.
macro_rules! shipped {
    ($($path:literal),+ $(,)?) => {
        &[$(Shipped {
            path: $path,
            text: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../", $path)),
        }),+]
    };
}

/// Every file of `stages/`. In each folder `stage.toml` is last: where it is, the stage is complete.
pub const STAGES: &[Shipped] = shipped![
    "stages/monitoring/README.md",
    "stages/monitoring/stage.toml",
    "stages/stability/README.md",
    "stages/stability/assets/node-guide.md",
    "stages/stability/assets/bad/approvals-one-person-twice.json",
    "stages/stability/assets/bad/issues-not-planned.json",
    "stages/stability/assets/bad/node-guide-without-setup.md",
    "stages/stability/assets/bad/provenance-by-another-key.jsonl",
    "stages/stability/stage.toml",
];

const CALENDAR: &[Shipped] = shipped!["pipeline/calendar.toml"];

/// The shipped programme, its pipeline last.
const TESTNET: &[Shipped] = shipped![
    "pipeline/rehearsals/issues-features.json",
    "pipeline/rehearsals/issues-p0.json",
    "pipeline/rehearsals/sequencer-prover-testnet.toml",
    "pipeline/sequencer-prover-testnet.toml",
];

const TESTNET_NAME: &str = "sequencer-prover-testnet";
/// The partners of the shipped programme.
pub const PARTNERS: [&str; 2] = ["partner-north", "partner-south"];

const FIRST_NETWORK: &str = include_str!("templates/first-network.toml");
const FIRST_NETWORK_SCRIPT: &str = include_str!("templates/rehearsal.toml");

/// The name of the shipped calendar.
pub const CALENDAR_NAME: &str = "weekly-train";

/// What a first pipeline is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Template {
    /// Two small phases: four validators, then eight.
    #[default]
    FirstNetwork,
    /// The four phases of the Sequencer & Prover Testnet, 48 to 300 validators.
    SequencerProverTestnet,
}

impl Template {
    /// Every template, in the order in which they are offered.
    pub const ALL: [Self; 2] = [Self::FirstNetwork, Self::SequencerProverTestnet];

    /// One line for people who choose.
    pub fn describe(self) -> &'static str {
        match self {
            Self::FirstNetwork => "first-network: two small phases to change to your own",
            Self::SequencerProverTestnet => {
                "sequencer-prover-testnet: four phases, 48 to 300 validators, as it was run"
            }
        }
    }

    /// What the programme is called when nobody says otherwise.
    pub fn name(self) -> &'static str {
        match self {
            Self::FirstNetwork => "first-network",
            Self::SequencerProverTestnet => TESTNET_NAME,
        }
    }

    /// Its title when nobody says otherwise.
    pub fn title(self) -> &'static str {
        match self {
            Self::FirstNetwork => "First network",
            Self::SequencerProverTestnet => TESTNET_TITLE,
        }
    }

    /// Whether its gates ask partners for their consent.
    pub fn asks_partners(self) -> bool {
        self == Self::SequencerProverTestnet
    }

    /// The files of `programme`, the pipeline last.
    pub fn files(self, programme: &Programme<'_>) -> Vec<(String, String)> {
        match self {
            Self::FirstNetwork => first_network(programme),
            Self::SequencerProverTestnet => testnet(programme),
        }
    }
}

/// What a template is filled in with.
#[derive(Debug, Clone, Copy)]
pub struct Programme<'a> {
    /// The name of its file.
    pub name: &'a PipelineId,
    /// What it is called in reports.
    pub title: &'a str,
    /// The calendar that it follows.
    pub calendar: &'a str,
    /// The partners that a rehearsal lets speak; those beyond the second have nothing to say.
    pub partners: &'a [PrincipalId],
}

const TESTNET_TITLE: &str = "Sequencer & Prover Testnet";

fn first_network(programme: &Programme<'_>) -> Vec<(String, String)> {
    let Programme { name, title, calendar, .. } = programme;
    let pipeline = FIRST_NETWORK
        .replace("{{name}}", name.as_str())
        .replace("{{calendar}}", calendar)
        .replace("{{title}}", &toml_text(title));
    vec![
        (format!("pipeline/rehearsals/{name}.toml"), FIRST_NETWORK_SCRIPT.to_owned()),
        (format!("pipeline/{name}.toml"), pipeline),
    ]
}

fn testnet(programme: &Programme<'_>) -> Vec<(String, String)> {
    let rename = |text: &str| text.replace(TESTNET_NAME, programme.name.as_str());
    let file = |file: &Shipped| {
        let mut text = file.text.to_owned();
        if file.path.ends_with(".toml") {
            text = rename(&text)
                .replacen(&toml_text(TESTNET_TITLE), &toml_text(programme.title), 1)
                .replacen(&toml_text(CALENDAR_NAME), &toml_text(programme.calendar), 1);
            for (usual, own) in PARTNERS.iter().zip(programme.partners) {
                text = text.replace(&toml_text(usual), &toml_text(own.as_str()));
            }
        }
        (rename(file.path), text)
    };
    TESTNET.iter().map(file).collect()
}

/// The shipped calendar: its text up to the freezes of the shipped programme, and these.
pub fn calendar() -> (&'static str, &'static str) {
    let text = CALENDAR.first().map_or("", |file| file.text);
    let end = text.find("[[calendars.weekly-train.freeze]]").unwrap_or(text.len());
    text.split_at(end)
}

/// The ids of the shipped stages, in their order.
pub fn stage_ids() -> Vec<&'static str> {
    let ids = STAGES.iter().filter_map(|file| stage_of(file.path));
    ids.fold(Vec::new(), |mut ids, id| {
        if !ids.contains(&id) {
            ids.push(id);
        }
        ids
    })
}

/// The stage that a file belongs to.
pub fn stage_of(path: &str) -> Option<&str> {
    path.strip_prefix("stages/").and_then(|rest| rest.split_once('/')).map(|(stage, _)| stage)
}

/// `text` as TOML writes it, with its quotes.
pub fn toml_text(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => {
                quoted.push('\\');
                quoted.push(character);
            }
            control if control.is_control() => {
                quoted.push_str(&format!("\\u{:04X}", u32::from(control)));
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}
