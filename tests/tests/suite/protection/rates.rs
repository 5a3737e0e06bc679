//! Callers that ask too often.

use std::time::Duration;

use http::{Method, StatusCode};
use simo_common::{
    api::{
        access::{NewOperator, NewToken},
        device::{ChannelAddress, Pair},
        login::{LogIn, NewLoginCode},
        people::NewInvite,
    },
    client::ListQuery,
    people::Role,
    token::{self, TokenKind},
};
use simo_tests::{
    Plant, Simod, eventually,
    plant::{post, to_employees},
    postgres, raw,
    simod::Setup,
};
use tokio::task::JoinSet;

const FAILURES: usize = 20;

async fn strict() -> Simod {
    Setup::new().set("failures_per_minute", FAILURES as i64).start().await
}

async fn whoami(simod: &Simod, token: &str) -> raw::Answer {
    raw::ask(Method::GET, &simod.api("/whoami")).token(token).send().await
}

/// Guesses until it is told to wait; returns the answer and the number of guesses.
async fn guess(simod: &Simod) -> (raw::Answer, usize) {
    for guesses in 0..10 * FAILURES {
        let answer = whoami(simod, &token::generate(TokenKind::Operator)).await;
        if answer.status != StatusCode::UNAUTHORIZED {
            return (answer, guesses);
        }
    }
    panic!("nobody stops who guesses");
}

#[tokio::test]
async fn who_guesses_has_to_wait_and_his_neighbours_have_not() {
    let simod = strict().await;
    let plant = Plant::new(&simod, "zavod").await;
    plant.employees(&["001"], &[]).await;
    let (known, new) = (plant.token("1c").await, plant.token("scada-2").await);
    post(&simod.caller(&known), &to_employees("До", &["001"])).await;

    let (answer, guesses) = guess(&simod).await;
    // A new minute may begin in between.
    assert!((FAILURES..=2 * FAILURES).contains(&guesses), "{guesses}");
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    let problem = answer.problem();
    assert_eq!(problem.code, "rate_limited");
    let wait: u32 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=61).contains(&wait), "{wait}");
    let told = raw::ask(Method::GET, &simod.api("/whoami"))
        .token("guess")
        .header("accept-language", "ru")
        .send()
        .await;
    if told.status == StatusCode::TOO_MANY_REQUESTS {
        assert!(told.text.contains("неверных токенов"), "{}", told.text);
    }

    // A token that was valid before still works: one ACS with an old token must not silence the plant behind its address.
    post(&simod.caller(&known), &to_employees("После", &["001"])).await;
    // So does a valid token that was never used.
    post(&simod.caller(&new), &to_employees("Впервые", &["001"])).await;
    // The local socket is not limited by others' guesses either.
    simod.owner().whoami().await.unwrap();
}

fn wrong_pair() -> Pair {
    Pair {
        code: "K7QD-M2XA-9F".to_owned(),
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
    }
}

#[tokio::test]
async fn an_old_token_that_comes_again_and_again_keeps_nobody_from_pairing_or_logging_in() {
    let simod = Setup::new().set("failures_per_minute", 2).start().await;
    let plant = Plant::new(&simod, "zavod").await;
    plant.employees(&["001"], &[]).await;
    let token = NewToken { acs: Some("1c".to_owned()), ..NewToken::default() };
    let revoked = plant.admin.issue_token(&token).await.unwrap();
    plant.admin.revoke_token(revoked.id).await.unwrap();
    eventually("the address has to wait", || async {
        let status = whoami(&simod, &revoked.token).await.status;
        (status == StatusCode::TOO_MANY_REQUESTS).then_some(())
    })
    .await;
    // A phone can still pair over TCP from the same address.
    plant.stream_phone(&simod, "001").await;

    // Wrong pairing codes get their own error, and do not lock others out either.
    for _ in 0..3 {
        let refused = format!("{:?}", simod.anyone().pair(&wrong_pair()).await.unwrap_err());
        assert!(refused.contains("wrong_code"), "{refused}");
    }
    plant.stream_phone(&simod, "001").await;
    plant.admin.add_operator(&NewOperator { name: "anna".to_owned(), role: Role::Admin }).await.unwrap();
    let code = plant.admin.login_code("anna", &NewLoginCode { valid_for: None }).await.unwrap().code;
    let login = LogIn { code, name: "ноутбук".to_owned(), valid_for: None };
    simod.anyone().log_in(&login).await.unwrap();
}

#[tokio::test]
async fn in_a_flood_of_guesses_a_phone_elsewhere_pairs() {
    let simod = Setup::new().set("trusted_proxies", vec!["127.0.0.1/32"]).start().await;
    let plant = Plant::new(&simod, "zavod").await;
    plant.employees(&["001"], &[]).await;
    let pair = |address: String, code: String| {
        let body = serde_json::to_string(&Pair { code, ..wrong_pair() }).unwrap();
        let ask = raw::ask(Method::POST, &simod.api("/device/pair")).header("x-forwarded-for", address);
        ask.json_text(body).send()
    };
    let mut guesses = JoinSet::new();
    for guess in 0..80 {
        guesses.spawn(pair(format!("192.0.2.{}", guess % 4), format!("WRNG-WRNG-{guess:02}")));
    }
    let invite = NewInvite { employee: "001".to_owned(), valid_for: None };
    let invite = plant.admin.invite_device(&invite).await.unwrap();
    let paired = pair("198.51.100.7".to_owned(), invite.code).await;
    assert_eq!(paired.status, StatusCode::OK, "{}", paired.text);
    while let Some(guess) = guesses.join_next().await {
        assert_eq!(guess.unwrap().problem().code, "wrong_code");
    }
}

#[tokio::test]
async fn who_guesses_login_codes_waits_until_the_next_hour() {
    let simod = Setup::new().set("failures_per_minute", 0).start().await;
    let login = LogIn { code: "ZZZZ-YYYY-99".to_owned(), name: "x".to_owned(), valid_for: None };
    let mut told = Vec::new();
    // A new hour may begin in between.
    for _ in 0..21 {
        told.push(format!("{:?}", simod.anyone().log_in(&login).await.unwrap_err()));
    }
    assert!(told[0].contains("wrong_code"), "{}", told[0]);
    assert!(told.iter().any(|told| told.contains("too_many_attempts")), "{told:?}");
    let refused = format!("{:?}", simod.anyone().pair(&wrong_pair()).await.unwrap_err());
    assert!(refused.contains("wrong_code"), "phones pair: {refused}");
}

#[tokio::test]
async fn a_forwarded_for_that_is_not_believed_is_logged_once_with_what_to_configure() {
    let simod = Simod::start().await;
    let forwarded = async || {
        raw::ask(Method::GET, simod.url()).header("x-forwarded-for", "192.0.2.7").send().await;
    };
    forwarded().await;
    let said = || simod.log().matches("trusted_proxies = [\"127.0.0.1/32\"]").count();
    eventually("it is logged", || async { (said() > 0).then_some(()) }).await;
    for _ in 0..3 {
        forwarded().await;
    }
    assert_eq!(said(), 1, "{}", simod.log());

    let trusting = Setup::new().set("trusted_proxies", vec!["127.0.0.1/32"]).start().await;
    raw::ask(Method::GET, trusting.url()).header("x-forwarded-for", "192.0.2.7").send().await;
    assert!(!trusting.log().contains("is not believed"), "{}", trusting.log());
}

#[tokio::test]
async fn a_token_may_ask_so_often_in_a_minute() {
    let simod = Setup::new().set("rate_limit_per_token", 10).start().await;
    let plant = Plant::new(&simod, "zavod").await;
    plant.employees(&["001"], &[]).await;
    let (busy, other) = (plant.token("1c").await, plant.token("scada-2").await);
    let body = r#"{"title":"a","recipients":{"employees":["001"]}}"#;
    let mut accepted = 0;
    let refused = loop {
        let answer = raw::post(&simod.api("/messages"), &busy, body).send().await;
        if answer.status != StatusCode::ACCEPTED {
            break answer;
        }
        accepted += 1;
        assert!(accepted <= 20, "it is never refused");
    };
    assert!((10..=20).contains(&accepted), "{accepted}");
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.problem().code, "rate_limited");
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(whoami(&simod, &other).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_token_of_a_poster_that_repeats_only_5xx_is_answered_503_where_others_get_429() {
    let simod = Simod::start().await;
    let plant = Plant::new(&simod, "zavod").await;
    plant.employees(&["001"], &[]).await;
    let body = r#"{"title":"a","recipients":{"employees":["001"]}}"#;
    for (as_503, status) in [(Some(true), 503), (None, 429)] {
        let wanted = NewToken {
            acs: Some("alertmanager".to_owned()),
            rate_limit: Some(1),
            rate_limit_as_503: as_503,
            ..NewToken::default()
        };
        let issued = plant.admin.issue_token(&wanted).await.unwrap();
        assert_eq!(plant.admin.token(issued.id).await.unwrap().rate_limit_as_503, as_503.unwrap_or_default());
        // A new minute may begin in between.
        let mut refused = None;
        for _ in 0..3 {
            let answer = raw::post(&simod.api("/messages"), &issued.token, body).send().await;
            if answer.status != StatusCode::ACCEPTED {
                refused = Some(answer);
            }
        }
        let refused = refused.expect("it is never refused");
        assert_eq!((refused.status.as_u16(), refused.problem().code.as_str()), (status, "rate_limited"));
        let wait: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=61).contains(&wait), "{wait}");
    }
}

/// Whether it must wait sooner than its own guesses explain; slowly, because instances share counts once a second.
async fn is_known(simod: &Simod) -> bool {
    let mut pace = tokio::time::interval(Duration::from_millis(200));
    for _ in 1..FAILURES {
        pace.tick().await;
        if whoami(simod, "guess").await.status == StatusCode::TOO_MANY_REQUESTS {
            return true;
        }
    }
    false
}

/// Attempts, one of which must begin and end in the same minute.
const ROUNDS: usize = 3;

#[tokio::test]
async fn failures_outlive_a_restart() {
    let mut simod = Setup::new().set("failures_per_minute", FAILURES as i64).embedded().start().await;
    for round in 0..ROUNDS {
        guess(&simod).await;
        let (owner, list) = (simod.owner(), ListQuery::default());
        let written = async || -> u64 {
            let all = owner.refused_attempts(&list, None).await.unwrap().items;
            all.iter().map(|row| row.count).sum()
        };
        eventually("the failures are written", || async {
            (written().await > (round * FAILURES) as u64).then_some(())
        })
        .await;
        simod.terminate().await;
        simod.restart().await;
        if is_known(&simod).await {
            return;
        }
    }
    panic!("a restart makes failures forgotten");
}

#[tokio::test]
async fn instances_have_one_limit_together() {
    if postgres::server().is_none() {
        return;
    }
    let here = strict().await;
    let there = here.sibling().await;
    for _ in 0..ROUNDS {
        guess(&here).await;
        if is_known(&there).await {
            return;
        }
    }
    panic!("each instance has its own limit");
}
