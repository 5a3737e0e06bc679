//! What the web app adds: previewing a code, pairing again, a person's own phones and messages, and their changes.

use simo_common::{
    api::{access::ClientSpec, device::Receipt},
    delivery::DeliveryState,
    lang::Lang,
    receipt::ReceiptKind,
    time::{DAY, MINUTE, from_us},
    token,
};

use super::{
    super::{
        super::{PreviewedCode, Reported, StreamPhone},
        fixture::NOON,
    },
    Fixture, Pairing, Phone, device, invalid, is_missing, pair, post,
};
use crate::{
    channel::{Address, ChannelKind},
    store::{ClientNo, NewDevice, NewKey, Way},
};

/// A browser's subscription, with keys of its own.
fn subscribed(endpoint: &str, keys: &str) -> Way {
    Way {
        channel: ChannelKind::WebPush,
        address: Some(Address::new(format!("{endpoint} {keys}"))),
        endpoint: Some(endpoint.to_owned()),
        lang: Lang::Ru,
        notifications: None,
    }
}

async fn pair_browser(f: &Fixture, client_no: ClientNo, personnel_no: &str, way: Way) -> NewDevice {
    let (code, _) = f.store.invite(client_no, personnel_no, 3_600).await.unwrap();
    let new = NewDevice { way, ..device(&code, None) };
    assert!(matches!(f.store.pair(&new).await.unwrap(), Pairing::Done(_)));
    new
}

/// Its devices: client, employee and keys.
async fn subscribers(f: &Fixture, endpoint: &str) -> Vec<String> {
    f.rows(&format!(
        "select client_no || ' ' || employee_no || ' ' || address from device
         where endpoint = '{endpoint}' and retired_at is null order by no"
    ))
    .await
}

const ENDPOINT: &str = "https://web.push.apple.com/x";

#[tokio::test]
async fn a_browser_is_the_phone_of_whoever_named_its_subscription_last_whatever_the_client() {
    let f = Fixture::new().await;
    f.second_client().await;
    let other: i64 = f.rows("select no from client where slug = 'kombinat'").await[0].parse().unwrap();
    let first = pair_browser(&f, f.client_no, "2", subscribed(ENDPOINT, "a")).await;
    post(&f, f.personal("тревога", &["2"])).await;
    pair_browser(&f, ClientNo(other), "1", subscribed(ENDPOINT, "b")).await;
    assert_eq!(subscribers(&f, ENDPOINT).await, [format!("{other} 1 {ENDPOINT} b")]);
    assert!(f.store.token_holder(&first.token_hash).await.unwrap().is_none(), "the one before is out");
    assert_eq!(f.store.waiting_pushes(ChannelKind::WebPush).await.unwrap(), 0);

    let third = pair(&f, "3", None).await;
    f.store.change_way(&third.caller, &subscribed(ENDPOINT, "c")).await.unwrap();
    f.store.change_way(&third.caller, &subscribed(ENDPOINT, "d")).await.unwrap();
    assert_eq!(subscribers(&f, ENDPOINT).await, [format!("{} 3 {ENDPOINT} d", f.client_no.0)]);
    assert!(f.store.token_holder(&third.token_hash).await.unwrap().is_some(), "new keys replace nobody");
}

#[tokio::test]
async fn of_many_that_name_a_subscription_at_once_one_has_it() {
    let f = Fixture::new().await;
    let mut phones = Vec::new();
    for personnel_no in ["1", "2", "3"] {
        phones.push(pair(&f, personnel_no, None).await);
    }
    let way = subscribed(ENDPOINT, "a");
    let changes = phones.iter().map(|phone| f.store.change_way(&phone.caller, &way));
    for changed in futures_util::future::join_all(changes).await {
        changed.unwrap();
    }
    assert_eq!(subscribers(&f, ENDPOINT).await.len(), 1);
}

#[tokio::test]
async fn the_first_key_stays_until_it_is_replaced() {
    let f = Fixture::new().await;
    assert_eq!(f.store.vapid_key().await.unwrap(), None);
    let (one, other) = tokio::join!(f.store.settle_vapid_key("one"), f.store.settle_vapid_key("other"));
    let settled = one.unwrap();
    assert_eq!(other.unwrap(), settled);
    assert_eq!(f.store.replace_vapid_key(&settled, false).await.unwrap(), NewKey::Known);
    assert_eq!(f.store.replace_vapid_key("third", false).await.unwrap(), NewKey::Taken);
    pair_browser(&f, f.client_no, "2", subscribed(ENDPOINT, "a")).await;
    assert_eq!(f.store.replace_vapid_key("fourth", false).await.unwrap(), NewKey::InTheWay(1));
    assert_eq!(f.store.vapid_key().await.unwrap().as_deref(), Some("third"));
    assert_eq!(f.store.replace_vapid_key("fourth", true).await.unwrap(), NewKey::Taken);
    assert_eq!(f.store.vapid_key().await.unwrap().as_deref(), Some("fourth"));
}

#[tokio::test]
async fn a_code_says_whose_it_is_and_stays_unused() {
    let f = Fixture::new().await;
    let (code, until) = f.store.invite(f.client_no, "2", 3_600).await.unwrap();
    let hash = device(&code, None).code_hash;
    let known =
        PreviewedCode::Known { client: "zavod".to_owned(), full_name: "Сотрудник 2".to_owned() };
    for _ in 0..30 {
        assert_eq!(f.store.preview_code(&hash).await.unwrap(), known, "a right one is no guess");
    }
    for _ in 0..20 {
        let wrong = device("WRONG", None).code_hash;
        assert_eq!(f.store.preview_code(&wrong).await.unwrap(), PreviewedCode::WrongCode);
    }
    assert_eq!(f.store.preview_code(&hash).await.unwrap(), PreviewedCode::NextSecond);
    f.clock.set(until - 1);
    f.store.block_employee(f.client_no, "2").await.unwrap();
    assert_eq!(f.store.preview_code(&hash).await.unwrap(), PreviewedCode::Blocked);
    f.store.unblock_employee(f.client_no, "2").await.unwrap();
    assert!(matches!(f.store.pair(&device(&code, None)).await.unwrap(), Pairing::Done(_)));
    assert_eq!(f.store.preview_code(&hash).await.unwrap(), PreviewedCode::WrongCode);
}

#[tokio::test]
async fn a_phone_that_missed_the_answer_pairs_again_with_its_key_for_ten_minutes() {
    let f = Fixture::new().await;
    let (code, _) = f.store.invite(f.client_no, "2", 3_600).await.unwrap();
    let keyed = |key: &str| NewDevice { key_hash: Some(token::hash(key)), ..device(&code, None) };
    let lost = keyed("mine");
    let Pairing::Done(first) = f.store.pair(&lost).await.unwrap() else { panic!("the code works") };
    assert_eq!(f.store.pair(&device(&code, None)).await.unwrap(), Pairing::WrongCode, "without a key");
    assert_eq!(f.store.pair(&keyed("other")).await.unwrap(), Pairing::WrongCode);
    let again = keyed("mine");
    let Pairing::Done(second) = f.store.pair(&again).await.unwrap() else { panic!("the key works") };
    assert_eq!(second.device_id, first.device_id);
    assert!(f.store.token_holder(&lost.token_hash).await.unwrap().is_none(), "nobody has the first token");
    assert!(f.store.token_holder(&again.token_hash).await.unwrap().is_some());
    f.store.block_employee(f.client_no, "2").await.unwrap();
    assert_eq!(f.store.pair(&keyed("mine")).await.unwrap(), Pairing::WrongCode);
    f.store.unblock_employee(f.client_no, "2").await.unwrap();
    f.clock.set(NOON + 10 * MINUTE);
    assert_eq!(f.store.pair(&keyed("mine")).await.unwrap(), Pairing::WrongCode);
}

#[tokio::test]
async fn a_person_has_phones_and_unpairs_them() {
    let f = Fixture::new().await;
    let (mine, lost) = (pair(&f, "2", None).await, pair(&f, "2", Some("a")).await);
    let foreign = pair(&f, "3", None).await;
    let own = f.store.own_device(&mine.caller).await.unwrap();
    assert_eq!((&*own.employee.full_name, &*own.channel.kind), ("Сотрудник 2", "stream"));
    let devices = f.store.persons_devices(&mine.caller).await.unwrap();
    assert!(devices.iter().any(|one| one.this) && devices.iter().any(|one| one.id == lost.paired.device_id));
    assert!(is_missing(&f.store.unpair(&mine.caller, foreign.paired.device_id).await, "device"));
    f.store.unpair(&mine.caller, lost.paired.device_id).await.unwrap();
    assert!(f.store.token_holder(&lost.token_hash).await.unwrap().is_none());
    assert!(is_missing(&f.store.unpair(&mine.caller, lost.paired.device_id).await, "device"));
}

#[tokio::test]
async fn a_person_finds_own_messages_and_learns_what_moved() {
    let f = Fixture::new().await;
    let mine = pair(&f, "2", None).await;
    let id = post(&f, f.personal("Насос остановлен", &["2"])).await;
    let query = |text: &str| simo_common::query::parse(text).unwrap();
    let found = f.store.find_own(&mine.caller, &query("насос"), None, 10).await.unwrap();
    assert_eq!(found.items.iter().map(|one| one.id).collect::<Vec<_>>(), [id]);
    assert!(!invalid(f.store.find_own(&mine.caller, &query("employee:3"), None, 10).await).is_empty());

    let Phone { caller, token_hash, .. } = &mine;
    let stream = StreamPhone {
        client_no: caller.client_no,
        employee_no: caller.employee_no,
        device_no: caller.device_no,
        device_id: caller.device_id,
        is_pushed_to: false,
        token_hash: *token_hash,
    };
    let before = f.store.feed_end().await.unwrap();
    let receipt = Receipt {
        message_id: id,
        kind: ReceiptKind::Acknowledged,
        at: from_us(NOON),
        by: Some("Петров".to_owned()),
    };
    f.store.record(&[Reported { phone: caller.clone(), receipts: vec![receipt] }]).await.unwrap();
    let (moved, after) = loop {
        let (moved, after) = f.store.states_after(&[stream], before).await.unwrap().unwrap();
        if !moved.is_empty() {
            break (moved, after);
        }
    };
    assert_eq!((moved[0].0, moved[0].1.id, moved[0].1.state), (0, id, DeliveryState::Acknowledged));
    post(&f, f.personal("Чужое", &["3"])).await;
    let mut read_to = after;
    for _ in 0..10_000 {
        let (nothing, now) = f.store.states_after(&[stream], after).await.unwrap().unwrap();
        assert!(nothing.is_empty());
        read_to = now;
        if read_to > after {
            break;
        }
    }
    assert!(read_to > after, "what concerns nobody here is read once");
    let story = f.store.explain(f.client_no, None, id, "2", Lang::Ru).await.unwrap().story;
    assert!(story.iter().any(|line| line.text.contains("у общего экрана: Петров")), "{story:?}");

    let a_day = ClientSpec { retention_days: Some(1), ..ClientSpec::default() };
    f.store.edit_client("zavod", &a_day).await.unwrap();
    f.clock.set(NOON + 40 * DAY);
    while f.store.forget_history().await.unwrap() {}
    assert_eq!(f.rows("select count(*) from receipt_name").await, ["0"], "a name goes with its history");
}

#[tokio::test]
async fn the_apps_address_is_that_of_the_first_browser_until_it_is_changed() {
    let f = Fixture::new().await;
    assert_eq!(f.store.web_origin().await.unwrap(), None);
    let pair = async |platform: &str| {
        let (code, _) = f.store.invite(f.client_no, "2", 3_600).await.unwrap();
        let paired = f.store.pair(&NewDevice { platform: platform.to_owned(), ..device(&code, None) }).await;
        assert!(matches!(paired.unwrap(), Pairing::Done(_)));
    };
    pair("web-android").await;
    pair("android").await;
    let origin = async || {
        let origin = f.store.web_origin().await.unwrap().unwrap();
        (origin.url, origin.phones, origin.left_behind)
    };
    f.store.keep_web_origin("https://a.example").await.unwrap();
    f.store.keep_web_origin("https://b.example").await.unwrap();
    assert_eq!(origin().await, ("https://a.example".to_owned(), 1, 0));
    f.clock.set(NOON + MINUTE);
    f.store.change_web_origin("https://b.example").await.unwrap();
    pair("web-ios").await;
    assert_eq!(origin().await, ("https://b.example".to_owned(), 2, 1));
}
