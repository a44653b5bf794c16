use serde::Serialize;

use crate::Question;

/// What a gate needs to be judged. Collectors gather exactly this.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case", tag = "need")]
pub enum Need {
    /// Scraped samples of these metrics.
    Samples {
        /// Metric names, sorted; empty when a query selects by other labels only.
        metrics: Vec<String>,
    },
    /// Answers of a Prometheus-compatible server.
    Server {
        /// Its name in the pipeline.
        server: String,
        /// What it has to be asked. A gate that was only parsed does not know yet: the deployment
        /// and the instant say which times are asked about.
        questions: Vec<Question>,
    },
    /// Events of the deployment.
    Events {
        /// Their names, sorted.
        names: Vec<String>,
    },
    /// A `document` record.
    Document {
        /// Path relative to the repository.
        path: String,
    },
    /// An `issues` record.
    Issues {
        /// The repository, as `owner/name`.
        repository: String,
        /// Number of the milestone whose issues are wanted.
        milestone: Option<u64>,
        /// Labels that the issues must all have.
        labels: Vec<String>,
        /// Numbers of the issues that are wanted; empty for a query by milestone and labels.
        numbers: Vec<u64>,
    },
    /// A `probe` record: what each node of a role answers.
    Probe {
        /// The remote procedure to call.
        rpc: String,
        /// The role of the nodes to ask.
        role: String,
    },
    /// Approvals from the ledger.
    Approvals {
        /// The role whose approvals count.
        role: String,
    },
    /// Earlier passing evaluations of the same gate.
    Earlier,
}

impl Need {
    /// What a gate needs that measures `metrics`: from `server`, or from the deployment itself.
    pub(crate) fn measured(server: Option<&str>, metrics: Vec<String>) -> Self {
        match server {
            Some(server) => Self::Server { server: server.to_owned(), questions: Vec::new() },
            None => Self::Samples { metrics },
        }
    }
}
