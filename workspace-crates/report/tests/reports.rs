//! What reports say, and that they say it in the same bytes each time.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../examples/support/mod.rs"]
mod support;

use base::{Digest, Outcome, Track, VerdictKind, canonical_json};
use gates::Evaluation;
use ledger::vsa::VerificationResult;
use report::model::{Answer, build};
use report::{
    EVALUATION_FILE, EpochEvidence, GateAnswer, HTML_FILE, Input, JSON_FILE, MARKDOWN_FILE,
    NextEvent, NextStep, ReportModel, Standing, render, site, statement,
};
use support::{at, phase_id};

fn held() -> ReportModel {
    build(&support::held_input(&support::pipeline(), &support::held_evaluation()))
}

fn advanced() -> ReportModel {
    build(&support::advanced_input(&support::pipeline(), &support::advanced_evaluation()))
}

/// The verdict of week 4 after a change of its evaluation and its input.
fn verdict_of(change: impl FnOnce(&mut Evaluation, &mut Input<'_>)) -> report::model::Verdict {
    let pipeline = support::pipeline();
    let original = support::held_evaluation();
    let mut evaluation = original.clone();
    let mut input = support::held_input(&pipeline, &original);
    change(&mut evaluation, &mut input);
    build(&Input { evaluation: &evaluation, ..input }).verdict
}

#[test]
fn a_phase_that_advances_goes_public_on_a_named_day() {
    assert_eq!(
        advanced().verdict.sentence,
        "Phase 1 goes public on Tuesday 13 January 2026 at 15:00 UTC."
    );
}

#[test]
fn a_held_phase_says_why_and_when_it_is_deployed_again() {
    let verdict = verdict_of(|evaluation, _| {
        evaluation.phases.remove(0);
    });
    assert_eq!(
        verdict.sentence,
        "Phase 2 is held: The soak broke on Saturday 17 January at 09:00, when no block was built \
         for 48 minutes; the next internal deployment is on Thursday 22 January 2026 at 15:00 UTC."
    );
    assert_eq!(verdict.kind, Some(VerdictKind::Hold));
}

#[test]
fn two_tracks_are_told_in_one_sentence() {
    let both = verdict_of(|evaluation, input| {
        evaluation.phases[1].verdict = VerdictKind::Advance;
        input.phases[1].next =
            Some(NextEvent { at: at("2026-01-20T15:00:00Z"), step: NextStep::PublicDeployment });
    });
    assert_eq!(
        both.sentence,
        "Phase 1 is complete, and phase 2 goes public on Tuesday 20 January 2026 at 15:00 UTC."
    );
    assert_eq!(both.kind, Some(VerdictKind::Advance));
}

#[test]
fn a_reset_names_where_the_programme_goes_back_to() {
    let reset = verdict_of(|evaluation, _| {
        evaluation.phases.remove(0);
        evaluation.phases[0].verdict = VerdictKind::Reset;
        evaluation.phases[0].reset_to = Some(phase_id("phase-1"));
    });
    assert!(reset.sentence.starts_with("Phase 2 goes back to phase 1: The soak broke"));
    let again = verdict_of(|evaluation, _| {
        evaluation.phases.remove(0);
        evaluation.phases[0].verdict = VerdictKind::Reset;
        evaluation.phases[0].reset_to = Some(phase_id("phase-2"));
    });
    assert!(again.sentence.starts_with("Phase 2 starts again: The soak broke"));
}

#[test]
fn a_public_soak_that_only_needs_time_goes_on_and_a_broken_one_is_held() {
    let told = |outcome: Outcome| {
        let verdict = verdict_of(|evaluation, _| {
            evaluation.phases.truncate(1);
            evaluation.phases[0].verdict = VerdictKind::Hold;
            evaluation.phases[0].findings[0].outcome = outcome;
        });
        verdict.sentence
    };
    assert!(told(Outcome::Inconclusive).starts_with("Phase 1 goes on in public: "));
    assert!(told(Outcome::Fail).starts_with("Phase 1 is held in public: "));
    assert!(told(Outcome::Error).starts_with("Phase 1 is held in public: "));
}

#[test]
fn nothing_open_and_a_complete_programme_have_their_own_sentences() {
    let nothing = verdict_of(|evaluation, _| evaluation.phases.clear());
    assert_eq!(
        nothing.sentence,
        "No phase was open for judgement; the next internal deployment of phase 2 is on Thursday \
         22 January 2026 at 15:00 UTC."
    );
    assert_eq!(nothing.kind, None);
    let complete = verdict_of(|_, input| {
        for row in &mut input.phases {
            row.standing = Standing::Complete;
        }
    });
    assert_eq!(complete.sentence, "The programme is complete: all 4 phases have passed.");
}

#[test]
fn what_is_not_known_is_listed_with_its_reason() {
    let model = held();
    assert_eq!(model.not_known.len(), 3);
    assert!(model.not_known[0].starts_with("Phase 2, internal track, The partners' dashboard"));
    assert!(model.not_known[1].contains("so nothing is known"));
}

#[test]
fn waivers_and_advisory_gates_are_on_the_first_page() {
    let model = held();
    assert_eq!(model.waivers[0].outcome, Some(Outcome::Error));
    assert_eq!(model.advisory[0].outcome, Outcome::Inconclusive);
    let rendered = render(&model).unwrap();
    for (text, phases) in
        [(&rendered.markdown, "## Phases"), (&rendered.html, "<h2>The programme</h2>")]
    {
        let phases = text.find(phases).unwrap();
        for shown in ["The partner moves its dashboard", "Blob data availability"] {
            assert!(text.find(shown).unwrap() < phases, "{shown}");
        }
    }
}

#[test]
fn signed_re_execution_is_never_called_a_proof_that_was_made() {
    let rendered = render(&held()).unwrap();
    for text in [&rendered.markdown, &rendered.html] {
        assert!(text.contains("signed re-execution"));
        assert!(text.contains("No cryptographic proof was made."));
    }
    let mut model = held();
    model.host.epoch_evidence = EpochEvidence::Proof("Groth16".to_owned());
    assert!(render(&model).unwrap().markdown.contains("proof (Groth16)"));
}

#[test]
fn a_hypothesis_holds_only_when_every_gate_passes_without_a_waiver() {
    let answer = |outcome: Option<Outcome>, waived: bool| {
        let pipeline = support::pipeline();
        let evaluation = support::held_evaluation();
        let mut input = support::held_input(&pipeline, &evaluation);
        input.answers.clear();
        if let Some(outcome) = outcome {
            let gate = pipeline.hypotheses[1].gates[0].clone();
            input.answers.insert(gate, GateAnswer { outcome, waived, at: evaluation.at });
        }
        build(&input).hypotheses[1].answer
    };
    assert_eq!(answer(Some(Outcome::Pass), false), Answer::Holds);
    assert_eq!(answer(Some(Outcome::Pass), true), Answer::NotKnown);
    assert_eq!(answer(Some(Outcome::Fail), true), Answer::DoesNotHold);
    assert_eq!(answer(Some(Outcome::Inconclusive), false), Answer::NotKnown);
    assert_eq!(answer(Some(Outcome::NotApplicable), false), Answer::NotKnown);
    assert_eq!(answer(None, false), Answer::NotKnown);
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let (one, other) = (render(&held()).unwrap(), render(&held()).unwrap());
    assert_eq!(one, other);
    let pipeline = support::pipeline();
    let evaluation = support::held_evaluation();
    let mut input = support::held_input(&pipeline, &evaluation);
    input.timeline.sort_by_key(|item| item.phase.clone());
    let sorted = render(&build(&input)).unwrap();
    assert_eq!(sorted.html.len(), one.html.len());
}

#[test]
fn the_statement_names_every_file_by_its_digest() {
    let model = held();
    let rendered = render(&model).unwrap();
    let evaluation = canonical_json(&support::held_evaluation()).unwrap();
    let statement = statement(&model, &rendered, &evaluation).unwrap();
    let named = |name: &str| {
        let subject = statement.subject.iter().find(|one| one.name.as_deref() == Some(name));
        subject.unwrap().digest["sha256"].clone()
    };
    assert_eq!(named(EVALUATION_FILE), Digest::of(&evaluation).to_string());
    assert_eq!(named(JSON_FILE), Digest::of(&rendered.json).to_string());
    assert_eq!(named(MARKDOWN_FILE), Digest::of(rendered.markdown.as_bytes()).to_string());
    assert_eq!(named(HTML_FILE), Digest::of(rendered.html.as_bytes()).to_string());
    let summary = &statement.predicate;
    assert_eq!(summary.time_verified, model.at);
    assert_eq!(summary.resource_uri, "urn:phasegate:sequencer-prover-testnet:2026-W04");
    assert_eq!(summary.policy.digest["sha256"], model.policy.to_string());
    // Genesis, head, and the evidence of five gates.
    assert_eq!(summary.input_attestations.len(), 7);
}

#[test]
fn the_result_is_passed_only_when_something_was_judged_and_everything_advances() {
    let of = |model: &ReportModel| {
        let rendered = render(model).unwrap();
        statement(model, &rendered, b"{}\n").unwrap().predicate
    };
    let passed = of(&advanced());
    assert_eq!(passed.verification_result, VerificationResult::Passed);
    assert_eq!(passed.verified_levels, ["PHASEGATE_PHASE_1_INTERNAL"]);
    let failed = of(&held());
    assert_eq!(failed.verification_result, VerificationResult::Failed);
    assert_eq!(failed.verified_levels, ["PHASEGATE_PHASE_1_PUBLIC"]);
    let mut nothing = advanced();
    nothing.verdict.kind = None;
    nothing.verdict.tracks.clear();
    assert_eq!(of(&nothing).verification_result, VerificationResult::Failed);
}

#[test]
fn the_page_is_self_contained_and_allows_nothing_but_its_style() {
    let html = render(&held()).unwrap().html;
    assert!(html.contains("default-src 'none'; style-src 'sha256-"));
    for forbidden in
        ["<script", "http://", "https://", "<link", "<img", "<iframe", " style=", "@import"]
    {
        assert!(!html.contains(forbidden), "{forbidden}");
    }
}

#[test]
fn the_page_can_be_read_without_colour_and_by_a_screen_reader() {
    let html = render(&held()).unwrap().html;
    assert_eq!(html.matches("<h1>").count(), 1);
    assert_eq!(html.matches("<table>").count(), html.matches("<caption>").count());
    assert_eq!(
        html.matches("<svg class=\"chart\"").count(),
        html.matches("role=\"img\" aria-label=\"").count()
    );
    assert!(html.contains("<html lang=\"en\">"));
    assert!(html.contains(">Fail</span>") && html.contains(">Pass</span>"));
}

#[test]
fn charts_mark_breaks_gaps_and_thresholds() {
    let html = render(&held()).unwrap().html;
    for shown in [
        "class=\"break-mark\"",
        "class=\"nodata\"",
        "class=\"threshold\"",
        "class=\"fails\"",
        "52 h 42 min of 90 h",
    ] {
        assert!(html.contains(shown), "{shown}");
    }
}

#[test]
fn a_condition_without_a_soak_is_drawn_as_a_lane_and_a_sparse_one_too() {
    let pipeline = support::pipeline();
    let mut evaluation = support::advanced_evaluation();
    let finding = &mut evaluation.phases[0].findings[0];
    finding.soak = None;
    finding.explanation.series.truncate(1);
    let points = &mut finding.explanation.series[0].points;
    let (first, middle, last) = (points[0], points[200], points[points.len() - 1]);
    *points = vec![first, gates::Point { value: Some(0.0), ..middle }, last];
    let html = render(&build(&support::advanced_input(&pipeline, &evaluation))).unwrap().html;
    assert_eq!(html.matches("class=\"holds\"").count(), 1);
    assert_eq!(html.matches("class=\"fails\"").count(), 1);
    assert!(!html.contains("class=\"line\"") && !html.contains("counts as soak"));
}

#[test]
fn a_value_beside_a_soak_is_no_condition_even_when_it_is_zero_all_the_time() {
    let pipeline = support::pipeline();
    let mut evaluation = support::advanced_evaluation();
    let findings = evaluation.phases.iter_mut().flat_map(|phase| &mut phase.findings);
    let soak = findings.into_iter().find(|finding| finding.soak.is_some()).unwrap();
    let mut restarts = soak.explanation.series[0].clone();
    restarts.title = "Restarts".to_owned();
    restarts.points.iter_mut().for_each(|point| point.value = Some(0.0));
    soak.explanation.series = vec![restarts];
    let before = render(&build(&support::advanced_input(&pipeline, &evaluation))).unwrap().html;
    assert!(before.contains("class=\"line\"") && !before.contains("class=\"fails\""));
}

#[test]
fn no_page_has_the_same_anchor_twice() {
    let html = render(&held()).unwrap().html;
    let mut anchors: Vec<&str> =
        html.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    let all = anchors.len();
    anchors.sort_unstable();
    anchors.dedup();
    assert_eq!(anchors.len(), all);
}

#[test]
fn numbers_that_are_not_finite_and_series_without_values_do_no_harm() {
    let pipeline = support::pipeline();
    let mut evaluation = support::held_evaluation();
    for finding in evaluation.phases.iter_mut().flat_map(|phase| &mut phase.findings) {
        for measure in &mut finding.measures {
            measure.value = Some(f64::NAN);
        }
        for series in &mut finding.explanation.series {
            series.threshold = Some(f64::INFINITY);
            for point in &mut series.points {
                point.value = point.value.map(|_| f64::NEG_INFINITY);
            }
        }
    }
    let rendered = render(&build(&support::held_input(&pipeline, &evaluation))).unwrap();
    assert!(!rendered.html.contains("NaN") && !rendered.html.contains("\"inf"));
    assert!(rendered.markdown.contains("not measured"));
}

#[test]
fn a_report_of_tracks_without_deployment_says_so() {
    let pipeline = support::pipeline();
    let mut evaluation = support::advanced_evaluation();
    evaluation.phases[0].subject = None;
    evaluation.phases[0].track = Track::Internal;
    let rendered = render(&build(&support::advanced_input(&pipeline, &evaluation))).unwrap();
    assert!(rendered.markdown.contains("Network: nothing is deployed"));
}

#[test]
fn the_index_shows_the_latest_week_first_and_links_plain_folders_only() {
    let entries = [
        site::Entry::of(&advanced(), "2026-W03"),
        site::Entry::of(&held(), "2026-W04"),
        site::Entry::of(&advanced(), "javascript:alert(1)"),
    ];
    let page = site::index(&entries).unwrap();
    assert!(page.find("2026-W04").unwrap() < page.find("2026-W03").unwrap());
    assert_eq!(page.matches("<a href=").count(), 2);
    assert!(!page.contains("javascript:"));
    assert!(site::index(&[]).unwrap().contains("There is no report yet."));
}

#[test]
fn markdown_of_a_held_week() {
    insta::assert_snapshot!(render(&held()).unwrap().markdown);
}

#[test]
fn json_of_an_advancing_week() {
    let json = render(&advanced()).unwrap().json;
    let value: serde_json::Value = serde_json::from_slice(&json).unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&value).unwrap());
}
