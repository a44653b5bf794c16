//! Issues from the GitHub REST API.

use std::path::Path;
use std::time::Duration;

use evidence::formats::github_issues::{self, Issue};
use evidence::{IssuesBody, Problem, ProblemKind, Record, to_body};
use gates::Need;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue, USER_AGENT};
use reqwest::{Client, StatusCode};

use crate::{Collector, Request, record};

const TIMEOUT: Duration = Duration::from_secs(20);
const PAGE_SIZE: usize = 100;
/// 2,000 issues: a gate that asks for more asks the wrong question.
const PAGES_MAX: usize = 20;
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Why the collector could not be made.
#[derive(Debug, thiserror::Error)]
pub enum GitHubError {
    /// The token could not be read.
    #[error("the token file {path} cannot be read: {source}")]
    Token {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The token has characters that no header can carry.
    #[error(
        "the token file {0} holds characters that cannot stand in a header; it must hold the token alone"
    )]
    TokenText(std::path::PathBuf),
    /// The HTTP client could not be made.
    #[error("the HTTP client could not be made: {0}")]
    Client(#[from] reqwest::Error),
    /// The asynchronous runtime could not be made.
    #[error("the asynchronous runtime could not be started: {0}")]
    Runtime(#[source] std::io::Error),
}

/// Asks the GitHub REST API, or a server with the same API.
pub struct GitHub {
    client: Client,
    runtime: tokio::runtime::Runtime,
    base: String,
}

impl std::fmt::Debug for GitHub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The client's default headers may hold a token.
        f.debug_struct("GitHub").field("base", &self.base).finish_non_exhaustive()
    }
}

/// What stopped a query.
struct Trouble {
    kind: ProblemKind,
    text: String,
}

impl GitHub {
    /// The API at `base`, such as `https://api.github.com`, with the token in `token_file`.
    ///
    /// # Errors
    /// When the token cannot be read or the client cannot be made.
    pub fn new(base: &str, token_file: Option<&Path>) -> Result<Self, GitHubError> {
        // The first provider stays; a second call finds it and is no error.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .timeout(TIMEOUT)
            .default_headers(headers(token_file)?)
            .redirect(reqwest::redirect::Policy::limited(3))
            .build()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(GitHubError::Runtime)?;
        Ok(Self { client, runtime, base: base.trim_end_matches('/').to_owned() })
    }

    async fn numbered(&self, repository: &str, numbers: &[u64]) -> Result<Vec<Issue>, Trouble> {
        let mut issues = Vec::new();
        for number in numbers {
            let url = format!("{}/repos/{repository}/issues/{number}", self.base);
            match self.get(&url, &[]).await? {
                None => {}
                Some(bytes) => {
                    issues.extend(github_issues::read_issue(&url, &bytes).map_err(malformed)?);
                }
            }
        }
        Ok(issues)
    }

    async fn queried(
        &self,
        repository: &str,
        milestone: Option<u64>,
        labels: &[String],
    ) -> Result<Vec<Issue>, Trouble> {
        let url = format!("{}/repos/{repository}/issues", self.base);
        let mut issues = Vec::new();
        for page in 1..=PAGES_MAX {
            let mut query = vec![
                ("state", "all".to_owned()),
                ("per_page", PAGE_SIZE.to_string()),
                ("page", page.to_string()),
            ];
            query.extend(milestone.map(|number| ("milestone", number.to_string())));
            if !labels.is_empty() {
                query.push(("labels", labels.join(",")));
            }
            let Some(bytes) = self.get(&url, &query).await? else { return Ok(issues) };
            // Pull requests count towards the page's size, so the end is an empty page.
            let items: Vec<serde::de::IgnoredAny> = serde_json::from_slice(&bytes)
                .map_err(|error| malformed_text(format!("{url}: {error}.")))?;
            if items.is_empty() {
                return Ok(issues);
            }
            issues.extend(github_issues::read_page(&url, &bytes).map_err(malformed)?);
            if items.len() < PAGE_SIZE {
                return Ok(issues);
            }
        }
        Err(malformed_text(format!(
            "The query has more than {} issues; narrow it with labels or a milestone.",
            PAGES_MAX * PAGE_SIZE
        )))
    }

    /// The body of the answer; `None` when there is nothing at `url`.
    async fn get(&self, url: &str, query: &[(&str, String)]) -> Result<Option<Vec<u8>>, Trouble> {
        let mut address = reqwest::Url::parse(url)
            .map_err(|error| unreachable(format!("`{url}` is not an address: {error}.")))?;
        if !query.is_empty() {
            address.query_pairs_mut().extend_pairs(query);
        }
        let mut response = self.client.get(address).send().await.map_err(|error| {
            unreachable(format!("{url} did not answer: {}.", error.without_url()))
        })?;
        let status = response.status();
        if status == StatusCode::NOT_FOUND || status == StatusCode::GONE {
            return Ok(None);
        }
        if is_rate_limited(status, response.headers()) {
            return Err(Trouble {
                kind: ProblemKind::RateLimited,
                text: format!("{url} says that the quota is used up; a token raises it."),
            });
        }
        if !status.is_success() {
            return Err(unreachable(format!("{url} answered {status}.")));
        }
        let mut bytes = Vec::new();
        loop {
            match response.chunk().await {
                Ok(None) => return Ok(Some(bytes)),
                Ok(Some(chunk)) if bytes.len() + chunk.len() <= ANSWER_BYTES_MAX => {
                    bytes.extend_from_slice(&chunk);
                }
                Ok(Some(_)) => {
                    return Err(malformed_text(format!(
                        "{url} answered with more than {ANSWER_BYTES_MAX} bytes."
                    )));
                }
                Err(error) => {
                    let error = error.without_url();
                    return Err(unreachable(format!("{url} broke off: {error}.")));
                }
            }
        }
    }
}

impl Collector for GitHub {
    fn collect(&self, request: &Request<'_>) -> Option<Record> {
        let Need::Issues { repository, milestone, labels, numbers } = request.need else {
            return None;
        };
        let answer = self.runtime.block_on(async {
            if numbers.is_empty() {
                self.queried(repository, *milestone, labels).await
            } else {
                self.numbered(repository, numbers).await
            }
        });
        let (issues, problem) = match answer {
            Ok(issues) => (issues, None),
            Err(Trouble { kind, text }) => (Vec::new(), Some(Problem { kind, text })),
        };
        let body = IssuesBody {
            repository: repository.clone(),
            issues,
            complete: problem.is_none(),
            problem,
        };
        let source = format!("{}/repos/{repository}/issues", self.base);
        let mut record = record(request, "issues", source, "github", to_body(&body).ok()?);
        record.subject = None;
        Some(record)
    }
}

fn headers(token_file: Option<&Path>) -> Result<HeaderMap, GitHubError> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/vnd.github+json"));
    headers.insert(USER_AGENT, HeaderValue::from_static("phasegate"));
    if let Some(path) = token_file {
        let text = std::fs::read_to_string(path)
            .map_err(|source| GitHubError::Token { path: path.to_owned(), source })?;
        let mut value = HeaderValue::from_str(&format!("Bearer {}", text.trim()))
            .map_err(|_| GitHubError::TokenText(path.to_owned()))?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    Ok(headers)
}

fn is_rate_limited(status: StatusCode, headers: &HeaderMap) -> bool {
    let spent = headers.get("x-ratelimit-remaining").is_some_and(|left| left == "0");
    status == StatusCode::TOO_MANY_REQUESTS || (status == StatusCode::FORBIDDEN && spent)
}

fn unreachable(text: String) -> Trouble {
    Trouble { kind: ProblemKind::Unreachable, text }
}

fn malformed(error: evidence::EvidenceError) -> Trouble {
    malformed_text(format!("{error}."))
}

fn malformed_text(text: String) -> Trouble {
    Trouble { kind: ProblemKind::Malformed, text }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;
    use std::thread;

    use base::Instant;
    use evidence::{IssuesBody, ProblemKind, read_body};
    use gates::Need;

    use super::GitHub;
    use crate::{Collector, Request};

    /// Serves the answers in turn and gives back the request heads that it saw.
    fn serve(answers: Vec<String>) -> (String, thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let handle = thread::spawn(move || {
            let mut heads = Vec::new();
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let head: Vec<String> =
                    lines.map(Result::unwrap).take_while(|line| !line.is_empty()).collect();
                heads.push(head.join("\n"));
                stream.write_all(answer.as_bytes()).unwrap();
            }
            heads
        });
        (base, handle)
    }

    fn answer(status: &str, extra: &str, body: &str) -> String {
        format!(
            "HTTP/1.1 {status}\r\nconnection: close\r\n{extra}content-length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    fn ask(base: &str, need: &Need) -> IssuesBody {
        let github = GitHub::new(base, None).unwrap();
        let at = Instant::default();
        let request = Request { need, for_whom: "p/g", at, subject: None, deployment: None };
        read_body(&github.collect(&request).unwrap(), "issues").unwrap()
    }

    fn query() -> Need {
        Need::Issues {
            repository: "o/n".into(),
            milestone: Some(42),
            labels: vec!["P0".into(), "a b".into()],
            numbers: Vec::new(),
        }
    }

    fn issues(count: usize) -> String {
        let one = |n| format!(r#"{{"number":{n},"title":"T","state":"open","labels":[]}}"#);
        format!("[{}]", (1..=count).map(one).collect::<Vec<_>>().join(","))
    }

    #[test]
    fn pages_are_followed_until_one_is_not_full() {
        let (base, server) =
            serve(vec![answer("200 OK", "", &issues(100)), answer("200 OK", "", &issues(2))]);
        let body = ask(&base, &query());
        assert_eq!((body.issues.len(), body.complete), (102, true));
        let heads = server.join().unwrap();
        assert!(heads[0].contains("milestone=42&labels=P0%2Ca+b"), "{}", heads[0]);
        assert!(heads[1].contains("page=2"), "{}", heads[1]);
    }

    #[test]
    fn a_used_up_quota_is_a_problem_and_not_an_empty_list() {
        let (base, _server) =
            serve(vec![answer("403 Forbidden", "x-ratelimit-remaining: 0\r\n", "{}")]);
        let body = ask(&base, &query());
        assert!(!body.complete);
        assert_eq!(body.problem.unwrap().kind, ProblemKind::RateLimited);
    }

    #[test]
    fn an_error_or_a_strange_answer_is_a_problem() {
        for (status, text, kind) in [
            ("500 Internal Server Error", "[]", ProblemKind::Unreachable),
            ("200 OK", "<html>", ProblemKind::Malformed),
            ("200 OK", "{\"message\":\"x\"}", ProblemKind::Malformed),
        ] {
            let (base, _server) = serve(vec![answer(status, "", text)]);
            assert_eq!(ask(&base, &query()).problem.unwrap().kind, kind, "{status} {text}");
        }
    }

    #[test]
    fn a_server_that_is_down_is_unreachable() {
        let body = ask("http://127.0.0.1:1", &query());
        assert_eq!(body.problem.unwrap().kind, ProblemKind::Unreachable);
    }

    #[test]
    fn numbers_are_asked_one_by_one_and_a_missing_one_is_left_out() {
        let one =
            r#"{"number":7,"title":"T","state":"closed","state_reason":"completed","labels":[]}"#;
        let (base, server) =
            serve(vec![answer("200 OK", "", one), answer("404 Not Found", "", "{}")]);
        let need = Need::Issues {
            repository: "o/n".into(),
            milestone: None,
            labels: Vec::new(),
            numbers: vec![7, 8],
        };
        let body = ask(&base, &need);
        assert_eq!(body.issues.iter().map(|i| i.number).collect::<Vec<_>>(), [7]);
        assert!(server.join().unwrap()[1].starts_with("GET /repos/o/n/issues/8 "));
    }
}
