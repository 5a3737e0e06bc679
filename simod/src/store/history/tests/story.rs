//! One message: its counts, and its story for each person.

use simo_common::lang::Lang;
use uuid::Uuid;

use super::{super::Error, sample::History};

#[tokio::test]
async fn the_counts_of_a_message_add_up() {
    let history = History::new().await;
    for row in &history.rows {
        let message = history.store.message(history.client, None, row.message.id).await.unwrap().unwrap();
        let counted: u64 = message.states.iter().map(|count| count.count).sum();
        let of_state = message.states.iter().find(|count| count.state == row.state);
        assert!(of_state.is_some_and(|count| count.count > 0));
        assert_eq!(counted, message.counts.accepted);
    }
}

#[tokio::test]
async fn every_delivery_can_be_explained_in_both_languages() {
    let history = History::new().await;
    for row in &history.rows {
        for lang in [Lang::En, Lang::Ru] {
            let no = &history.people[row.employee].personnel_no;
            let story = history.store.explain(history.client, None, row.message.id, no, lang).await.unwrap();
            assert_eq!(story.delivery.map(|delivery| delivery.state), Some(row.state));
            assert!(story.story.len() >= 2);
        }
    }
    let unknown =
        history.store.explain(history.client, None, history.rows[0].message.id, "nobody", Lang::En).await;
    assert!(matches!(unknown, Err(Error::NotFound { noun: "employee", .. })));
    let missing = history.store.explain(history.client, None, Uuid::nil(), "000", Lang::En).await;
    assert!(matches!(missing, Err(Error::NotFound { noun: "message", .. })));
}
