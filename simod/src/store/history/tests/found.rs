//! Every way through the indexes finds the same rows in the same order as reading all of them.

use std::collections::BTreeMap;

use simo_common::{api::history::Sort, query};
use uuid::Uuid;

use super::{super::wanted::Effort, SORTS, sample::History};
use crate::store::MessageNo;

const QUERIES: [&str; 48] = [
    "",
    "state:failed,expired",
    "-state:read,queued",
    "state:read -state:read",
    "employee:иванов",
    "employee:003",
    "employee:ел,smith",
    "-employee:иванов",
    "employee:ol%",
    "group:smena-a",
    "group:smena-a group:office",
    "group:office",
    "-group:office",
    "group-now:office",
    "-group-now:office",
    "group:office -group-now:office",
    "-group:smena-b,office",
    "group:nowhere",
    "-group:nowhere",
    "acs:1c",
    "acs:operator",
    "-acs:operator",
    "-acs:1c",
    "acs:1c,operator",
    "topic:boiler",
    "topic:boiler,it -topic:it",
    "-topic:payroll",
    "device:телефон",
    "device:004 state:sent",
    "-device:002",
    "priority:>=high",
    "-priority:critical ack:yes",
    "after:-3d before:-1d",
    "date:yesterday",
    "-date:today state:failed",
    "external:X-1,X-2,X-3,X-4,X-5",
    "reason:dead_address",
    "-reason:no_device -reason:canceled",
    "-reason:dead_address",
    "котёл",
    "насос -давление",
    "-насос",
    "\"точная фраза\"",
    "\"фраза точная\"",
    "\"3 pump\"",
    "\"hot точная\"*",
    "бой* котл* boiler",
    "state:queued topic:boiler acs:scada-2 priority:<=high котлы",
];

#[tokio::test]
async fn every_query_and_sort_finds_what_a_plain_reading_finds() {
    let history = History::new().await;
    let mut found = 0;
    for text in QUERIES {
        for sort in SORTS {
            let sort: Sort = sort.parse().unwrap();
            let plainly = history.plainly(text, sort);
            found += plainly.len();
            assert_eq!(history.paged(text, sort, 37).await, plainly, "`{text}` by {sort}, page by page");
            for (messages, probes, deliveries, people, listed) in
                [(0, 0, 0, 0, 0), (0, 0, 0, 300, 1), (5_000, 0, 0, 2, 1_000), (5_000, 500, 5_000, 300, 1_000)]
            {
                let effort = Effort { messages, probes, deliveries, combined: deliveries, people, listed };
                let rows = history.with_effort(text, sort, effort).await;
                assert_eq!(rows, plainly, "`{text}` by {sort} with {effort:?}");
            }
        }
    }
    assert!(found > 9_000, "the queries hardly find anything: {found}");
}

#[tokio::test]
async fn messages_are_found_by_what_holds_for_one_of_their_deliveries() {
    let history = History::new().await;
    let id = history.rows[0].message.id;
    let without = [format!("-message:{id}"), format!("-message:{id} -priority:high")];
    for text in QUERIES.into_iter().chain(without.iter().map(String::as_str)) {
        let query = query::parse(text).unwrap();
        let expected: BTreeMap<MessageNo, Uuid> = history
            .rows
            .iter()
            .filter(|row| history.holds(&query, row))
            .map(|row| (row.message.no, row.message.id))
            .collect();
        let found = history.messages(text, None).await;
        let found: Vec<Uuid> = found.iter().map(|message| message.id).collect();
        assert_eq!(found, expected.into_values().rev().collect::<Vec<_>>(), "`{text}`");
    }
}
