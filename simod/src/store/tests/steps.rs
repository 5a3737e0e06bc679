//! Changes of more rows than one transaction may make go on until none is left.

use simo_common::api::message::{Canceled, Recipients};
use uuid::Uuid;

use super::{
    CANCEL_BEGUN, Stride,
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

/// The count of each outcome, of deliveries and of pushes, and the number of deliveries with events.
async fn ends(f: &Fixture) -> Vec<String> {
    let count = |table: &str| {
        format!(
            "select coalesce(outcome, 0) || ' ' || coalesce(reason, 0) || ' ' || count(*) from {table}
             group by outcome, reason order by 1"
        )
    };
    let mut ends = f.rows(&count("delivery")).await;
    ends.extend(f.rows(&count("push")).await);
    ends.extend(f.rows("select count(*) from event where kind = 2").await);
    ends
}

/// All of them canceled.
const CANCELED: [&str; 3] = ["7 7 603", "7 7 3", "603"];
/// Denied, and their pushes canceled, because of a block.
const BLOCKED: [&str; 3] = ["8 3 1100", "7 3 1100", "1100"];

#[tokio::test]
async fn canceling_closes_more_deliveries_than_one_step_does() {
    let (f, id) = wide().await;
    let canceled = f.store.cancel_message(f.client_no, None, id).await.unwrap();
    let all = Canceled { canceled: 603, too_late: 0, scheduled: false };
    assert_eq!(canceled, all);
    assert_eq!(ends(&f).await, CANCELED);
}

#[tokio::test]
async fn a_cancelation_that_was_cut_short_before_several_steps_is_finished() {
    let (f, _) = wide().await;
    f.execute(&format!("{CANCEL_BEGUN}; update message set canceled_at = {NOON}")).await;
    f.store.do_duties().await.unwrap();
    assert_eq!(ends(&f).await, CANCELED);
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
    assert_eq!(ends(&f).await, BLOCKED);
}

#[tokio::test]
async fn unblocking_gives_back_more_deliveries_than_one_step_does() {
    let f = many().await;
    f.store.block_employee(f.client_no, "1").await.unwrap();
    f.store.unblock_employee(f.client_no, "1").await.unwrap();
    assert_eq!(ends(&f).await, ["0 0 1100", "0 0 1100", "2200"]);
}

#[tokio::test]
async fn archiving_somebody_blocked_ends_more_holds_than_one_step_does() {
    let f = many().await;
    f.store.block_employee(f.client_no, "1").await.unwrap();
    f.store.remove_employee(f.client_no, "1").await.unwrap();
    f.execute("update employee set archived_at = null where personnel_no = '1'").await;
    f.store.unblock_employee(f.client_no, "1").await.unwrap();
    assert_eq!(ends(&f).await, BLOCKED);
}

#[tokio::test]
async fn archiving_denies_more_deliveries_than_one_step_does() {
    let f = many().await;
    f.store.remove_employee(f.client_no, "1").await.unwrap();
    let deliveries = &ends(&f).await[0];
    assert_eq!(deliveries, "8 4 1100");
    assert_eq!(f.rows("select count(*) from push where done_at is null").await, ["0"]);
}

/// Until then none of it is sent: claims check the block.
#[tokio::test]
async fn blocking_that_was_cut_short_is_finished_by_blocking_again() {
    let f = many().await;
    let cut_short = format!("update employee set blocked_at = {} where personnel_no = '1'", NOON - 1);
    f.execute(&cut_short).await;
    f.store.block_employee(f.client_no, "1").await.unwrap();
    assert_eq!(ends(&f).await, BLOCKED);
    let since = f.rows("select blocked_at from employee where personnel_no = '1'");
    assert_eq!(since.await, [(NOON - 1).to_string()]);
}
