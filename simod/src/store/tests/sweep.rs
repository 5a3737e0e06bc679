//! The effects of time on the database.

use simo_common::{
    delivery::Reason,
    hex::hex,
    time::{DAY, HOUR as HOUR_US},
};

use super::{
    super::{DeviceEffect, PushResult, queue::PushOutcome},
    claim_all,
    conformance::states,
    finished,
    fixture::{Fixture, HOUR, NOON},
};
use crate::channel::ChannelKind;

const AFTER_EXPIRY: i64 = NOON + 3 * HOUR;

/// Outcome and reason of every delivery and push, in the order of the employees.
async fn ends(f: &Fixture) -> (Vec<String>, Vec<String>) {
    let pushes = "select coalesce(outcome, 0) || ' ' || coalesce(reason, 0) from push order by employee_no";
    (states(f).await, f.rows(pushes).await)
}

/// How a push ended, as the database stores it.
fn ended(outcome: PushOutcome, reason: Reason) -> String {
    format!("{} {}", outcome.number(), reason.number())
}

#[tokio::test]
async fn what_ran_out_says_why() {
    let f = Fixture::new().await;
    f.add_employees(1).await;
    f.store.accept(&[f.personal("a", &["1", "2", "4"])]).await.unwrap();
    let no_channel = Reason::NoChannel.number();
    f.execute(&format!("update push set reason = {no_channel} where employee_no = 2")).await;
    assert_eq!(f.store.expire_deliveries().await.unwrap(), 0);
    f.clock.set(AFTER_EXPIRY);
    assert_eq!(f.store.expire_deliveries().await.unwrap(), 3);
    let (deliveries, pushes) = ends(&f).await;
    assert_eq!(deliveries, ["1 expired expired", "2 expired no_channel", "4 expired no_device"]);
    let expired = |reason| ended(PushOutcome::Expired, reason);
    assert_eq!(pushes, [expired(Reason::Expired), expired(Reason::NoChannel)]);
    assert_eq!(f.rows("select count(*) from event where kind = 2").await, ["3"]);
    assert_eq!(f.store.expire_deliveries().await.unwrap(), 0);
}

#[tokio::test]
async fn what_is_under_way_does_not_run_out() {
    let f = Fixture::new().await;
    f.store.accept(&[f.personal("a", &["1", "2"])]).await.unwrap();
    let pushes = f.store.claim(ChannelKind::Fcm, 1, super::LEASE).await.unwrap().pushes;
    f.clock.set(AFTER_EXPIRY);
    assert_eq!(f.store.expire_deliveries().await.unwrap(), 1);
    let accepted = PushResult::Accepted { answer: String::new() };
    f.store.finish(&[finished(&pushes[0], accepted)]).await.unwrap();
    assert_eq!(f.store.expire_deliveries().await.unwrap(), 0);
    assert_eq!(f.rows("select state from delivery order by state").await, ["1", "6"]);
}

#[tokio::test]
async fn a_cancelation_that_was_cut_short_is_finished() {
    let f = Fixture::new().await;
    f.store.accept(&[f.personal("a", &["1", "2"])]).await.unwrap();
    f.execute(&format!("{}; update message set canceled_at = {NOON}", super::CANCEL_BEGUN)).await;
    f.store.do_duties().await.unwrap();
    let canceled = ended(PushOutcome::Canceled, Reason::Canceled);
    let deliveries = ["1 canceled canceled", "2 canceled canceled"].map(str::to_owned).to_vec();
    assert_eq!(ends(&f).await, (deliveries, vec![canceled.clone(), canceled]));
    assert_eq!(f.rows("select count(*) from duty").await, ["0"]);
}

#[tokio::test]
async fn pushes_of_streams_do_not_stay_open_for_ever() {
    let f = Fixture::new().await;
    let stream = ChannelKind::Stream.number();
    f.execute(&format!("update device set channel = {stream}, address = null")).await;
    f.store.accept(&[f.personal("a", &["1", "2"])]).await.unwrap();
    // A receipt came from another phone of the employee: no outcome closes the delivery.
    f.execute(&format!("update delivery set delivered_at = {NOON}")).await;
    assert_eq!(f.store.close_stream_pushes(None).await.unwrap(), None);
    assert_eq!(f.store.waiting_pushes(ChannelKind::Stream).await.unwrap(), 2);
    f.clock.set(AFTER_EXPIRY);
    assert_eq!(f.store.close_stream_pushes(None).await.unwrap(), None);
    assert_eq!(
        (
            f.store.waiting_pushes(ChannelKind::Stream).await.unwrap(),
            f.rows("select distinct outcome from push").await
        ),
        (0, vec![PushOutcome::Expired.number().to_string()])
    );
}

#[tokio::test]
async fn pushes_without_a_channel_say_so_until_there_is_one() {
    let f = Fixture::new().await;
    f.store.accept(&[f.personal("a", &["1", "2"])]).await.unwrap();
    assert_eq!(f.store.note_missing_channel(ChannelKind::Fcm).await.unwrap(), 2);
    assert_eq!(f.store.note_missing_channel(ChannelKind::Fcm).await.unwrap(), 0);
    assert_eq!(f.rows("select distinct reason from push").await, [Reason::NoChannel.number().to_string()]);
    let pushes = claim_all(&f).await;
    let accepted = || PushResult::Accepted { answer: String::new() };
    let finished: Vec<_> = pushes.iter().map(|push| finished(push, accepted())).collect();
    f.store.finish(&finished).await.unwrap();
    assert_eq!(f.rows("select count(*) from push where outcome = 1 and reason is null").await, ["2"]);
}

#[tokio::test]
async fn old_keys_events_failures_and_invitations_are_forgotten_and_young_ones_kept() {
    let f = Fixture::new().await;
    let rows = |at: i64, name: &str| {
        format!(
            "insert into idempotency (client_no, acs_no, key, message_no, fingerprint, created_at)
                 values (9, 9, '{name}', 9, 4, {at});
             insert into event (client_no, at, kind, message_no) values (9, {at}, 1, 9);
             insert into pairing_failure (address, hour, count) values ('{name}', {hour}, 1);
             insert into invite (code_hash, client_no, employee_no, created_at, expires_at)
                 values (x'{code}', 9, 9, {at}, {at});",
            hour = at / HOUR_US,
            code = hex(name.as_bytes()),
        )
    };
    f.execute(&rows(NOON - 40 * DAY, "old")).await;
    f.execute(&rows(NOON - HOUR, "young")).await;
    assert!(!f.store.forget_old().await.unwrap());
    for table in ["idempotency", "event", "pairing_failure", "invite"] {
        assert_eq!(f.rows(&format!("select count(*) from {table}")).await, ["1"], "{table}");
    }
}

#[tokio::test]
async fn history_is_kept_as_long_as_its_client_wants() {
    let f = Fixture::new().await;
    let other = f.second_client().await;
    f.store.accept(&[f.personal("старое", &["1", "2", "3"]), other]).await.unwrap();
    while f.store.index_words(100).await.unwrap() > 0 {}
    f.clock.set(NOON + 9 * DAY);
    f.store.accept(&[f.personal("новое", &["1"])]).await.unwrap();
    f.execute("update client set retention_days = 10 where slug = 'zavod'").await;
    f.clock.set(NOON + 10 * DAY - HOUR);
    assert!(!f.store.forget_history().await.unwrap());
    f.clock.set(NOON + 10 * DAY + HOUR);
    while f.store.forget_history().await.unwrap() {}
    assert_eq!(f.rows("select title from message order by title").await, ["новое", "чужое"]);
    for table in ["push", "delivery"] {
        assert_eq!(f.rows(&format!("select count(*) from {table}")).await, ["2"], "{table}");
    }
    assert_eq!(f.rows("select count(*) from message_word").await, ["1"]);
}

#[tokio::test]
async fn who_is_blocked_before_his_turn_comes_is_denied() {
    let f = Fixture::new().await;
    f.add_employees(300).await;
    let mut wide = f.incoming("всем");
    wide.draft.recipients =
        Some(simo_common::api::message::Recipients { everyone: true, ..Default::default() });
    f.store.accept(&[wide]).await.unwrap();
    f.store.block_employee(f.client_no, "2").await.unwrap();
    f.store.remove_employee(f.client_no, "3").await.unwrap();
    let mut stride = super::Stride::default();
    while f.store.expand_step(&mut stride).await.unwrap() {}
    let denied: Vec<_> = states(&f).await.into_iter().filter(|state| !state.contains("queued")).collect();
    assert_eq!(denied, ["2 denied blocked", "3 denied archived"]);
    let later = "select employee_no || ' ' || outcome_at from delivery where outcome is not null order by 1";
    assert_eq!(f.rows(later).await, [format!("2 {NOON}"), format!("3 {NOON}")]);
    assert_eq!(f.store.waiting_pushes(ChannelKind::Fcm).await.unwrap(), 1);
}

#[tokio::test]
async fn a_large_message_is_forgotten_in_pieces() {
    let f = Fixture::new().await;
    f.add_employees(600).await;
    let mut wide = f.incoming("всем");
    wide.draft.recipients =
        Some(simo_common::api::message::Recipients { everyone: true, ..Default::default() });
    f.store.accept(&[wide]).await.unwrap();
    let mut stride = super::Stride::default();
    while f.store.expand_step(&mut stride).await.unwrap() {}
    f.execute("update client set retention_days = 1").await;
    f.clock.set(NOON + 2 * DAY);
    assert!(!f.store.forget_history().await.unwrap(), "keys of idempotency lead to it for 72 hours");
    f.clock.set(NOON + 4 * DAY);
    let mut steps = 0;
    while f.store.forget_history().await.unwrap() {
        steps += 1;
    }
    assert!(steps >= 3, "{steps}");
    assert_eq!(
        f.rows("select count(*) from delivery union all select count(*) from message").await,
        ["0", "0"]
    );
}

#[tokio::test]
async fn the_brake_remembers_the_dead_of_the_last_hour() {
    let f = Fixture::new().await;
    assert_eq!(f.store.count_devices(ChannelKind::Fcm).await.unwrap(), 3);
    f.store.accept(&[f.personal("a", &["1", "2"])]).await.unwrap();
    let pushes = claim_all(&f).await;
    let dead = |device| PushResult::Failed { reason: Reason::DeadAddress, answer: String::new(), device };
    f.store
        .finish(&[
            finished(&pushes[0], dead(DeviceEffect::Quarantine)),
            finished(&pushes[1], dead(DeviceEffect::Retire)),
        ])
        .await
        .unwrap();
    assert_eq!(f.store.count_devices(ChannelKind::Fcm).await.unwrap(), 2);
    assert_eq!(f.store.dead_devices(ChannelKind::Fcm).await.unwrap().len(), 2);
    f.clock.set(NOON + HOUR + 1);
    assert!(f.store.dead_devices(ChannelKind::Fcm).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_push_that_quarantine_holds_back_was_no_try() {
    let f = Fixture::new().await;
    f.store.accept(&[f.personal("a", &["1"])]).await.unwrap();
    let pushes = claim_all(&f).await;
    let held_back = PushResult::Failed {
        reason: Reason::Quarantined,
        answer: "not sent".to_owned(),
        device: DeviceEffect::None,
    };
    f.store.finish(&[finished(&pushes[0], held_back)]).await.unwrap();
    assert_eq!(
        f.rows("select tries || ' ' || coalesce(last_tried_at, 0) || ' ' || outcome from push").await,
        [format!("0 0 {}", PushOutcome::Failed.number())]
    );
}
