//! What was refused is kept, summed up.

use simo_common::{
    api::{
        access::{NewOperator, NewToken},
        audit::RefusedAttempts,
    },
    client::{Client, ListQuery},
    people::Role,
    token::{self, TokenKind},
};
use simo_tests::{Plant, Simod, eventually, plant::to_employees};

async fn refused(who: &Client, reason: &str, at_least: u64) -> RefusedAttempts {
    eventually(&format!("{reason} is kept {at_least} times"), || async {
        let all = who.refused_attempts(&ListQuery::default()).await.unwrap().items;
        let count: u64 = all.iter().filter(|row| row.reason == reason).map(|row| row.count).sum();
        let mut rows = all.into_iter().filter(|row| row.reason == reason);
        (count >= at_least).then(|| rows.next().unwrap())
    })
    .await
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

    let admin = async |plant: &Plant, name: &str| {
        let operator = NewOperator { name: name.to_owned(), role: Role::Admin };
        plant.admin.add_operator(&operator).await.unwrap();
        let token = NewToken { operator: Some(name.to_owned()), ..NewToken::default() };
        simod.caller(&plant.admin.issue_token(&token).await.unwrap().token)
    };
    let (here, there) = (admin(&mine, "ivanov").await, admin(&theirs, "petrov").await);
    let row = refused(&here, "revoked", 5).await;
    assert_eq!((row.client.as_deref(), row.address.as_str()), (Some("zavod"), "127.0.0.1"));
    assert!(row.first_at <= row.last_at);
    refused(&here, "forbidden", 1).await;
    let owner = simod.owner();
    assert_eq!(refused(&owner, "unknown_token", 5).await.client, None);
    refused(&owner, "no_token", 5).await;
    let all = owner.refused_attempts(&ListQuery::default()).await.unwrap().items;
    // An hour may have ended in between.
    assert!(all.len() <= 8, "{all:?}");

    let others = there.refused_attempts(&ListQuery::default()).await.unwrap().items;
    assert!(others.is_empty(), "{others:?}");
    let strangers = here.refused_attempts(&ListQuery::default()).await.unwrap().items;
    assert!(strangers.iter().all(|row| row.client.is_some()), "{strangers:?}");
}
