//! Shared counts, and refused attempts.

use simo_common::{
    api::{
        access::ClientSpec,
        audit::{RefusedAttempts, RefusedPost},
    },
    time::{DAY, from_us},
};

use super::{super::fixture::NOON, Find, Fixture, HOUR, Listing, Poster};
use crate::store::{ClientNo, Counted, Refused, RefusedKey, RefusedPosts};

const MINUTE: i64 = NOON / 60_000_000;

fn counted(key: &str, minute: i64, count: u64) -> Counted {
    Counted { key: key.to_owned(), minute, count }
}

#[tokio::test]
async fn counts_are_summed_up_and_forgotten_when_their_minute_is_over() {
    let f = Fixture::new().await;
    let first = [counted("b", MINUTE, 2), counted("a", MINUTE, 1)];
    f.store.share_counts(&first).await.unwrap();
    let mut all = f.store.share_counts(&first).await.unwrap();
    all.sort_by(|a, b| a.key.cmp(&b.key));
    assert_eq!(all, [counted("a", MINUTE, 2), counted("b", MINUTE, 4)]);
    let next = f.store.share_counts(&[counted("a", MINUTE + 3, 1)]).await.unwrap();
    assert_eq!(next, [counted("a", MINUTE + 3, 1)]);
    f.clock.set((MINUTE + 3) * 60_000_000);
    f.store.forget_counts().await.unwrap();
    assert_eq!(f.rows("select key from attempt").await, ["a"]);
}

fn refused(client_no: Option<ClientNo>, address: &str, at: i64) -> Refused {
    Refused {
        client_no,
        address: address.to_owned(),
        reason: "revoked".to_owned(),
        count: 2,
        first_at: at,
        last_at: at + 1,
    }
}

/// All rows of the list, page by page.
async fn list(f: &Fixture, within: Option<ClientNo>, acs: Option<&str>, find: &str) -> Vec<RefusedAttempts> {
    let mut found = Vec::new();
    let mut listing: Listing<RefusedKey> =
        Listing { find: Find::new(find), limit: 1, after: None, archived: false };
    loop {
        let page = f.store.refused(within, acs, &listing).await.unwrap();
        found.extend(page.items);
        listing.after = page.next;
        if listing.after.is_none() {
            return found;
        }
    }
}

fn token(f: &Fixture) -> [u8; 32] {
    match f.incoming("").poster {
        Poster::Token(hash) => hash,
        other @ Poster::Operator { .. } => panic!("{other:?}"),
    }
}

fn posts(token: [u8; 32], field: &'static str, at: i64, count: u64) -> RefusedPosts {
    let post = |number: u64| RefusedPost {
        at: from_us(at + number as i64),
        title: format!("Давление {number}"),
        external_id: Some(format!("alarm-{number}")),
    };
    RefusedPosts {
        token,
        hour: at / HOUR,
        code: "invalid",
        field,
        count,
        first_at: at,
        last_at: at + count as i64 - 1,
        newest: (count.saturating_sub(20)..count).map(post).collect(),
    }
}

#[tokio::test]
async fn refused_posts_are_one_row_of_token_hour_code_and_field_with_the_newest_titles() {
    let f = Fixture::new().await;
    let (mine, token) = (Some(f.client_no), token(&f));
    let keep = async |posts: &[RefusedPosts]| f.store.keep_refused_posts(posts).await.unwrap();
    keep(&[]).await;
    keep(&[posts([9; 32], "title", NOON, 5)]).await;
    assert!(list(&f, None, None, "").await.is_empty(), "nobody has that token");

    // Posts that another instance saw earlier come after it.
    keep(&[posts(token, "title", NOON + 100, 10_000)]).await;
    keep(&[posts(token, "title", NOON, 15), posts(token, "topic", NOON, 1), posts([9; 32], "ttl", NOON, 5)])
        .await;
    keep(&[
        posts(token, "title", NOON + HOUR, 3),
        RefusedPosts { newest: Vec::new(), ..posts(token, "", NOON, 2) },
    ])
    .await;
    f.store
        .keep_refused(&[refused(mine, "192.0.2.1", NOON), refused(None, "192.0.2.2", NOON)])
        .await
        .unwrap();

    let told = |rows: &[RefusedAttempts]| -> Vec<String> {
        let told = rows.iter().map(|row| {
            let of = row.acs.as_deref().unwrap_or(&row.address);
            format!("{of} {} {}", row.field.as_deref().unwrap_or("-"), row.count)
        });
        told.collect()
    };
    let own = list(&f, mine, None, "").await;
    assert_eq!(
        told(&own),
        ["1c title 3", "192.0.2.1 - 2", "1c topic 1", "1c title 10015", "1c - 2"],
        "page by page, each once"
    );
    let flood = &own[3];
    assert_eq!((flood.client.as_deref(), flood.reason.as_str()), (Some("zavod"), "invalid"));
    assert_eq!((flood.first_at, flood.last_at), (from_us(NOON), from_us(NOON + 10_099)));
    assert_eq!((flood.newest.len(), &*flood.newest[0].title), (20, "Давление 9999"));
    assert_eq!(flood.newest[19].external_id.as_deref(), Some("alarm-9980"));
    assert!(own[4].newest.is_empty());
    assert_eq!(list(&f, None, None, "").await.len(), 6);
    assert_eq!(told(&list(&f, mine, Some("1c"), "").await).len(), 4);
    assert!(list(&f, mine, Some("scada"), "").await.is_empty());
    assert_eq!(told(&list(&f, None, None, "давление 9999").await), ["1c title 10015"]);
    assert!(list(&f, Some(ClientNo(99)), None, "").await.is_empty(), "another client");
}

#[tokio::test]
async fn refused_posts_are_forgotten_after_thirty_days_or_with_their_clients_history() {
    let f = Fixture::new().await;
    let keep = async |at: i64| {
        f.store.keep_refused_posts(&[posts(token(&f), "title", at, 1)]).await.unwrap();
    };
    let left = async || list(&f, None, None, "").await.len();
    keep(NOON).await;
    keep(NOON + 25 * DAY).await;
    f.clock.set(NOON + 30 * DAY);
    while f.store.forget_old().await.unwrap() {}
    assert_eq!(left().await, 2);
    f.clock.set(NOON + 30 * DAY + HOUR);
    while f.store.forget_old().await.unwrap() {}
    assert_eq!(left().await, 1);
    let days = |days| ClientSpec { retention_days: Some(days), ..ClientSpec::default() };
    f.store.edit_client("zavod", &days(10)).await.unwrap();
    while f.store.forget_old().await.unwrap() {}
    assert_eq!(left().await, 1);
    f.store.edit_client("zavod", &days(5)).await.unwrap();
    while f.store.forget_old().await.unwrap() {}
    assert_eq!(left().await, 0);
}

#[tokio::test]
async fn refused_attempts_are_one_row_an_hour_and_are_listed_page_by_page() {
    let f = Fixture::new().await;
    let mine = Some(f.client_no);
    let rows = [
        refused(mine, "192.0.2.1", NOON),
        refused(None, "192.0.2.2", NOON),
        refused(mine, "192.0.2.1", NOON + HOUR),
    ];
    f.store.keep_refused(&rows).await.unwrap();
    f.store.keep_refused(&rows[..1]).await.unwrap();
    let list = async |within| list(&f, within, None, "").await;
    let all = list(None).await;
    assert_eq!(all.len(), 3);
    assert_eq!(all[0].first_at.as_microsecond(), NOON + HOUR);
    let own = list(mine).await;
    assert_eq!(own.iter().map(|row| row.count).collect::<Vec<_>>(), [2, 4]);
    assert!(own.iter().all(|row| row.client.is_some()));

    f.clock.set(NOON + 90 * 24 * HOUR + HOUR + 1);
    while f.store.forget_old().await.unwrap() {}
    assert_eq!(list(None).await.len(), 1, "only the last hour is in its 90 days");
}

#[tokio::test]
async fn it_is_known_why_a_token_was_refused() {
    use crate::store::{TokenFor, TokenTerms};
    use simo_common::token;
    let f = Fixture::new().await;
    let issue = async |expires_at| {
        let terms = TokenTerms { expires_at, ..TokenTerms::default() };
        let holder = TokenFor::Acs { client_no: f.client_no, name: "1c" };
        f.store.issue_token(holder, &terms).await.unwrap()
    };
    let (revoked, expiring) = (issue(None).await, issue(Some(NOON + 1)).await);
    f.store.revoke_token(None, revoked.id).await.unwrap();
    f.clock.set(NOON + HOUR);
    let fate = async |token: &str| {
        let known = f.store.refused_token(&token::hash(token)).await.unwrap();
        known.map(|known| {
            assert_eq!(known.client_no, Some(f.client_no));
            known.fate
        })
    };
    assert_eq!(fate(&revoked.token).await, Some("revoked"));
    assert_eq!(fate(&expiring.token).await, Some("expired"));
    assert_eq!(fate("simo_acs_of_nobody").await, None);
}
