//! A clock that was wrong: what is believed of it, what is stored, and what it must not cause.

use simo_common::{
    api::history::Explanation,
    lang::Lang,
    query,
    time::{DAY, SECOND},
};
use uuid::Uuid;

use super::{
    super::{
        super::{AskMessages, AuditFilter, Find, Finished, Listing, PushResult, SERVER, Store},
        fixture::{Fixture, HOUR, NOON},
    },
    claim_all, deliveries, finished, post, states,
};
use crate::clock::Clock;

/// Sets a clock that can be wrong to `at`.
fn set(store: &Store, at: i64) {
    store.clock().begin(at - store.clock().uncorrected());
}

/// A store whose clock is ahead by this much.
async fn ahead(by: i64) -> Fixture {
    let f = Fixture::by(Clock::System).await;
    set(&f.store, f.store.clock().now() + by);
    f
}

/// The stored steps, in seconds, the newest first.
async fn steps(f: &Fixture) -> Vec<i64> {
    f.store.clock_state().await.unwrap().steps.iter().map(|step| step.seconds).collect()
}

async fn story(f: &Fixture, id: Uuid) -> String {
    let explained = f.store.explain(f.client_no, None, id, "1", Lang::En).await;
    let Explanation { story, .. } = explained.unwrap();
    story.into_iter().map(|line| line.text + "\n").collect()
}

async fn messages(f: &Fixture, text: &str) -> Vec<String> {
    let query = query::parse(text).unwrap();
    let ask = AskMessages {
        client_no: f.client_no,
        acs_no: None,
        external_id: None,
        query: &query,
        limit: 10,
        cursor: None,
    };
    f.store.messages(&ask).await.unwrap().items.into_iter().map(|message| message.title).collect()
}

#[tokio::test]
async fn a_clock_that_was_ahead_is_put_right_and_explained() {
    let f = ahead(2 * HOUR).await;
    let then = post(&f, f.personal("then", &["1"])).await;
    f.store.follow_clock().await.unwrap();
    assert_eq!(steps(&f).await, [-7_200]);
    let now = post(&f, f.personal("now", &["1"])).await;
    assert!(story(&f, then).await.contains("accepted while the clock was 7200 s ahead: really at "));
    assert!(story(&f, now).await.contains("shortly before, the clock was set back by 7200 s"));
    assert!(f.store.clock_jump().is_none(), "what is set back expires nothing early");
    f.store.follow_clock().await.unwrap();
    assert_eq!(steps(&f).await, [-7_200], "a right clock is not set");
}

#[tokio::test]
async fn a_message_far_from_any_step_has_no_word_of_it() {
    let f = ahead(0).await;
    let before = post(&f, f.personal("before", &["1"])).await;
    set(&f.store, f.store.clock().now() + DAY);
    let then = post(&f, f.personal("then", &["1"])).await;
    f.store.follow_clock().await.unwrap();
    assert!(!story(&f, before).await.contains("clock"));
    assert!(story(&f, then).await.contains("86400 s ahead"));
}

#[tokio::test]
async fn what_was_accepted_while_the_clock_was_ahead_for_longer_than_it_was_ahead_is_explained() {
    let f = ahead(-2 * HOUR).await;
    let before = post(&f, f.personal("before", &["1"])).await;
    // Ahead by the server or the machine, as far as the store knows.
    f.store.follow_clock().await.unwrap();
    let then = post(&f, f.personal("then", &["1"])).await;
    set(&f.store, f.store.clock().now() + 9 * HOUR);
    f.store.follow_clock().await.unwrap();
    assert_eq!(steps(&f).await, [-32_400, 7_200]);
    assert!(!story(&f, before).await.contains("clock"));
    assert!(story(&f, then).await.contains("while the clock was 32400 s ahead"));
}

#[tokio::test]
async fn a_jump_ahead_ends_and_forgets_nothing_until_it_is_accepted() {
    let f = ahead(-5 * DAY).await;
    let mut keyed = f.personal("a", &["1"]);
    keyed.idempotency_key = Some("k".to_owned());
    keyed.draft.fingerprint = Some(1);
    post(&f, keyed).await;
    let claimed = claim_all(&f).await;
    let retry = PushResult::Retry { due_at: 0, answer: "503".to_owned(), counts: true };
    f.store.finish(&[finished(&claimed[0], retry)]).await.unwrap();
    f.store.follow_clock().await.unwrap();
    assert_eq!(steps(&f).await, [432_000]);
    let jump = f.store.clock_jump().unwrap();
    assert!(jump.detail.starts_with("the clock was set 432000 s ahead; expiry rests until "), "{jump:?}");
    f.store.settle_clock().await.unwrap();
    assert!(f.store.clock_jump().is_some(), "it is not settled by being looked at");

    assert_eq!(f.store.expire_deliveries().await.unwrap(), 0);
    f.store.forget_old().await.unwrap();
    assert_eq!(f.rows("select count(*) from idempotency").await, ["1"]);
    let claimed = claim_all(&f).await;
    assert_eq!((claimed.len(), claimed[0].skip), (1, None), "it is still sent");
    let retry = PushResult::Retry { due_at: 0, answer: "503".to_owned(), counts: true };
    f.store.finish(&[finished(&claimed[0], retry)]).await.unwrap();

    let state = f.store.accept_clock().await.unwrap();
    assert_eq!(state.jump, None);
    f.store.accept_clock().await.unwrap();
    let all = Listing { find: Find::new(""), limit: 9, after: None, archived: false };
    let audit = f.store.audit(SERVER, &AuditFilter::default(), &all).await.unwrap();
    let actions: Vec<String> = audit.items.into_iter().map(|entry| entry.action).collect();
    assert_eq!(actions, ["clock.accept"]);
    assert_eq!(f.store.expire_deliveries().await.unwrap(), 1);
    assert_eq!(states(&f).await, ["1 expired expired"]);
    f.store.forget_old().await.unwrap();
    assert_eq!(f.rows("select count(*) from idempotency").await, ["0"]);
}

#[tokio::test]
async fn a_jump_that_another_instance_accepts_is_accepted_here() {
    let f = ahead(-HOUR).await;
    f.store.follow_clock().await.unwrap();
    assert!(f.store.clock_jump().is_some());
    f.execute("update clock_step set settled_at = at").await;
    f.store.settle_clock().await.unwrap();
    assert!(f.store.clock_jump().is_none());
}

#[tokio::test]
async fn a_start_is_judged_by_the_newest_time_that_is_stored() {
    let minute = 60 * SECOND;
    // How far the clock is past the newest message; the stored step; how far ahead it is taken to be.
    for (past, kept, jump) in [
        (HOUR, None, None),
        (-minute / 2, None, None),
        (-2 * minute, Some(-120), None),
        (25 * HOUR, Some(90_000), Some(90_000)),
    ] {
        let f = ahead(0).await;
        f.store.start_clock().await.unwrap();
        assert_eq!(steps(&f).await, [0_i64; 0], "nothing is stored yet");
        post(&f, f.personal("a", &["1"])).await;
        let newest: i64 = f.rows("select max(accepted_at) from message").await[0].parse().unwrap();
        for _ in 0..2 {
            // The second start finds the step that the first has stored.
            set(&f.store, newest + past);
            f.store.start_clock().await.unwrap();
            assert_eq!(steps(&f).await, kept.into_iter().collect::<Vec<i64>>(), "{past}");
            assert_eq!(f.store.clock_jump().map(|jump| jump.ahead_seconds), jump, "{past}");
        }
    }
}

/// As when the disk is full.
#[tokio::test]
async fn a_start_that_cannot_be_kept_is_not_believed_meanwhile() {
    let f = ahead(0).await;
    post(&f, f.personal("a", &["1"])).await;
    set(&f.store, f.store.clock().now() - HOUR);
    f.store.follow_clock().await.unwrap();
    assert_eq!(steps(&f).await, [3_600]);
    f.store.accept_clock().await.unwrap();
    f.execute("create unique index one on clock_step ((no * 0))").await;
    set(&f.store, f.store.clock().now() + 2 * DAY);
    f.store.start_clock().await.unwrap_err();
    f.store.follow_clock().await.unwrap_err();
    assert_eq!(f.store.clock_jump().unwrap().ahead_seconds / 60, 2 * 24 * 60);
    f.execute("drop index one").await;
    // The machine's clock is right: it is followed back once the start is stored.
    f.store.follow_clock().await.unwrap();
    assert_eq!(steps(&f).await.len(), 3);
}

#[tokio::test]
async fn what_waits_is_due_when_the_clock_is_set_back() {
    let f = Fixture::new().await;
    post(&f, f.personal("waits rightly", &["3"])).await;
    let claimed = claim_all(&f).await;
    let retry = |due_at| PushResult::Retry { due_at, answer: "503".to_owned(), counts: true };
    f.store.finish(&[finished(&claimed[0], retry(NOON + HOUR))]).await.unwrap();
    f.clock.set(NOON + 2 * HOUR - SECOND);
    post(&f, f.personal("tried", &["1"])).await;
    let claimed = claim_all(&f).await;
    assert_eq!(claimed.len(), 2);
    let results: Vec<_> = claimed
        .iter()
        .filter(|push| push.title == "tried")
        .map(|push| Finished { at: NOON + 2 * HOUR, ..finished(push, retry(NOON + 2 * HOUR + 10 * SECOND)) })
        .collect();
    f.store.finish(&results).await.unwrap();
    let waits: Vec<_> = claimed
        .iter()
        .filter(|push| push.title != "tried")
        .map(|push| Finished { at: NOON, ..finished(push, retry(NOON + HOUR)) })
        .collect();
    f.store.finish(&waits).await.unwrap();
    post(&f, f.personal("untried", &["2"])).await;

    f.clock.set(NOON + 60 * SECOND);
    let mut titles: Vec<String> = claim_all(&f).await.into_iter().map(|push| push.title).collect();
    titles.sort();
    assert_eq!(titles, ["tried", "untried"]);
    assert!(claim_all(&f).await.is_empty(), "what is claimed is claimed");
}

#[tokio::test]
async fn history_shows_what_was_accepted_in_the_future() {
    let f = Fixture::new().await;
    f.clock.set(NOON + 2 * HOUR);
    post(&f, f.personal("Давление", &["1"])).await;
    f.clock.set(NOON);
    for text in ["", "давление", "state:queued", "after:today"] {
        assert_eq!(messages(&f, text).await, ["Давление"], "{text}");
        assert_eq!(deliveries(&f, text).await.len(), 1, "{text}");
    }
    assert!(messages(&f, "before:today").await.is_empty());
}
