//! Refused requests are kept, summed up.

use std::collections::BTreeMap;

use http::Method;
use simo_common::{
    api::{
        access::{NewOperator, NewToken},
        audit::RefusedAttempts,
        message::PostMessage,
    },
    client::{Client, ListQuery},
    people::Role,
    token::{self, TokenKind},
};
use simo_tests::{
    Plant, Simod, eventually,
    plant::{to_employees, to_topic},
    raw,
};

async fn refused(who: &Client, reason: &str, at_least: u64) -> RefusedAttempts {
    eventually(&format!("{reason} is kept {at_least} times"), || async {
        let all = who.refused_attempts(&ListQuery::default(), None).await.unwrap().items;
        let count: u64 = all.iter().filter(|row| row.reason == reason).map(|row| row.count).sum();
        let mut rows = all.into_iter().filter(|row| row.reason == reason);
        (count >= at_least).then(|| rows.next().unwrap())
    })
    .await
}

/// An admin of a client, with a token.
async fn admin(simod: &Simod, plant: &Plant, name: &str) -> Client {
    let operator = NewOperator { name: name.to_owned(), role: Role::Admin };
    plant.admin.add_operator(&operator).await.unwrap();
    let token = NewToken { operator: Some(name.to_owned()), ..NewToken::default() };
    simod.caller(&plant.admin.issue_token(&token).await.unwrap().token)
}

#[tokio::test]
async fn refused_attempts_are_summed_up_for_whom_they_concern() {
    let simod = Simod::start().await;
    let (mine, theirs) = (Plant::new(&simod, "zavod").await, Plant::new(&simod, "fabrika").await);
    let token = NewToken { acs: Some("1c".to_owned()), ..NewToken::default() };
    let revoked = mine.admin.issue_token(&token).await.unwrap();
    mine.admin.revoke_token(revoked.id).await.unwrap();
    for _ in 0..5 {
        let acs = simod.caller(&revoked.token);
        acs.post_message(&to_employees("a", &["001"]), false).await.unwrap_err();
        let stranger = simod.caller(&token::generate(TokenKind::Acs));
        stranger.whoami().await.unwrap_err();
        simod.anyone().whoami().await.unwrap_err();
    }
    simod.caller(&mine.token("1c").await).clients(&ListQuery::default()).await.unwrap_err();

    let (here, there) = (admin(&simod, &mine, "ivanov").await, admin(&simod, &theirs, "petrov").await);
    let row = refused(&here, "revoked", 5).await;
    assert_eq!((row.client.as_deref(), row.address.as_str()), (Some("zavod"), "127.0.0.1"));
    assert!(row.first_at <= row.last_at);
    refused(&here, "forbidden", 1).await;
    let owner = simod.owner();
    assert_eq!(refused(&owner, "unknown_token", 5).await.client, None);
    refused(&owner, "no_token", 5).await;
    let all = owner.refused_attempts(&ListQuery::default(), None).await.unwrap().items;
    // A new hour may begin in between.
    assert!(all.len() <= 8, "{all:?}");

    let others = there.refused_attempts(&ListQuery::default(), None).await.unwrap().items;
    assert!(others.is_empty(), "{others:?}");
    let strangers = here.refused_attempts(&ListQuery::default(), None).await.unwrap().items;
    assert!(strangers.iter().all(|row| row.client.is_some()), "{strangers:?}");
}

/// The refused posts of an ACS: count by code and field, once at least this many are kept.
async fn posts(who: &Client, acs: &str, at_least: u64) -> BTreeMap<String, RefusedAttempts> {
    eventually(&format!("{at_least} refused posts of {acs} are kept"), || async {
        let all = who.refused_attempts(&ListQuery::default(), Some(acs)).await.unwrap().items;
        let mut kinds: BTreeMap<String, RefusedAttempts> = BTreeMap::new();
        for row in all {
            let kind = format!("{} {}", row.reason, row.field.as_deref().unwrap_or("-"));
            // A new hour may begin in between.
            kinds.entry(kind).and_modify(|kept| kept.count += row.count).or_insert(row);
        }
        (kinds.values().map(|row| row.count).sum::<u64>() >= at_least).then_some(kinds)
    })
    .await
}

#[tokio::test]
async fn every_refused_post_leaves_a_trace_for_its_own_clients_administrators() {
    let mut simod = Simod::start().await;
    let (mine, theirs) = (Plant::new(&simod, "zavod").await, Plant::new(&simod, "fabrika").await);
    mine.employees(&["001"], &[]).await;
    let (here, there) = (admin(&simod, &mine, "ivanov").await, admin(&simod, &theirs, "petrov").await);
    let token = mine.token("1c").await;
    let acs = simod.caller(&token);
    let title = "Давление ".repeat(20);
    let unknown = PostMessage { external_id: Some("alarm-7".to_owned()), ..to_topic(&title, "boiler") };
    for _ in 0..3 {
        acs.post_message(&unknown, false).await.unwrap_err();
    }
    let send = async |path: &str, body: String| raw::post(&simod.api(path), &token, body).send().await.status;
    // Not JSON, partly readable, invalid, and too large.
    assert_eq!(send("/messages", "{".to_owned()).await, 400);
    assert_eq!(send("/messages", r#"{"title":5,"external_id":"7","topic":"boiler"}"#.to_owned()).await, 422);
    assert_eq!(send("/messages", r#"{"title":"a","titel":"b"}"#.to_owned()).await, 422);
    assert_eq!(send("/messages", "x".repeat(300 * 1024)).await, 413);
    // Of a batch, the refused items.
    let items = [
        r#"{"title":"хорошее","recipients":{"employees":["001"]}}"#,
        r#"{"title":"никому","recipients":{"employees":["404"]}}"#,
        r#"{"title":"непонятное","ttl":"1"}"#,
    ];
    assert_eq!(send("/messages/batch", items.join("\n")).await, 200);
    assert_eq!(send("/messages/batch?strict=true", items.join("\n")).await, 422);
    assert_eq!(send("/messages/batch", "[]".to_owned()).await, 422);
    // A token without the scope to send, and one that exceeds its rate limit.
    let limited = |acs: &str, scopes: Option<Vec<String>>, rate_limit| NewToken {
        acs: Some(acs.to_owned()),
        scopes,
        rate_limit,
        ..NewToken::default()
    };
    let reads = mine.admin.issue_token(&limited("bi", Some(vec!["read".to_owned()]), None)).await.unwrap();
    simod.caller(&reads.token).post_message(&to_employees("отчёт", &["001"]), false).await.unwrap_err();
    let batch = raw::post(&simod.api("/messages/batch"), &reads.token, items[0]).send().await;
    assert_eq!(batch.status, 403);
    let busy = mine.admin.issue_token(&limited("scada", None, Some(2))).await.unwrap();
    for _ in 0..5 {
        let _counted = simod.caller(&busy.token).post_message(&to_employees("часто", &["001"]), false).await;
    }

    let kinds = posts(&here, "1c", 12).await;
    let counts: Vec<_> = kinds.iter().map(|(kind, row)| (kind.as_str(), row.count)).collect();
    assert_eq!(
        counts,
        [
            ("invalid (other)", 1),
            ("invalid (request)", 1),
            ("invalid title", 1),
            ("invalid topic", 3),
            ("invalid ttl", 2),
            ("malformed -", 1),
            ("no_recipients recipients.employees", 2),
            ("too_large -", 1),
        ]
    );
    let topic = &kinds["invalid topic"];
    assert_eq!((topic.client.as_deref(), topic.newest.len()), (Some("zavod"), 3));
    assert_eq!(topic.newest[0].title, title.chars().take(80).collect::<String>());
    assert_eq!(topic.newest[0].external_id.as_deref(), Some("alarm-7"));
    assert!(topic.first_at <= topic.last_at && topic.last_at == topic.newest[0].at);
    assert_eq!(kinds["invalid title"].newest[0].external_id.as_deref(), Some("7"));
    assert_eq!(kinds["invalid ttl"].newest[0].title, "непонятное");
    assert_eq!(kinds["no_recipients recipients.employees"].newest[0].title, "никому");
    assert_eq!(posts(&here, "bi", 2).await["wrong_scope -"].newest[0].title, "отчёт");
    assert!(posts(&here, "scada", 1).await["rate_limited -"].count <= 3);

    let others = there.refused_attempts(&ListQuery::default(), None).await.unwrap().items;
    assert!(others.is_empty(), "{others:?}");
    let metrics = raw::ask(Method::GET, &format!("{}/metrics", simod.url())).send().await.text;
    assert!(metrics.contains("simo_posts_refused_total{code=\"malformed\"} 1"), "{metrics}");

    // The latest refusals are not lost when the process ends.
    acs.post_message(&unknown, false).await.unwrap_err();
    simod.terminate().await;
    simod.restart().await;
    assert_eq!(posts(&here, "1c", 13).await["invalid topic"].count, 4);
}
