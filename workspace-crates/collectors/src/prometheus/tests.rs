mod scripted;
mod tls;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use base::Instant;
use definition::{Auth, Secret, Server};
use evidence::read_body;
use gates::ServerProblemKind::{Malformed, Partial, RateLimited, Refused, Setup, Unreachable};
use gates::{Answer, Need, Question, SERVER_RECORD, ServerBody, ServerProblemKind};

use super::{Pace, Prometheus};
use crate::{Collector, Request};
use scripted::{CLOSES, Scripted, matrix, ok, reply};

/// A clock that only moves when somebody sleeps.
#[derive(Clone, Default)]
struct Slept(Rc<(Cell<Duration>, RefCell<Vec<u64>>)>);

impl Pace for Slept {
    fn now(&self) -> Duration {
        self.0.0.get()
    }

    fn sleep(&self, length: Duration) {
        self.0.0.set(self.now() + length);
        self.0.1.borrow_mut().push(length.as_millis() as u64);
    }
}

fn server(url: &str) -> Server {
    Server {
        url: url.to_owned(),
        product: None,
        max_points: Server::MAX_POINTS_DEFAULT,
        timeout: Server::TIMEOUT_DEFAULT,
        deadline: Server::DEADLINE_DEFAULT,
        auth: None,
        ca_file: None,
        location: diagnostics::Location::whole_file("test.toml"),
    }
}

/// `points` points from 1,000 s on, 60 s apart.
fn question(query: &str, points: i64) -> Question {
    Question {
        query: query.to_owned(),
        from: Instant::from_unix_millis(1_000_000),
        until: Instant::from_unix_millis(1_000_000 + 60_000 * (points - 1)),
        step: base::Duration::from_minutes(1),
        stated: true,
    }
}

/// Asks with nobody waiting; gives the record as text too.
fn ask_at(root: &Path, server: Server, questions: &[Question]) -> (ServerBody, Vec<u64>, String) {
    let pace = Slept::default();
    let servers = BTreeMap::from([("main".to_owned(), server)]);
    let collector = Prometheus::new(&servers, root).unwrap().with_pace(Box::new(pace.clone()));
    let need = Need::Server { server: "main".into(), questions: questions.to_vec() };
    let at = Instant::from_unix_millis(9_000_000);
    let request = Request { need: &need, for_whom: "p/g", at, subject: None, deployment: None };
    let record = collector.collect(&request).unwrap();
    assert_eq!((record.kind.as_str(), record.observed_at), (SERVER_RECORD, at));
    let text = String::from_utf8(record.to_bytes().unwrap()).unwrap();
    let shown = format!("{text}{collector:?}{record:?}");
    let slept = pace.0.1.borrow().clone();
    (read_body(&record, SERVER_RECORD).unwrap(), slept, shown)
}

fn ask(server: Server, questions: &[Question]) -> (ServerBody, Vec<u64>) {
    let (body, slept, _) = ask_at(Path::new("/nowhere"), server, questions);
    (body, slept)
}

/// The answer to one question of two points, to which the server replies with `script` in turn.
fn answered(script: Vec<String>) -> (Answer, Vec<u64>, usize) {
    let scripted = Scripted::new(script);
    let (body, slept) = ask(server(&scripted.url), &[question("up", 2)]);
    (body.answers[0].clone(), slept, scripted.queries().len())
}

fn problem(answer: &Answer) -> (ServerProblemKind, String) {
    let problem = answer.problem.clone().unwrap();
    assert!(problem.text.ends_with('.') && !problem.text.contains('\n'), "{}", problem.text);
    (problem.kind, problem.text)
}

#[test]
fn a_long_range_is_asked_in_pieces_and_joined_at_its_points() {
    let scripted = Scripted::new(vec![
        ok(&matrix(&[("a", &[(1000.0, "1"), (1060.0, "2"), (1120.0, "3")])])),
        ok(&matrix(&[("a", &[(1180.0, "4")]), ("b", &[(1240.0, "NaN")])])),
        ok(&matrix(&[("b", &[(1360.0, "7")])])),
    ]);
    let few = Server { max_points: 3, ..server(&scripted.url) };
    let (body, slept) = ask(few, &[question("sum(up) by (node)", 7)]);
    let Answer { requests, result, problem, .. } = &body.answers[0];
    assert_eq!((*requests, problem, slept.len()), (3, &None, 0));
    let [a, b] = result.as_slice() else { panic!("{result:?}") };
    assert_eq!(a.values.iter().map(|v| v.0).collect::<Vec<_>>(), [1000.0, 1060.0, 1120.0, 1180.0]);
    assert_eq!(b.values, [(1240.0, "NaN".to_owned()), (1360.0, "7".to_owned())]);
    let forms = scripted.queries();
    for (form, (start, end)) in
        forms.iter().zip([("16:40", "18:40"), ("19:40", "21:40"), ("22:40", "22:40")])
    {
        let time = |part: &str| format!("1970-01-01T00%3A{}Z", part.replace(':', "%3A"));
        assert!(form.contains("query=sum%28up%29+by+%28node%29&"), "{form}");
        assert!(form.contains(&format!("start={}&end={}&", time(start), time(end))), "{form}");
        assert!(form.contains("step=60&") && form.contains("lookback_delta=5m"), "{form}");
        assert!(form.contains("nocache=1") && form.contains("partial_response=false"), "{form}");
    }
}

#[test]
fn a_server_that_fails_is_asked_again_with_growing_pauses() {
    let good = ok(&matrix(&[("a", &[(1000.0, "1")])]));
    let busy = ok(r#"{"status":"error","errorType":"timeout","error":"query timed out"}"#);
    let script = vec![reply("503 Service Unavailable", "", ""), CLOSES.to_owned(), busy, good];
    let (answer, slept, requests) = answered(script);
    assert_eq!((answer.problem, answer.result.len()), (None, 1));
    assert_eq!((slept, requests), (vec![250, 500, 1000], 4));
}

#[test]
fn a_server_that_says_when_is_asked_then() {
    let wait = reply("503 Service Unavailable", "retry-after: 7\r\n", "");
    let good = ok(&matrix(&[]));
    assert_eq!(answered(vec![wait, good]).1, [7_000]);
}

#[test]
fn repetition_ends_when_the_time_is_up() {
    let failing = reply("500 Internal Server Error", "", r#"{"status":"error","error":"no disk"}"#);
    let (answer, slept, requests) = answered(vec![failing]);
    let (kind, text) = problem(&answer);
    assert_eq!(kind, Unreachable);
    assert!(text.contains("500") && text.contains("no disk") && text.contains("again"), "{text}");
    assert!(slept.iter().sum::<u64>() < 300_000, "{slept:?}");
    assert_eq!(requests, slept.len() + 1);
    assert!(requests > 20, "{requests}");
}

#[test]
fn a_server_that_is_down_is_unreachable_for_every_question() {
    let short = Server {
        deadline: base::Duration::from_seconds(1),
        ..server("http://127.0.0.1:1/prometheus")
    };
    let (body, slept) = ask(short, &[question("a", 1), question("b", 1)]);
    assert_eq!(slept, [250, 500], "the second is not waited for");
    for answer in &body.answers {
        let (kind, text) = problem(answer);
        assert_eq!(kind, Unreachable);
        assert!(text.contains("http://127.0.0.1:1/prometheus"), "{text}");
    }
    assert_eq!((body.product, body.version), (None, None));
}

#[test]
fn a_refusal_is_not_repeated_and_the_next_question_is_asked() {
    for (status, body) in [
        ("400 Bad Request", r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#),
        (
            "422 Unprocessable Entity",
            r#"{"status":"error","errorType":"execution","error":"parse error"}"#,
        ),
        ("200 OK", r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#),
        ("403 Forbidden", "<html>parse error</html>"),
    ] {
        let scripted =
            Scripted::new(vec![reply(status, "", body), ok(&matrix(&[("a", &[(1000.0, "1")])]))]);
        let (body, slept) = ask(server(&scripted.url), &[question("a", 1), question("b", 1)]);
        let (kind, text) = problem(&body.answers[0]);
        assert_eq!((kind, slept.len()), (Refused, 0), "{status}: {text}");
        assert!(
            text.contains(if status.starts_with("403") { "403" } else { "parse error" }),
            "{text}"
        );
        assert_eq!(body.answers[1].problem, None);
        assert_eq!(scripted.queries().len(), 2);
    }
}

#[test]
fn a_used_up_quota_ends_the_questions() {
    let scripted = Scripted::new(vec![reply("429 Too Many Requests", "", "")]);
    let (body, slept) = ask(server(&scripted.url), &[question("a", 1), question("b", 1)]);
    assert!(body.answers.iter().all(|answer| problem(answer).0 == RateLimited));
    assert_eq!((scripted.queries().len(), slept.len()), (1, 0));
}

#[test]
fn a_redirect_is_not_followed() {
    let elsewhere = reply("302 Found", "location: http://127.0.0.1:1/login\r\n", "");
    let (answer, slept, requests) = answered(vec![elsewhere]);
    assert_eq!((problem(&answer).0, slept.len(), requests), (Refused, 0, 1));
}

#[test]
fn what_is_no_answer_is_malformed_and_not_repeated() {
    let of_type = |kind: &str| {
        format!(r#"{{"status":"success","data":{{"resultType":"{kind}","result":[]}}}}"#)
    };
    let histogram = r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"histograms":[[1000,{}]]}]}}"#;
    let cases = [
        ("", "empty"),
        ("  \n", "empty"),
        ("<!doctype html><title>Log in</title>", "login"),
        ("not json", "not an answer"),
        ("{", "not an answer"),
        ("[]", "not an answer"),
        (r#"{"status":"success"}"#, "no data"),
        (&of_type("vector"), "a vector"),
        (histogram, "native histograms"),
        (&matrix(&[("a", &[(1000.5, "1")])]), "not one of the times"),
        (&matrix(&[("a", &[(1120.0, "1")])]), "not one of the times"),
        (&matrix(&[("a", &[(1060.0, "1"), (1000.0, "1")])]), "out of order"),
        (&matrix(&[("a", &[(1000.0, "one")])]), "no number"),
        (&matrix(&[("a", &[(1000.0, "1")]), ("a", &[(1060.0, "1")])]), "same series twice"),
    ];
    for (body, why) in cases {
        let (answer, slept, requests) = answered(vec![ok(body)]);
        let (kind, text) = problem(&answer);
        assert_eq!((kind, slept.len(), requests), (Malformed, 0, 1), "{body}");
        assert!(text.contains(why) && answer.result.is_empty(), "{body}: {text}");
    }
}

#[test]
fn an_endless_answer_is_cut_off() {
    let long = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", u64::MAX / 4);
    let (answer, ..) = answered(vec![format!("{long}{}", " ".repeat(65 << 20))]);
    let (kind, text) = problem(&answer);
    assert_eq!(kind, Malformed, "{text}");
}

#[test]
fn an_answer_that_may_lack_data_says_so_and_keeps_what_came() {
    let with = |extra: &str| {
        let body = matrix(&[("a", &[(1000.0, "1")])]);
        ok(&body.replacen("{\"status\"", &format!("{{{extra},\"status\""), 1))
    };
    for extra in [r#""isPartial":true"#, r#""warnings":["store 3 did not answer"]"#] {
        let (answer, ..) = answered(vec![with(extra)]);
        assert_eq!(problem(&answer).0, Partial, "{extra}");
        assert_eq!(answer.result.len(), 1);
    }
    let remark = r#""isPartial":false,"warnings":["PromQL warning: bad bucket"],"infos":["PromQL info: no counter"]"#;
    let (answer, ..) = answered(vec![with(remark)]);
    assert_eq!(answer.problem, None);
    assert_eq!(answer.warnings, ["PromQL info: no counter", "PromQL warning: bad bucket"]);
}

#[test]
fn product_version_and_dialect_are_recorded() {
    let mut scripted = Scripted::new(vec![ok(&matrix(&[]))]);
    scripted.say("/metrics", ok("vm_app_version{version=\"x\", short_version=\"v1.79.5\"} 1\n"));
    let stated = Server { product: Some(definition::Product::Prometheus), ..server(&scripted.url) };
    let hidden = Question { stated: false, ..question("changes(a[1h])", 1) };
    let (body, _) = ask(stated, &[question("sum(rate(a_total[1h]))", 1), hidden]);
    assert_eq!(body.product.as_deref(), Some("victoria-metrics"));
    assert_eq!(body.version.as_deref(), Some("1.79.5"));
    assert!(body.notes[0].contains("says that prometheus answers"), "{:?}", body.notes);
    assert!(body.notes[1].contains("`rate`"), "{:?}", body.notes);
    assert_eq!(body.notes.len(), 2, "only what the definition states: {:?}", body.notes);
}

const CANARY: &str = "CANARY-5c1e9b7d";

/// A folder with the secret in `file`, readable as `mode` says.
fn secret(mode: u32) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, format!("{CANARY}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    folder
}

#[test]
fn credentials_reach_the_server_and_nothing_else() {
    let file = || Secret::File("file".to_owned());
    let basic = "cGhhc2VnYXRlOkNBTkFSWS01YzFlOWI3ZA==";
    let cases = [
        (Auth::Bearer(file()), format!("authorization: Bearer {CANARY}")),
        (
            Auth::Basic { user: "phasegate".to_owned(), password: file() },
            format!("authorization: Basic {basic}"),
        ),
    ];
    for (auth, header) in cases {
        // A server that repeats what it was sent.
        let sent = header.rsplit(' ').next().unwrap();
        let echo = format!("you sent {sent}");
        let said = format!(r#"{{"status":"error","errorType":"bad_data","error":"{echo}"}}"#);
        let labels = matrix(&[("a", &[(1000.0, "1")])]).replace("\"a\"", &format!("\"{echo}\""));
        let remark = labels.replacen('{', &format!("{{\"infos\":[\"PromQL info: {echo}\"],"), 1);
        for reply in [
            ok(&said),
            reply("400 Bad Request", "", &said),
            reply("500 Oh", "", &said),
            reply("401 Unauthorized", &format!("www-authenticate: {CANARY}\r\n"), &echo),
            ok(&echo),
            ok(&remark),
            CLOSES.to_owned(),
        ] {
            let mut scripted = Scripted::new(vec![reply]);
            let version = format!(r#"{{"status":"success","data":{{"version":"{sent}"}}}}"#);
            scripted.say("/api/v1/status/buildinfo", ok(&version));
            let folder = secret(0o600);
            let asked = Server { auth: Some(auth.clone()), ..server(&scripted.url) };
            let (_, _, shown) = ask_at(folder.path(), asked, &[question("up", 1)]);
            assert!(!shown.contains(CANARY) && !shown.contains(basic), "{shown}");
            assert!(scripted.heads().iter().all(|head| head.contains(&header)), "not sent");
        }
    }
}

#[test]
fn credentials_that_cannot_be_used_keep_the_server_from_being_asked() {
    let keyring = Secret::Keyring { service: "metrics".to_owned(), user: "nobody".to_owned() };
    let file = |name: &str| Secret::File(name.to_owned());
    let cases = [
        (0o604, Auth::Bearer(file("file")), "chmod"),
        (0o600, Auth::Bearer(file("none")), "cannot be read"),
        (0o600, Auth::Bearer(keyring), "metrics/nobody"),
        (
            0o600,
            Auth::Certificate { cert_file: "file".to_owned(), key_file: "file".to_owned() },
            "not PEM",
        ),
    ];
    for (mode, auth, why) in cases {
        let scripted = Scripted::new(vec![ok(&matrix(&[]))]);
        let folder = secret(mode);
        let asked = Server { auth: Some(auth), ..server(&scripted.url) };
        let (body, slept, shown) = ask_at(folder.path(), asked, &[question("up", 1)]);
        let problem = body.problem.unwrap();
        assert_eq!((problem.kind, slept.len()), (Setup, 0));
        assert!(problem.text.contains(why), "{}", problem.text);
        assert!(!shown.contains(CANARY), "{shown}");
        assert!(scripted.heads().is_empty());
    }
}

#[test]
fn what_is_no_question_for_a_server_is_left_to_others() {
    let collector = Prometheus::new(&BTreeMap::new(), "/nowhere").unwrap();
    let ask = |need: &Need| {
        let at = Instant::default();
        collector.collect(&Request { need, for_whom: "p/g", at, subject: None, deployment: None })
    };
    assert_eq!(ask(&Need::Earlier), None);
    assert_eq!(ask(&Need::Server { server: "main".into(), questions: Vec::new() }), None);
    let unknown = ask(&Need::Server { server: "main".into(), questions: vec![question("up", 1)] });
    let body: ServerBody = read_body(&unknown.unwrap(), SERVER_RECORD).unwrap();
    assert_eq!(body.problem.unwrap().kind, Setup);
}
