//! What is counted together, and what was refused.

use uuid::Uuid;

use super::{super::fixture::NOON, Find, Fixture, HOUR, Listing};
use crate::store::{Counted, Refused, RefusedKey};

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

fn refused(client_id: Option<Uuid>, address: &str, at: i64) -> Refused {
    Refused {
        client_id,
        address: address.to_owned(),
        reason: "revoked".to_owned(),
        count: 2,
        first_at: at,
        last_at: at + 1,
    }
}

#[tokio::test]
async fn refused_attempts_are_one_row_an_hour_and_are_listed_page_by_page() {
    let f = Fixture::new().await;
    let mine = Some(f.client_id);
    let rows = [
        refused(mine, "192.0.2.1", NOON),
        refused(None, "192.0.2.2", NOON),
        refused(mine, "192.0.2.1", NOON + HOUR),
    ];
    f.store.keep_refused(&rows).await.unwrap();
    f.store.keep_refused(&rows[..1]).await.unwrap();
    let list = async |within| {
        let mut found = Vec::new();
        let mut listing: Listing<RefusedKey> =
            Listing { find: Find::default(), limit: 1, after: None, archived: false };
        loop {
            let page = f.store.refused(within, &listing).await.unwrap();
            found.extend(page.items);
            listing.after = page.next;
            if listing.after.is_none() {
                return found;
            }
        }
    };
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
        let holder = TokenFor::Acs { client_id: f.client_id, name: "1c" };
        f.store.issue_token(holder, &terms).await.unwrap()
    };
    let (revoked, expiring) = (issue(None).await, issue(Some(NOON + 1)).await);
    f.store.revoke_token(None, revoked.id).await.unwrap();
    f.clock.set(NOON + HOUR);
    let fate = async |token: &str| {
        let known = f.store.refused_token(&token::hash(token)).await.unwrap();
        known.map(|known| {
            assert_eq!(known.client_id, Some(f.client_id));
            known.fate
        })
    };
    assert_eq!(fate(&revoked.token).await, Some("revoked"));
    assert_eq!(fate(&expiring.token).await, Some("expired"));
    assert_eq!(fate("simo_acs_of_nobody").await, None);
}
