//! People and their phones, as an administrator manages them with `simoctl`: Excel files, successors, bulk invitations, trial
//! messages, phones that would miss the next alarm.

use std::{fs, os::unix::fs::PermissionsExt as _};

use futures_util::StreamExt as _;
use simo_common::{
    api::device::{ChannelAddress, Pair, Receipt},
    receipt::ReceiptKind,
    time,
};
use simo_tests::{Phone, Plant, Simod, clock};

use super::cli::Ctl;

/// The encoding of files that Excel saves in Russia.
fn windows_1251(text: &str) -> Vec<u8> {
    text.chars()
        .map(|c| match c {
            'Ё' => 0xa8,
            'ё' => 0xb8,
            '№' => 0xb9,
            'А'..='я' => (c as u32 - 0x410 + 0xc0) as u8,
            c => u8::try_from(c).expect("the test keeps to Russian"),
        })
        .collect()
}

#[tokio::test]
async fn a_file_of_excel_is_imported_as_it_is_and_it_is_said_how_it_was_read() {
    let simod = Simod::start().await;
    let plant = Plant::new(&simod, "zavod").await;
    let ctl = Ctl::new(&simod, &plant.slug);
    ctl.ok(&["group", "add", "kotel", "--name", "Котельная"]);
    let path = ctl.file("сотрудники.csv", "");
    let text = "Подразделение;Таб. №;ФИО;Телефон\r\nКотельная;0042;Ёлкин Пётр Ильич;+7 900\r\n";
    fs::write(&path, windows_1251(text)).unwrap();
    let ran = ctl.run(&["employee", "import", &path]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.contains("windows-1251, columns separated by semicolons"), "{}", ran.err);
    let shown = ctl.json(&["employee", "show", "0042"]);
    assert_eq!(shown["full_name"], "Ёлкин Пётр Ильич");
    assert_eq!(shown["groups"][0], "kotel");

    let bad = "Подразделение;Таб. №;ФИО;Телефон\r\nКотельня;1;Первый;\r\nКотельная;1;Второй\r\n;;Третий;\r\n";
    fs::write(&path, windows_1251(bad)).unwrap();
    let ran = ctl.run(&["employee", "import", &path]);
    assert_eq!(ran.code, 1);
    for mistake in [
        "line 2, column 1 (Подразделение): no group has the name “Котельня”; did you mean `kotel`?",
        "line 3: 3 values instead of 4",
        "line 4, column 2 (Таб. №): is empty",
    ] {
        assert!(ran.err.contains(mistake), "{mistake} is missing in\n{}", ran.err);
    }
}

#[tokio::test]
async fn a_successor_is_only_made_when_it_is_said_so() {
    let simod = Simod::start().await;
    let plant = Plant::new(&simod, "zavod").await;
    let ctl = Ctl::new(&simod, &plant.slug);
    let header = "personnel_no,full_name,groups";
    let before = ctl.file(
        "before.csv",
        &format!("{header}\n1,Исаева Анна Ильинична,\n2,Котов Глеб Ильич,\n3,Фомин Лев Ильич,\n"),
    );
    ctl.ok(&["employee", "import", &before]);
    plant.stream_phone(&simod, "2").await;
    let after = ctl.file(
        "after.csv",
        &format!("{header}\n1,Белова Анна Ильинична,\n2,Новиков Олег Юрьевич,\n3,Lev Fomin,\n"),
    );
    let ran = ctl.run(&["employee", "import", &after]);
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert!(ran.err.contains("line 3, column 2 (full_name)"), "{}", ran.err);
    assert!(ran.err.contains("--new-person 2,3"), "a marriage is no doubt: {}", ran.err);

    let unknown = ctl.run(&["employee", "import", &after, "--new-person", "2,77", "--same-person", "2"]);
    assert_eq!(unknown.code, 2);
    assert!(unknown.err.contains("77:") && unknown.err.contains("2: is either"), "{}", unknown.err);

    let said = ["employee", "import", &after, "--new-person", "2", "--same-person", "3"];
    assert_eq!(ctl.run(&said).code, 2, "it asks first");
    let done = ctl.json(&[&said[..], &["--yes"]].concat());
    assert_eq!((&done["succeeded"], &done["updated"]), (&1.into(), &2.into()));
    assert_eq!(ctl.json(&["employee", "show", "2"])["devices"], 0);
    let archived = ctl.ok(&["employee", "list", "--archived", "Котов"]);
    assert!(archived.starts_with("2~20"), "{archived}");

    let taken = ctl.run(&["employee", "add", "1", "Новый Иван"]);
    assert_eq!(taken.code, 5);
    assert!(taken.err.contains("--new-person") && !taken.err.contains("new_person"), "{}", taken.err);
    ctl.ok(&["employee", "add", "1", "Новый Иван", "--new-person", "--yes"]);
    assert_eq!(ctl.json(&["employee", "show", "1"])["full_name"], "Новый Иван");
}

#[tokio::test]
async fn invitations_are_printed_kept_private_and_withdrawn_together() {
    let simod = Simod::start().await;
    let plant = Plant::new(&simod, "zavod").await;
    plant.employees(&["1", "2"], &["smena-a"]).await;
    plant.employees(&["3"], &[]).await;
    let ctl = Ctl::new(&simod, &plant.slug);
    let (sheet, csv) = (ctl.file("sheet.html", "old"), ctl.file("codes.csv", ""));
    fs::remove_file(&csv).unwrap();
    let invite = ["device", "invite", "--group", "smena-a", "--sheet", &sheet, "--csv", &csv];
    let refused = ctl.run(&invite);
    assert!(
        refused.code == 1 && refused.err.contains("public_url"),
        "links to this machine: {}",
        refused.err
    );
    let invite = [&invite[..], &["--anyway"]].concat();
    assert_eq!(ctl.run(&invite).code, 5, "what is there is kept");
    assert_eq!(fs::read_to_string(&sheet).unwrap(), "old");
    assert_eq!(ctl.ok(&["device", "invites"]), "", "and nothing was made");
    let ran = ctl.run(&[&invite[..], &["--yes"]].concat());
    assert_eq!((ran.code, &*ran.out), (0, ""), "{}", ran.err);
    for path in [&sheet, &csv] {
        let mode = fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{path}");
    }
    let beside = std::path::Path::new(&sheet).parent().unwrap();
    let parts = fs::read_dir(beside).unwrap().filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_string_lossy().ends_with(".part")
    });
    assert_eq!(parts.count(), 0, "nothing half-written is left");
    let html = fs::read_to_string(&sheet).unwrap();
    assert_eq!(html.matches("<svg").count(), 2);
    let codes = fs::read_to_string(&csv).unwrap();
    let codes: Vec<&str> = codes.lines().skip(1).map(|line| line.split(',').nth(3).unwrap()).collect();
    assert!(codes.iter().all(|code| html.contains(code)), "{codes:?}");

    let pair = |code: &str| Pair {
        code: code.to_owned(),
        key: None,
        channel: ChannelAddress {
            kind: "stream".to_owned(),
            address: None,
            address_kind: None,
            endpoint: None,
            keys: None,
            notifications: None,
        },
        name: "Телефон".to_owned(),
        platform: "android".to_owned(),
    };
    simod.anyone().pair(&pair(codes[0])).await.unwrap();
    let batch = &ctl.json(&["device", "invites"])[0];
    assert_eq!((&batch["used"], &batch["open"], &batch["invites"]), (&1.into(), &1.into(), &2.into()));
    let id = batch["id"].as_str().unwrap();
    ctl.ok(&["device", "invites", "--withdraw", id, "--yes"]);
    let refused = simod.anyone().pair(&pair(codes[1])).await.unwrap_err();
    assert_eq!(refused.status(), Some(403));
    assert_eq!(ctl.run(&["device", "invite"]).code, 2);
    let rest = ctl.json(&["device", "invite", "--without-device"]);
    assert_eq!(rest["invites"].as_array().unwrap().len(), 2);
}

/// A phone that confirms every message.
fn answers(phone: Phone) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        let mut stream = phone.client.own_stream().await.unwrap();
        while let Some(Ok(message)) = stream.next().await {
            let receipt = Receipt {
                message_id: message.id,
                kind: ReceiptKind::Delivered,
                at: time::from_us(clock::now_us()),
                by: None,
            };
            phone.client.send_receipts(&[receipt]).await.unwrap();
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_message_tells_whether_a_phone_can_be_reached() {
    let simod = Simod::start().await;
    let plant = Plant::new(&simod, "zavod").await;
    plant.employees(&["1", "2"], &[]).await;
    let ctl = Ctl::new(&simod, &plant.slug);
    let none = ctl.run(&["device", "test", "1"]);
    assert_eq!(none.code, 1);
    assert!(none.err.contains("device invite 1"), "{}", none.err);
    assert_eq!(ctl.run(&["device", "test", "404"]).code, 3);
    assert_eq!(ctl.run(&["device", "test", "1", "--wait", "2h"]).code, 2);

    let phone = plant.stream_phone(&simod, "1").await;
    let id = phone.id.to_string();
    let answering = answers(phone);
    let pushes = ctl.json(&["device", "test", "1", "--wait", "60s"]);
    assert_eq!(pushes[0]["state"], "received");
    let silent = plant.stream_phone(&simod, "1").await;
    let one = ctl.json(&["device", "test", &id]);
    assert_eq!(one.as_array().unwrap().len(), 1, "only the one that was asked for");
    let ran = ctl.run(&["device", "test", &silent.id.to_string(), "--wait", "1s"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("No receipt came") && ran.err.contains("message explain"), "{}", ran.err);
    // One of two phones is silent: that is not a success.
    let ran = ctl.run(&["device", "test", "1", "--wait", "2s"]);
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert!(ran.err.contains("1 of 2"), "{}", ran.err);
    answering.abort();
    let shown = ctl.ok(&["-o", "csv", "message", "list"]);
    assert!(shown.contains("Проверка связи") || shown.contains("Test message"), "{shown}");
}

#[tokio::test]
async fn phones_that_would_miss_the_next_alarm_are_listed_with_a_number_to_call() {
    let simod = Simod::start().await;
    let plant = Plant::new(&simod, "zavod").await;
    plant.employees(&["1", "2"], &[]).await;
    let ctl = Ctl::new(&simod, &plant.slug);
    ctl.ok(&["employee", "edit", "2", "--phone", "+7 900"]);
    let phone = plant.stream_phone(&simod, "1").await;
    let silent = ["device", "list", "--silent", "7d"];
    let csv = ctl.ok(&[&["-o", "csv"][..], &silent].concat());
    let rows: Vec<_> = csv.lines().collect();
    assert_eq!(rows.len(), 2, "{csv}");
    assert!(rows[1].starts_with("2,") && rows[1].contains("+7 900") && rows[1].ends_with("no_device"));
    let way = ChannelAddress {
        kind: "stream".to_owned(),
        address: None,
        address_kind: None,
        endpoint: None,
        keys: None,
        notifications: Some(false),
    };
    phone.client.change_channel(&way).await.unwrap();
    let id = phone.id.to_string();
    ctl.ok(&["device", "edit", &id, "--name", "Проходная"]);
    let json = ctl.json(&silent);
    assert_eq!(json[0]["why"][0], "notifications_off");
    assert_eq!(json[0]["name"], "Проходная");
    assert_eq!(ctl.run(&["device", "edit", &id, "--name", " "]).code, 1);
    assert_eq!(ctl.run(&["device", "list", "--silent", "week"]).code, 2);
}
