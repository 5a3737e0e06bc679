//! What changes more rows than one transaction may goes on until none is left.

use simo_common::api::message::{Canceled, Recipients};
use uuid::Uuid;

use super::{
    Stride,
    fixture::{Fixture, NOON},
    posted,
};

async fn expand(f: &Fixture) {
    let mut stride = Stride::default();
    while f.store.expand_step(&mut stride).await.unwrap() {}
}

/// A message to 603 employees, three of whom have a phone.
async fn wide() -> (Fixture, Uuid) {
    let f = Fixture::new().await;
    f.add_employees(600).await;
    let mut message = f.incoming("всем");
    message.draft.recipients = Some(Recipients { everyone: true, ..Recipients::default() });
    let id = posted(&f.store.accept(&[message]).await.unwrap()[0]).id;
    expand(&f).await;
    (f, id)
}

/// How often each outcome is there, of deliveries and of pushes, and of how many deliveries the feed tells.
async fn ends(f: &Fixture) -> Vec<String> {
    let count = |table: &str| {
        format!(
            "select coalesce(outcome, 'open') || ' ' || coalesce(reason, '') || ' ' || count(*) from {table}
             group by outcome, reason order by 1"
        )
    };
    let mut ends = f.rows(&count("delivery")).await;
    ends.extend(f.rows(&count("push")).await);
    ends.extend(f.rows("select count(*) from event where kind = 'delivery'").await);
    ends
}

#[tokio::test]
async fn canceling_closes_more_deliveries_than_one_step_does() {
    let (f, id) = wide().await;
    let canceled = f.store.cancel_message(f.client_no, None, id).await.unwrap();
    let all = Canceled { canceled: 603, too_late: 0, scheduled: false };
    assert_eq!(canceled, all);
    assert_eq!(ends(&f).await, ["canceled canceled 603", "canceled canceled 3", "603"]);
}

#[tokio::test]
async fn a_cancelation_that_was_cut_short_before_several_steps_is_finished() {
    let (f, _) = wide().await;
    f.execute(&format!(
        "update message set canceled_at = {NOON};
         insert into event (client_no, acs_no, at, kind, message_no)
         select client_no, acs_no, {NOON}, 'canceled', no from message"
    ))
    .await;
    f.store.resume_cancelations().await.unwrap();
    assert_eq!(ends(&f).await, ["canceled canceled 603", "canceled canceled 3", "603"]);
}

/// 1,100 messages for employee 1, who has a phone.
async fn many() -> Fixture {
    let f = Fixture::new().await;
    let batch: Vec<_> = (0..1_100).map(|number| f.personal(&number.to_string(), &["1"])).collect();
    f.store.accept(&batch).await.unwrap();
    expand(&f).await;
    f
}

#[tokio::test]
async fn blocking_denies_more_deliveries_than_one_step_does() {
    let f = many().await;
    f.store.block_employee(f.client_no, "1").await.unwrap();
    assert_eq!(ends(&f).await, ["denied blocked 1100", "canceled blocked 1100", "1100"]);
}

#[tokio::test]
async fn archiving_denies_more_deliveries_than_one_step_does() {
    let f = many().await;
    f.store.remove_employee(f.client_no, "1").await.unwrap();
    let deliveries = &ends(&f).await[0];
    assert_eq!(deliveries, "denied archived 1100");
    assert_eq!(f.rows("select count(*) from push where done_at is null").await, ["0"]);
}

/// Until then none of it is sent: claims look at the block.
#[tokio::test]
async fn blocking_that_was_cut_short_is_finished_by_blocking_again() {
    let f = many().await;
    let cut_short = format!("update employee set blocked_at = {} where personnel_no = '1'", NOON - 1);
    f.execute(&cut_short).await;
    f.store.block_employee(f.client_no, "1").await.unwrap();
    assert_eq!(ends(&f).await, ["denied blocked 1100", "canceled blocked 1100", "1100"]);
    let since = f.rows("select blocked_at from employee where personnel_no = '1'");
    assert_eq!(since.await, [(NOON - 1).to_string()]);
}
