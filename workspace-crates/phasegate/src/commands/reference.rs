//! `reference`: the generated pages of `docs/reference/`.

use clap::ValueEnum;
use deployment::Driver;

use crate::exit::EXITS;
use crate::failure::Outcome;
use crate::output::print;

/// Print a page of the reference as Markdown
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The page
    page: Page,
}

/// A page of the reference.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Page {
    /// Gate kinds.
    Gates,
    /// Exit codes.
    ExitCodes,
    /// Drivers.
    Drivers,
    /// The reference network: parameters and metrics.
    Network,
    /// PromQL: functions, and what is refused.
    Promql,
}

/// Prints a page of the reference.
pub fn run(args: &Args) -> Outcome {
    print(&match args.page {
        Page::Gates => gates::reference_markdown(),
        Page::ExitCodes => exit_codes(),
        Page::Drivers => drivers()?,
        Page::Network => network(),
        Page::Promql => promql(),
    })
}

fn exit_codes() -> String {
    let mut page = String::from("# Exit codes\n\n| code | meaning |\n|---|---|\n");
    for (_, code, meaning) in EXITS {
        page.push_str(&format!("| {code} | {meaning} |\n"));
    }
    page
}

fn drivers() -> Result<String, crate::failure::Failure> {
    let simulator = deployment::SimulatorDriver::new();
    let process = deployment::ProcessDriver::new("state".as_ref(), "phasegate".as_ref())?;
    let mut page = String::from("# Drivers\n");
    let drivers: [(&dyn Driver, &str); 2] = [
        (&simulator, "Runs networks in virtual time inside the program; what `rehearse` uses."),
        (
            &process,
            "One operating-system process for each node, on this machine, in real time; what `deploy` uses. \
             A supervisor keeps the network running after the command that started it has ended.",
        ),
    ];
    for (driver, about) in drivers {
        let able = driver.capabilities();
        let yes = |flag: bool| if flag { "yes" } else { "no" };
        page.push_str(&format!(
            "\n## `{}`\n\n{about}\n\n| what | |\n|---|---|\n| evidence says | `{}` |\n| virtual time | {} |\n\
             | survives the command | {} |\n| actions | {} |\n",
            driver.name(),
            driver.host(),
            yes(able.virtual_time),
            yes(able.survives),
            able.actions.iter().map(|one| format!("`{one}`")).collect::<Vec<_>>().join(", "),
        ));
    }
    Ok(page)
}

fn network() -> String {
    let mut page = String::from(
        "# The reference network\n\nWhat a stage's `[network]` table may hold, with the value that counts when a key is \
         left out. The driver gives `network` and `seed` itself.\n\n| key | default |\n|---|---|\n",
    );
    let defaults = serde_json::to_value(devnet::NetworkSpec::default()).unwrap_or_default();
    for (key, value) in defaults.as_object().into_iter().flatten() {
        if key != "network" && key != "seed" {
            page.push_str(&format!("| `{key}` | `{value}` |\n"));
        }
    }
    page.push_str(
        "\n## Metrics\n\n| name | role | type | unit | meaning |\n|---|---|---|---|---|\n",
    );
    for metric in devnet::METRICS {
        page.push_str(&format!(
            "| `{}` | {} | {} | {} | {} |\n",
            metric.name,
            metric.role.as_str(),
            match metric.kind {
                devnet::MetricKind::Counter => "counter",
                devnet::MetricKind::Gauge => "gauge",
            },
            metric.unit,
            metric.help
        ));
    }
    page
}

fn promql() -> String {
    // A bar would end a cell of the table.
    let cell = |text: &str| text.replace('|', "\\|");
    let mut page = String::from(
        "# PromQL\n\nThe language of Prometheus 3 over numbers: all selectors, matchers, `offset`, `@`, subqueries, \
         operators and aggregations, and these functions. A subquery states its step.\n\n\
         | function | what it gives |\n|---|---|\n",
    );
    for function in promql::functions() {
        page.push_str(&format!("| `{}` | {} |\n", function.signature, cell(function.summary)));
    }
    page.push_str("\n## What is refused, by name\n\n| what | why |\n|---|---|\n");
    for excluded in promql::excluded() {
        page.push_str(&format!("| {} | {} |\n", cell(excluded.name), cell(excluded.reason)));
    }
    page
}
