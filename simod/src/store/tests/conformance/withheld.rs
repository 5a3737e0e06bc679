//! What a block withholds and gives back, and deliveries waiting for a phone.

use std::collections::BTreeMap;

use simo_common::{
    api::{
        message::{Canceled, Recipients},
        people::{NewEmployee, Waiting},
    },
    delivery::Reason,
    message::Priority,
    time::{SECOND, from_us},
};
use uuid::Uuid;

use super::{
    super::fixture::NOON, Fixture, HOUR, claim_all, deliveries, finished, is_missing, messages::story, pair,
    post, send_all, states,
};
use crate::{
    channel::ChannelKind,
    store::{DeviceEffect, Incoming, PushResult, Skip, Stride},
};

const WITHHELD: &str = "they were blocked: from then on it was withheld";
const GOES_ON: &str = "they were unblocked: it is not withheld any more";

async fn expand(f: &Fixture) {
    let mut stride = Stride::default();
    while f.store.expand_step(&mut stride).await.unwrap() {}
}

async fn block(f: &Fixture, personnel_no: &str) {
    f.store.block_employee(f.client_no, personnel_no).await.unwrap();
}

async fn unblock(f: &Fixture, personnel_no: &str) {
    f.store.unblock_employee(f.client_no, personnel_no).await.unwrap();
    assert_eq!(f.rows("select count(*) from duty").await, ["0"], "nothing is left to do");
}

async fn waiting(f: &Fixture, personnel_no: &str) -> (u64, u64) {
    let Waiting { deliveries, critical } = f.store.waiting_for(f.client_no, personnel_no).await.unwrap();
    (deliveries, critical)
}

fn critical(incoming: Incoming) -> Incoming {
    let mut critical = incoming;
    critical.draft.priority = Some(Priority::Critical);
    critical
}

/// The rest of a story after why they are a recipient.
async fn then(f: &Fixture, id: Uuid, personnel_no: &str) -> Vec<String> {
    let told = story(f, id, personnel_no).await;
    let why_he = [
        "0h the ACS 1c posted the message without a topic, priority normal",
        "0h it was addressed to them by their personnel number",
        "0h a message without a topic needs no grant",
    ];
    assert_eq!(told[..3], why_he);
    told[3..].to_vec()
}

/// The sums of every message equal the count.
async fn sums_are_right(f: &Fixture) {
    while f.store.add_up_sums().await.unwrap() {}
    let mut counted: BTreeMap<Uuid, BTreeMap<&str, u64>> = BTreeMap::new();
    for row in deliveries(f, "").await {
        *counted.entry(row.message_id).or_default().entry(row.state.as_str()).or_default() += 1;
    }
    for (id, counted) in counted {
        let message = f.store.message(f.client_no, None, id).await.unwrap().unwrap();
        let sums: BTreeMap<_, _> = message
            .states
            .iter()
            .map(|sum| (sum.state.as_str(), sum.count))
            .filter(|(_, sum)| *sum > 0)
            .collect();
        assert_eq!(sums, counted);
    }
}

#[tokio::test]
async fn who_had_no_phone_and_was_archived_later_was_a_recipient_then() {
    let f = Fixture::new().await;
    f.add_employees(1).await;
    let id = post(&f, f.personal("a", &["1", "4"])).await;
    f.clock.set(NOON + HOUR);
    for personnel_no in ["1", "4"] {
        f.store.remove_employee(f.client_no, personnel_no).await.unwrap();
    }
    assert_eq!(states(&f).await, ["1 denied archived", "4 denied archived"]);
    assert_eq!(then(&f, id, "4").await, ["0h they had no device then", "1h it was stopped: is archived"]);
    let with_phone = then(&f, id, "1").await;
    let push = "1h the push to the device phone was stopped: the device was removed";
    assert_eq!(with_phone, [push, "1h it was stopped: is archived"]);
    sums_are_right(&f).await;
}

#[tokio::test]
async fn who_is_blocked_later_was_a_recipient_then() {
    let f = Fixture::new().await;
    f.add_employees(1).await;
    let id = post(&f, f.personal("a", &["1", "4"])).await;
    f.clock.set(NOON + HOUR);
    for personnel_no in ["1", "4"] {
        block(&f, personnel_no).await;
    }
    assert_eq!(states(&f).await, ["1 denied blocked", "4 denied blocked"]);
    let withheld = format!("1h {WITHHELD}");
    assert_eq!(then(&f, id, "4").await, ["0h they had no device then", &withheld]);
    assert_eq!(then(&f, id, "1").await, [withheld]);
}

#[tokio::test]
async fn a_block_that_lasts_a_second_takes_nothing_away() {
    let f = Fixture::new().await;
    let mut ids = Vec::new();
    for number in 0..5 {
        let message = f.personal(&number.to_string(), &["1"]);
        ids.push(post(&f, if number < 2 { critical(message) } else { message }).await);
    }
    post(&f, f.personal("другому", &["2"])).await;
    let expiry = "select distinct expires_at from delivery";
    let expires_at = f.rows(expiry).await;
    assert_eq!(waiting(&f, "1").await, (5, 2));

    block(&f, "1").await;
    assert_eq!(deliveries(&f, "employee:1 state:denied reason:blocked").await.len(), 5);
    assert_eq!(waiting(&f, "1").await, (0, 0));
    assert_eq!(f.store.waiting_pushes(ChannelKind::Fcm).await.unwrap(), 1, "the other one's");
    sums_are_right(&f).await;
    let mut late = f.personal("поздно", &["1"]);
    late.draft.allow_empty = true;
    let late = post(&f, late).await;

    f.clock.set(NOON + SECOND / 2);
    unblock(&f, "1").await;
    let queued = deliveries(&f, "employee:1 state:queued").await;
    assert_eq!(queued.len(), 5);
    assert!(queued.iter().all(|row| row.reason.is_none()));
    assert_eq!(f.rows(expiry).await, expires_at);
    let changes =
        "select message_no || ' ' || count(*) from event where kind = 2 group by message_no order by 1";
    assert_eq!(f.rows(changes).await, ["1 2", "2 2", "3 2", "4 2", "5 2"]);
    assert_eq!(waiting(&f, "1").await, (5, 2));
    sums_are_right(&f).await;

    let pushes = claim_all(&f).await;
    assert!(pushes.iter().all(|push| push.skip.is_none()));
    let claimed: Vec<_> = pushes.iter().map(|push| push.message_id).collect();
    assert_eq!(claimed.len(), 6);
    assert!(ids[..2].iter().all(|id| claimed[..2].contains(id)), "the critical ones come first");
    let accepted = || PushResult::Accepted { answer: "ok".to_owned() };
    let results: Vec<_> = pushes.iter().map(|push| finished(push, accepted())).collect();
    f.store.finish(&results).await.unwrap();
    assert_eq!(deliveries(&f, "employee:1 state:sent").await.len(), 5);

    let told = then(&f, ids[4], "1").await;
    for line in [WITHHELD, GOES_ON] {
        assert!(told.contains(&format!("0h {line}")), "{told:?}");
    }
    let denied = deliveries(&f, "state:denied").await;
    assert_eq!(denied.iter().map(|row| row.message_id).collect::<Vec<_>>(), [late], "it never was for him");
    assert_eq!(story(&f, late, "1").await[2], "0h they were kept out: is blocked");
}

#[tokio::test]
async fn he_may_be_blocked_and_unblocked_again_and_again() {
    let f = Fixture::new().await;
    let id = post(&f, f.personal("a", &["1"])).await;
    // Twice within one moment, then later.
    for at in [NOON, NOON, NOON + HOUR] {
        f.clock.set(at);
        for _ in 0..2 {
            block(&f, "1").await;
        }
        assert_eq!(states(&f).await, ["1 denied blocked"]);
        for _ in 0..2 {
            unblock(&f, "1").await;
        }
        assert_eq!(states(&f).await, ["1 queued -"]);
    }
    let told = then(&f, id, "1").await;
    let times = |line: &str| told.iter().filter(|told| *told == line).count();
    assert_eq!((times(&format!("0h {WITHHELD}")), times(&format!("0h {GOES_ON}"))), (1, 1), "{told:?}");
    assert_eq!((times(&format!("1h {WITHHELD}")), times(&format!("1h {GOES_ON}"))), (1, 1), "{told:?}");
    assert_eq!(claim_all(&f).await.len(), 1);
}

#[tokio::test]
async fn what_expired_or_was_canceled_while_it_was_withheld_has_expired_or_is_canceled() {
    let f = Fixture::new().await;
    let canceled = post(&f, f.personal("отменённое", &["1"])).await;
    f.clock.set(NOON + HOUR);
    let expires = post(&f, f.personal("старое", &["2"])).await;
    block(&f, "1").await;
    block(&f, "2").await;
    let nothing = Canceled { canceled: 0, too_late: 0, scheduled: false };
    assert_eq!(f.store.cancel_message(f.client_no, None, canceled).await.unwrap(), nothing);
    unblock(&f, "1").await;
    f.clock.set(NOON + 3 * HOUR);
    assert_eq!(f.store.expire_deliveries().await.unwrap(), 0, "it is denied");
    unblock(&f, "2").await;
    let pushes = claim_all(&f).await;
    assert_eq!(pushes.iter().map(|push| push.skip).collect::<Vec<_>>(), [Some(Skip::Expired)]);
    f.store.finish(&[finished(&pushes[0], PushResult::Skipped(Skip::Expired))]).await.unwrap();
    assert_eq!(states(&f).await, ["1 canceled canceled", "2 expired expired"]);
    assert_eq!(f.store.waiting_pushes(ChannelKind::Fcm).await.unwrap(), 0);
    sums_are_right(&f).await;
    let told = then(&f, canceled, "1").await;
    for line in [WITHHELD, "the message was canceled", GOES_ON] {
        assert!(told.contains(&format!("1h {line}")), "{told:?}");
    }
    assert!(story(&f, expires, "2").await.contains(&format!("3h {GOES_ON}")));
}

#[tokio::test]
async fn what_was_withheld_expires_without_a_claim_too() {
    let f = Fixture::new().await;
    f.add_employees(1).await;
    post(&f, f.personal("a", &["1", "4"])).await;
    block(&f, "1").await;
    block(&f, "4").await;
    f.clock.set(NOON + 2 * HOUR);
    unblock(&f, "1").await;
    unblock(&f, "4").await;
    assert_eq!(f.store.expire_deliveries().await.unwrap(), 2);
    assert_eq!(states(&f).await, ["1 expired expired", "4 expired no_device"]);
}

#[tokio::test]
async fn removing_somebody_who_is_blocked_denies_for_good() {
    let f = Fixture::new().await;
    let id = post(&f, f.personal("a", &["1"])).await;
    block(&f, "1").await;
    f.clock.set(NOON + HOUR);
    f.store.remove_employee(f.client_no, "1").await.unwrap();
    let back = NewEmployee {
        personnel_no: "1".to_owned(),
        full_name: "Сотрудник 1".to_owned(),
        ..NewEmployee::default()
    };
    let back = f.store.add_employee(f.client_no, &back).await.unwrap();
    assert_eq!((back.archived_at, back.blocked_at), (None, Some(from_us(NOON))));
    pair_blocked_is_refused(&f).await;
    unblock(&f, "1").await;
    pair(&f, "1", Some("new")).await;
    assert_eq!(states(&f).await, ["1 denied blocked"]);
    assert!(claim_all(&f).await.is_empty());
    let told = then(&f, id, "1").await;
    assert_eq!(told.last().unwrap(), "1h they were archived: what was withheld will not come any more");
}

async fn pair_blocked_is_refused(f: &Fixture) {
    assert!(super::is_conflict(&f.store.invite(f.client_no, "1", 60).await));
}

#[tokio::test]
async fn a_phone_that_went_while_its_owner_was_blocked_gets_nothing_back() {
    let f = Fixture::new().await;
    f.add_employees(1).await;
    let only = pair(&f, "4", Some("only")).await;
    let another = pair(&f, "1", Some("another")).await;
    let id = post(&f, f.personal("a", &["1", "4"])).await;
    for personnel_no in ["1", "4"] {
        block(&f, personnel_no).await;
    }
    for phone in [&only, &another] {
        f.store.remove_device(f.client_no, phone.paired.device_id).await.unwrap();
    }
    assert_eq!(states(&f).await, ["1 denied blocked", "4 denied blocked"]);
    for personnel_no in ["1", "4"] {
        unblock(&f, personnel_no).await;
    }
    assert_eq!(states(&f).await, ["1 queued -", "4 queued no_device"]);
    let told = then(&f, id, "4").await;
    assert!(told.last().unwrap().starts_with("they have no device any more"), "{told:?}");
    let pushes = claim_all(&f).await;
    let addresses: Vec<_> = pushes.iter().map(|push| push.address.as_str()).collect();
    assert_eq!(addresses, ["address-1"]);

    pair(&f, "4", Some("next")).await;
    assert_eq!(states(&f).await, ["1 queued -", "4 queued -"]);
    assert_eq!(claim_all(&f).await[0].address.as_str(), "next");
}

#[tokio::test]
async fn who_is_blocked_while_a_large_audience_waits_gets_it_afterwards() {
    let f = Fixture::new().await;
    f.add_employees(200).await;
    let numbers: Vec<_> = (1..=203).map(|number| number.to_string()).collect();
    let numbers: Vec<_> = numbers.iter().map(String::as_str).collect();
    block(&f, "3").await;
    let id = post(&f, f.personal("всем", &numbers)).await;
    f.clock.set(NOON + HOUR);
    for personnel_no in ["1", "2", "4"] {
        block(&f, personnel_no).await;
    }
    unblock(&f, "1").await;
    assert!(states(&f).await.is_empty(), "its audience is frozen");
    expand(&f).await;
    let denied = deliveries(&f, "state:denied reason:blocked").await;
    let denied: Vec<_> = denied.iter().map(|row| &*row.personnel_no).collect();
    assert_eq!(denied, ["2", "3", "4"]);
    for personnel_no in ["2", "3", "4"] {
        unblock(&f, personnel_no).await;
    }
    assert_eq!(deliveries(&f, "employee:1,2 state:queued -reason:no_device").await.len(), 2);
    assert!(lacking(&f).await.contains(&"4".to_owned()));
    assert_eq!(deliveries(&f, "state:queued").await.len(), 202);
    let pushes = claim_all(&f).await;
    let mut addresses: Vec<_> = pushes.iter().map(|push| push.address.as_str()).collect();
    addresses.sort_unstable();
    assert_eq!(addresses, ["address-1", "address-2"]);
    assert_eq!(then(&f, id, "2").await[..2], [format!("1h {WITHHELD}"), format!("1h {GOES_ON}")]);
    // They were blocked when it was accepted.
    assert_eq!(story(&f, id, "3").await[2], "0h they were kept out: is blocked");
    sums_are_right(&f).await;
}

/// The state after a block's first transaction and one step: of two messages one is denied.
async fn cut_short() -> Fixture {
    let f = Fixture::new().await;
    post(&f, f.personal("a", &["1"])).await;
    post(&f, f.personal("b", &["1"])).await;
    let blocked = Reason::Blocked.number();
    f.execute(&format!(
        "update employee set blocked_at = {NOON} where no = 1;
         insert into duty (client_no, kind, subject_no, begun_at) select client_no, 2, no, {NOON} from employee where no = 1;
         update delivery set outcome = 8, reason = {blocked}, outcome_at = {NOON} where message_no = 1;
         update push set outcome = 7, reason = {blocked}, done_at = {NOON} where message_no = 1;
         insert into hold (client_no, message_no, employee_no, since)
             select client_no, message_no, employee_no, {NOON} from delivery where message_no = 1"
    ))
    .await;
    assert_eq!(waiting(&f, "1").await, (1, 0));
    f
}

#[tokio::test]
async fn a_block_that_was_cut_short_is_finished() {
    let f = cut_short().await;
    f.store.do_duties().await.unwrap();
    assert_eq!(states(&f).await, ["1 denied blocked", "1 denied blocked"]);
    assert_eq!(f.store.waiting_pushes(ChannelKind::Fcm).await.unwrap(), 0);
    unblock(&f, "1").await;
    assert_eq!(states(&f).await, ["1 queued -", "1 queued -"]);
    assert_eq!(claim_all(&f).await.len(), 2);
}

#[tokio::test]
async fn a_block_that_was_cut_short_is_lifted_as_a_whole() {
    let f = cut_short().await;
    // Until its steps are done, claims check the block.
    let pushes = claim_all(&f).await;
    assert_eq!(pushes.iter().map(|push| push.skip).collect::<Vec<_>>(), [Some(Skip::Blocked)]);
    f.store.finish(&[finished(&pushes[0], PushResult::Skipped(Skip::Blocked))]).await.unwrap();
    unblock(&f, "1").await;
    f.store.do_duties().await.unwrap();
    assert_eq!(states(&f).await, ["1 queued -", "1 queued -"]);
    send_all(&f).await;
    assert_eq!(states(&f).await, ["1 sent -", "1 sent -"]);
}

#[tokio::test]
async fn an_unblocking_that_was_cut_short_is_finished_or_undone_by_a_block() {
    let f = cut_short().await;
    f.store.do_duties().await.unwrap();
    let cut = format!(
        "update employee set blocked_at = null where no = 1;
         insert into duty (client_no, kind, subject_no, begun_at) select client_no, 3, no, {NOON} from employee where no = 1"
    );
    f.execute(&cut).await;
    block(&f, "1").await;
    f.store.do_duties().await.unwrap();
    assert_eq!(states(&f).await, ["1 denied blocked", "1 denied blocked"]);
    f.execute(&cut).await;
    f.store.do_duties().await.unwrap();
    assert_eq!(states(&f).await, ["1 queued -", "1 queued -"]);
    assert_eq!(claim_all(&f).await.len(), 2);
}

/// The employees with deliveries that wait because they have no phone.
async fn lacking(f: &Fixture) -> Vec<String> {
    let found = deliveries(f, "state:queued reason:no_device").await;
    found.into_iter().map(|row| row.personnel_no).collect()
}

#[tokio::test]
async fn what_waits_for_a_phone_is_found_by_its_reason() {
    let f = Fixture::new().await;
    f.add_employees(2).await;
    post(&f, f.personal("a", &["1", "4", "5"])).await;
    assert_eq!(lacking(&f).await, ["4", "5"]);
    let phones = [pair(&f, "4", Some("first")).await, pair(&f, "4", None).await];
    assert_eq!(lacking(&f).await, ["5"]);
    f.store.leave(&phones[0].caller).await.unwrap();
    assert_eq!(lacking(&f).await, ["5"], "he has another one");
    f.store.remove_device(f.client_no, phones[1].paired.device_id).await.unwrap();
    assert_eq!(lacking(&f).await, ["4", "5"]);

    pair(&f, "4", Some("dying")).await;
    post(&f, f.personal("b", &["4"])).await;
    assert_eq!(lacking(&f).await, ["5"]);
    let pushes = claim_all(&f).await;
    let of_4: Vec<_> = pushes.iter().filter(|push| push.address.as_str() == "dying").collect();
    assert_eq!(of_4.len(), 2);
    let dead = PushResult::Failed {
        reason: Reason::DeadAddress,
        answer: "UNREGISTERED".to_owned(),
        device: DeviceEffect::Retire,
    };
    let later = PushResult::Retry { due_at: NOON + HOUR, answer: "503".to_owned(), counts: true };
    f.store.finish(&[finished(of_4[0], dead), finished(of_4[1], later)]).await.unwrap();
    f.clock.set(NOON + HOUR);
    let due = claim_all(&f).await;
    assert_eq!(due.iter().map(|push| push.skip).collect::<Vec<_>>(), [Some(Skip::DeviceGone)]);
    f.store.finish(&[finished(&due[0], PushResult::Skipped(Skip::DeviceGone))]).await.unwrap();
    assert_eq!(lacking(&f).await, ["4", "5"]);
    assert_eq!(deliveries(&f, "employee:4 state:failed reason:dead_address").await.len(), 1);
    f.clock.set(NOON + 4 * HOUR);
    f.store.expire_deliveries().await.unwrap();
    assert_eq!(deliveries(&f, "state:expired reason:no_device").await.len(), 2);
}

#[tokio::test]
async fn what_waits_for_somebody_is_counted() {
    let f = Fixture::new().await;
    f.add_employees(1).await;
    post(&f, critical(f.personal("тревога", &["1", "4"]))).await;
    send_all(&f).await;
    post(&f, f.personal("обычное", &["1", "4"])).await;
    let to_all = Recipients { everyone: true, ..Recipients::default() };
    let mut all = critical(f.incoming("всем"));
    all.draft.recipients = Some(to_all);
    post(&f, all).await;
    assert_eq!((waiting(&f, "1").await, waiting(&f, "4").await), ((2, 1), (3, 2)));
    f.store.remove_employee(f.client_no, "4").await.unwrap();
    assert_eq!(waiting(&f, "4").await, (0, 0));
    assert!(is_missing(&f.store.waiting_for(f.client_no, "404").await, "employee"));
}

#[tokio::test]
async fn a_push_that_is_withheld_outlives_one_that_fails() {
    let f = Fixture::new().await;
    let other = pair(&f, "1", Some("other")).await;
    post(&f, f.personal("a", &["1"])).await;
    let pushes = claim_all(&f).await;
    // The block is committed, its steps are not done yet.
    f.execute(&format!("update employee set blocked_at = {NOON} where no = 1")).await;
    let failed =
        PushResult::Failed { reason: Reason::Rejected, answer: "400".to_owned(), device: DeviceEffect::None };
    let results = [finished(&pushes[0], PushResult::Skipped(Skip::Blocked)), finished(&pushes[1], failed)];
    f.store.finish(&results).await.unwrap();
    assert_eq!(states(&f).await, ["1 queued -"]);
    block(&f, "1").await;
    f.execute(&format!(
        "insert into duty (client_no, kind, subject_no, begun_at) select client_no, 2, no, {NOON} from employee where no = 1"
    ))
    .await;
    f.store.do_duties().await.unwrap();
    assert_eq!(states(&f).await, ["1 denied blocked"]);
    unblock(&f, "1").await;
    let again = claim_all(&f).await;
    assert_eq!(again.iter().map(|push| push.claim.key).collect::<Vec<_>>(), [pushes[0].claim.key]);
    f.store.leave(&other.caller).await.unwrap();
}

#[tokio::test]
async fn what_failed_elsewhere_has_failed_when_the_last_phone_goes() {
    let f = Fixture::new().await;
    let other = pair(&f, "1", None).await;
    let id = post(&f, f.personal("a", &["1"])).await;
    let pushes = claim_all(&f).await;
    let failed =
        PushResult::Failed { reason: Reason::Rejected, answer: "400".to_owned(), device: DeviceEffect::None };
    f.store.finish(&[finished(&pushes[0], failed)]).await.unwrap();
    assert_eq!(states(&f).await, ["1 queued -"], "the other phone may still fetch it");
    f.store.remove_device(f.client_no, other.paired.device_id).await.unwrap();
    assert_eq!(states(&f).await, ["1 failed rejected"]);
    assert_eq!(
        then(&f, id, "1").await.last().unwrap(),
        "0h it was given up: the provider refused the payload"
    );
    sums_are_right(&f).await;
}

#[tokio::test]
async fn whether_he_had_a_phone_does_not_go_by_the_clock() {
    let f = Fixture::new().await;
    f.add_employees(1).await;
    let id = post(&f, f.personal("a", &["1", "4"])).await;
    f.clock.set(NOON - HOUR);
    pair(&f, "4", Some("first")).await;
    let phone = f.rows("select no from device where employee_no = 1").await.remove(0);
    f.execute(&format!("update device set retired_at = {} where no = {phone}", NOON - HOUR)).await;
    let had_none = "0h they had no device then".to_owned();
    assert!(!then(&f, id, "1").await.contains(&had_none));
    assert!(then(&f, id, "4").await.contains(&had_none));
}
