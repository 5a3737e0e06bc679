//! Rows left out of a page: later ones, foreign cursors, other systems' messages.

use std::sync::Arc;

use simo_common::{api::history::Sort, id, query::Query};

use super::{
    super::{Ask, Error},
    sample::{ACS, Dice, HOUR, History, NOW, Posted, insert_delivery, insert_message},
};
use crate::store::{ClientNo, MessageNo};

#[tokio::test]
async fn what_was_accepted_after_the_first_page_stays_out_of_the_next() {
    let history = History::new().await;
    let (query, sort) = (Query::default(), "state".parse().unwrap());
    let first = history.store.deliveries(&history.ask(&query, sort, 5, None)).await.unwrap();
    let mut dice = Dice(99);
    let mut tx = history.store.write().await.unwrap();
    let message = Arc::new(Posted {
        no: MessageNo(5_000),
        id: id::new(NOW + HOUR),
        accepted_at: NOW + HOUR,
        acs: None,
        topic: None,
        title: "Новое".to_owned(),
        body: String::new(),
        priority: 1,
        ack: false,
        external: None,
    });
    insert_message(&mut tx, history.client, &message, &[], &[], 1).await;
    insert_delivery(&mut tx, history.client, &message, 0, &history.people[0], &mut dice).await;
    tx.commit().await.unwrap();
    history.store.clock().set(NOW + 2 * HOUR);
    let mut cursor = first.next;
    while let Some(text) = cursor {
        let page = history.store.deliveries(&history.ask(&query, sort, 100, Some(&text))).await.unwrap();
        assert!(page.items.iter().all(|row| row.message_id != message.id));
        cursor = page.next;
    }
    let again = history.store.deliveries(&history.ask(&query, Sort::default(), 1, None)).await.unwrap();
    assert_eq!(again.items[0].message_id, message.id);
}

#[tokio::test]
async fn a_foreign_cursor_is_refused() {
    let history = History::new().await;
    let query = Query::default();
    let page = history.store.deliveries(&history.ask(&query, Sort::default(), 5, None)).await.unwrap();
    let next = page.next.unwrap();
    for (sort, cursor) in [("state", next.as_str()), ("-date", "AAAA"), ("-date", "")] {
        let ask = history.ask(&query, sort.parse().unwrap(), 5, Some(cursor));
        let error = history.store.deliveries(&ask).await.unwrap_err();
        assert!(matches!(error, Error::Invalid(fields) if fields[0].0 == "cursor"));
    }
}

#[tokio::test]
async fn an_acs_sees_its_own_messages_only() {
    let history = History::new().await;
    let acs_no = Some(history.acs[0]);
    for row in &history.rows {
        let id = row.message.id;
        let seen = history.store.message(history.client, acs_no, id).await.unwrap();
        assert_eq!(seen.is_some(), row.message.acs == Some(0));
        assert!(history.store.message(ClientNo::NONE, None, id).await.unwrap().is_none());
    }
    let query = Query::default();
    let ask = Ask { acs_no, ..history.ask(&query, Sort::default(), 1_000, None) };
    let rows = history.store.deliveries(&ask).await.unwrap().items;
    assert!(!rows.is_empty() && rows.iter().all(|row| row.acs == ACS[0]));
}

#[tokio::test]
async fn messages_that_wait_stand_among_the_others_by_date() {
    let history = History::new().await;
    let mut tx = history.store.write().await.unwrap();
    let mut waiting = Vec::new();
    for (no, hours, body) in [(-5, 300, "Турбина"), (-6, 30, "Турбина"), (-8, 10, "Баржа")]
    {
        let accepted_at = NOW - hours * HOUR - 1;
        let message = Posted {
            no: MessageNo(no),
            id: id::new(accepted_at),
            accepted_at,
            acs: None,
            topic: None,
            title: "Ждёт".to_owned(),
            body: body.to_owned(),
            priority: 1,
            ack: false,
            external: Some(format!("W{no}")),
        };
        insert_message(&mut tx, history.client, &message, &[], &[], 0).await;
        waiting.push(message.id);
    }
    tx.run("update message set canceled_at = 1 where no = -6").await.unwrap();
    tx.commit().await.unwrap();
    let ids = async |text: &str, external_id: Option<&str>| {
        let found = history.messages(text, external_id).await;
        found.iter().map(|message| message.id).collect::<Vec<_>>()
    };
    let all = history.messages("", None).await;
    let place = |id| all.iter().position(|message| message.id == id).unwrap();
    assert_eq!((all.len(), place(waiting[0])), (43, 42));
    for id in [waiting[1], waiting[2]] {
        assert!(all[place(id) - 3..=place(id) + 3].is_sorted_by(|a, b| a.accepted_at >= b.accepted_at));
    }
    assert_eq!(all.iter().filter(|message| message.scheduled).count(), 2);
    assert_eq!(ids("турбины", None).await, [waiting[1], waiting[0]]);
    assert_eq!(ids("турбина -баржа date:yesterday", None).await, [waiting[1]]);
    assert_eq!(ids("", Some("W-8")).await, [waiting[2]]);
    assert_eq!(ids(&format!("message:{}", waiting[0]), None).await, [waiting[0]]);
    assert!(ids("employee:00 ждёт", None).await.is_empty());
}
