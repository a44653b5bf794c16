//! A network of real processes, brought up, judged and taken down by separate commands.

use std::process::Stdio;

use crate::support::{Answer, Repository};

pub const ID: &str = "small.internal.1";

/// A repository whose networks are gone at the end of the test, whatever happens.
pub struct Guarded(pub Repository);

impl Drop for Guarded {
    fn drop(&mut self) {
        for attempt in 1..=2 {
            let id = format!("small.internal.{attempt}");
            // It may be down already.
            let _ = self.0.command(&["deploy", "down", &id]).stderr(Stdio::null()).output();
        }
    }
}

impl Guarded {
    pub fn new() -> Self {
        Self(Repository::tiny_with_ledger())
    }

    pub fn run(&self, arguments: &[&str]) -> Answer {
        self.0.run(arguments)
    }

    pub fn up(&self) -> Answer {
        self.run(&["deploy", "up", "small", "--time-scale", "4", "--set", "public_soak=6m"])
    }

    /// The deployment that the ledger knows to be up.
    fn live(&self) -> Option<String> {
        let status = self.run(&["phase", "status", "--format", "json"]).ends(0).json();
        status["phases"][0]["deployment"].as_str().map(str::to_owned)
    }

    /// The processes that were started for this repository and live.
    fn processes(&self) -> Vec<String> {
        let root = self.0.root().to_str().unwrap();
        let folders = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
        let lines = folders.filter_map(|one| std::fs::read(one.path().join("cmdline")).ok());
        let lines = lines.map(|bytes| String::from_utf8_lossy(&bytes).replace('\0', " "));
        lines.filter(|line| line.contains(root)).collect()
    }

    #[track_caller]
    pub fn nothing_is_left(&self) {
        assert_eq!(self.processes(), Vec::<String>::new());
        let folder = self.0.path(".phasegate/deployments");
        let left = std::fs::read_dir(folder).map_or(0, Iterator::count);
        assert_eq!(left, 0, "files of a deployment are left");
        self.run(&["deploy", "status"]).ends(0).prints("No deployment is up.");
    }
}

#[test]
fn a_network_lives_from_command_to_command() {
    let repository = Guarded::new();
    repository.up().ends(0).prints("deployed");
    // It is up, and a second one is refused without touching it.
    repository.up().ends(6).says("`small.internal.1` is up");
    let status = repository.run(&["deploy", "status", ID, "--format", "json"]).ends(0).json();
    let nodes = status[0]["nodes"].as_array().unwrap();
    assert_eq!(nodes.len(), 7, "{status}");
    assert!(nodes.iter().all(|node| node["state"] == "up"), "{status}");
    repository.run(&["deploy", "logs", ID, "--node", "validator-0"]).ends(0);
    repository.run(&["deploy", "logs", ID, "--node", "validator-9"]).ends(5);
    // What is up is judged by one set of parameters: others are refused, and none means the same.
    let other = ["deploy", "up", "small", "--plan", "--time-scale", "8"];
    repository.run(&other).ends(6).says("is up with other parameters");
    let same = ["deploy", "up", "small", "--plan"];
    repository.run(&same).says("time runs 4 times faster");
    // Every command knows that its time runs faster: 20 minutes of soak are 5.
    let status = repository.run(&["phase", "status", "--format", "json"]).ends(0).json();
    let phase = &status["phases"][0];
    assert_eq!(phase["deployment"], ID);
    assert_eq!(phase["standing"], "internal-soak", "{phase}");
    // The gate itself says how long it takes: its queries look back 5 minutes before its soak counts.
    let at = |name: &str| phase[name].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let needed = at("earliest_pass").duration_since(at("deployed"));
    assert_eq!(needed.as_secs(), 600);
    // The only deployment that is up need not be named.
    repository.run(&["query", "count(up)"]).ends(0).says("small.internal.1 (running)");
    let rule = repository.run(&["phase", "explain", "small/soak", "--live"]).ends(0);
    rule.prints("holds for 5m").prints("inconclusive");
    let action = r#"{"kind":"l1_reorg","depth":3}"#;
    repository.run(&["drill", "run", "reorg", "--deployment", ID, "--action", action]).ends(0);
    // What was not soaked is not passed.
    repository.run(&["phase", "evaluate"]).ends(10).prints("hold");
    repository.run(&["phase", "advance", "small"]).prints_no_advance();
    repository.run(&["phase", "tick"]).ends(0).says("Nothing is due");
    repository.run(&["report", "build", "--out", "report"]).ends(0);
    let report = repository.0.read("report/report.md");
    assert!(report.contains("time runs 4 times faster"), "{report}");
    repository.run(&["report", "verify", "report"]).ends(0).says("has not announced");
    repository.run(&["deploy", "down", ID]).ends(0).prints("small.internal.1 is down");
    repository.nothing_is_left();
    // The changes went with the last deployment.
    let plan = repository.run(&["phase", "explain", "small/soak"]).ends(0).stdout;
    assert!(plan.contains("holds for 5m"), "an old judgement stays what it was: {plan}");
    assert!(!repository.0.path(".phasegate/overrides.json").exists());
}

impl Answer {
    /// The command judged, and nothing moved.
    #[track_caller]
    fn prints_no_advance(self) {
        assert_ne!(self.code, Some(0), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        assert!(!self.stdout.contains("advance"), "{}", self.stdout);
    }
}

#[test]
fn a_deployment_whose_maker_was_killed_is_cleared_away() {
    let repository = Guarded::new();
    let mut command = repository.0.command(&["deploy", "up", "small", "--time-scale", "4"]);
    let mut making = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // The ledger names the deployment before anything of it starts.
    while repository.0.entries().len() < 2 {
        assert!(making.try_wait().unwrap().is_none(), "it ended before it began");
    }
    making.kill().unwrap();
    making.wait().unwrap();
    repository.run(&["report", "verify"]).ends(0);
    repository.run(&["phase", "tick"]).ends(0);
    // It was killed either before the ledger says that the network is up, or after.
    if repository.live().is_none() {
        repository.nothing_is_left();
        repository.up().ends(0);
    }
    let id = repository.live().unwrap();
    repository.run(&["deploy", "status", &id]).ends(0).prints("7 of 7 nodes up");
    repository.run(&["deploy", "down", &id]).ends(0);
    repository.nothing_is_left();
}
