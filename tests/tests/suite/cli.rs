//! `simoctl`, the real program against the real daemon: its output, its exit codes, and its questions.

mod audit;
mod distribution;
mod listen;
mod login;
mod pipes;
mod site;

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use expectrl::{Eof, Expect as _, Session};
use serde_json::Value;
use simo_common::delivery::DeliveryState;
use simo_tests::{Plant, Simod, clock, eventually, plant, programs::program};
use tempfile::TempDir;

/// `simoctl` with its own home directory.
pub(super) struct Ctl {
    home: TempDir,
    flags: Vec<String>,
}

/// The result of a run.
pub(super) struct Ran {
    pub(super) code: i32,
    pub(super) out: String,
    pub(super) err: String,
}

impl Ctl {
    /// As the owner, for one client, in English.
    pub(super) fn new(simod: &Simod, client: &str) -> Self {
        let socket = simod.socket();
        Self::with(&["--socket", socket.to_str().unwrap(), "--client", client, "--lang", "en"])
    }

    fn with(flags: &[&str]) -> Self {
        Self {
            home: TempDir::with_prefix("simo-ctl-").unwrap(),
            flags: flags.iter().map(|&flag| flag.to_owned()).collect(),
        }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(program("simoctl"));
        command.env_clear().env("HOME", self.home.path()).env("TERM", "xterm");
        command.args(&self.flags).args(words).stdin(Stdio::null());
        command
    }

    pub(super) fn run(&self, words: &[&str]) -> Ran {
        Ran::from(self.command(words).output().unwrap())
    }

    /// A run that must succeed; returns stdout.
    pub(super) fn ok(&self, words: &[&str]) -> String {
        let ran = self.run(words);
        assert_eq!(ran.code, 0, "simoctl {words:?}: {}", ran.err);
        ran.out
    }

    pub(super) fn json(&self, words: &[&str]) -> Value {
        let words = [&["-o", "json"], words].concat();
        serde_json::from_str(&self.ok(&words)).unwrap()
    }

    pub(super) fn file(&self, name: &str, text: &str) -> String {
        let path = self.home.path().join(name);
        fs::write(&path, text).unwrap();
        path.into_os_string().into_string().unwrap()
    }

    fn contexts(&self) -> PathBuf {
        self.home.path().join(".config/simo/contexts.toml")
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().expect("it ends by itself"),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

#[tokio::test]
async fn a_first_client_comes_as_far_as_its_first_message() {
    let simod = Simod::start().await;
    let ctl = Ctl::new(&simod, "romashka");
    ctl.ok(&["client", "add", "romashka", "--name", "ООО «Ромашка»"]);
    ctl.ok(&["employee", "add", "007", "Бонд Яков", "--email", "bond@example.org"]);
    ctl.ok(&["topic", "add", "boiler"]);
    ctl.ok(&["topic", "grant", "boiler", "--everyone"]);

    let issued = ctl.json(&["token", "issue", "--acs", "1c"]);
    assert!(issued["id"].is_string() && issued["holder"] == "1c");
    let acs = simod.caller(issued["token"].as_str().unwrap());
    plant::post(&acs, &plant::to_topic("Котёл №2", "boiler")).await;

    let history = ctl.ok(&["message", "list", "котел", "-state:read"]);
    let cells: Vec<_> = history.trim_end().split('\t').collect();
    assert_eq!(cells[1..=5], ["007", "Бонд Яков", "1c", "boiler", "Котёл №2"]);
    assert_eq!(cells[6], "queued");
}

#[tokio::test]
async fn an_import_is_all_or_nothing_and_the_second_time_changes_nothing() {
    let simod = Simod::start().await;
    let plant = Plant::new(&simod, "zavod").await;
    let ctl = Ctl::new(&simod, &plant.slug);
    let header = "personnel_no,full_name,email,phone,groups,locale,timezone";

    let bad = ctl.file(
        "bad.csv",
        &format!("{header}\n1,Первый,,,it,ru,\n1,Второй,,,,fr,\n2,,,,,,Mars/Base\n3,Третий,почта,,,,\n"),
    );
    let ran = ctl.run(&["employee", "import", &bad]);
    assert_eq!(ran.code, 1);
    for mistake in [
        "line 3, column 1 (personnel_no):",
        "line 3, column 6 (locale):",
        "line 4, column 2 (full_name):",
        "line 4, column 7 (timezone):",
        // Only the server checks this.
        "line 5, column 3 (email):",
    ] {
        assert!(ran.err.contains(mistake), "{mistake} is missing in\n{}", ran.err);
    }
    assert_eq!(ctl.ok(&["employee", "list"]), "");

    let good = ctl.file(
        "good.csv",
        &format!("{header}\n001,Первый Иван,a@example.org,,it|smena-a,ru,Asia/Krasnoyarsk\n002,Вторая Анна,,,it,,\n"),
    );
    let rehearsal = ctl.run(&["employee", "import", &good, "--dry-run"]);
    assert_eq!(rehearsal.code, 0, "{}", rehearsal.err);
    assert!(rehearsal.out.contains("create\t001"), "{}", rehearsal.out);
    assert_eq!(ctl.ok(&["employee", "list"]), "");

    let first = ctl.json(&["employee", "import", &good]);
    assert_eq!((&first["created"], &first["groups_created"]), (&2.into(), &2.into()));
    let again = ctl.json(&["employee", "import", &good]);
    assert_eq!(
        (&again["created"], &again["updated"], &again["unchanged"]),
        (&0.into(), &0.into(), &2.into())
    );
    assert_eq!(ctl.ok(&["employee", "list", "--group", "smena-a"]).lines().count(), 1);
}

#[tokio::test]
async fn the_exit_code_says_what_happened() {
    let mut simod = Simod::start().await;
    let plant = Plant::new(&simod, "zavod").await;
    let ctl = Ctl::new(&simod, &plant.slug);
    ctl.ok(&["group", "add", "it"]);
    assert_eq!(ctl.run(&["group", "add", "Отдел"]).code, 1, "invalid");
    assert_eq!(ctl.run(&["group", "ad"]).code, 2, "usage");
    assert_eq!(ctl.run(&["group", "show", "hr"]).code, 3, "not found");
    assert_eq!(ctl.run(&["group", "add", "it"]).code, 5, "conflict");

    let stranger = Ctl::with(&["--url", simod.url(), "--lang", "ru"]);
    let ran = stranger.run(&["group", "list"]);
    assert_eq!(ran.code, 4, "not allowed");
    assert!(ran.err.starts_with("ошибка: ") && ran.err.contains("simoctl login"), "{}", ran.err);

    simod.terminate().await;
    let ran = ctl.run(&["group", "list"]);
    assert_eq!(ran.code, 6, "unreachable");
    assert!(ran.err.contains("hint:"), "{}", ran.err);
}

#[tokio::test]
async fn what_cannot_be_undone_needs_a_yes_in_a_script() {
    let simod = Simod::start().await;
    let plant = Plant::new(&simod, "zavod").await;
    let ctl = Ctl::new(&simod, &plant.slug);
    let issued = ctl.json(&["token", "issue", "--acs", "1c"]);
    let (id, acs) = (issued["id"].as_str().unwrap(), simod.caller(issued["token"].as_str().unwrap()));

    let ran = ctl.run(&["token", "revoke", id]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("--yes"), "{}", ran.err);
    acs.whoami().await.expect("the token still works");

    ctl.ok(&["token", "revoke", id, "--yes"]);
    assert_eq!(acs.whoami().await.unwrap_err().status(), Some(401));
}

#[tokio::test]
async fn blocking_somebody_for_whom_something_waits_needs_a_yes() {
    let simod = Simod::start().await;
    let plant = Plant::new(&simod, "zavod").await;
    plant.employees(&["001", "002"], &[]).await;
    let ctl = Ctl::new(&simod, &plant.slug);
    for priority in ["normal", "critical"] {
        ctl.ok(&["message", "send", "--employee", "001", "--title", "Тревога", "--priority", priority]);
    }
    ctl.ok(&["employee", "block", "002"]);

    let ran = ctl.run(&["employee", "block", "001"]);
    assert_eq!(ran.code, 2);
    assert!(
        ran.err.contains("--yes")
            && ran.err.contains("Messages waiting for 001: 2, critical ones among them: 1"),
        "{}",
        ran.err
    );
    let states = || {
        let found = ctl.json(&["message", "list", "employee:001"]);
        let found = found.as_array().unwrap().iter();
        found.map(|row| row["state"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(states(), ["queued", "queued"]);
    ctl.ok(&["employee", "block", "001", "--yes"]);
    assert_eq!(states(), ["denied", "denied"]);
    ctl.ok(&["employee", "block", "001"]);
    ctl.ok(&["employee", "unblock", "001"]);
    assert_eq!(states(), ["queued", "queued"]);
    assert_eq!(ctl.run(&["employee", "block", "404"]).code, 3);
}

#[tokio::test]
async fn a_message_to_many_needs_a_yes_and_one_to_few_does_not() {
    let simod = Simod::start().await;
    let plant = Plant::new(&simod, "zavod").await;
    let numbers: Vec<_> = (1..=101).map(|n| n.to_string()).collect();
    plant.employees(&numbers.iter().map(String::as_str).collect::<Vec<_>>(), &[]).await;
    let ctl = Ctl::new(&simod, &plant.slug);

    let to_all = ["message", "send", "--everyone", "--title", "Тревога"];
    let ran = ctl.run(&to_all);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("101"), "{}", ran.err);
    let rehearsal = ctl.json(&[&to_all[..], &["--dry-run"]].concat());
    assert_eq!(rehearsal["recipients"]["accepted"], 101);
    assert_eq!(ctl.ok(&["message", "list"]), "");

    let id = ctl.ok(&["message", "send", "--employee", "1,2", "--title", "Двоим"]);
    assert_eq!(ctl.json(&["message", "show", id.trim_end()])["counts"]["accepted"], 2);
    ctl.ok(&[&to_all[..], &["--yes"]].concat());
    let all = || async { (ctl.ok(&["message", "list", "--all"]).lines().count() == 103).then_some(()) };
    eventually("everyone has a delivery", all).await;
}

#[tokio::test]
async fn a_phone_in_the_terminal_resumes_and_shows_every_message_once() {
    let simod = Simod::start().await;
    let plant = Plant::new(&simod, "zavod").await;
    plant.employees(&["1"], &[]).await;
    let ctl = Ctl::new(&simod, &plant.slug);
    let send =
        |title: &str| ctl.ok(&["message", "send", "--employee", "1", "--title", title]).trim_end().to_owned();

    let first = send("Первое");
    let code = ctl.ok(&["device", "invite", "1"]);
    let heard = ctl.ok(&["listen", "--code", code.trim_end(), "--count", "1"]);
    assert!(heard.contains("Первое"), "{heard}");

    let second = send("Второе");
    let heard = ctl.ok(&["-o", "ndjson", "listen", "--count", "1", "--ack"]);
    assert_eq!(serde_json::from_str::<Value>(&heard).unwrap()["title"], "Второе");

    let state = async |id: &str, state: DeliveryState| {
        let told = ctl.json(&["message", "explain", id, "--employee", "1"]);
        (told["delivery"]["state"] == state.as_str()).then_some(())
    };
    eventually("the first is delivered", || state(&first, DeliveryState::Delivered)).await;
    eventually("the second is acknowledged", || state(&second, DeliveryState::Acknowledged)).await;

    let code = ctl.ok(&["device", "invite", "1"]);
    let again = ["listen", "--code", code.trim_end(), "--count", "0"];
    let refused = ctl.run(&again);
    assert_eq!(refused.code, 5, "it has a token that works: {}", refused.err);
    assert!(refused.err.contains("--name simoctl --leave"), "{}", refused.err);
    ctl.ok(&["listen", "--leave", "--yes"]);
    assert_eq!(ctl.run(&["listen"]).code, 2, "it is forgotten");
}

#[tokio::test]
async fn a_context_is_verified_kept_and_read_by_its_owner_alone() {
    let simod = Simod::start().await;
    let plant = Plant::new(&simod, "zavod").await;
    let owner = Ctl::new(&simod, &plant.slug);
    owner.ok(&["operator", "add", "anna", "--role", "admin"]);
    let token = owner.ok(&["token", "issue", "--operator", "anna"]);

    let ctl = Ctl::with(&["--lang", "en"]);
    let wrong = ctl.run(&["login", simod.url(), "--token", "simo_op_wrong"]);
    assert_eq!(wrong.code, 4);
    assert!(!ctl.contexts().exists());

    ctl.ok(&["login", simod.url(), "--token", token.trim_end(), "--context", "plant"]);
    assert_eq!(ctl.json(&["whoami"])["name"], "anna");
    ctl.ok(&["group", "add", "it"]);
    assert!(!ctl.ok(&["-o", "json", "context", "list"]).contains("simo_op_"));
    assert_eq!(fs::metadata(ctl.contexts()).unwrap().permissions().mode() & 0o777, 0o600);

    fs::set_permissions(ctl.contexts(), fs::Permissions::from_mode(0o644)).unwrap();
    let ran = ctl.run(&["whoami"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("chmod 600"), "{}", ran.err);
}

#[tokio::test]
async fn on_a_terminal_it_asks_and_takes_no_for_an_answer() {
    let simod = Simod::start().await;
    let plant = Plant::new(&simod, "zavod").await;
    plant.employees(&["1"], &[]).await;
    let ctl = Ctl::new(&simod, &plant.slug);
    let answer = |answer: &str, outcome: &str| {
        let mut command = ctl.command(&["--lang", "ru", "employee", "remove", "1"]);
        command.stdin(Stdio::inherit());
        let mut terminal = Session::spawn(command).unwrap();
        terminal.expect("(д/Н)").unwrap();
        // `\r` is what Enter sends to a terminal in raw mode.
        terminal.send(format!("{answer}\r")).unwrap();
        terminal.expect(outcome).unwrap();
        terminal.expect(Eof).unwrap();
    };
    answer("нет", "Ничего не изменено");
    assert_eq!(ctl.ok(&["employee", "list"]).lines().count(), 1);
    answer("да", "отправлен в архив");
    assert_eq!(ctl.ok(&["employee", "list"]), "");
}

#[tokio::test]
async fn the_live_feed_shows_what_matches_and_nothing_else() {
    let simod = Simod::start().await;
    let plant = Plant::new(&simod, "zavod").await;
    plant.employees(&["1", "2"], &[]).await;
    let ctl = Ctl::new(&simod, &plant.slug);
    let mut child = ctl
        .command(&["-o", "ndjson", "message", "watch", "employee:2"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The feed is live once it says so on stderr.
    let mut said = [0; 1];
    child.stderr.as_mut().unwrap().read_exact(&mut said).unwrap();
    let other = ctl.ok(&["message", "send", "--employee", "1", "--title", "Не то"]);
    let id = ctl.ok(&["message", "send", "--employee", "2", "--title", "То"]);
    for id in [&other, &id] {
        ctl.ok(&["message", "cancel", id.trim_end(), "--yes"]);
    }
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut kinds = Vec::new();
    for line in lines {
        let event: Value = serde_json::from_str(&line.unwrap()).unwrap();
        assert_eq!(event["message_id"], id.trim_end());
        kinds.push(event["kind"].as_str().unwrap().to_owned());
        if event["personnel_no"] == "2" {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // The event `accepted` belongs to the whole message; it is shown because one delivery matches.
    assert_eq!(kinds.first().map(String::as_str), Some("accepted"));
    assert_eq!(kinds.last().map(String::as_str), Some("delivery"));
}

#[tokio::test]
async fn what_a_person_might_overlook_is_told() {
    let simod = Simod::start().await;
    let plant = Plant::new(&simod, "zavod").await;
    plant.employees(&["1"], &[]).await;
    let ctl = Ctl::new(&simod, &plant.slug);
    let sent_at = |time: &str| {
        let words = ["message", "send", "--employee", "1", "--title", "a", "--send-at", time];
        ctl.run(&words).err
    };
    assert!(sent_at("2020-01-01T08:00").contains("has passed"));
    assert!(sent_at(&clock::in_seconds(3_600)).contains("It is sent at"));
    // Phones outside would look for the server at their own address.
    assert!(ctl.run(&["device", "invite", "1"]).err.contains("public_url"));
    let doctor = ctl.run(&["doctor"]);
    assert_eq!(doctor.code, 1, "{}", doctor.err);
    for step in ["public_url", "fcm.service_account", "1 of 1 employees", "--without-device"] {
        assert!(doctor.out.contains(step), "{step}: {}", doctor.out);
    }
    for nothing in [&["employee", "edit", "1"][..], &["client", "edit", "zavod"]] {
        assert_eq!(ctl.run(nothing).code, 2, "{nothing:?}");
    }
    ctl.ok(&["employee", "edit", "1", "--name", "Исаева П.Е."]);
    assert_eq!(ctl.run(&["employee", "list", "--limit", "0"]).code, 2);
    let russian = ctl.run(&["--lang", "ru", "client", "edit", "zavod", "--retention-days", "x"]);
    assert!(russian.err.contains("нужно целое число"), "{}", russian.err);
}

#[tokio::test]
async fn whoever_is_not_there_is_named_before_anything_is_changed() {
    let simod = Simod::start().await;
    let plant = Plant::new(&simod, "zavod").await;
    plant.employees(&["001"], &[]).await;
    let ctl = Ctl::new(&simod, &plant.slug);
    for slug in ["c", "d", "a"] {
        ctl.ok(&["group", "add", slug]);
    }
    let ran = ctl.run(&["group", "include", "d", "a", "nope", "nope2"]);
    assert_eq!(ran.code, 3, "{}", ran.err);
    assert!(ran.err.contains("`nope`") && ran.err.contains("`nope2`"), "{}", ran.err);
    let ran = ctl.run(&["group", "add-member", "c", "001", "999", "998"]);
    assert!(ran.err.contains("`999`") && ran.err.contains("`998`"), "{}", ran.err);
    ctl.ok(&["topic", "add", "boiler"]);
    let ran = ctl.run(&["topic", "grant", "boiler", "--group", "a,nope"]);
    assert!(ran.code == 3 && ran.err.contains("`nope`"), "{}", ran.err);
    assert_eq!(ctl.ok(&["topic", "grants", "boiler"]), "");
    assert_eq!(ctl.json(&["group", "show", "d"])["includes"], serde_json::json!([]));
    assert_eq!(ctl.json(&["group", "show", "c"])["members"], 0);
    ctl.ok(&["topic", "grant", "boiler", "--group", "a,c"]);
    assert_eq!(ctl.ok(&["topic", "grants", "boiler"]).lines().count(), 2);
}

#[tokio::test]
async fn a_trial_to_somebody_blocked_says_that_he_is_and_how_to_unblock_him() {
    let simod = Simod::start().await;
    let plant = Plant::new(&simod, "zavod").await;
    plant.employees(&["001"], &[]).await;
    let ctl = Ctl::new(&simod, &plant.slug);
    ctl.ok(&["employee", "block", "001", "--yes"]);
    let ran = ctl.run(&["device", "test", "001"]);
    assert!(ran.code == 1 && ran.err.contains("is blocked"), "{}", ran.err);
    assert!(ran.err.contains("simoctl employee unblock 001"), "{}", ran.err);
    let ran = ctl.run(&["device", "test", "018f0000-0000-7000-8000-000000000000"]);
    assert!(ran.code == 3 && ran.err.contains("no device with the id"), "{}", ran.err);
}
