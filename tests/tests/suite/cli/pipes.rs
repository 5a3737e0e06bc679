//! Standard input and output in pipes with other programs.

use super::*;

impl Ctl {
    /// Runs with `input` on standard input.
    fn fed(&self, words: &[&str], input: &str) -> Ran {
        let mut child = self
            .command(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that fails at once does not read its input.
        let _unread = child.stdin.take().unwrap().write_all(input.as_bytes());
        Ran::from(child.wait_with_output().unwrap())
    }
}

#[tokio::test]
async fn a_secret_stands_alone_on_stdout() {
    let simod = Simod::start().await;
    let plant = Plant::new(&simod, "zavod").await;
    let ctl = Ctl::new(&simod, &plant.slug);
    let ran = ctl.run(&["token", "issue", "--acs", "scada"]);
    assert!(simo_common::token::kind_of(ran.out.trim_end()).is_some(), "{}", ran.out);
    assert!(ran.err.contains("this once"), "{}", ran.err);

    plant.employees(&["1"], &[]).await;
    let code = ctl.ok(&["device", "invite", "1"]);
    assert_eq!(simo_common::token::normalize_code(code.trim_end()).len(), 10);
}

#[tokio::test]
async fn a_message_comes_from_standard_input_or_from_a_file() {
    let simod = Simod::start().await;
    let plant = Plant::new(&simod, "zavod").await;
    plant.employees(&["1"], &[]).await;
    let ctl = Ctl::new(&simod, &plant.slug);
    let send = ["message", "send", "--employee", "1", "--title", "Журнал"];
    let data = format!("@{}", ctl.file("data.json", r#"{"order": 17}"#));
    for (given, input) in [
        (["--body", "-", "--data", &data], "первая\nвторая\n"),
        (["--body", "первая\nвторая", "--data", "@-"], r#"{"order": 17}"#),
    ] {
        let ran = ctl.fed(&[&send[..], &given].concat(), input);
        let shown = ctl.json(&["message", "show", ran.out.trim_end()]);
        assert_eq!(shown["body"], "первая\nвторая", "{}", ran.err);
        assert_eq!(shown["data"]["order"], 17);
    }
    let both = ctl.fed(&[&send[..], &["--body", "-", "--data", "@-"]].concat(), "{}");
    assert_eq!(both.code, 2, "{}", both.err);
    assert!(both.err.contains("Only one of --body and --data"), "{}", both.err);
}

#[tokio::test]
async fn every_list_speaks_every_format() {
    let simod = Simod::start().await;
    let plant = Plant::new(&simod, "zavod").await;
    plant.employees(&["1", "2"], &["it"]).await;
    let ctl = Ctl::new(&simod, &plant.slug);
    assert_eq!(ctl.ok(&["employee", "list"]), "1\tСотрудник 1\t\tit\t0\t\t\n2\tСотрудник 2\t\tit\t0\t\t\n");
    assert_eq!(ctl.json(&["employee", "list"]).as_array().unwrap().len(), 2);
    let lines = ctl.ok(&["-o", "ndjson", "employee", "list"]);
    let objects: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(objects[1]["personnel_no"], "2");
    let csv = ctl.ok(&["-o", "csv", "employee", "list"]);
    assert!(csv.starts_with("personnel_no,full_name,email,phone,groups,"), "{csv}");
    let table = ctl.ok(&["-o", "table", "--lang", "ru", "employee", "list"]);
    assert!(table.contains("Таб. №") && !table.contains('\u{1b}'), "{table}");
    assert_eq!(ctl.json(&["device", "list"]), Value::Array(Vec::new()));
}

#[tokio::test]
async fn a_reader_that_goes_away_is_no_failure() {
    let simod = Simod::start().await;
    let plant = Plant::new(&simod, "zavod").await;
    let numbers: Vec<_> = (1..=3_000).map(|n| n.to_string()).collect();
    plant.employees(&numbers.iter().map(String::as_str).collect::<Vec<_>>(), &[]).await;
    let ctl = Ctl::new(&simod, &plant.slug);
    let mut child = ctl
        .command(&["-o", "json", "employee", "list"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut [0; 10]).unwrap();
    drop(stdout);
    let ran = Ran::from(child.wait_with_output().unwrap());
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
}

#[tokio::test]
async fn a_dash_is_standard_output_or_input_and_no_file() {
    let simod = Simod::start().await;
    let plant = Plant::new(&simod, "zavod").await;
    plant.employees(&["001"], &[]).await;
    let ctl = Ctl::new(&simod, &plant.slug);
    assert!(ctl.ok(&["export", "-f", "-"]).contains("clients:"));
    let codes = ctl.ok(&["device", "invite", "--all", "--csv", "-", "--anyway"]);
    assert!(codes.contains("personnel_no,full_name"), "{codes}");
    let audit = ctl.ok(&["audit", "export", "--file", "-"]);
    assert!(audit.starts_with('{'), "{audit}");
    let head = ctl.ok(&["audit", "head", "-o", "json"]);
    for (words, input) in [(["--file", "-"], &audit), (["--head", "-"], &head)] {
        let ran = ctl.fed(&[&["audit", "verify"], &words[..]].concat(), input);
        assert_eq!(ran.code, 0, "{words:?}: {}", ran.err);
    }
    let mut other: Value = serde_json::from_str(&head).unwrap();
    other["hash"] = "0".repeat(64).into();
    let ran = ctl.fed(&["audit", "verify", "--head", "-"], &other.to_string());
    assert!(ran.code == 1 && ran.err.contains("not what was recorded"), "{}", ran.err);
    let both = ctl.fed(&["audit", "verify", "--head", "-", "--file", "-"], &head);
    assert_eq!(both.code, 2, "{}", both.err);
    let ran = ctl.fed(&["employee", "import", "-"], "personnel_no,full_name,groups\n002,Исаева П.Е.,\n");
    assert_eq!(ran.code, 0, "{}", ran.err);
    for (words, input) in [
        (["employee", "import", "-"], "personnel_no,full_name\n,Исаева П.Е.\n"),
        (["apply", "-f", "-"], "clients: 5\n"),
    ] {
        let ran = ctl.fed(&words, input);
        assert!(ran.code != 0 && ran.err.contains("standard input"), "{}", ran.err);
    }
    assert!(!std::path::Path::new("-").exists());
}
