//! Operators log in with one-time codes, starting from an empty server, and are logged out.

use http::Method;
use serde_json::json;
use simo_common::token;
use simo_tests::{Plant, Simod, raw};

use super::Ctl;

/// `simoctl` on the operator's own machine.
fn machine() -> Ctl {
    Ctl::with(&["--lang", "en"])
}

/// The code in a command's output, trimmed.
fn code(printed: &str) -> String {
    let code = printed.trim_end();
    assert!(token::is_code(code), "{printed}");
    code.to_owned()
}

#[tokio::test]
async fn a_code_lets_one_machine_in_once() {
    let simod = Simod::start().await;
    let plant = Plant::new(&simod, "zavod").await;
    let owner = Ctl::new(&simod, &plant.slug);
    let added = owner.run(&["operator", "add", "anna", "--role", "viewer"]);
    let code = code(&added.out);
    let command = format!("simoctl login {} --code {code}", simod.url());
    assert!(added.err.contains(&command), "{}", added.err);

    let laptop = machine();
    laptop.ok(&["login", simod.url(), "--code", &code, "--name", "laptop", "--valid-for", "8h"]);
    assert_eq!(laptop.json(&["whoami"])["name"], "anna");
    let sessions = laptop.json(&["operator", "sessions"]);
    assert_eq!(sessions[0]["name"], "laptop");
    assert_eq!(sessions[0]["current"], true);
    let again = machine().run(&["login", simod.url(), "--code", &code]);
    assert_eq!(again.code, 4);
    assert!(again.err.contains("used"), "{}", again.err);

    // A text that cannot be a code does not count as a guess.
    for _ in 0..12 {
        let typo = machine().run(&["login", simod.url(), "--code", "K7QD-M2XA"]);
        assert_eq!(typo.code, 4);
        assert!(typo.err.contains("neither"), "{}", typo.err);
    }
    let next = self::code(&owner.ok(&["operator", "code", "anna"]));
    machine().ok(&["login", simod.url(), "--code", &next]);
}

#[tokio::test]
async fn from_an_empty_server_to_a_clients_own_admin() {
    let simod = Simod::start().await;
    let socket = simod.socket();
    let server = Ctl::with(&["--socket", socket.to_str().unwrap(), "--lang", "en"]);
    let words = ["client", "add", "zavod", "--name", "Завод", "--admin", "anna"];
    let added = server.run(&words);
    let code = code(&added.out);
    let command = format!("simoctl login {} --code {code}", simod.url());
    assert!(added.err.contains(&command), "{}", added.err);

    // She types the printed command; no token is passed between people.
    let laptop = machine();
    laptop.ok(&command.split(' ').skip(1).collect::<Vec<_>>());
    let who = laptop.json(&["whoami"]);
    assert_eq!((&who["role"], &who["client"]), (&json!("admin"), &json!("zavod")));
    laptop.ok(&["topic", "add", "boiler"]);
    assert_eq!(laptop.run(&["client", "add", "mine"]).code, 4);

    // Both the client and its admin are created, or neither.
    let taken = server.run(&["client", "add", "fabrika", "--admin", "anna"]);
    assert_eq!(taken.code, 5, "{}", taken.err);
    assert_eq!(server.run(&["client", "show", "fabrika"]).code, 3);
    let bad = server.run(&["client", "add", "Фабрика", "--admin", "Анна"]);
    assert!(bad.err.contains("slug") && bad.err.contains("admin"), "{}", bad.err);
    let made = server.json(&["client", "add", "fabrika", "--admin", "boris"]);
    assert_eq!((&made["slug"], &made["login"]["operator"]), (&json!("fabrika"), &json!("boris")));
}

#[tokio::test]
async fn who_guesses_login_codes_is_told_to_wait() {
    let simod = Simod::start().await;
    let plant = Plant::new(&simod, "zavod").await;
    let owner = Ctl::new(&simod, &plant.slug);
    let good = code(&owner.ok(&["operator", "add", "anna"]));
    let guess = async |code: &str| {
        raw::ask(Method::POST, &simod.api("/login"))
            .json_text(json!({"code": code, "name": "x"}).to_string())
            .send()
            .await
    };
    for _ in 0..10 {
        assert_eq!(guess(&token::generate_code()).await.status, 403);
    }
    let refused = guess(&good).await;
    assert_eq!(refused.status, 429);
    assert!(refused.headers.contains_key("retry-after"));
    let ran = machine().run(&["login", simod.url(), "--code", &good]);
    assert_ne!(ran.code, 0, "{}", ran.err);
}

#[tokio::test]
async fn a_session_that_is_ended_is_out_at_once() {
    let simod = Simod::start().await;
    let plant = Plant::new(&simod, "zavod").await;
    let owner = Ctl::new(&simod, &plant.slug);
    owner.ok(&["operator", "add", "anna", "--role", "viewer"]);
    let come = |name: &str| {
        let code = code(&owner.ok(&["operator", "code", "anna"]));
        let machine = machine();
        machine.ok(&["login", simod.url(), "--code", &code, "--name", name]);
        machine
    };
    let id = |name: &str| {
        let sessions = owner.json(&["operator", "sessions", "anna"]);
        let sessions = sessions.as_array().unwrap();
        let session = sessions.iter().find(|session| session["name"] == name);
        session.map(|session| session["id"].as_str().unwrap().to_owned())
    };
    let (work, home, phone) = (come("work"), come("home"), come("phone"));
    // Ended by an administrator, by herself on another machine, and on this one.
    owner.ok(&["operator", "logout", "anna", &id("work").unwrap()]);
    assert_eq!(work.run(&["whoami"]).code, 4);
    home.ok(&["logout", &id("phone").unwrap()]);
    assert_eq!(phone.run(&["whoami"]).code, 4);
    home.ok(&["logout"]);
    assert!(!std::fs::read_to_string(home.contexts()).unwrap().contains("simo_op_"));
    assert_eq!(id("home"), None);
    // A session that has ended already is still forgotten locally.
    work.ok(&["logout"]);
    assert!(!std::fs::read_to_string(work.contexts()).unwrap().contains("simo_op_"));

    let (first, second, third) = (come("1"), come("2"), come("3"));
    first.ok(&["logout", "--everywhere", "--yes"]);
    assert_eq!(second.run(&["whoami"]).code, 4);
    assert_eq!(third.run(&["whoami"]).code, 4);
    assert_eq!(owner.json(&["operator", "sessions", "anna"]), json!([]));
    let last = come("last");
    assert_eq!(owner.run(&["operator", "logout", "anna"]).code, 2, "it asks");
    owner.ok(&["operator", "logout", "anna", "--yes"]);
    assert_eq!(last.run(&["whoami"]).code, 4);
}

#[tokio::test]
async fn an_admin_is_warned_of_himself_and_the_last_one_stays() {
    let simod = Simod::start().await;
    let plant = Plant::new(&simod, "zavod").await;
    let owner = Ctl::new(&simod, &plant.slug);
    let laptop = machine();
    let code = code(&owner.ok(&["operator", "add", "anna"]));
    laptop.ok(&["login", simod.url(), "--code", &code]);
    let unasked = laptop.run(&["operator", "edit", "anna", "--role", "viewer"]);
    assert!(unasked.code == 2 && unasked.err.contains("This is you"), "{}", unasked.err);
    let last = laptop.run(&["operator", "edit", "anna", "--role", "viewer", "--yes"]);
    assert!(last.code == 5 && last.err.contains("last admin"), "{}", last.err);
    assert_eq!(laptop.run(&["operator", "remove", "anna", "--yes"]).code, 5);
    let file = laptop.file("site.yaml", "clients:\n  zavod:\n    operators: []\n");
    let pruned = laptop.run(&["apply", "-f", &file, "--prune", "--yes"]);
    assert!(pruned.code == 1 && pruned.err.contains("last admin"), "{}", pruned.err);

    owner.ok(&["operator", "add", "boris"]);
    laptop.ok(&["operator", "edit", "anna", "--role", "viewer", "--yes"]);
    owner.ok(&["operator", "remove", "boris", "--yes"]);
}

#[tokio::test]
async fn a_context_that_leads_elsewhere_is_not_replaced_unasked() {
    let simod = Simod::start().await;
    let plant = Plant::new(&simod, "zavod").await;
    let owner = Ctl::new(&simod, &plant.slug);
    let too_long = owner.run(&["operator", "add", "anna", "--valid-for", "100d"]);
    assert_eq!(too_long.code, 2, "{}", too_long.err);
    assert_eq!(owner.json(&["operator", "list"]), json!([]), "nothing is half done");
    let first = code(&owner.ok(&["operator", "add", "anna"]));
    let laptop = machine();
    laptop.ok(&["login", simod.url(), "--code", &first, "--context", "plant"]);
    let second = code(&owner.ok(&["operator", "code", "anna"]));
    let elsewhere = simod.url().replace("127.0.0.1", "localhost");
    let words = ["login", &elsewhere, "--code", &second, "--context", "plant"];
    let ran = laptop.run(&words);
    assert_eq!(ran.code, 2, "{}", ran.err);
    assert!(ran.err.contains("so far"), "{}", ran.err);
    // The code was not used up.
    laptop.ok(&[&words[..], &["--yes"]].concat());
    assert_eq!(laptop.json(&["whoami"])["name"], "anna");
}
