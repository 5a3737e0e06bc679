//! A release build of simod with clients large enough to measure.

use std::{
    net::TcpListener,
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
};

use futures_util::{StreamExt as _, stream};
use simo_common::api::{
    device::{ChannelAddress, Pair},
    invites::NewBatch,
    people::{ImportRow, NewEmployee},
};
use simo_tests::{
    Plant, Simod,
    fcm::{Call, Files, Stats, sender},
    programs,
    simod::Setup,
};

/// Phones paired concurrently.
const PAIRINGS: usize = 128;

pub(crate) fn personnel_no(number: usize) -> String {
    format!("{:06}", 100_000 + number)
}

/// A client with this many employees, who are in no group.
pub(crate) async fn plant(simod: &Simod, slug: &str, employees: usize) -> Plant {
    plant_in(simod, slug, employees, |_| None).await
}

/// A client with this many employees, each in the group that `group` names, created if needed.
pub(crate) async fn plant_in(
    simod: &Simod,
    slug: &str,
    employees: usize,
    group: impl Fn(usize) -> Option<String>,
) -> Plant {
    let plant = Plant::new(simod, slug).await;
    let rows: Vec<ImportRow> = (0..employees)
        .map(|number| ImportRow {
            line: number as u64 + 1,
            employee: NewEmployee {
                personnel_no: personnel_no(number),
                full_name: format!("Иванов Пётр Сергеевич {number}"),
                groups: group(number).into_iter().collect(),
                ..NewEmployee::default()
            },
            person: None,
        })
        .collect();
    for rows in rows.chunks(20_000) {
        plant.import(rows).await;
    }
    plant
}

/// Pairs one phone for every employee, through the API: inserting with SQL would be faster, but fit only one build's tables.
pub(crate) async fn give_phones(simod: &Simod, plant: &Plant, channel: &str) {
    let address = |personnel_no: &str| ChannelAddress {
        kind: channel.to_owned(),
        address: (channel == "fcm").then(|| format!("load-{}-{personnel_no}", plant.slug)),
        address_kind: None,
        endpoint: None,
        keys: None,
        notifications: None,
    };
    pair_phones(simod, plant, address).await;
}

/// The same, with these addresses.
pub(crate) async fn pair_phones(simod: &Simod, plant: &Plant, address: impl Fn(&str) -> ChannelAddress) {
    let everyone = NewBatch { everyone: true, ..NewBatch::default() };
    let invites = plant.admin.invite_devices(&everyone).await.expect("everyone can be invited").invites;
    let anyone = simod.anyone();
    stream::iter(invites)
        .for_each_concurrent(PAIRINGS, async |invite| {
            let channel = address(&invite.personnel_no);
            let (name, platform) = ("load".to_owned(), "android".to_owned());
            let pair = Pair { code: invite.code, key: None, channel, name, platform };
            anyone.pair(&pair).await.expect("a phone can be paired");
        })
        .await;
}

/// The client of [`with_phones`].
pub(crate) const CLIENT: &str = "load";

/// A simod with a client whose employees have one phone each, and the token of an ACS.
pub(crate) async fn with_phones(setup: Setup, employees: usize, channel: &str) -> (Simod, String) {
    let simod = setup.start().await;
    let plant = plant(&simod, CLIENT, employees).await;
    give_phones(&simod, &plant, channel).await;
    let token = plant.token("1c").await;
    (simod, token)
}

/// A provider that accepts connections into its backlog and never answers.
pub(crate) struct Silence {
    _listener: TcpListener,
    /// Its base URL.
    pub(crate) url: String,
}

impl Silence {
    /// Starts listening.
    pub(crate) fn begin() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let url = format!("https://{}", listener.local_addr().expect("it is bound"));
        Self { _listener: listener, url }
    }
}

/// The stand-in in its own process.
pub(crate) struct Provider {
    process: Child,
    _stays_while_this_is_open: ChildStdin,
    http: reqwest::Client,
    /// Its base URL.
    pub(crate) url: String,
    /// The files that simod needs to use it.
    pub(crate) files: Files,
}

impl Provider {
    /// Starts the process.
    pub(crate) fn start(directory: &Path) -> Self {
        let mut process = Command::new(programs::program("fake-fcm"))
            .arg("--directory")
            .arg(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the stand-in starts");
        let stdin = process.stdin.take().expect("stdin is piped");
        let stdout = process.stdout.take().expect("stdout is piped");
        let lines = std::io::BufRead::lines(std::io::BufReader::new(stdout));
        let text: Vec<String> = lines.take(4).map(|line| line.expect("it says where it is")).collect();
        let config: toml::Table = text.join("\n").parse().expect("it prints TOML");
        let value = |key: &str| config["fcm"][key].as_str().expect("it prints strings").to_owned();
        let files = Files { service_account: value("service_account").into(), ca: value("ca").into() };
        let ca = std::fs::read_to_string(&files.ca).expect("the CA is there");
        Self {
            process,
            _stays_while_this_is_open: stdin,
            http: sender::trusting(&ca).build().expect("a client"),
            url: value("base_url"),
            files,
        }
    }

    /// The journal's statistics from call `from` on.
    pub(crate) async fn stats(&self, from: u64) -> Stats {
        let url = format!("{}/standin/stats?from={from}", self.url);
        let answer = self.http.get(url).send().await.expect("the stand-in answers");
        answer.json().await.expect("it answers numbers")
    }

    /// The calls from `from` on.
    pub(crate) async fn calls(&self, from: u64) -> Vec<Call> {
        let url = format!("{}/standin/calls?from={from}", self.url);
        let answer = self.http.get(url).send().await.expect("the stand-in answers");
        let text = answer.text().await.expect("it answers lines");
        text.lines().map(|line| serde_json::from_str(line).expect("a line is a call")).collect()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Setup for a measurement in `directory` (or on the server that `SIMO_TEST_POSTGRES` names): the defaults, except for the
/// harness's short waits before a retry.
pub(crate) fn setup(directory: &Path, name: &str) -> Setup {
    let directory = directory.join(name);
    std::fs::create_dir_all(&directory).expect("a directory can be made");
    Setup::in_directory(&directory)
}

/// `127.0.0.1:PORT` of simod.
pub(crate) fn address(simod: &Simod) -> String {
    simod.url().trim_start_matches("http://").to_owned()
}
