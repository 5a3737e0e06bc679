//! The error texts for mistakes, in both languages: in bodies, site files, configurations and tables of employees. A changed
//! text shows in the snapshot and must be intended.

use std::{fmt::Write as _, process::Command};

use http::Method;
use simo_common::api::problem::Problem;
use simo_tests::{
    Plant, Simod,
    programs::program,
    raw::{self, Ask},
};

/// One request a line: method, path under `/api/v1/`, body.
const REQUESTS: &str = include_str!("mistakes/requests.txt");
/// Files of one kind, separated by lines of `====`.
const SITES: &str = include_str!("mistakes/sites.yaml");
const CONFIGURATIONS: &str = include_str!("mistakes/configurations.toml");
const EMPLOYEES: &str = include_str!("mistakes/employees.csv");

const LANGS: [&str; 2] = ["en", "ru"];

#[tokio::test]
async fn of_a_request() {
    let simod = Simod::start().await;
    let plant = plant(&simod).await;
    let token = plant.token("1c").await;
    let owner = reqwest::Client::builder().unix_socket(simod.socket()).build().unwrap();
    let mut said = String::new();
    for line in REQUESTS.lines() {
        writeln!(said, "{line}").unwrap();
        let [method, path, body] = line.splitn(3, ' ').collect::<Vec<_>>().try_into().unwrap();
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        for lang in LANGS {
            let ask: Ask = if path.starts_with("messages") {
                raw::ask(method.clone(), &simod.api(&format!("/{path}"))).token(&token)
            } else {
                raw::ask_with(&owner, method.clone(), &format!("http://localhost/api/v1/{path}"))
            };
            let answer = ask.header("accept-language", lang).json_text(body.to_owned()).send().await;
            assert!(answer.status.is_client_error(), "{line}: {} {}", answer.status, answer.text);
            let Problem { code, detail, errors, .. } = answer.problem();
            writeln!(said, "  {} {code}: {detail}", answer.status.as_u16()).unwrap();
            for error in errors {
                writeln!(said, "    {}: {}", error.field, error.detail).unwrap();
            }
        }
    }
    insta::assert_snapshot!(said);
}

#[tokio::test]
async fn of_a_site_file() {
    let simod = Simod::start().await;
    plant(&simod).await;
    let socket = simod.socket();
    let socket = socket.to_str().unwrap();
    insta::assert_snapshot!(each(SITES, "site.yaml", |file, lang| {
        run("simoctl", &["--socket", socket, "--lang", lang, "apply", "--dry-run", "-f", file])
    }));
}

#[test]
fn of_a_configuration() {
    insta::assert_snapshot!(each(CONFIGURATIONS, "simo.toml", |file, lang| {
        run("simod", &["--lang", lang, "config", "--config", file])
    }));
}

#[tokio::test]
async fn of_a_table_of_employees() {
    let simod = Simod::start().await;
    plant(&simod).await;
    let socket = simod.socket();
    let socket = socket.to_str().unwrap();
    let flags = ["--socket", socket, "--client", "zavod", "employee", "import", "--dry-run"];
    insta::assert_snapshot!(each(EMPLOYEES, "employees.csv", |file, lang| {
        run("simoctl", &[&flags[..], &["--lang", lang, file]].concat())
    }));
}

async fn plant(simod: &Simod) -> Plant {
    let plant = Plant::new(simod, "zavod").await;
    plant.employees(&["001"], &["ceh-1"]).await;
    plant
}

/// The error texts for each of these files.
fn each(files: &str, name: &str, run: impl Fn(&str, &str) -> String) -> String {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(name);
    let file = path.to_str().unwrap();
    let mut said = String::new();
    for text in files.split("====\n") {
        std::fs::write(&path, text).unwrap();
        write!(said, "====\n{text}").unwrap();
        for lang in LANGS {
            write!(said, "-- {lang}\n{}", run(file, lang).replace(file, name)).unwrap();
        }
    }
    said
}

/// The error text of a program that refuses to run.
fn run(name: &str, words: &[&str]) -> String {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(program(name));
    let ended = command.env_clear().env("HOME", home.path()).args(words).output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(!ended.status.success(), "{words:?}: {said}");
    said
}
