//! Reading back: messages, deliveries, words, and the story of one delivery.

use simo_common::{
    api::{device::Receipt, history::Sort},
    lang::Lang,
    query,
    receipt::ReceiptKind,
    time::{MILLISECOND, from_us},
};
use uuid::Uuid;

use super::{
    super::fixture::NOON, Ask, Fixture, HOUR, acs_no, deliveries, invalid, is_missing, messages::story, pair,
    post, send_all,
};
use crate::store::{AcsNo, AskMessages, Reported, db::engine::Engine};

/// Three messages to two people, a millisecond apart.
async fn three(f: &Fixture) -> Vec<Uuid> {
    let mut ids = Vec::new();
    for (title, external_id) in [("Давление растёт", "X-1"), ("Насос стоит", "X-2"), ("Отбой", "X-3")]
    {
        f.clock.set(f.clock.now() + MILLISECOND);
        let mut incoming = f.personal(title, &["1", "2"]);
        incoming.draft.external_id = Some(external_id.to_owned());
        incoming.draft.fingerprint = Some(1);
        ids.push(post(f, incoming).await);
    }
    ids
}

/// The titles of the messages found, one a page.
async fn titles(f: &Fixture, acs_no: Option<AcsNo>, external_id: Option<&str>, text: &str) -> Vec<String> {
    let (mut titles, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let ask = AskMessages {
            client_no: f.client_no,
            acs_no,
            external_id,
            query: &query::parse(text).unwrap(),
            limit: 1,
            cursor: cursor.as_deref(),
        };
        let page = f.store.messages(&ask).await.unwrap();
        titles.extend(page.items.into_iter().map(|message| message.title));
        cursor = page.next;
        if cursor.is_none() {
            return titles;
        }
    }
}

#[tokio::test]
async fn messages_are_found_by_words_by_their_sender_and_by_his_own_id() {
    let f = Fixture::new().await;
    let ids = three(&f).await;
    assert_eq!(titles(&f, None, None, "").await, ["Отбой", "Насос стоит", "Давление растёт"]);
    assert_eq!(titles(&f, None, None, "давления").await, ["Давление растёт"], "in another form");
    assert_eq!(titles(&f, None, Some("X-2"), "").await, ["Насос стоит"]);
    assert_eq!(titles(&f, Some(acs_no(&f).await), None, "employee:2").await.len(), 3);
    assert!(titles(&f, Some(AcsNo(99)), None, "").await.is_empty());

    send_all(&f).await;
    let message = f.store.message(f.client_no, None, ids[0]).await.unwrap().unwrap();
    assert_eq!(
        (&*message.client, &*message.acs, message.external_id.as_deref()),
        ("zavod", "1c", Some("X-1"))
    );
    assert_eq!(
        (message.accepted_at, message.expires_at),
        (from_us(NOON + MILLISECOND), from_us(NOON + MILLISECOND + 2 * HOUR))
    );
    let states: Vec<_> =
        message.states.iter().map(|counted| (counted.state.as_str(), counted.count)).collect();
    assert_eq!((states, message.counts.accepted), (vec![("sent", 2)], 2));
    for (acs, id) in [(Some(AcsNo(99)), ids[0]), (None, Uuid::nil())] {
        assert_eq!(f.store.message(f.client_no, acs, id).await.unwrap(), None);
    }
}

#[tokio::test]
async fn words_are_indexed_oldest_first_and_once() {
    let f = Fixture::new().await;
    three(&f).await;
    let indexed = async || f.rows("select count(*) from message_word").await[0].clone();
    assert_eq!(f.store.index_words(2).await.unwrap(), 2);
    assert_eq!(indexed().await, "2");
    assert_eq!(f.store.index_words(2).await.unwrap(), 1);
    assert_eq!(f.store.index_words(2).await.unwrap(), 0);
    assert_eq!(indexed().await, "3");
}

#[tokio::test]
async fn deliveries_are_paged_in_every_order_and_narrowed_by_a_query() {
    let f = Fixture::new().await;
    let ids = three(&f).await;
    send_all(&f).await;
    f.store.block_employee(f.client_no, "2").await.unwrap();
    let last = post(&f, f.personal("Последнее", &["1", "2"])).await;
    let read = async |sort: &str, message_id, text: &str| {
        let query = query::parse(text).unwrap();
        let (mut rows, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let ask = Ask {
                client_no: f.client_no,
                acs_no: None,
                message_id,
                query: &query,
                sort: sort.parse::<Sort>().unwrap(),
                limit: 3,
                cursor: cursor.as_deref(),
            };
            let page = f.store.deliveries(&ask).await.unwrap();
            assert!(page.items.len() <= 3);
            rows.extend(page.items);
            cursor = page.next;
            if cursor.is_none() {
                return rows;
            }
        }
    };
    let dates: Vec<_> = read("date", None, "").await.iter().map(|row| row.accepted_at).collect();
    assert_eq!(dates.len(), 8);
    assert!(dates.is_sorted());
    let people = read("-employee", None, "").await;
    let people: String = people.iter().map(|row| &*row.personnel_no).collect();
    assert_eq!(people, "22221111");
    let states = read("state", None, "").await;
    let states: Vec<_> = states.iter().map(|row| row.state.as_str()).collect();
    assert_eq!(states, ["queued", "sent", "sent", "sent", "sent", "sent", "sent", "denied"]);
    assert_eq!(read("date", Some(ids[0]), "").await.len(), 2);
    let denied = read("date", None, "state:denied").await;
    assert_eq!((denied.len(), denied[0].message_id, denied[0].reason.as_deref()), (1, last, Some("blocked")));
    let query = query::parse("").unwrap();
    let ask = Ask {
        client_no: f.client_no,
        acs_no: Some(AcsNo(99)),
        message_id: None,
        query: &query,
        sort: Sort::default(),
        limit: 3,
        cursor: None,
    };
    assert!(f.store.deliveries(&ask).await.unwrap().items.is_empty());
    let foreign = Ask { cursor: Some("nonsense"), ..ask };
    assert_eq!(invalid(f.store.deliveries(&foreign).await), ["cursor"]);
}

#[tokio::test]
async fn a_push_that_was_stopped_is_told_when_it_was_not_when_it_was_last_tried() {
    let f = Fixture::new().await;
    let id = post(&f, f.personal("Давление", &["1"])).await;
    f.execute(&format!("update push set tries = 1, last_tried_at = {NOON}")).await;
    f.clock.set(NOON + HOUR);
    f.store.cancel_message(f.client_no, None, id).await.unwrap();
    let told = f.store.explain(f.client_no, None, id, "1", Lang::En).await.unwrap();
    let stopped = told.story.iter().find(|line| line.text.contains("was stopped"));
    assert_eq!(stopped.and_then(|line| line.at), Some(from_us(NOON + HOUR)));
}

#[tokio::test]
async fn the_story_of_a_delivery_tells_every_step_in_both_languages() {
    let f = Fixture::new().await;
    f.grant_group("boiler", "smena-a").await;
    let mut incoming = f.personal("Давление", &["1", "2"]);
    incoming.draft.topic = Some("boiler".to_owned());
    let id = post(&f, incoming).await;
    send_all(&f).await;
    let phone = pair(&f, "1", None).await;
    f.clock.set(NOON + HOUR);
    let read = Reported {
        phone: phone.caller.clone(),
        receipts: vec![Receipt {
            message_id: id,
            kind: ReceiptKind::Read,
            at: from_us(NOON - HOUR),
            by: None,
        }],
    };
    f.store.record(&[read]).await.unwrap();
    let explain = async |personnel_no: &str, lang| {
        let told = f.store.explain(f.client_no, None, id, personnel_no, lang).await;
        told.unwrap()
    };
    let lines = |told: &simo_common::api::history::Explanation| -> Vec<String> {
        told.story.iter().map(|line| line.text.clone()).collect()
    };
    let told = explain("1", Lang::En).await;
    assert_eq!(
        lines(&told),
        [
            "the ACS 1c posted the message on the topic boiler, priority normal",
            "it was addressed to them by their personnel number",
            "a grant to the group smena-a gave them access",
            "fcm took it for the device phone (tries: 1)",
            "they read it (by the phone's clock at 2026-11-01 11:00:00 +03:00)",
        ]
    );
    assert_eq!(lines(&explain("1", Lang::Ru).await)[2], "основание: доступ группы smena-a");
    assert_eq!(
        (told.target.as_deref(), told.grant.as_deref(), &*told.employee),
        (Some("employee"), Some("group:smena-a"), "Сотрудник 1")
    );
    assert_eq!(told.phone_times.read_at, Some(from_us(NOON - HOUR)));
    let mut pushes: Vec<_> = told.pushes.iter().map(|push| (&*push.channel, &*push.state)).collect();
    pushes.sort_unstable();
    assert_eq!(pushes, [("fcm", "accepted"), ("stream", "received")]);
    assert_eq!(told.delivery, deliveries(&f, "employee:1").await.pop());
    assert_eq!(
        lines(&explain("2", Lang::Ru).await).last().map(String::as_str),
        Some("отказано: нет доступа к теме")
    );
    let nobody = f.store.explain(f.client_no, None, id, "404", Lang::En).await;
    assert!(is_missing(&nobody, "employee"));
    let foreign = f.store.explain(f.client_no, Some(AcsNo(99)), id, "1", Lang::En).await;
    assert!(is_missing(&foreign, "message"));
}

/// SQLite's expressions may be 1,000 deep: groups and times may be more.
#[tokio::test]
async fn a_group_may_have_many_groups_within_and_each_of_them_many_times() {
    let f = Fixture::new().await;
    f.execute(
        "insert into \"group\" (client_no, slug, name, created_at)
         with recursive number (no) as (select 1 union all select no + 1 from number where no < 1200)
         select client_no, 'g' || number.no, 'g', 1 from number cross join \"group\" where slug = 'smena-a'",
    )
    .await;
    f.store.set_member(f.client_no, "g700", "2", true).await.unwrap();
    post(&f, f.personal("before", &["1", "2"])).await;
    f.execute(
        "insert into group_inclusion (client_no, group_no, included_no)
         select a.client_no, a.no, b.no from \"group\" a, \"group\" b where a.slug = 'smena-a' and b.slug <> 'smena-a'",
    )
    .await;
    post(&f, f.personal("after", &["1", "2"])).await;
    if f.store.engine() == Engine::Postgres {
        f.execute("analyze").await; // As the server does by itself, a minute later.
    }
    let found = |text: &'static str| async {
        let mut found: Vec<_> = deliveries(&f, text).await.into_iter().map(|row| row.title).collect();
        found.sort();
        found
    };
    assert_eq!(found("employee:2 group:smena-a").await, ["after"]);
    assert_eq!(found("employee:2 -group:smena-a").await, ["before"]);
    assert_eq!(found("employee:2 group-now:smena-a").await, ["after", "before"]);
    f.store.remove_employee(f.client_no, "2").await.unwrap();
    assert_eq!(found("employee:2 group:smena-a").await, ["after"]);
    assert!(found("employee:2 group-now:smena-a").await.is_empty(), "he is in the archive");
}

#[tokio::test]
async fn a_push_names_its_phone_as_it_was_called_then_whatever_the_clock_says() {
    let f = Fixture::new().await;
    f.add_employees(1).await;
    let phone = pair(&f, "4", Some("address-4")).await.paired;
    let id = post(&f, f.personal("a", &["4"])).await;
    send_all(&f).await;
    let taken = "fcm took it for the device Телефон (tries: 1)";
    let tells = async || story(&f, id, "4").await.iter().any(|line| line.ends_with(taken));
    assert!(tells().await);
    f.clock.set(NOON - HOUR);
    f.store.rename_device(f.client_no, phone.device_id, "another").await.unwrap();
    assert!(tells().await);
}
