//! The engines' plans, for review.

use std::fmt::Write as _;

use regex::Regex;
use simo_common::{api::history::SortKey, delivery::Reason, query};

use super::{
    super::{Ask, Cursor, Order, Wanted, scan::Route, wanted::Effort},
    SORTS,
    large::{Large, VALUES},
    sample::{History, NOW},
};
use crate::store::{
    MessageNo,
    db::engine::{self, plans},
};

/// The named queries, which the load tool measures: name, sort, query.
const NAMED: &str = include_str!("../../../../../tests/src/bin/simo-load/history/named.txt");

/// SQLite walks from its index alone, without sorting and without reading all rows of the client.
#[tokio::test]
async fn walks_never_sort() {
    let history = History::new().await;
    if history.store.engine() == engine::Engine::Postgres {
        return; // It has statistics, and needs no named index.
    }
    let query = query::parse("topic:boiler котёл").unwrap();
    let mut conn = history.store.read().await.unwrap();
    let wanted = Wanted::resolve(&mut conn, history.client, &query, NOW, Effort::default()).await.unwrap();
    let person = history.people[0].no;
    let mut plans = String::new();
    for sort in SORTS {
        let order = Order::of(sort.parse().unwrap());
        let cursor = Cursor::at_message(MessageNo(700));
        let mut statements = Vec::new();
        match order.key {
            SortKey::Date => {
                for way in [
                    Route::ByDate,
                    Route::State(5),
                    Route::Reason(Reason::NoDevice),
                    Route::Person(person),
                    Route::Message(MessageNo(700)),
                ] {
                    statements.push(wanted.statement(way, order, None, 10));
                    statements.push(wanted.statement(way, order, Some(&cursor), 10));
                }
                statements.push(wanted.next_messages_statement(order, Some(cursor.message_no), 10));
            }
            SortKey::State => statements.push(wanted.statement(Route::State(5), order, Some(&cursor), 10)),
            SortKey::Employee => statements.push(wanted.statement(Route::ByPerson, order, Some(&cursor), 10)),
        }
        for statement in statements {
            for line in statement.plan(&mut conn).await {
                assert!(!line.contains("TEMP B-TREE"), "{line}");
                assert!(!line.starts_with("SCAN") || line.contains("message_word"), "{line}");
                writeln!(plans, "{sort}: {line}").unwrap();
            }
        }
    }
    insta::assert_snapshot!(plans);
}

/// Each engine's plan for the named queries: its indexes, its sorts, and that it reads no growing table in full.
#[tokio::test]
async fn named_queries_go_by_indexes() {
    let large = Large::new().await;
    let mut shown = String::new();
    for line in NAMED.lines().filter(|line| !line.starts_with('#')) {
        let parts: Vec<&str> = line.split('|').map(str::trim).collect();
        let text = VALUES.iter().fold(parts[2].to_owned(), |text, (gap, value)| text.replace(gap, value));
        let query = query::parse(&text).unwrap();
        let mut ask = Ask {
            client_no: large.client,
            acs_no: None,
            message_id: None,
            query: &query,
            sort: parts[1].parse().unwrap(),
            limit: 50,
            cursor: None,
        };
        let mut next = None;
        let first = plans::watch(Box::pin(async {
            next = large.store.deliveries(&ask).await.unwrap().next;
        }))
        .await;
        writeln!(shown, "\n{}: {text} by {}", parts[0], parts[1]).unwrap();
        show(&mut shown, &first);
        if next.is_some() {
            ask.cursor = next.as_deref();
            let second = plans::watch(Box::pin(async {
                large.store.deliveries(&ask).await.unwrap();
            }))
            .await;
            writeln!(shown, "the next page").unwrap();
            show(&mut shown, &second);
        }
    }
    let whole = Regex::new(r"(?m)Seq Scan on (message|delivery|push|employee)\b|^ *SCAN [dmpe]\b").unwrap();
    assert!(!whole.is_match(&shown), "a table is read whole:\n{shown}");
    let engine = large.store.engine();
    insta::assert_snapshot!(format!("named_queries_{engine:?}").to_lowercase(), shown);
}

/// One statement a paragraph. The final reading of a page's rows is shown once.
fn show(to: &mut String, plans: &[Vec<String>]) {
    for lines in plans {
        let plan = plain(lines);
        let is_known = plan.lines().count() > 5 && to.contains(&plan);
        to.push_str(if is_known { "    (the rows, as above)\n" } else { &plan });
        to.push('\n');
    }
}

/// The reads and sorts of a plan: each line once, without the query's values and the nodes that only pass rows on.
fn plain(lines: &[String]) -> String {
    let value = Regex::new(r"'(?:[^']|'')*'::[a-z]+(\[\])?|\$\d+|\(InitPlan \d+\)\.col\d+").unwrap();
    // Suffixes that tell the parts of a union apart.
    let number = Regex::new(r"_\d+\b|\b(way)\d+\b").unwrap();
    let tells = Regex::new(r"Scan|Sort Key|Hash|Index Cond|SEARCH|SCAN|TEMP").unwrap();
    let mut plan = Vec::new();
    for line in lines.iter().filter(|line| tells.is_match(line)) {
        let line = value.replace_all(line.trim().trim_start_matches("-> ").trim(), "?");
        let line = format!("    {}\n", number.replace_all(&line, "$1"));
        if !plan.contains(&line) {
            plan.push(line);
        }
    }
    plan.concat()
}
