//! The load tool: measures the speed that SiMO promises, next to the least that could do the same work, on this machine
//! and disk, and prints one table.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a measurement that cannot go on ends, and progress is for the person who waits"
)]

mod bare;
mod blast;
mod bodies;
mod browsers;
mod compare;
mod cpu;
mod drain;
mod footprint;
mod granted;
mod history;
mod ingest;
mod latency;
mod machine;
mod provision;
mod server;
mod site;
mod table;
mod unnest;
mod web_push;
mod wide;

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use simo_tests::{postgres, programs};
use tempfile::TempDir;

use machine::Machine;
use table::Row;

/// The same allocator as simod's, so that the bare handler differs only in its work.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures simod and prints a table: our figure, the bare one, their ratio, the target.
#[derive(Parser)]
struct Arguments {
    /// Where to put the databases; must not be in memory.
    #[arg(long, default_value_os_t = programs::workspace().join("target"))]
    directory: PathBuf,
    /// Measure only this (may be repeated).
    #[arg(long, value_enum)]
    only: Vec<Measurement>,
    /// Seconds of one round of ingest; ours and the bare one take turns.
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// Rounds, of which the median counts.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Deliveries of the history that is searched.
    #[arg(long, default_value_t = 1_000_000)]
    deliveries: u64,
    /// Compare this build with another: the simod in this folder, first against itself, which shows the noise, and then
    /// against this one, in speed, processor time (user and system), memory and size. Of `--only` it knows footprint,
    /// ingest, drain, web-push and wide.
    #[arg(long, value_name = "FOLDER-OF-BINARIES", value_parser = compare::simod_in, conflicts_with_all = ["seconds", "rounds", "deliveries"])]
    before: Option<PathBuf>,
    /// Pairs of runs, of which the median counts; every run has a fresh database and the same messages.
    #[arg(long, default_value_t = 7, requires = "before", value_parser = clap::value_parser!(u32).range(1..))]
    pairs: u32,
    #[command(subcommand)]
    role: Option<Role>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Measurement {
    /// One message a request, and batches.
    Ingest,
    /// 100,000 queued pushes.
    Drain,
    /// 100,000 queued web pushes, beside others who send them.
    WebPush,
    /// From POST to the provider at 500 messages a second.
    Latency,
    /// One message for 100,000 people.
    Wide,
    /// A topic with 1,000 grants over nested groups, and one message to it.
    Granted,
    /// A whole client out of one file, applied.
    Provision,
    /// One client's large bodies beside another client's messages.
    Bodies,
    /// The web app in real browsers.
    Browsers,
    /// Memory and start-up.
    Footprint,
    /// PostgreSQL next to SQLite and to a bare insert, and two instances next to one; needs `SIMO_TEST_POSTGRES`.
    Server,
    /// The named queries over a million deliveries.
    History,
}

/// What the tool starts of itself.
#[derive(Subcommand)]
enum Role {
    /// The bare handler: parses, answers 202, stores nothing.
    #[command(hide = true)]
    Bare,
    /// The bare loop of web pushes: encrypts and posts, stores nothing; prints its processor time in microseconds.
    #[command(hide = true)]
    BareWebPush { work: PathBuf, pushes: usize },
}

fn main() {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    match &arguments.role {
        Some(Role::Bare) => runtime.block_on(bare::serve()),
        Some(Role::BareWebPush { work, pushes }) => runtime.block_on(web_push::bare::send(work, *pushes)),
        None => {
            if !runtime.block_on(measure(&arguments)) {
                std::process::exit(1);
            }
        }
    }
}

/// Prints the table; returns whether every target was met.
async fn measure(arguments: &Arguments) -> bool {
    eprintln!("building the programs …");
    programs::program("simod");
    std::fs::create_dir_all(&arguments.directory).expect("the directory can be made");
    let directory = TempDir::with_prefix_in("simo-load-", &arguments.directory).expect("a directory");
    let machine = Machine::look(directory.path());
    machine.refuse_memory();
    let wanted = |what| arguments.only.is_empty() || arguments.only.contains(&what);
    if let Some(before) = &arguments.before {
        let parts: Vec<Measurement> = compare::PARTS.into_iter().filter(|part| wanted(*part)).collect();
        assert!(!parts.is_empty(), "of --only, --before knows {:?}", compare::PARTS);
        let comparisons = compare::measure(directory.path(), before, arguments.pairs as usize, &parts).await;
        println!("{machine}\n\n{comparisons}");
        return true;
    }
    let mut rows: Vec<Row> = Vec::new();
    if wanted(Measurement::Footprint) {
        rows.extend(footprint::measure(directory.path()).await);
    }
    if wanted(Measurement::Ingest) {
        rows.extend(ingest::measure(directory.path(), arguments.rounds, arguments.seconds, &machine).await);
    }
    if wanted(Measurement::Drain) {
        rows.extend(drain::measure(directory.path(), arguments.rounds.min(3)).await);
    }
    if wanted(Measurement::WebPush) {
        rows.extend(web_push::measure(directory.path(), arguments.rounds).await);
    }
    if wanted(Measurement::Latency) {
        rows.extend(latency::measure(directory.path()).await);
    }
    if wanted(Measurement::Wide) {
        rows.extend(wide::measure(directory.path()).await);
    }
    if wanted(Measurement::Granted) {
        rows.extend(granted::measure(directory.path()).await);
    }
    if wanted(Measurement::Provision) {
        rows.extend(provision::measure(directory.path()).await);
    }
    if wanted(Measurement::Bodies) {
        rows.extend(bodies::measure(directory.path()).await);
    }
    if wanted(Measurement::Browsers) {
        rows.extend(browsers::measure(directory.path()).await);
    }
    if wanted(Measurement::Server) && postgres::server().is_some() {
        rows.extend(server::measure(directory.path(), arguments.rounds, arguments.seconds).await);
    }
    if wanted(Measurement::History) {
        rows.extend(history::measure(directory.path(), arguments.deliveries).await);
    }
    println!("{machine}\n\n{}", table::Table(&rows));
    !rows.iter().any(Row::missed)
}
