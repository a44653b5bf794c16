//! `serve-samples`: a deployment's samples for Grafana.

use std::net::SocketAddr;

use base::Duration;

use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::output::{print, say};
use crate::queries::Origin;
use crate::serving::api::Allowance;
use crate::serving::{Server, Settings};
use crate::world::Global;

/// Serve a deployment's samples as Prometheus would, for Grafana
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask serve-samples
  cargo xtask serve-samples --deployment phase-1.internal.1 --listen 127.0.0.1:9100
  cargo xtask serve-samples --rehearsal rehearsal --deployment phase-1.internal.1

Point a Prometheus data source of Grafana at the address that is printed.")]
pub struct Args {
    /// Where to listen; port 0 takes any that is free
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9099")]
    pub listen: SocketAddr,
    /// Listen on an address that other machines reach; nobody is asked who they are
    #[arg(long)]
    pub public: bool,
    #[command(flatten)]
    pub origin: Origin,
    /// Refuse a query that reads or computes more samples than this
    #[arg(long, value_name = "COUNT", default_value_t = 50_000_000)]
    pub max_samples: u64,
    /// Stop a query that takes longer; a request may ask for less
    #[arg(long, value_name = "DURATION", default_value = "2m")]
    pub timeout: Duration,
    /// Queries that are answered at once
    #[arg(long, value_name = "COUNT", default_value_t = 4)]
    pub concurrency: usize,
}

/// Serves until a signal stops it.
pub fn run(global: &Global, args: &Args) -> Outcome {
    if !args.listen.ip().is_loopback() && !args.public {
        return Err(Failure::new(
            Exit::Usage,
            format!(
                "{} can be reached from other machines, and everybody there could ask",
                args.listen
            ),
        )
        .hint("Listen on 127.0.0.1, or say --public when that is meant."));
    }
    let timeout = std::time::Duration::try_from_secs_f64(args.timeout.seconds())
        .map_err(|_| Failure::new(Exit::Usage, "the timeout must not be negative"))?;
    let feed = args.origin.open(global)?;
    let about = feed.sampled().describe();
    let settings = Settings {
        listen: args.listen,
        allowance: Allowance { max_samples: args.max_samples, timeout },
        concurrency: args.concurrency,
    };
    let server = Server::bind(settings, feed)?;
    print(&format!("http://{}\n", server.address()?))?;
    say(format!("{about}."));
    say("Answering queries; stop with Ctrl-C.");
    server.run()
}
