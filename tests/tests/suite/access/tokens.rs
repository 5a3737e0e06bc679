//! The permissions of an ACS's token.

use simo_tests::simod::Setup;

use super::*;

async fn token(plant: &Plant, wanted: NewToken) -> String {
    let wanted = NewToken { acs: Some("1c".to_owned()), ..wanted };
    plant.admin.issue_token(&wanted).await.unwrap().token
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

fn code(error: &simo_common::client::Error) -> String {
    match error {
        simo_common::client::Error::Problem(problem) => problem.code.clone(),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_token_does_what_its_scopes_and_topics_say() {
    let simod = Simod::start().await;
    let plant = Plant::new(&simod, "zavod").await;
    plant.employees(&["001"], &[]).await;
    for topic in ["boiler", "payroll"] {
        plant.topic(topic, &[Grantee::Everyone]).await;
    }
    let sender =
        NewToken { scopes: Some(words(&["send"])), topics: Some(words(&["boiler"])), ..NewToken::default() };
    let sender = simod.caller(&token(&plant, sender).await);
    let reader = NewToken { scopes: Some(words(&["read"])), ..NewToken::default() };
    let reader = simod.caller(&token(&plant, reader).await);
    let posted = post(&sender, &to_topic("Давление", "boiler")).await;

    let error = sender.post_message(&to_topic("Аванс", "payroll"), false).await.unwrap_err();
    assert_eq!(code(&error), "wrong_topic");
    assert!(error.to_string().contains("boiler"), "{error}");
    let personal = sender.post_message(&to_employees("Вам", &["001"]), false).await;
    assert_eq!(personal.unwrap_err().status(), Some(403), "with topics it is no personal token");
    assert_eq!(code(&sender.message(posted.id).await.unwrap_err()), "wrong_scope");
    sender.cancel_message(posted.id).await.unwrap();

    reader.message(posted.id).await.unwrap();
    let refused = reader.post_message(&to_topic("Давление", "boiler"), false).await;
    assert_eq!(code(&refused.unwrap_err()), "wrong_scope");
    assert_eq!(code(&reader.cancel_message(posted.id).await.unwrap_err()), "wrong_scope");
    let batch = reader.post_batch(&[to_topic("Давление", "boiler")]).await;
    assert_eq!(code(&batch.unwrap_err()), "wrong_scope");
}

#[tokio::test]
async fn mistakes_in_the_limits_are_told_all_at_once_with_the_nearest_word() {
    let simod = Simod::start().await;
    let plant = Plant::new(&simod, "zavod").await;
    plant.topic("boiler", &[]).await;
    let wrong = NewToken {
        acs: Some("1c".to_owned()),
        scopes: Some(words(&["send", "raed"])),
        topics: Some(words(&["boilr"])),
        networks: Some(words(&["10.0.0.0/40", "10.0.0.1/8", "192.0.2.7"])),
        rate_limit: Some(0),
        ..NewToken::default()
    };
    let error = plant.admin.issue_token(&wrong).await.unwrap_err();
    let simo_common::client::Error::Problem(problem) = error else { panic!("{error}") };
    let fields: Vec<_> = problem.errors.iter().map(|error| &*error.field).collect();
    assert_eq!(fields, ["topics[0]", "rate_limit", "scopes[1]", "networks[0]", "networks[1]"]);
    let said = serde_json::to_string(&problem.errors).unwrap();
    for word in ["`boiler`", "`read`", "10.0.0.0/8"] {
        assert!(said.contains(word), "{said}");
    }
}

#[tokio::test]
async fn an_empty_list_of_limits_is_a_mistake_and_no_freedom() {
    let simod = Simod::start().await;
    let plant = Plant::new(&simod, "zavod").await;
    let nothing = NewToken {
        acs: Some("1c".to_owned()),
        scopes: Some(Vec::new()),
        topics: Some(Vec::new()),
        networks: Some(Vec::new()),
        ..NewToken::default()
    };
    let error = plant.admin.issue_token(&nothing).await.unwrap_err();
    let simo_common::client::Error::Problem(problem) = error else { panic!("{error}") };
    let fields: Vec<_> = problem.errors.iter().map(|error| &*error.field).collect();
    assert_eq!(fields, ["scopes", "topics", "networks"]);
    assert!(problem.errors.iter().all(|error| error.detail.contains("leave it out")));
}

#[tokio::test]
async fn a_tokens_own_rate_limit_holds_from_its_first_request_on() {
    let simod = Simod::start().await;
    let plant = Plant::new(&simod, "zavod").await;
    let slow = NewToken { acs: Some("1c".to_owned()), rate_limit: Some(1), ..NewToken::default() };
    let issued = plant.admin.issue_token(&slow).await.unwrap();
    let successor = plant.admin.rotate_token(issued.id, Some(60)).await.unwrap();
    for token in [&issued.token, &successor.token] {
        let mut refused = 0;
        // A new minute may begin in between.
        for _ in 0..3 {
            refused += usize::from(simod.caller(token).whoami().await.is_err());
        }
        assert!(refused > 0, "as many as it likes");
    }
}

#[tokio::test]
async fn a_token_works_in_its_networks_only_whatever_a_stranger_says_of_himself() {
    let elsewhere = NewToken { networks: Some(words(&["192.0.2.0/24"])), ..NewToken::default() };
    for (trusted, forwarded, status) in [
        (None, None, 403),
        // Without a trusted proxy, anybody can write this header.
        (None, Some("192.0.2.7"), 403),
        (Some("127.0.0.0/8"), Some("192.0.2.7"), 200),
        (Some("127.0.0.0/8"), Some("192.0.2.7, 198.51.100.9"), 403),
        (Some("127.0.0.0/8"), Some("\u{ff}, 192.0.2.7"), 200),
        (Some("10.0.0.5/32"), Some("192.0.2.7"), 403),
    ] {
        let mut setup = Setup::new();
        if let Some(network) = trusted {
            setup = setup.set("trusted_proxies", vec![network]);
        }
        let simod = setup.start().await;
        let plant = Plant::new(&simod, "zavod").await;
        plant.employees(&["001"], &[]).await;
        let token = token(&plant, elsewhere.clone()).await;
        let http = reqwest::Client::new();
        let ask = |method: Method, path: &str| {
            let asked = http.request(method, format!("{}/api/v1{path}", simod.url()));
            let asked = asked.bearer_auth(&token);
            match forwarded {
                Some(address) => asked.header("x-forwarded-for", address),
                None => asked,
            }
        };
        let read = ask(Method::GET, "/whoami").send().await.unwrap();
        assert_eq!(read.status(), status, "{trusted:?} {forwarded:?}");
        let message = to_employees("Вам", &["001"]);
        let sent = ask(Method::POST, "/messages").json(&message).send().await.unwrap();
        let expected = if status == 200 { 202 } else { status };
        assert_eq!(sent.status(), expected, "{trusted:?} {forwarded:?}");
        // Errors in a body are explained only to callers who are allowed in.
        let nonsense = ask(Method::POST, "/messages").body("{").send().await.unwrap();
        let expected = if status == 200 { 400 } else { status };
        assert_eq!(nonsense.status(), expected, "{trusted:?} {forwarded:?}");
    }
}

#[tokio::test]
async fn it_is_seen_when_a_token_was_used_last_and_from_where() {
    let mut simod = Simod::start().await;
    let plant = Plant::new(&simod, "zavod").await;
    plant.employees(&["001"], &[]).await;
    post(&plant.acs(&simod, "1c").await, &to_employees("Вам", &["001"])).await;
    simod.terminate().await;
    simod.restart().await;
    let admin = simod.owner().for_client(Some("zavod".to_owned()));
    let tokens = admin.tokens(&ListQuery::default()).await.unwrap().items;
    assert!(tokens[0].used_at.is_some());
    assert_eq!(tokens[0].used_from.as_deref(), Some("127.0.0.1"));
}
