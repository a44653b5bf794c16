//! The report as Markdown: no raw HTML, no links, every foreign text escaped.

mod escape;
mod gate;

use escape::escape;

use crate::view::{Fact, PhaseView, TrackView, View};

/// Renders a report.
pub(crate) fn render(view: &View) -> String {
    let mut page = Page::default();
    front(&mut page, view);
    phases(&mut page, view);
    hypotheses(&mut page, view);
    for phase in view.phases.iter().filter(|phase| !phase.tracks.is_empty()) {
        judged_phase(&mut page, phase);
    }
    verification(&mut page, view);
    page.text
}

/// Markdown that is being written.
#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn line(&mut self, text: &str) {
        self.text.push_str(text);
        self.text.push('\n');
    }

    fn heading(&mut self, level: usize, text: &str) {
        if !self.text.is_empty() {
            self.line("");
        }
        self.line(&format!("{} {text}", "#".repeat(level)));
        self.line("");
    }

    fn list(&mut self, items: impl IntoIterator<Item = String>) {
        for item in items {
            self.line(&format!("- {item}"));
        }
    }

    /// A table; every cell is Markdown already.
    fn table(&mut self, head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) {
        self.line(&format!("| {} |", head.join(" | ")));
        self.line(&format!("|{}", "---|".repeat(head.len())));
        for row in rows {
            self.line(&format!("| {} |", row.join(" | ")));
        }
    }
}

fn front(page: &mut Page, view: &View) {
    page.heading(1, &format!("{}: week {}", escape(&view.title), escape(&view.week)));
    page.line(&format!("**{}**", escape(&view.sentence)));
    page.line("");
    page.line(&format!("Judged on {}. All times are UTC.", escape(&view.at)));
    if view.verdicts.len() > 1 {
        page.line("");
        page.list(view.verdicts.iter().map(|one| {
            format!("**{}** ({}): {}", one.badge.label, escape(&one.track), escape(&one.sentence))
        }));
    }
    page.line("");
    page.line("Before you read on:");
    page.line("");
    page.list(view.notices.iter().map(|notice| escape(notice)));
    page.heading(2, "What happens next");
    if view.upcoming.is_empty() {
        page.line("Nothing is planned.");
    } else {
        page.list(
            view.upcoming
                .iter()
                .map(|next| format!("{}: {}", escape(&next.at), escape(&next.what))),
        );
    }
    waivers(page, view);
    advisory(page, view);
    page.heading(2, "Not known");
    if view.not_known.is_empty() {
        page.line("Every gate that was judged found an answer.");
    } else {
        page.list(view.not_known.iter().map(|text| escape(text)));
    }
}

fn waivers(page: &mut Page, view: &View) {
    page.heading(2, "Waivers");
    if view.waivers.is_empty() {
        page.line("No gate is waived.");
        return;
    }
    page.table(
        &["Gate", "Found", "Reason", "Until", "Ledger entry"],
        view.waivers.iter().map(|waiver| {
            vec![
                escape(&waiver.place),
                waiver.badge.as_ref().map_or("–", |badge| badge.label).to_owned(),
                escape(&waiver.reason),
                escape(&waiver.expires),
                waiver.entry.to_string(),
            ]
        }),
    );
}

fn advisory(page: &mut Page, view: &View) {
    page.heading(2, "Advisory gates");
    if view.advisory.is_empty() {
        page.line("Every gate that was judged blocks.");
        return;
    }
    page.line("These gates are judged and shown; they do not block.");
    page.line("");
    page.table(
        &["Gate", "Title", "Found", "Reason"],
        view.advisory.iter().map(|gate| {
            vec![
                escape(&gate.place),
                escape(&gate.title),
                gate.badge.label.to_owned(),
                escape(&gate.reason),
            ]
        }),
    );
}

fn phases(page: &mut Page, view: &View) {
    page.heading(2, "Phases");
    page.table(
        &["Phase", "Stands", "Attempt", "Internal since", "Soak", "Public since", "Soak", "Next"],
        view.phases.iter().map(|phase| {
            vec![
                format!("{}: {}", escape(&phase.name), escape(&phase.title)),
                phase.badge.label.to_owned(),
                phase.attempt.clone(),
                phase.internal.deployed.clone(),
                phase.internal.soak.clone(),
                phase.public.deployed.clone(),
                phase.public.soak.clone(),
                escape(&phase.next),
            ]
        }),
    );
    page.line("");
    page.list(
        view.phases
            .iter()
            .map(|phase| format!("{}: {}", escape(&phase.name), escape(&phase.state))),
    );
}

fn hypotheses(page: &mut Page, view: &View) {
    page.heading(2, "Hypotheses");
    if view.hypotheses.is_empty() {
        page.line("The programme states none.");
        return;
    }
    page.table(
        &["Statement", "Answer", "Gates"],
        view.hypotheses.iter().map(|one| {
            let gates = one.gates.iter();
            let gates = gates.map(|gate| escape(&format!("{}: {}", gate.gate, gate.answer)));
            vec![
                escape(&one.statement),
                one.badge.label.to_owned(),
                gates.collect::<Vec<_>>().join("; "),
            ]
        }),
    );
}

fn judged_phase(page: &mut Page, phase: &PhaseView) {
    page.heading(2, &format!("{}: {}", escape(&phase.name), escape(&phase.title)));
    page.line(&escape(&phase.summary));
    for track in &phase.tracks {
        judged_track(page, track);
    }
}

fn judged_track(page: &mut Page, track: &TrackView) {
    page.heading(
        3,
        &format!("{} track, attempt {}: {}", track.name, track.attempt, track.badge.label),
    );
    page.list(track.reasons.iter().map(|reason| escape(reason)));
    page.line("");
    page.line("What the evidence is about:");
    page.line("");
    facts(page, &track.subject);
    for one in &track.gates {
        gate::write(page, one);
    }
}

fn facts(page: &mut Page, facts: &[Fact]) {
    page.list(facts.iter().map(|fact| format!("{}: {}", escape(&fact.name), escape(&fact.value))));
}

fn verification(page: &mut Page, view: &View) {
    page.heading(2, "How to verify this report");
    facts(page, &view.ledger);
    facts(page, &view.host);
    page.line("");
    page.line("With `allowed_signers` from a source that you trust, in the folder of this report:");
    page.line("");
    page.line("```sh");
    page.line(&format!(
        "ssh-keygen -Y verify -f allowed_signers -I \"$SIGNER\" -n {} -s statement.json.sig < statement.json",
        view.namespace
    ));
    page.line(
        "jq -r '.subject[]|.digest.sha256+\"  \"+.name' statement.json | sha256sum -c --strict",
    );
    page.line("```");
}
