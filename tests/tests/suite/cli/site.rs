//! A site in files: applied, exported, refused.

use super::*;

/// The sample from the manual.
const SAMPLE: &str = include_str!("../../../../docs/site.example.yaml");

/// An owner who names no client.
fn owner(simod: &Simod) -> Ctl {
    let socket = simod.socket();
    Ctl::with(&["--socket", socket.to_str().unwrap(), "--lang", "en"])
}

fn apply(ctl: &Ctl, file: &str, more: &[&str]) -> Ran {
    ctl.run(&[&["apply", "-f", file, "--yes"], more].concat())
}

#[tokio::test]
async fn the_sample_makes_a_client_from_nothing_and_twice_changes_nothing() {
    let simod = Simod::start().await;
    let ctl = owner(&simod);
    let file = ctl.file("site.yaml", SAMPLE);
    let rehearsed = ctl.ok(&["apply", "-f", &file, "--dry-run"]);
    assert!(rehearsed.contains("create\temployee\tromashka\t100001"), "{rehearsed}");
    assert_eq!(ctl.ok(&["client", "list"]), "", "a rehearsal changes nothing");

    let secrets = ctl.home.path().join("tokens.txt");
    let secrets = secrets.to_str().unwrap();
    let ran = apply(&ctl, &file, &["--tokens-to", secrets]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(!ran.out.contains("simo_"), "{}", ran.out);
    assert_eq!(fs::metadata(secrets).unwrap().permissions().mode() & 0o777, 0o600);
    let line = fs::read_to_string(secrets).unwrap();
    let token = line.lines().next().unwrap().rsplit('\t').next().unwrap();
    let acs = Ctl::with(&["--url", simod.url(), "--token", token]);
    assert_eq!(acs.json(&["whoami"])["name"], "1c");

    let again = apply(&ctl, &file, &[]);
    assert!(again.code == 0 && again.err.contains("Nothing to change"), "{}", again.err);
    let receivers = ctl.ok(&["--client", "romashka", "topic", "who", "boiler"]);
    assert!(receivers.contains("100001"), "{receivers}");
}

#[tokio::test]
async fn what_is_exported_makes_the_same_on_an_empty_server_to_the_byte() {
    let simod = Simod::start().await;
    let ctl = owner(&simod);
    let file = ctl.file("site.yaml", SAMPLE);
    ctl.ok(&["apply", "-f", &file, "--yes"]);
    ctl.ok(&["operator", "add", "boss", "--role", "owner"]);
    let exported = ctl.ok(&["export"]);
    assert!(exported.starts_with("# ") && !exported.contains("simo_"), "{exported}");
    let file = ctl.file("exported.yaml", &exported);
    let again = apply(&ctl, &file, &["--prune", "--prune-clients"]);
    assert!(again.err.contains("Nothing to change"), "{}", again.err);

    let other = Simod::start().await;
    let elsewhere = owner(&other);
    elsewhere.ok(&["apply", "-f", &file, "--yes"]);
    assert_eq!(elsewhere.ok(&["export"]), exported);

    let directory = ctl.home.path().join("site");
    let directory = directory.to_str().unwrap();
    ctl.ok(&["export", "--dir", directory]);
    let again = apply(&elsewhere, directory, &["--prune", "--prune-clients"]);
    assert!(again.err.contains("Nothing to change"), "{}", again.err);
}

#[tokio::test]
async fn tokens_are_as_limited_on_an_empty_server_as_where_they_were_exported() {
    let simod = Simod::start().await;
    let ctl = owner(&simod);
    ctl.ok(&["apply", "-f", &ctl.file("site.yaml", SAMPLE), "--yes"]);
    let limits = "--scope=send --topic=boiler --network=10.0.0.0/8 --rate-limit=60 --rate-limit-as-503 --fit --expires-at=2100-01-01";
    let issue: Vec<_> =
        "--client romashka token issue --acs 1c --name narrow".split(' ').chain(limits.split(' ')).collect();
    ctl.ok(&issue);
    let exported = ctl.ok(&["export"]);
    let file = ctl.file("exported.yaml", &exported);
    assert!(apply(&ctl, &file, &["--prune"]).err.contains("Nothing to change"));

    let other = Simod::start().await;
    let elsewhere = owner(&other);
    elsewhere.ok(&["apply", "-f", &file, "--yes"]);
    assert_eq!(elsewhere.ok(&["export"]), exported);
    let tokens = elsewhere.json(&["--client", "romashka", "token", "list"]);
    let narrow = tokens.as_array().unwrap().iter().find(|token| token["name"] == "narrow");
    let narrow = narrow.unwrap();
    assert_eq!((&narrow["rate_limit_as_503"], &narrow["fit"]), (&true.into(), &true.into()));
    assert_eq!(
        (&narrow["scopes"][0], &narrow["topics"][0], &narrow["rate_limit"], &narrow["personal"]),
        (&"send".into(), &"boiler".into(), &60.into(), &false.into())
    );

    // Two more tokens with this name, with and without limits.
    ctl.ok(&issue);
    ctl.ok(&issue[..8]);
    let file = ctl.file("thrice.yaml", &ctl.ok(&["export"]));
    let empty = Simod::start().await;
    let elsewhere = owner(&empty);
    elsewhere.ok(&["apply", "-f", &file, "--yes"]);
    for ctl in [&ctl, &elsewhere] {
        let again = apply(ctl, &file, &["--prune"]);
        assert!(again.err.contains("Nothing to change"), "{}", again.err);
        let tokens = ctl.json(&["--client", "romashka", "token", "list"]);
        let names = tokens.as_array().unwrap().iter().map(|token| &token["name"]);
        assert_eq!(names.filter(|name| *name == "narrow").count(), 3);
    }
}

#[tokio::test]
async fn a_directory_without_files_is_a_mistake_and_no_empty_site() {
    let simod = Simod::start().await;
    let ctl = owner(&simod);
    let directory = ctl.home.path().join("empty");
    fs::create_dir(&directory).unwrap();
    let ran = apply(&ctl, directory.to_str().unwrap(), &[]);
    assert!(ran.code == 1 && ran.err.contains("no *.yaml"), "{}", ran.err);
}

#[tokio::test]
async fn changes_and_what_is_left_out_are_shown_before_they_are_made() {
    let simod = Simod::start().await;
    let ctl = owner(&simod);
    ctl.ok(&["apply", "-f", &ctl.file("site.yaml", SAMPLE), "--yes"]);
    let less = "clients:\n  romashka:\n    employees:\n      - {personnel_no: 100001, phone: ''}\n";
    let file = ctl.file("less.yaml", less);
    let unasked = ctl.run(&["apply", "-f", &file]);
    assert!(unasked.code == 2 && unasked.err.contains("--yes"), "{}", unasked.err);
    let plan = ctl.json(&["apply", "-f", &file, "--dry-run", "--prune"]);
    let said: Vec<_> = plan["changes"].as_array().unwrap().iter().collect();
    assert!(said.iter().any(|change| change["action"] == "archive" && change["name"] == "001"));
    let changed = said.iter().find(|change| change["action"] == "change").unwrap();
    assert_eq!((&changed["name"], &changed["after"]["phone"]), (&"100001".into(), &Value::Null));

    let ran = apply(&ctl, &file, &["--prune"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let employees = ctl.ok(&["--client", "romashka", "employee", "list"]);
    assert!(employees.contains("100001") && !employees.contains("\n001\t"), "{employees}");
    let audit = ctl.ok(&["--client", "romashka", "audit", "list", "--action", "employee.remove"]);
    assert!(audit.contains("001"), "{audit}");
    assert_eq!(ctl.run(&["--client", "romashka", "audit", "verify"]).code, 0);
}

#[tokio::test]
async fn every_mistake_is_told_at_once_with_file_line_and_column() {
    let simod = Simod::start().await;
    let ctl = owner(&simod);
    let groups = ctl.file(
        "1.yaml",
        "clients:\n  zavod:\n    groups:\n      - slug: smena-a\n        includes: [smena-b]\n      - slug: smena-b\n        includes: [smena-a]\n",
    );
    let topics = ctl.file(
        "2.yaml",
        "clients:\n  zavod:\n    timezone: Europe/Moskow\n    topics:\n      - slug: boiler\n        grnts: []\n      - slug: Payroll\n        priority: hgh\n        grants:\n          - group: smena-c\n          - employee: '007'\n",
    );
    let ran = ctl.run(&["apply", "-f", &groups, "-f", &topics, "--yes"]);
    assert_eq!(ran.code, 1);
    for said in [
        "1.yaml:5:20: clients.zavod.groups[0].includes[0]: the group `smena-a` would be in itself: smena-a › smena-b › smena-a",
        "2.yaml:3:15: clients.zavod.timezone: `Europe/Moskow` is not an IANA time zone",
        "2.yaml:6:9: `grnts` is not known here; did you mean `grants`?",
        "2.yaml:7:15: clients.zavod.topics[1].slug: must be 1–64",
        "2.yaml:8:19: `hgh` is not one of low, normal, high, critical; did you mean `high`?",
        "2.yaml:10:20: clients.zavod.topics[1].grants[0].group: there is no group `smena-c`; did you mean `smena-",
        "2.yaml:11:23: clients.zavod.topics[1].grants[1].employee: there is no employee `007`",
    ] {
        assert!(ran.err.contains(said), "{said}\n\n{}", ran.err);
    }
    assert_eq!(ctl.ok(&["client", "list"]), "", "nothing is applied");
}

#[tokio::test]
async fn a_plan_that_was_overtaken_is_not_applied() {
    let simod = Simod::start().await;
    let plant = Plant::new(&simod, "zavod").await;
    let site = |topic: &str| -> simo_common::api::site::PlanSite {
        let wanted = serde_json::json!({"site": {"clients": {"zavod": {"topics": [{"slug": topic}]}}}});
        serde_json::from_value(wanted).unwrap()
    };
    let plan = plant.admin.plan_site(&site("boiler")).await.unwrap();
    plant.topic("payroll", &[]).await;
    let apply = simo_common::api::site::ApplySite {
        site: site("boiler").site,
        prune: false,
        prune_clients: false,
        revision: plan.revision,
    };
    let refused = plant.admin.apply_site(&apply).await.unwrap_err();
    let simo_common::client::Error::Problem(problem) = refused else { panic!("{refused:?}") };
    assert_eq!((problem.status, &*problem.code), (409, "changed_meanwhile"));
    let topics = plant.admin.topics(&simo_common::client::ListQuery::default()).await.unwrap();
    assert_eq!(topics.items.len(), 1);
}

#[tokio::test]
async fn an_administrator_writes_of_his_own_client_only() {
    let simod = Simod::start().await;
    Plant::new(&simod, "zavod").await;
    Plant::new(&simod, "other").await;
    let ctl = Ctl::new(&simod, "zavod");
    ctl.ok(&["operator", "add", "anna", "--role", "admin"]);
    let token = ctl.json(&["token", "issue", "--operator", "anna"]);
    let token = token["token"].as_str().unwrap();
    let admin = Ctl::with(&["--url", simod.url(), "--token", token, "--lang", "en"]);

    let exported = admin.ok(&["export"]);
    assert!(exported.contains("zavod:") && !exported.contains("other"), "{exported}");
    let file = admin.file("site.yaml", &exported);
    assert_eq!(apply(&admin, &file, &["--prune"]).code, 0);
    for (name, text, code, said) in [
        ("topic", "clients: {zavod: {topics: [{slug: boiler}]}}", 0, "Changes made: 1"),
        ("name", "clients: {zavod: {name: Иначе}}", 1, "for owners"),
        ("owners", "owners: [anna]", 4, "for owners"),
        ("other", "clients: {other: {}}", 3, "no client `other`"),
        ("none", "clients: {none: {}}", 3, "no client `none`"),
    ] {
        let ran = apply(&admin, &admin.file(name, text), &[]);
        assert_eq!(ran.code, code, "{name}: {}", ran.err);
        assert!(ran.err.contains(said), "{name}: {}", ran.err);
    }
}
