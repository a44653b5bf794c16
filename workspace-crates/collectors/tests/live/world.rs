//! One deployment of ten hours, its samples, and the gates that are judged from them.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::{DeploymentId, Digest, Duration, Instant, NetworkId, Subject, Track};
use collectors::{Collector, Prometheus, Request};
use definition::{Overrides, Pipeline};
use evidence::SubjectInterval;
use gates::{
    DeploymentFacts, EarlierPass, Finding, Measure, Need, PhaseFacts, Relation, StoredRecord,
};
use samples::{Labels, Series};

/// Thursday, 15:00.
pub const START: Instant = Instant::from_unix_millis(1_767_884_400_000);
const MINUTES: i64 = 600;

/// A series with the value of `value` at each minute, `late_ms` after it.
fn series(
    name: &str,
    labels: &[(&str, &str)],
    late_ms: i64,
    value: impl Fn(i64) -> Option<f64>,
) -> Series {
    let known = (0..=MINUTES).filter_map(|minute| Some((minute, value(minute)?)));
    let (times, values) =
        known.map(|(m, v)| (START.unix_millis() + m * 60_000 + late_ms, v)).unzip();
    Series::new(Labels::metric(name, labels), Arc::new(times), values).unwrap()
}

/// Scrapes come 7.3 s after each minute, so that none falls on the steps of a gate. From minute
/// 400 to 404 nothing was scraped at all.
pub fn samples() -> Vec<Series> {
    let scraped = |minute: i64| !(400..405).contains(&minute);
    let node = |name: &str, labels: &str, value: &dyn Fn(i64) -> Option<f64>| {
        series(name, &[("node", labels)], 7_300, |m| value(m).filter(|_| scraped(m)))
    };
    let up = |down: std::ops::Range<i64>, gone: std::ops::Range<i64>| {
        move |m: i64| (!gone.contains(&m)).then(|| f64::from(u8::from(!down.contains(&m))))
    };
    let mut all = vec![
        node("up", "a", &up(0..0, 0..0)),
        node("up", "b", &up(130..134, 0..0)),
        node("up", "c", &up(0..0, 200..230)),
        // A restart at minute 300.
        node("sent_total", "a", &|m| Some((m % 300) as f64 * 30.0)),
        node("sent_total", "b", &|m| Some(m as f64 * 30.0)),
        node("bursts_total", "a", &|m| Some((m / 7) as f64 * 5.0)),
        node("lag", "a", &|m| Some((m % 10) as f64)),
        node("lag", "b", &|m| Some((m * 7 % 13) as f64)),
        node("boots", "a", &|m| Some(if m < 100 { 1.0 } else { 2.0 })),
        node("boots", "b", &|m| (m >= 250).then_some(5.0)),
        node("share", "a", &|m| Some(if (50..56).contains(&m) { f64::NAN } else { 0.5 })),
        series("aligned", &[], 0, |_| Some(1.0)),
    ];
    for (bound, rate) in [("0.5", 10.0), ("1", 50.0), ("5", 58.0), ("+Inf", 60.0)] {
        let value = move |m: i64| Some(m as f64 * rate).filter(|_| scraped(m));
        all.push(series("took_bucket", &[("le", bound)], 7_300, value));
    }
    all.sort_by(|a, b| a.labels().cmp(b.labels()));
    all
}

const CALENDAR: &str = r#"
schema = 1
[calendars.weekly]
title = "Weekly"
zone = "UTC"
[[calendars.weekly.event]]
id = "deploy"
title = "Deployment"
rule = "FREQ=WEEKLY;BYDAY=TH"
on_missed = "catch-up"
within = "5h"
[[calendars.weekly.event]]
id = "evaluate"
title = "Evaluation"
rule = "FREQ=WEEKLY;BYDAY=MO"
on_missed = "skip"
"#;
const ROLES: &str = r#"
schema = 1
policy = "solo"
[[principal]]
id = "lead"
kind = "human"
title = "Lead"
[role.lead]
of = ["lead"]
threshold = 1
"#;
const PIPELINE: &str = r#"
schema = 1
name = "demo"
title = "Demo"
summary = "One phase."
calendar = "weekly"
[[phase]]
id = "first"
title = "First"
summary = "The first."
stage = "stability"
"#;
const STAGE: &str = r#"
schema = 1
name = "stability"
title = "Stability"
summary = "A network that stays up."
[conditions.nodes]
title = "Nodes are up"
query = "sum(last_over_time(up[2m])) >= bool 2"
[conditions.all-nodes]
title = "All nodes are up"
query = "sum(last_over_time(up[2m])) >= bool 3"
[conditions.nodes-by-look-back]
title = "All nodes are up, as far as look-back knows"
query = "count(up) >= bool 3"
[conditions.calm]
title = "Nodes keep up"
query = "max(max_over_time(lag[5m])) < bool 20"
"#;

/// A pipeline with one gate; `url` is the server that it is judged from, if any.
fn pipeline(kind: &str, params: &str, url: Option<&str>) -> Pipeline {
    let server = if url.is_some() { ", server = \"main\"" } else { "" };
    let stage = format!(
        "{STAGE}\n[[gate]]\nid = \"gate\"\ntrack = \"internal\"\non = \"exit\"\ntitle = \"Gate\"\n\
         kind = \"{kind}\"\nowner = \"lead\"\nwhy = \"Tests ask.\"\ndefect = \"stall\"\n\
         params = {{ step = \"1m\", {params}{server} }}\n"
    );
    // Few points, so that every range is asked in several pieces.
    let servers = url.map_or_else(String::new, |url| {
        format!("\n[servers.main]\nurl = \"{url}\"\nmax_points = 250\n")
    });
    let files = [
        (definition::CALENDARS_PATH, CALENDAR.to_owned()),
        (definition::ROLES_PATH, ROLES.to_owned()),
        ("pipeline/demo.toml", format!("{PIPELINE}{servers}")),
        ("stages/stability/stage.toml", stage),
    ];
    let files = files.map(|(path, text)| (path.to_owned(), text)).into();
    let checked = definition::check(&files, &Overrides::default(), &[&gates::GateLint]);
    let shown = diagnostics::render::human(&checked.diagnostics, &checked.sources, false);
    let definitions = checked.definitions.unwrap_or_else(|| panic!("{params}\n{shown}"));
    definitions.pipelines.into_values().next().unwrap()
}

/// Judges one gate: from `samples`, or from the server at `url`.
pub fn judge(kind: &str, params: &str, samples: &Vec<Series>, url: Option<&str>) -> Finding {
    let pipeline = pipeline(kind, params, url);
    let phase = &pipeline.phases[0];
    let gate = &phase.gates[0];
    let subject = Subject {
        network: NetworkId::new("first").unwrap(),
        artifacts: BTreeMap::new(),
        configuration: Digest::of(b"configuration"),
        versions: BTreeMap::new(),
    };
    let id = DeploymentId::new("first.internal.1").unwrap();
    let intervals = [SubjectInterval { from: START, subject: subject.clone() }];
    let earlier = Measure {
        name: "mean".to_owned(),
        value: Some(1.0),
        unit: String::new(),
        relation: Relation::AtMost,
        threshold: 1.1,
    };
    let earlier = EarlierPass { at: START, subject: None, measures: vec![earlier] };
    let earlier = BTreeMap::from([(gate.id.clone(), vec![earlier])]);
    let mut records = BTreeMap::new();
    let facts = PhaseFacts {
        at: START + Duration::from_minutes(MINUTES),
        phase,
        track: Track::Internal,
        side: None,
        attempt: 1,
        deployment: Some(DeploymentFacts {
            id: &id,
            track: Track::Internal,
            attempt: 1,
            driver: "tests/1",
            host: "process",
            crypto: "ed25519",
            started: START,
            ended: None,
            candidate: &subject,
            intervals: &intervals,
            samples: url.is_none().then_some(samples as &dyn samples::SampleSource),
            samples_digest: None,
            events: &[],
            events_digest: None,
            scrape_interval: Duration::from_minutes(1),
            released_at: None,
        }),
        candidate: None,
        records: &BTreeMap::new(),
        approvals: &[],
        earlier: &earlier,
        waivers: &[],
    };
    if url.is_some() {
        let questions = gates::questions(&facts, gate);
        let collector = Prometheus::new(&pipeline.servers, ".").unwrap();
        let need = Need::Server { server: "main".to_owned(), questions };
        let request = Request {
            need: &need,
            for_whom: "first/gate",
            at: facts.at,
            subject: None,
            deployment: None,
        };
        let record = collector.collect(&request).unwrap();
        let digest = record.digest().unwrap();
        records.insert(gate.id.clone(), vec![StoredRecord { digest, record }]);
    }
    let judged = gates::judge_phase(&PhaseFacts { records: &records, ..facts });
    judged.findings[0].clone()
}
