use super::Page;
use super::escape::{code, escape};
use crate::view::{GateView, MeasureView};

/// Writes one gate.
pub(super) fn write(page: &mut Page, gate: &GateView) {
    let advisory = if gate.advisory { " (advisory)" } else { "" };
    page.heading(4, &format!("{}: {}{advisory}", gate.badge.label, escape(&gate.title)));
    page.line(&format!("Rule: {}", escape(&gate.rule)));
    page.line("");
    page.list(gate.reasons.iter().map(|reason| escape(reason)));
    if let Some(waiver) = &gate.waiver {
        page.line(&format!("- **{}**", escape(waiver)));
    }
    if let Some(coverage) = &gate.coverage {
        page.line(&format!("- Coverage {}: {}", coverage.share, escape(&coverage.detail)));
    }
    soak(page, gate);
    if !gate.measures.is_empty() {
        page.line("");
        page.table(&["Measured", "Value", "Threshold", "Distance"], gate.measures.iter().map(row));
        page.line("");
    }
    page.list(details(gate));
}

fn row(measure: &MeasureView) -> Vec<String> {
    [&measure.name, &measure.value, &measure.rule, &measure.distance]
        .map(|text| escape(text))
        .to_vec()
}

fn soak(page: &mut Page, gate: &GateView) {
    let Some(soak) = &gate.soak else { return };
    page.line(&format!(
        "- Soak: {} of {}, {} remaining; the current run began {}, the longest run is {}. {}",
        soak.accrued, soak.required, soak.remaining, soak.since, soak.longest, soak.breaks_note
    ));
    if let Some(eligible) = &soak.eligible {
        page.line(&format!("- The soak can be complete on {eligible} at the earliest."));
    }
    page.list(
        soak.breaks.iter().map(|one| {
            format!("Break {}: {} (value {})", one.at, escape(&one.condition), one.value)
        }),
    );
}

fn details(gate: &GateView) -> Vec<String> {
    let mut details = vec![format!("Why: {}", escape(&gate.why))];
    let owner = gate.owner.as_deref().map_or("nobody".to_owned(), escape);
    details.push(format!("Gate {}, kind {}, owner {owner}", code(&gate.id), code(&gate.kind)));
    details.extend(gate.breaches.iter().map(|text| escape(text)));
    details.extend(
        gate.would_change.iter().map(|text| format!("What would change it: {}", escape(text))),
    );
    details.extend(gate.steps.iter().map(|step| format!("Computed: {}", escape(step))));
    let queries = gate.queries.iter();
    details.extend(queries.map(|one| format!("Query {}: {}", escape(&one.name), code(&one.query))));
    details.extend(gate.evidence.iter().map(|digest| format!("Evidence {}", code(digest))));
    details
}
