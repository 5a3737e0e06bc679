//! No secret appears in a log, however verbose.

use std::{fs, process::Command};

use http::Method;
use simo_common::{
    api::{
        access::NewToken,
        device::{ChannelAddress, Pair},
        people::NewInvite,
    },
    token::{self, TokenKind},
};
use simo_tests::{
    FakeFcm, Plant, Simod, eventually,
    plant::{post, to_employees},
    programs, raw,
    simod::Setup,
};

/// Requests with this secret that are not let in.
async fn knock(simod: &Simod, secret: &str) {
    for authorization in [
        format!("Bearer {secret}"),
        format!("Basic {secret}"),
        secret.to_owned(),
        format!("Bearer  {secret} and more"),
    ] {
        for path in ["/whoami", "/messages", "/device/messages", "/nowhere"] {
            let ask = raw::ask(Method::GET, &simod.api(path)).header("authorization", &authorization);
            ask.send().await;
        }
        let post = raw::ask(Method::POST, &simod.api("/messages")).header("authorization", &authorization);
        post.body("{").send().await;
    }
}

async fn pair(simod: &Simod, code: &str) -> Option<String> {
    let pair = Pair {
        code: code.to_owned(),
        key: None,
        channel: ChannelAddress {
            kind: "fcm".to_owned(),
            address: Some("phone-address-secret".to_owned()),
            address_kind: None,
            endpoint: None,
            keys: None,
            notifications: None,
        },
        name: "Телефон".to_owned(),
        platform: "android".to_owned(),
    };
    simod.anyone().pair(&pair).await.ok().map(|paired| paired.token)
}

#[tokio::test]
async fn no_secret_stands_in_the_log_however_much_is_logged() {
    let fcm = FakeFcm::start();
    let simod = Setup::new().fcm(&fcm).set("log", "trace").start().await;
    let plant = Plant::new(&simod, "zavod").await;
    plant.employees(&["001"], &[]).await;
    let mut secrets = Vec::new();

    // Tokens: good, replaced, revoked, unknown, mistyped.
    let spec = NewToken { acs: Some("1c".to_owned()), ..NewToken::default() };
    let issued = plant.admin.issue_token(&spec).await.unwrap();
    let rotated = plant.admin.rotate_token(issued.id, None).await.unwrap();
    let good = plant.token("1c").await;
    let unknown = token::generate(TokenKind::Operator);
    let mistyped = format!("{}x", &good[..good.len() - 1]);
    for secret in [issued.token, unknown, mistyped, "hunter2-of-somebody".to_owned()] {
        knock(&simod, &secret).await;
        secrets.push(secret);
    }
    plant.admin.revoke_token(rotated.id).await.unwrap();
    knock(&simod, &rotated.token).await;
    secrets.push(rotated.token);

    // Codes: good, used, wrong.
    let invite = NewInvite { employee: "001".to_owned(), valid_for: None };
    let code = plant.admin.invite_device(&invite).await.unwrap().code;
    let phone = pair(&simod, &code).await.expect("the code is good");
    assert_eq!(pair(&simod, &code).await, None);
    assert_eq!(pair(&simod, "ZZZZ-YYYY-99").await, None);
    simod.caller(&phone).whoami().await.unwrap();
    secrets.extend([phone, token::normalize_code(&code), code]);
    secrets.extend(["ZZZZ-YYYY-99".to_owned(), "ZZZZYYYY99".to_owned()]);

    // FCM's key and the token it was exchanged for; an address is as good as a key to a phone.
    post(&simod.caller(&good), &to_employees("Привет", &["001"])).await;
    eventually("the push was sent", || async {
        (!fcm.journal().calls_to("phone-address-secret").is_empty()).then_some(())
    })
    .await;
    secrets.push(good);
    secrets.push("phone-address-secret".to_owned());
    let account = fcm.write_files(simod.directory()).service_account;
    let account: serde_json::Value = serde_json::from_str(&fs::read_to_string(account).unwrap()).unwrap();
    let key = account["private_key"].as_str().unwrap();
    secrets.push(key.lines().nth(1).expect("a PEM has lines").to_owned());

    let log = simod.log();
    assert!(log.contains("TRACE") && log.contains("DEBUG"), "it says less than all");
    for secret in &secrets {
        let line = log.lines().find(|line| line.contains(secret.as_str()));
        assert_eq!(line, None, "`{secret}` stands in the log");
    }
    // Also not as byte lists, as some libraries print what they read.
    for secret in &secrets {
        let bytes = format!("{:?}", secret.as_bytes());
        let bytes = bytes.trim_matches(['[', ']']);
        assert!(!log.contains(bytes), "`{secret}` stands in the log as bytes");
    }
}

#[tokio::test]
async fn the_databases_password_is_shown_nowhere() {
    let url = "postgres://simo:pass-word-7@127.0.0.1:1/simo";
    let refused = Setup::new().database_url(url.to_owned()).set("log", "trace").wait("0").start_in_vain();
    let refused = tokio::time::timeout(std::time::Duration::from_mins(1), refused).await;
    let stderr = refused.expect("nobody answers there").stderr;
    assert!(!stderr.contains("pass-word-7"), "{stderr}");

    for (variable, value) in [
        ("SIMO_DATABASE", url),
        ("SIMO_DATABASE_DIRECT", url),
        ("SIMO_FCM__PROXY", "http://user:pass-word-7@proxy:3128"),
    ] {
        let shown =
            Command::new(programs::program("simod")).arg("config").env(variable, value).output().unwrap();
        let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
        assert!(shown.contains("***") && !shown.contains("pass-word-7"), "{variable}: {shown}");
    }
}

/// A password that is not percent-encoded, or in a URL of another kind: the error explains it without showing it.
#[test]
fn a_password_in_a_url_that_is_not_understood_is_shown_nowhere() {
    for (url, explained) in [
        ("postgres://simo:half@halb@127.0.0.1:1/simo", "%40"),
        ("postgres://simo:half#halb@127.0.0.1:1/simo", "%23"),
        ("postgres://simo:half/halb@127.0.0.1:1/simo", "%2F"),
        ("postgres://simo:half?halb@127.0.0.1:1/simo", "%3F"),
        ("postgres://simo:half%halb@127.0.0.1:1/simo", "%25"),
        ("postgres://simo:half-halb@a,b:port/simo", "65535"),
        ("postgres://simo:half-halb@127.0.0.1:1/simo?sslmod=require", "`sslmode`"),
        ("postgre://simo:half-halb@127.0.0.1:1/simo", "postgres://"),
        ("simo:half-halb@127.0.0.1:1/simo", "postgres://"),
        ("mysql://simo:half@halb@127.0.0.1:1/simo", "postgres://"),
    ] {
        for command in [
            ["serve", "--wait=0", "--database", url].as_slice(),
            &["migrate", "--check", "--database", url],
            &["config", "--database", url],
            &["copy", "--from", "sqlite:/nowhere/simo.db", "--to", url],
            &["copy", "--from", url, "--to", "postgres://127.0.0.1:1/simo"],
        ] {
            for lang in ["en", "ru"] {
                let ended = Command::new(programs::program("simod"))
                    .args(["--lang", lang])
                    .args(command)
                    .env("SIMO_LOG", "trace")
                    .output()
                    .unwrap();
                let said = [ended.stdout, ended.stderr].concat();
                let said = String::from_utf8_lossy(&said);
                assert!(!said.contains("half") && !said.contains("halb"), "{command:?}: {said}");
                let is_told = command[0] == "config" || command[1] == "--from" && command[2] == url;
                assert!(is_told || said.contains(explained), "{command:?}: {said}");
            }
        }
    }
}
