//! Tokens that are not accepted.

use super::*;

#[tokio::test]
async fn a_token_that_does_not_let_in_is_told_why() {
    let simod = Simod::start().await;
    let (plant, token) = plant(&simod).await;
    let soon = NewToken {
        acs: Some("1c".to_owned()),
        expires_at: Some(clock::in_seconds(1)),
        ..NewToken::default()
    };
    let expiring = plant.admin.issue_token(&soon).await.unwrap();
    let revoked = plant.admin.issue_token(&NewToken { expires_at: None, ..soon.clone() }).await.unwrap();
    plant.admin.revoke_token(revoked.id).await.unwrap();
    eventually("the token expires", || async {
        (simod.caller(&expiring.token).whoami().await.is_err()).then_some(())
    })
    .await;

    let mut mistyped = token.clone();
    mistyped.replace_range(20..21, if &token[20..21] == "x" { "y" } else { "x" });
    let body = r#"{"title":"a","recipients":{"everyone":true}}"#;
    for (wrong, says) in [
        (expiring.token.as_str(), "expired"),
        (&revoked.token, "revoked"),
        (&mistyped, "mistyped"),
        (&token[..30], "cut"),
        ("guess", "token"),
        (&token::generate(TokenKind::Acs), "unknown"),
    ] {
        for path in ["/messages", "/messages/batch"] {
            let answer = raw::post(&simod.api(path), wrong, body).send().await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{says}: {}", answer.text);
            assert!(answer.headers.contains_key(header::WWW_AUTHENTICATE));
            let problem = answer.problem();
            assert!(problem.detail.contains(says), "{says}: {problem:?}");
            assert!(problem.hint.is_some(), "{problem:?}");
            assert!(!answer.text.contains(wrong) || wrong == "guess", "the answer repeats the token");
        }
    }
    let none = raw::ask(Method::POST, &simod.api("/messages")).body(body).send().await;
    assert_eq!(none.status, StatusCode::UNAUTHORIZED);
    for scheme in ["Basic dXNlcjpwYXNz", "Bearer", "Bearer ", "bearer\t", token.as_str()] {
        let answer = raw::ask(Method::POST, &simod.api("/messages"))
            .header("authorization", scheme)
            .body(body)
            .send()
            .await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{scheme}");
    }
    nothing_is_stored(&plant).await;
}

#[tokio::test]
async fn a_token_of_another_kind_is_forbidden() {
    let simod = Simod::start().await;
    let (plant, token) = plant(&simod).await;
    let phone = plant.stream_phone(&simod, "001").await;
    let posting = phone.client.post_message(&to_employees("a", &["001"]), false).await.unwrap_err();
    assert_eq!(posting.status(), Some(403), "{posting}");
    let administering = simod.caller(&token).employees(&ListQuery::default(), None).await.unwrap_err();
    assert_eq!(administering.status(), Some(403), "{administering}");
    let receiving = simod.caller(&token).own_messages(&ListQuery::default()).await.unwrap_err();
    assert_eq!(receiving.status(), Some(403), "{receiving}");
    nothing_is_stored(&plant).await;
}

#[tokio::test]
async fn who_has_a_client_of_his_own_names_no_other() {
    let simod = Simod::start().await;
    let (plant, token) = plant(&simod).await;
    Plant::new(&simod, "chuzhoy").await;
    let phone = plant.stream_phone(&simod, "001").await;
    let body = r#"{"title":"a","recipients":{"everyone":true}}"#;
    for (client, is_found) in [("zavod", true), ("chuzhoy", false), ("nowhere", false)] {
        for (method, path, token) in [
            (Method::POST, "/messages", &token),
            (Method::POST, "/messages/batch", &token),
            (Method::GET, "/messages", &token),
            (Method::GET, "/device/messages", &phone.token),
        ] {
            let url = simod.api(&format!("{path}?client={client}"));
            let answer = raw::ask(method.clone(), &url).token(token).json_text(body).send().await;
            assert_eq!(answer.status.is_success(), is_found, "{method} {url}: {}", answer.text);
            if !is_found {
                assert_eq!(answer.problem().code, "not_found", "{method} {url}");
            }
        }
    }
    let messages = plant.admin.messages(&ListQuery::default()).await.unwrap();
    assert_eq!(messages.items.len(), 2);
}

#[tokio::test]
async fn two_tokens_are_one_too_many() {
    let simod = Simod::start().await;
    let (_, token) = plant(&simod).await;
    let answer = raw::ask(Method::GET, &simod.api("/messages")).token(&token).token(&token).send().await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(answer.problem().detail.contains("twice"), "{}", answer.text);
}
