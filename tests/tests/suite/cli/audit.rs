//! An administrator asks who changed what, and whether the record is intact.

use simo_tests::database;

use super::*;

#[tokio::test]
async fn an_administrator_sees_who_changed_what_and_verifies_it() {
    let simod = Simod::start().await;
    let plant = Plant::new(&simod, "zavod").await;
    plant.employees(&["001"], &["smena-a"]).await;
    let ctl = Ctl::new(&simod, "zavod");
    ctl.ok(&["topic", "add", "boiler", "--name", "Котельная"]);
    ctl.ok(&["topic", "grant", "boiler", "--group", "smena-a"]);
    let token = ctl.json(&["token", "issue", "--acs", "1c"]);
    ctl.ok(&["employee", "block", "001"]);

    let latest = ctl.json(&["audit", "list", "--limit", "1"]);
    let said = &latest[0]["payload"];
    assert_eq!(latest[0]["action"], "employee.block");
    assert_eq!((&said["who"], &said["from"]), (&"local".into(), &"local".into()));
    assert_eq!(said["before"]["blocked_at"], Value::Null);
    assert!(said["after"]["blocked_at"].is_string());
    let listed = ctl.ok(&["audit", "list", "--action", "topic"]);
    assert!(listed.contains("topic.grant") && !listed.contains("employee."), "{listed}");
    let whole = ctl.ok(&["audit", "export"]);
    assert!(!whole.contains(token["token"].as_str().unwrap()));

    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (head, file) = (path("head.json"), path("audit.ndjson"));
    fs::write(&head, ctl.ok(&["audit", "head", "-o", "json"])).unwrap();
    ctl.ok(&["topic", "add", "payroll"]);
    assert_eq!(ctl.run(&["audit", "verify", "--head", &head]).code, 0);
    ctl.ok(&["audit", "export", "--file", &file]);
    let lines = fs::read_to_string(&file).unwrap();
    let verified = ctl.json(&["audit", "verify", "--file", &file]);
    assert_eq!(verified["entries"], lines.lines().count());

    // One line changed, one removed, the last one cut off.
    let changed = lines.replace("Котельная", "Столовая");
    let shortened: Vec<_> = lines.lines().skip(1).collect();
    let cut: Vec<_> = lines.lines().take(3).collect();
    for text in [changed, shortened.join("\n"), cut.join("\n")] {
        fs::write(&file, text).unwrap();
        let run = ctl.run(&["audit", "verify", "--file", &file, "--head", &head]);
        assert_eq!(run.code, 1, "{}", run.err);
    }

    ctl.ok(&["audit", "erase", "001", "--yes"]);
    let verified = ctl.json(&["audit", "verify", "--head", &head]);
    assert!(verified["erased"].as_u64().unwrap() >= 2, "{verified}");
    assert!(!ctl.ok(&["audit", "export"]).contains("Сотрудник 001"));
    let servers = ctl.json(&["audit", "list", "--server"]);
    assert_eq!(servers, serde_json::json!([]), "there are no owners");
    let refused = ctl.run(&["audit", "list", "--after", "soon"]).err;
    assert!(refused.contains("`soon` is not a time"), "{refused}");
}

#[tokio::test]
async fn the_audit_is_an_admins_and_erasing_an_owners() {
    let simod = Simod::start().await;
    Plant::new(&simod, "zavod").await;
    let ctl = Ctl::new(&simod, "zavod");
    let mut codes = Vec::new();
    for role in ["viewer", "admin"] {
        ctl.ok(&["operator", "add", role, "--role", role]);
        let token = ctl.json(&["token", "issue", "--operator", role]);
        let token = token["token"].as_str().unwrap();
        for words in
            [&["audit", "list"][..], &["audit", "list", "--server"], &["audit", "erase", "001", "--yes"]]
        {
            let operator = Ctl::with(&["--url", simod.url(), "--token", token]);
            codes.push(operator.run(words).code);
        }
    }
    assert_eq!(codes, [4, 4, 4, 0, 4, 4]);
}

#[tokio::test]
async fn an_audit_whose_end_or_whole_chain_is_gone_is_not_whole() {
    let simod = Simod::start().await;
    Plant::new(&simod, "zavod").await;
    let ctl = Ctl::new(&simod, "zavod");
    ctl.ok(&["topic", "add", "boiler"]);
    let mut database = database::connect(&simod.database_url()).await;
    let mut tamper = async |statement: &'static str| {
        sqlx::query(statement).execute(&mut database).await.unwrap();
        let run = ctl.run(&["audit", "verify"]);
        assert_eq!(run.code, 1, "{statement}: {}{}", run.out, run.err);
        run.err
    };
    let ahead = tamper("update audit_head set seq = seq + 1").await;
    assert!(ahead.contains("the end was cut off"), "{ahead}");
    let back = tamper("update audit_head set seq = 0").await;
    assert!(back.contains("the chain ends at entry 0, but there is an entry 2"), "{back}");
    let servers = ctl.run(&["audit", "verify", "--server"]);
    assert_eq!(servers.code, 0, "there are no owners: {}", servers.err);
    assert!(servers.err.contains("No change was recorded yet."), "{}", servers.err);
    let file = TempDir::new().unwrap();
    let file = file.path().join("audit.ndjson");
    fs::write(&file, "").unwrap();
    let empty = ctl.run(&["audit", "verify", "--file", file.to_str().unwrap()]);
    assert!(empty.err.contains("There is no entry in the file."), "{}", empty.err);
}

#[tokio::test]
async fn a_client_older_than_the_audit_is_no_fault_until_its_head_has_lost_its_entries() {
    let simod = Simod::start().await;
    Plant::new(&simod, "zavod").await;
    let mut database = database::connect(&simod.database_url()).await;
    let client = "insert into client (slug, name, timezone, default_ttl, created_at)
                  values ('old', 'old', 'Europe/Moscow', 7200, 1)";
    sqlx::query(client).execute(&mut database).await.unwrap();
    let ctl = Ctl::new(&simod, "old");
    let verified = ctl.run(&["audit", "verify"]);
    assert_eq!(verified.code, 0, "{}", verified.err);
    assert!(verified.err.contains("No change was recorded yet."), "{}", verified.err);
    assert_eq!(ctl.json(&["audit", "verify"])["entries"], 0);

    let head = "insert into audit_head (client_no, seq, hash, revision)
                select c.no, 2, h.hash, 0 from client c cross join audit_head h where c.slug = 'old' limit 1";
    sqlx::query(head).execute(&mut database).await.unwrap();
    let lost = ctl.run(&["audit", "verify"]);
    assert_eq!(lost.code, 1, "{}", lost.err);
    assert!(lost.err.contains("the chain ends at entry 0, but there was an entry 2"), "{}", lost.err);
}

#[tokio::test]
async fn an_administrator_sees_which_posts_of_an_acs_were_refused() {
    let simod = Simod::start().await;
    let plant = Plant::new(&simod, "zavod").await;
    let (ctl, other) = (Ctl::new(&simod, "zavod"), Ctl::new(&simod, "fabrika"));
    Plant::new(&simod, "fabrika").await;
    for acs in ["1c", "scada-2"] {
        let acs = plant.acs(&simod, acs).await;
        for _ in 0..3 {
            acs.post_message(&plant::to_topic("Котёл №2", "boiler"), false).await.unwrap_err();
        }
    }
    let refused = eventually("the posts of both are kept", || async {
        let rows = ctl.json(&["audit", "refused"]);
        let rows = rows.as_array().unwrap();
        let count: u64 = rows.iter().map(|row| row["count"].as_u64().unwrap()).sum();
        (count == 6).then(|| rows.clone())
    })
    .await;
    assert!(refused.iter().all(|row| row["first_at"].is_string() && row["last_at"].is_string()));
    let told = ctl.ok(&["audit", "refused", "--acs", "scada-2"]);
    let cells: Vec<_> = told.lines().next().unwrap().split('\t').collect();
    assert!(["scada-2", "invalid", "topic", "Котёл №2"].iter().all(|cell| cells.contains(cell)), "{told}");
    assert!(!told.contains("1c"), "{told}");
    assert_eq!(ctl.json(&["audit", "refused", "котел", "1c"])[0]["newest"][0]["title"], "Котёл №2");
    assert_eq!(other.json(&["audit", "refused"]), serde_json::json!([]));
}
