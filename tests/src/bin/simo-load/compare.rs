//! Compares two builds of simod: their rates, the processor time per message, and what they store. Processor time depends
//! less than rates do on the machine's other load; and the old build against itself shows the noise of each figure.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    time::Duration,
};

use simo_common::{
    api::access::Grantee,
    client::{Client, ListQuery},
};
use simo_tests::{Plant, Simod, database, postgres, programs, simod::Setup, wait::within};
use sqlx::Connection as _;
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::{
    Measurement,
    blast::{Until, median, quantile},
    cpu,
    drain::{self, PUSHES},
    footprint,
    ingest::{self, Door},
    site::{self, Provider, Silence},
    table,
    web_push::{Drained, Queue},
    wide,
};

/// Requests on each connection: seconds of processor time, so that a tick of 10 ms is below 1 %.
const SINGLES: usize = 600;
const BATCHES: usize = 25;

/// What can be compared.
pub(crate) const PARTS: [Measurement; 5] = [
    Measurement::Footprint,
    Measurement::Ingest,
    Measurement::Drain,
    Measurement::WebPush,
    Measurement::Wide,
];

/// The topic of the messages whose stored size is compared.
const TOPIC: &str = "naryady";

/// Path of the simod in a folder of binaries.
///
/// # Errors
/// When the folder has none.
pub(crate) fn simod_in(folder: &str) -> Result<PathBuf, String> {
    let simod = Path::new(folder).join("simod");
    if simod.is_file() {
        Ok(simod)
    } else {
        Err(format!(
            "{} is missing; `cargo build --release --workspace --bins` makes target/release/simod of the commit to compare with",
            simod.display()
        ))
    }
}

/// Runs this many pairs of the old build and this one, and as many of the old build and itself.
pub(crate) async fn measure(
    directory: &Path,
    before: &Path,
    pairs: usize,
    parts: &[Measurement],
) -> Comparisons {
    let before = Build::new(directory, before);
    let after = Build::new(directory, &programs::program("simod"));
    let mut runs: Vec<Vec<[Vec<Figure>; 3]>> = parts.iter().map(|_| Vec::new()).collect();
    for number in 1..=pairs {
        for (part, runs) in parts.iter().zip(&mut runs) {
            let mut run: [Vec<Figure>; 3] = Default::default();
            for (figures, build) in run.iter_mut().zip([&before, &after, &before]) {
                *figures = build.figures(*part).await;
            }
            // Every second pair runs in reverse order, so that a machine that slows down favours neither build.
            if number % 2 == 0 {
                run.reverse();
            }
            for ((before, after), again) in run[0].iter().zip(&run[1]).zip(&run[2]) {
                let ratio = |other: &Figure| Pair { before: before.value, after: other.value }.ratio();
                eprintln!(
                    "pair {number}/{pairs}, {}: {}, itself {:.3}, after {:.3}",
                    before.name,
                    show(before.value, before.unit),
                    ratio(again),
                    ratio(after)
                );
            }
            runs.push(run);
        }
    }
    Comparisons(runs.iter().flat_map(|runs| compared(runs)).collect())
}

/// For each figure, the old build against itself and against this one.
fn compared(runs: &[[Vec<Figure>; 3]]) -> Vec<(String, Figure, Vec<Pair>)> {
    let mut all = Vec::new();
    for (place, figure) in runs[0][0].iter().enumerate() {
        let names = [format!("{}: before against itself", figure.name), "  before against after".to_owned()];
        for (name, other) in names.into_iter().zip([2, 1]) {
            let pair =
                |run: &[Vec<Figure>; 3]| Pair { before: run[0][place].value, after: run[other][place].value };
            all.push((name, *figure, runs.iter().map(pair).collect()));
        }
    }
    all
}

/// A number measured in one run.
#[derive(Clone, Copy)]
struct Figure {
    name: &'static str,
    value: f64,
    unit: &'static str,
}

impl Figure {
    const fn new(name: &'static str, value: f64, unit: &'static str) -> Self {
        Self { name, value, unit }
    }
}

fn show(value: f64, unit: &str) -> String {
    format!("{value:.*} {unit}", usize::from(value < 1_000.0))
}

/// A build, with databases that its runs start from copies of: pairing people's phones takes longer than a run.
struct Build {
    simod: PathBuf,
    directory: TempDir,
    few: OnceCell<Seed>,
    many: OnceCell<Seed>,
    web: OnceCell<Queue>,
}

/// A stopped simod, with the tokens of its ACS.
struct Seed {
    simod: Simod,
    tokens: Vec<String>,
}

impl Build {
    fn new(directory: &Path, simod: &Path) -> Self {
        let directory = TempDir::with_prefix_in("build-", directory).expect("a directory");
        let (few, many, web) = (OnceCell::new(), OnceCell::new(), OnceCell::new());
        Self { simod: simod.to_owned(), directory, few, many, web }
    }

    fn setup(&self, directory: &Path, name: &str) -> Setup {
        site::setup(directory, name).program(&self.simod)
    }

    /// With one client of few people.
    async fn few(&self) -> &Seed {
        let make = async || {
            let provider = Provider::start(self.directory.path());
            let setup = self.setup(self.directory.path(), "few").fcm_at(&provider.url, &provider.files);
            let (mut simod, token) = site::with_phones(setup, ingest::EMPLOYEES, "fcm").await;
            let plant = Plant { slug: site::CLIENT.to_owned(), admin: client(&simod) };
            plant.topic(TOPIC, &[Grantee::Everyone]).await;
            simod.terminate().await;
            Seed { simod, tokens: vec![token] }
        };
        self.few.get_or_init(make).await
    }

    /// With the crowd that one message goes to.
    async fn many(&self) -> &Seed {
        let make = async || {
            let provider = Provider::start(self.directory.path());
            let setup = self.setup(self.directory.path(), "many").fcm_at(&provider.url, &provider.files);
            let mut simod = setup.start().await;
            let tokens = wide::people(&simod).await.into();
            simod.terminate().await;
            Seed { simod, tokens }
        };
        self.many.get_or_init(make).await
    }

    /// One run, on a fresh copy of the database.
    async fn figures(&self, part: Measurement) -> Vec<Figure> {
        let directory = TempDir::with_prefix_in("run-", self.directory.path()).expect("a directory");
        let directory = directory.path();
        let provider = Provider::start(directory);
        match part {
            Measurement::Footprint => self.idle(directory).await,
            Measurement::Ingest => self.ingest(directory, &provider).await,
            Measurement::Drain => self.drain(directory, &provider).await,
            Measurement::WebPush => self.web_push(directory).await,
            Measurement::Wide => self.wide(directory, &provider).await,
            _ => unreachable!("it is not among the parts"),
        }
    }

    async fn idle(&self, directory: &Path) -> Vec<Figure> {
        let simod = self.setup(directory, "idle").start().await;
        vec![Figure::new("resident when idle", footprint::idle_mib(&simod).await, "MiB")]
    }

    /// The provider never answers, so that almost only accepting is measured.
    async fn ingest(&self, directory: &Path, provider: &Provider) -> Vec<Figure> {
        let Seed { simod, tokens } = self.few().await;
        let silence = Silence::begin();
        let setup = self.setup(directory, "ingest").on_copy_of(simod).await;
        let simod = setup.fcm_at(&silence.url, &provider.files).start().await;
        let door = Door::at(site::address(&simod), tokens[0].clone());
        let started = used_us(&simod).await;
        let single_rate = door.singles(Until::Posted(SINGLES)).await;
        let singles = used_us(&simod).await;
        let batched_rate = door.batches(Until::Posted(BATCHES)).await;
        let batches = used_us(&simod).await;
        let single = (singles - started) as f64 / (SINGLES * ingest::CONNECTIONS) as f64;
        let batched =
            (batches - singles) as f64 / (BATCHES * ingest::BATCH_CONNECTIONS * ingest::BATCH) as f64;
        vec![
            Figure::new("single, 64 connections", single_rate, "/s"),
            Figure::new("single, CPU time a message", single, "µs"),
            Figure::new("batches of 1,000, messages", batched_rate, "/s"),
            Figure::new("batches of 1,000, CPU time a message", batched, "µs"),
        ]
    }

    /// Drains what was queued while the provider was silent, and measures what is stored of it.
    async fn drain(&self, directory: &Path, provider: &Provider) -> Vec<Figure> {
        let Seed { simod: seed, tokens } = self.few().await;
        let silence = Silence::begin();
        let setup = self.setup(directory, "queue").on_copy_of(seed).await;
        let mut queue = setup.fcm_at(&silence.url, &provider.files).start().await;
        drain::post(&queue, tokens[0].clone(), message).await;
        used_us(&queue).await;
        queue.kill9();
        drop(silence);

        let setup = self.setup(directory, "drain").on_database_of(&queue);
        let mut simod = setup.fcm_at(&provider.url, &provider.files).start().await;
        let rate = drain::rate(provider, 0).await;
        let resident = footprint::resident_mib(simod.pid());
        // Includes its start, since it drains from then on.
        let used = used_us(&simod).await;
        simod.terminate().await;
        let bytes = stored_bytes(&simod).await - stored_bytes(seed).await;
        vec![
            Figure::new("drain of 100,000 FCM pushes", rate, "/s"),
            Figure::new("drain, CPU time a push", used as f64 / PUSHES as f64, "µs"),
            Figure::new("resident after the drain", resident, "MiB"),
            Figure::new("kept of a message", bytes as f64 / PUSHES as f64, "bytes"),
        ]
    }

    async fn web_push(&self, directory: &Path) -> Vec<Figure> {
        let queue = self.web.get_or_init(|| Queue::new(self.directory.path(), &self.simod)).await;
        let Drained { arrived, used_us, resident } = queue.drain(directory).await;
        vec![
            Figure::new("drain of 100,000 web pushes", arrived.rate, "/s"),
            Figure::new("web pushes, CPU time a push", used_us as f64 / PUSHES as f64, "µs"),
            Figure::new("resident after the drain of web pushes", resident, "MiB"),
        ]
    }

    async fn wide(&self, directory: &Path, provider: &Provider) -> Vec<Figure> {
        let Seed { simod, tokens } = self.many().await;
        let setup = self.setup(directory, "wide").on_copy_of(simod).await;
        let simod = setup.fcm_at(&provider.url, &provider.files).start().await;
        let announced = wide::announce(&simod, provider, [&tokens[0], &tokens[1]], wide::EVERYONE).await;
        vec![Figure::new("100,000 recipients, from 202 to the last push", announced.last / 1e3, "s")]
    }
}

/// A message of typical size: 40 characters of title, 80 of body, an external id, a topic, one phone.
fn message(number: usize) -> String {
    let to = site::personnel_no(number % ingest::EMPLOYEES);
    let (title, body) = (text(number, 40), text(number + 1, 80));
    format!(
        r#"{{"title":"{title}","body":"{body}","external_id":"naryad-{number:06}","topic":"{TOPIC}","recipients":{{"employees":["{to}"]}}}}"#
    )
}

/// Text of this length, with words that vary between messages; otherwise their index would be unrealistically small.
fn text(number: usize, length: usize) -> String {
    const WORDS: [&str; 16] = [
        "насос",
        "клапан",
        "котельная",
        "давление",
        "выше",
        "нормы",
        "проверить",
        "доложить",
        "мастеру",
        "смены",
        "цех",
        "участок",
        "остановлен",
        "ремонт",
        "линия",
        "задвижка",
    ];
    let mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let words = (0..).map(|place: usize| WORDS[(mixed >> (4 * (place % 16))) % WORDS.len()]);
    words.flat_map(|word| word.chars().chain([' '])).take(length - 1).chain(['.']).collect()
}

/// Bytes that the database of a stopped simod takes: its file, or its tables with their indexes, without the space that
/// updates freed and the server reuses.
async fn stored_bytes(simod: &Simod) -> i64 {
    let url = simod.database_url();
    if !database::is_on_server(&url) {
        let file = simod.database();
        assert!(!file.with_extension("db-wal").exists(), "simod checkpoints when it ends");
        return fs::metadata(file).expect("the file is there").len().cast_signed();
    }
    let mut connection = database::connect(&url).await;
    sqlx::query("vacuum full").execute(&mut connection).await.expect("the server cleans up");
    let bytes =
        sqlx::query_scalar("select sum(pg_total_relation_size(relid))::bigint from pg_stat_user_tables")
            .fetch_one(&mut connection)
            .await
            .expect("the server answers");
    connection.close().await.expect("a connection can be closed");
    bytes
}

/// The owner, acting for the client of [`site::with_phones`].
fn client(simod: &Simod) -> Client {
    simod.owner().for_client(Some(site::CLIENT.to_owned()))
}

/// The processor time of simod in microseconds once all work on the messages is done: background work is part of their
/// cost.
pub(crate) async fn used_us(simod: &Simod) -> u64 {
    // A search waits until the words of all messages are indexed, which simod postpones while it is busy.
    let list = ListQuery { query: Some("нигде".to_owned()), limit: Some(1), ..ListQuery::default() };
    let client = client(simod);
    // On a busy machine that may take longer than one request waits.
    within(Duration::from_mins(5), "all words are indexed", async || client.messages(&list).await.ok()).await;
    cpu::used_us_when_idle(simod.pid()).await
}

/// The figures of two consecutive runs.
struct Pair {
    before: f64,
    after: f64,
}

impl Pair {
    fn ratio(&self) -> f64 {
        self.after / self.before
    }
}

/// All figures compared, with their pairs.
pub(crate) struct Comparisons(Vec<(String, Figure, Vec<Pair>)>);

impl fmt::Display for Comparisons {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let engine = if postgres::server().is_some() { "on PostgreSQL" } else { "on SQLite" };
        let head = [engine, "before", "after", "ratio", "quartiles", "all"].map(str::to_owned);
        let rows = self.0.iter().map(|(name, figure, pairs)| cells(name, figure.unit, pairs));
        table::lay_out(f, &std::iter::once(head).chain(rows).collect::<Vec<_>>())
    }
}

/// The ratio is the median of the pairs' ratios: only the two runs of a pair met the same conditions.
fn cells(name: &str, unit: &str, pairs: &[Pair]) -> [String; 6] {
    let mut ratios: Vec<f64> = pairs.iter().map(Pair::ratio).collect();
    let [least, lower, ratio, upper, most] =
        [0.0, 0.25, 0.5, 0.75, 1.0].map(|share| quantile(&mut ratios, share));
    let value = |of: fn(&Pair) -> f64| show(median(pairs.iter().map(of).collect()), unit);
    [
        name.to_owned(),
        value(|pair| pair.before),
        value(|pair| pair.after),
        format!("{ratio:.3}"),
        format!("{lower:.3}–{upper:.3}"),
        format!("{least:.3}–{most:.3}"),
    ]
}

#[cfg(test)]
mod tests {
    use simo_common::api::message::PostMessage;

    use super::*;

    #[test]
    fn the_ratio_is_the_median_of_the_pairs_ratios() {
        let pairs = [(1.0, 2.0), (2.0, 2.0), (4.0, 4.4), (8.0, 8.0), (16.0, 19.2)];
        let pairs = pairs.map(|(before, after)| Pair { before, after });
        assert_eq!(
            cells("drain", "µs", &pairs),
            ["drain", "4.0 µs", "4.4 µs", "1.100", "1.000–1.200", "1.000–2.000"]
        );
    }

    #[test]
    fn the_typical_message_is_as_large_as_is_said() {
        for number in [0, 7, 99_999] {
            let posted: PostMessage = serde_json::from_str(&message(number)).expect("it is one");
            assert_eq!((posted.title.chars().count(), posted.body.chars().count()), (40, 80));
        }
    }

    #[test]
    fn a_folder_without_simod_is_refused_with_what_is_missing() {
        let folder = TempDir::new().expect("a directory");
        let path = folder.path().to_str().expect("it is UTF-8");
        let refusal = simod_in(path).expect_err("it is empty");
        assert!(refusal.starts_with(&format!("{path}/simod is missing")), "{refusal}");
        fs::write(folder.path().join("simod"), "").expect("a file can be written");
        assert_eq!(simod_in(path), Ok(folder.path().join("simod")));
    }
}
