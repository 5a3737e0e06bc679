//! How the engines go about it: plans, for review.

use std::fmt::Write as _;

use simo_common::{api::history::SortKey, query};
use uuid::Uuid;

use super::{
    super::{Cursor, Order, Wanted, scan::Way, wanted::Effort},
    SORTS,
    sample::{History, NOW},
};
use crate::store::engine;

/// How SQLite goes about a walk: from its index alone, without sorting and without reading all rows of the client.
#[tokio::test]
async fn walks_never_sort() {
    let history = History::new().await;
    if history.store.engine() == engine::Engine::Postgres {
        return; // It has statistics, and is not told its way.
    }
    let query = query::parse("topic:boiler котёл").unwrap();
    let mut conn = history.store.read().await.unwrap();
    let wanted = Wanted::resolve(&mut conn, history.client, &query, NOW, Effort::default())
        .await
        .unwrap();
    let person = history.people[0].id;
    let mut plans = String::new();
    for sort in SORTS {
        let order = Order::of(sort.parse().unwrap());
        let cursor = Cursor::at_message(NOW, Uuid::nil());
        let mut statements = Vec::new();
        match order.key {
            SortKey::Date => {
                for way in [
                    Way::ByDate,
                    Way::State(5),
                    Way::Reason("no_device"),
                    Way::Person(person),
                    Way::Message(NOW, person),
                ] {
                    statements.push(wanted.statement(way, order, None, 10));
                    statements.push(wanted.statement(way, order, Some(&cursor), 10));
                }
                statements.push(wanted.next_messages_statement(order, Some(&cursor), 10));
            }
            SortKey::State => statements.push(wanted.statement(Way::State(5), order, Some(&cursor), 10)),
            SortKey::Employee => statements.push(wanted.statement(Way::ByPerson, order, Some(&cursor), 10)),
        }
        for statement in statements {
            for line in statement.plan(&mut conn).await {
                assert!(!line.contains("TEMP B-TREE"), "{line}");
                assert!(
                    !line.starts_with("SCAN") || line.contains("message_word"),
                    "{line}"
                );
                writeln!(plans, "{sort}: {line}").unwrap();
            }
        }
    }
    insta::assert_snapshot!(plans);
}
