use base::Duration;
use diagnostics::Location;
use serde::Serialize;

/// A Prometheus-compatible server that gates may be judged from.
///
/// It names where secrets are kept, and never holds one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Server {
    /// The address below which `/api/v1/…` lies: `http` or `https`, without credentials, query or
    /// final slash.
    pub url: String,
    /// What runs there; nothing when the server is to be asked itself.
    pub product: Option<Product>,
    /// The most points per series that one request may ask for; at least 1. Longer ranges are
    /// asked for in pieces.
    pub max_points: u32,
    /// The longest time that one request may take.
    pub timeout: Duration,
    /// The longest time that all requests for one gate may take, repetitions included.
    pub deadline: Duration,
    /// How the server is told who asks; nothing when it does not want to know.
    pub auth: Option<Auth>,
    /// File with the certificates of the authorities that are trusted besides the usual ones.
    pub ca_file: Option<String>,
    /// Where the server stands.
    #[serde(skip)]
    pub location: Location,
}

impl Server {
    /// The limit of Prometheus, where a definition sets no `max_points`.
    pub const MAX_POINTS_DEFAULT: u32 = 11_000;
    /// The time for one request, where a definition sets no `timeout`.
    pub const TIMEOUT_DEFAULT: Duration = Duration::from_seconds(30);
    /// The time for all requests, where a definition sets no `deadline`.
    pub const DEADLINE_DEFAULT: Duration = Duration::from_minutes(5);
}

/// What runs on a server. Products differ in how they evaluate some functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Product {
    /// Prometheus.
    Prometheus,
    /// VictoriaMetrics, single-node or cluster.
    VictoriaMetrics,
    /// Grafana Mimir or Cortex.
    Mimir,
    /// Thanos Query.
    Thanos,
}

impl Product {
    /// The word that definitions and records use.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Prometheus => "prometheus",
            Self::VictoriaMetrics => "victoria-metrics",
            Self::Mimir => "mimir",
            Self::Thanos => "thanos",
        }
    }

    /// All products with their words.
    pub const ALL: [(&'static str, Self); 4] = [
        (Self::Prometheus.word(), Self::Prometheus),
        (Self::VictoriaMetrics.word(), Self::VictoriaMetrics),
        (Self::Mimir.word(), Self::Mimir),
        (Self::Thanos.word(), Self::Thanos),
    ];
}

/// How a server is told who asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Auth {
    /// A token, sent as `Authorization: Bearer …`.
    Bearer(Secret),
    /// A name and a password, sent as `Authorization: Basic …`.
    Basic {
        /// The name.
        user: String,
        /// Where the password is kept.
        password: Secret,
    },
    /// A certificate of the client, shown when the connection is made.
    Certificate {
        /// PEM file with the certificate and those that lead to its authority.
        cert_file: String,
        /// PEM file with its private key.
        key_file: String,
    },
}

/// Where a secret is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Secret {
    /// A file that holds the secret alone; relative paths begin at the root of the definitions.
    File(String),
    /// An entry of the machine's keyring.
    Keyring {
        /// The service that the entry is for.
        service: String,
        /// The user of that service.
        user: String,
    },
}
