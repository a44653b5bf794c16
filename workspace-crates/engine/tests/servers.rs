//! Gates that are judged from a Prometheus-compatible server, from definition to evaluation.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use base::{Duration, Instant, Outcome, VerdictKind};
use common::server::Server;
use common::{World, when};
use evidence::{External, Record, Store as _};
use gates::{Finding, SERVER_RECORD, ServerBody};
use samples::{Labels, Store};

/// Four nodes, scraped every half hour from the first deployment on until `until`, of which `down`
/// are down at noon of the Saturday.
fn samples(until: Instant, down: usize) -> Store {
    let mut store = Store::new();
    for node in 0..4 {
        let name = format!("validator-{node}");
        let labels = [("instance", name.as_str()), ("role", "validator")];
        let target = store.add_target(vec![Labels::metric("up", &labels)]);
        let mut now = when(1, "thu");
        while now <= until {
            let is_down = node < down && now == common::at("2026-01-10T12:00:00Z");
            store.append(target, now.unix_millis(), &[f64::from(u8::from(!is_down))]).unwrap();
            now += Duration::from_minutes(30);
        }
    }
    store
}

/// Deploys, and judges the internal soak on Monday.
fn judge(world: &World) -> (VerdictKind, Finding) {
    world.tick_until(when(1, "thu"));
    let now = when(1, "mon");
    let evaluation = world.run(now, |engine| engine.judge(now)).unwrap();
    let judged = &evaluation.phases[0];
    let finding = judged.findings.iter().find(|finding| finding.gate.as_str() == "soak");
    (judged.verdict, finding.unwrap().clone())
}

#[test]
fn a_server_with_the_same_samples_gives_the_same_verdict() {
    let (embedded, own) = judge(&World::new());
    let server = Server::new(samples(when(1, "mon"), 0));
    let (verdict, finding) = judge(&World::over_server(&server.url));
    assert_eq!((verdict, embedded), (VerdictKind::Advance, VerdictKind::Advance));
    assert_eq!((&finding.reasons, &finding.soak), (&own.reasons, &own.soak));
    assert_eq!((&finding.measures, &finding.coverage), (&own.measures, &own.coverage));
    // The condition and the presence of its samples; the bound needs no server.
    assert_eq!(server.queries(), 2);
    let steps = finding.explanation.steps.join(" ");
    assert!(steps.contains("prometheus 3.1.0"), "{steps}");
}

#[test]
fn a_breach_on_the_server_counts_though_the_deployment_saw_none() {
    let server = Server::new(samples(when(1, "mon"), 1));
    let (verdict, finding) = judge(&World::over_server(&server.url));
    assert_eq!((verdict, finding.outcome), (VerdictKind::Hold, Outcome::Inconclusive));
    let last = finding.soak.unwrap().breaks.pop().unwrap();
    assert_eq!((last.at, last.value), (common::at("2026-01-10T12:00:00Z"), Some(3.0)));
}

#[test]
fn a_server_whose_scraper_died_holds_the_phase() {
    let server = Server::new(samples(common::at("2026-01-10T12:00:00Z"), 0));
    let (verdict, finding) = judge(&World::over_server(&server.url));
    assert_eq!((verdict, finding.outcome), (VerdictKind::Hold, Outcome::Inconclusive));
    assert!(finding.coverage.unwrap().share() < 0.6);
}

#[test]
fn a_server_that_is_down_holds_the_phase_and_says_why() {
    let world = World::over_server("http://127.0.0.1:1");
    let (verdict, finding) = judge(&world);
    assert_eq!((verdict, finding.outcome), (VerdictKind::Hold, Outcome::Error));
    assert!(finding.reasons[0].contains("http://127.0.0.1:1"), "{:?}", finding.reasons);
    assert!(!finding.evidence.is_empty(), "what went wrong is evidence too");
}

#[test]
fn the_answers_are_evidence_that_is_read_back_as_it_was_judged() {
    let server = Server::new(samples(when(1, "mon"), 0));
    let world = World::over_server(&server.url);
    let (_, finding) = judge(&world);
    let records: Vec<(base::Digest, Record)> = finding
        .evidence
        .iter()
        .filter_map(|digest| Some((*digest, world.evidence.get_record(digest).ok()?)))
        .collect();
    let [(digest, record)] = records.as_slice() else { panic!("{records:?}") };
    assert_eq!((record.kind.as_str(), record.body.get("answers")), (SERVER_RECORD, None));
    let External { digest: file, .. } = record.external.clone().unwrap();
    assert!(finding.evidence.contains(&file));
    let unsealed = engine::seal::unseal_answers(&world.evidence, *digest).unwrap();
    let body: ServerBody = evidence::read_body(&unsealed.record, SERVER_RECORD).unwrap();
    assert_eq!((body.url.as_str(), body.answers.len()), (server.url.as_str(), 2));
    // The same answers are the same evidence.
    let again =
        engine::seal::seal_answers(&world.evidence, Record { external: None, ..unsealed.record });
    assert_eq!(again.unwrap().digest, *digest);
}
