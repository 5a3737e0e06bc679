//! What streams owe their phones, and receipts from phones.

use simo_common::{api::device::Receipt, lang::Lang, receipt::ReceiptKind, time::from_us};
use uuid::Uuid;

use super::{super::fixture::NOON, Fixture, HOUR, Phone, claim_all, finished, pair, post, states};
use crate::{
    channel::{Address, ChannelKind},
    store::{ClientNo, DeviceNo, MessageNo, PushResult, Reported, StreamPhone, Way},
};

fn stream_of(phone: &Phone) -> StreamPhone {
    StreamPhone {
        is_pushed_to: false,
        client_no: phone.caller.client_no,
        employee_no: phone.caller.employee_no,
        device_no: phone.caller.device_no,
        device_id: phone.caller.device_id,
        token_hash: phone.token_hash,
    }
}

async fn number(f: &Fixture, id: Uuid) -> MessageNo {
    let no = f.rows(&format!("select no from message where id = x'{}'", id.simple())).await;
    MessageNo(no[0].parse().unwrap())
}

fn report(phone: &Phone, receipts: &[(Uuid, ReceiptKind)]) -> Reported {
    let receipts = receipts.iter().map(|&(message_id, kind)| Receipt {
        message_id,
        kind,
        at: from_us(NOON - HOUR),
        by: None,
    });
    Reported { phone: phone.caller.clone(), receipts: receipts.collect() }
}

#[tokio::test]
async fn a_stream_is_owed_what_its_phone_has_no_receipt_for() {
    let f = Fixture::new().await;
    let (one, two) = (pair(&f, "1", None).await, pair(&f, "2", None).await);
    let phones = [stream_of(&two), stream_of(&one)];
    let to_both = post(&f, f.personal("обоим", &["1", "2"])).await;
    let to_two = post(&f, f.personal("второму", &["2"])).await;
    let (first, second) = (number(&f, to_both).await, number(&f, to_two).await);
    let open = f.store.open_stream_messages(&phones).await.unwrap();
    assert_eq!(open, [(0, first), (0, second), (1, first)]);

    let owed: Vec<_> = open.iter().map(|&(place, no)| (place, phones[place], no)).collect();
    let messages = f.store.stream_messages(&owed).await.unwrap();
    let mut texts: Vec<_> = messages.iter().map(|(place, message)| (*place, &*message.title)).collect();
    // Of the same message, either phone may come first.
    texts[..2].sort_unstable();
    assert_eq!(texts, [(0, "обоим"), (1, "обоим"), (0, "второму")]);
    let delivered = report(&two, &[(to_both, ReceiptKind::Delivered)]);
    f.store.record(&[delivered]).await.unwrap();
    assert_eq!(f.store.open_stream_messages(&phones).await.unwrap(), [(0, second), (1, first)]);
    f.store.cancel_message(f.client_no, None, to_both).await.unwrap();
    let left = f.store.stream_messages(&owed).await.unwrap();
    assert_eq!((left.len(), left[0].1.id), (1, to_two));
}

#[tokio::test]
async fn a_stream_is_lost_with_its_token_its_channel_or_a_block() {
    let f = Fixture::new().await;
    f.add_employees(1).await;
    let mut phones = Vec::new();
    for personnel_no in ["1", "2", "3", "4"] {
        phones.push(pair(&f, personnel_no, None).await);
    }
    let streams: Vec<_> = phones.iter().map(stream_of).collect();
    assert!(f.store.lost_streams(&streams).await.unwrap().is_empty());
    f.store.leave(&phones[0].caller).await.unwrap();
    f.store.block_employee(f.client_no, "2").await.unwrap();
    let way = Way {
        channel: ChannelKind::Fcm,
        address: Some(Address::new("new".to_owned())),
        endpoint: None,
        lang: Lang::En,
        notifications: None,
    };
    f.store.change_way(&phones[2].caller, &way).await.unwrap();
    let mut lost = f.store.lost_streams(&streams).await.unwrap();
    lost.sort_unstable();
    assert_eq!(lost, [0, 1, 2]);
}

#[tokio::test]
async fn the_first_receipt_of_a_kind_counts_and_strangers_learn_nothing() {
    let f = Fixture::new().await;
    let (one, two) = (pair(&f, "1", None).await, pair(&f, "2", None).await);
    let id = post(&f, f.personal("a", &["1"])).await;
    let batch = vec![
        report(&one, &[(id, ReceiptKind::Delivered), (Uuid::nil(), ReceiptKind::Delivered)]),
        report(&two, &[(id, ReceiptKind::Read)]),
        report(&two, &[]),
    ];
    let recorded: Vec<_> = f.store.record_each(batch).await.into_iter().map(Result::unwrap).collect();
    let answers: Vec<_> =
        recorded.iter().map(|one| (one.answer.stored, &one.answer.unknown[..], one.changed)).collect();
    assert_eq!(answers, [(1, &[Uuid::nil()][..], true), (0, &[id][..], false), (0, &[][..], false)]);
    assert_eq!(states(&f).await, ["1 delivered -"]);

    let read = report(&one, &[(id, ReceiptKind::Read), (id, ReceiptKind::Delivered)]);
    f.clock.set(NOON + HOUR);
    let recorded = f.store.record(std::slice::from_ref(&read)).await.unwrap();
    assert_eq!((recorded[0].answer.stored, recorded[0].changed), (2, true));
    assert!(!f.store.record(&[read]).await.unwrap()[0].changed);
    let rows = super::deliveries(&f, "").await;
    assert_eq!((rows[0].delivered_at, rows[0].read_at), (Some(from_us(NOON)), Some(from_us(NOON + HOUR))));
    let seen = f.store.device(f.client_no, one.caller.device_id).await.unwrap();
    assert_eq!(seen.seen_at, Some(from_us(NOON + HOUR)));
}

#[tokio::test]
async fn pushes_of_streams_are_closed_when_their_message_is_over() {
    let f = Fixture::new().await;
    let one = pair(&f, "1", None).await;
    f.execute("update device set retired_at = 1 where channel > 0").await;
    post(&f, f.personal("a", &["1"])).await;
    assert_eq!(f.store.close_stream_pushes(None).await.unwrap(), None);
    assert_eq!(f.store.waiting_pushes(ChannelKind::Stream).await.unwrap(), 1);
    f.clock.set(NOON + 3 * HOUR);
    let past = (ClientNo(i64::MAX), DeviceNo(i64::MAX), MessageNo(i64::MAX));
    f.store.close_stream_pushes(Some(past)).await.unwrap();
    assert_eq!(
        f.store.waiting_pushes(ChannelKind::Stream).await.unwrap(),
        1,
        "the look begins after the cursor"
    );
    assert_eq!(f.store.close_stream_pushes(None).await.unwrap(), None);
    assert_eq!(f.store.waiting_pushes(ChannelKind::Stream).await.unwrap(), 0);
    let open = f.store.open_stream_messages(&[stream_of(&one)]).await.unwrap();
    assert!(open.is_empty());
}

/// A push accepted late, of an employee blocked meanwhile, continues by stream when they are unblocked.
#[tokio::test]
async fn what_was_taken_late_from_somebody_blocked_goes_on_by_streams() {
    let f = Fixture::new().await;
    let (pushed_to, fetching) = (pair(&f, "1", Some("pushed")).await, pair(&f, "1", None).await);
    let pushed_to_only = pair(&f, "2", Some("only")).await;
    f.execute("update device set retired_at = 1 where address in ('address-1', 'address-2')").await;
    let id = post(&f, f.personal("a", &["1", "2"])).await;
    let no = number(&f, id).await;
    let on_their_way = claim_all(&f).await;
    let on_their_way: Vec<_> = on_their_way.iter().filter(|push| push.skip.is_none()).collect();
    for personnel_no in ["1", "2"] {
        f.store.block_employee(f.client_no, personnel_no).await.unwrap();
    }
    let ok = || PushResult::Accepted { answer: "ok".to_owned() };
    let results: Vec<_> = on_their_way.iter().map(|push| finished(push, ok())).collect();
    f.store.finish(&results).await.unwrap();
    for personnel_no in ["1", "2"] {
        f.store.unblock_employee(f.client_no, personnel_no).await.unwrap();
    }
    assert_eq!(states(&f).await, ["1 sent -", "2 sent -"]);
    let way = Way {
        channel: ChannelKind::Stream,
        address: None,
        endpoint: None,
        lang: Lang::En,
        notifications: None,
    };
    f.store.change_way(&pushed_to_only.caller, &way).await.unwrap();
    let live = StreamPhone { is_pushed_to: true, ..stream_of(&pushed_to) };
    let phones = [stream_of(&fetching), stream_of(&pushed_to_only), live];
    let open = f.store.open_stream_messages(&phones).await.unwrap();
    assert_eq!(open, [(0, no), (1, no), (2, no)]);
    let owed: Vec<_> = open.iter().map(|&(place, no)| (place, phones[place], no)).collect();
    assert_eq!(f.store.stream_messages(&owed).await.unwrap().len(), 3);
}
