//! The stored sums of a message's deliveries equal their count, whatever happens.

use std::time::Duration;

use proptest::prelude::*;
use simo_common::{
    api::device::Receipt,
    api::message::Recipients,
    receipt::ReceiptKind,
    time::{Moment, from_us},
};
use uuid::Uuid;

use super::{
    super::{finished, fixture::NOON},
    Fixture, HOUR, Phone, pair,
};
use crate::{
    channel::ChannelKind,
    store::{DeviceEffect, PushResult, Reported, Stride},
};
use simo_common::delivery::Reason;

#[derive(Debug, Clone)]
enum Event {
    PostTo(Vec<u8>),
    PostToGroup,
    /// Frozen, and expanded in steps.
    PostToEveryone,
    Schedule,
    Expand,
    Release,
    Send(bool),
    Report(u8, u8),
    Cancel(u8),
    Block(u8),
    Unblock(u8),
    Remove(u8),
    Pass(u8),
    Expire,
    AddUp,
    DoDuties,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => prop::collection::vec(1..6_u8, 1..4).prop_map(Event::PostTo),
        1 => Just(Event::PostToGroup),
        1 => Just(Event::PostToEveryone),
        1 => Just(Event::Schedule),
        2 => Just(Event::Expand),
        1 => Just(Event::Release),
        4 => any::<bool>().prop_map(Event::Send),
        4 => (0..4_u8, 0..3_u8).prop_map(|(message, kind)| Event::Report(message, kind)),
        1 => (0..6_u8).prop_map(Event::Cancel),
        1 => (1..6_u8).prop_map(Event::Block),
        1 => (1..6_u8).prop_map(Event::Unblock),
        1 => (2..6_u8).prop_map(Event::Remove),
        2 => (0..4_u8).prop_map(Event::Pass),
        2 => Just(Event::Expire),
        2 => Just(Event::AddUp),
        1 => Just(Event::DoDuties),
    ]
}

struct Course {
    f: Fixture,
    phone: Phone,
    messages: Vec<Uuid>,
    stride: Stride,
}

impl Course {
    async fn post(&mut self, incoming: crate::store::Incoming) {
        let answer = self.f.store.accept(&[incoming]).await.unwrap().pop().unwrap().answer;
        // Blocked or archived people cannot be posted to.
        self.messages.extend(answer.ok().map(|posted| posted.id));
    }

    async fn go(&mut self, event: &Event) {
        let client_no = self.f.client_no;
        match event {
            Event::PostTo(people) => {
                let people: Vec<String> = people.iter().map(ToString::to_string).collect();
                let people: Vec<&str> = people.iter().map(String::as_str).collect();
                let incoming = self.f.personal("m", &people);
                self.post(incoming).await;
            }
            Event::PostToGroup | Event::PostToEveryone => {
                let mut incoming = self.f.incoming("m");
                let everyone = matches!(event, Event::PostToEveryone);
                let groups = if everyone { Vec::new() } else { vec!["smena-a".to_owned()] };
                incoming.draft.recipients = Some(Recipients { groups, everyone, ..Recipients::default() });
                self.post(incoming).await;
            }
            Event::Schedule => {
                let mut incoming = self.f.personal("m", &["1", "2"]);
                let at = from_us(self.f.clock.now() + HOUR / 2);
                incoming.draft.send_at = Some(Moment::Exact(at));
                self.post(incoming).await;
            }
            Event::Expand => {
                self.f.store.expand_step(&mut self.stride).await.unwrap();
            }
            Event::Release => {
                self.f.store.release_due().await.unwrap();
            }
            Event::Send(works) => {
                let claimed = self.f.store.claim(ChannelKind::Fcm, 5, Duration::from_mins(1)).await.unwrap();
                let result = || {
                    let answer = "ok".to_owned();
                    if *works {
                        PushResult::Accepted { answer }
                    } else {
                        PushResult::Failed { reason: Reason::Rejected, answer, device: DeviceEffect::None }
                    }
                };
                let results: Vec<_> = claimed.pushes.iter().map(|push| finished(push, result())).collect();
                self.f.store.finish(&results).await.unwrap();
            }
            Event::Report(message, kind) => {
                let kinds = [ReceiptKind::Delivered, ReceiptKind::Read, ReceiptKind::Acknowledged];
                let Some(message_id) = self.messages.iter().rev().nth(usize::from(*message)) else { return };
                let (message_id, kind) = (*message_id, kinds[usize::from(*kind)]);
                let receipts = vec![Receipt { message_id, kind, at: from_us(NOON), by: None }];
                let reported = Reported { phone: self.phone.caller.clone(), receipts };
                self.f.store.record(&[reported]).await.unwrap();
            }
            Event::Cancel(message) => {
                if let Some(id) = self.messages.get(usize::from(*message)) {
                    self.f.store.cancel_message(client_no, None, *id).await.unwrap();
                }
            }
            // An archived employee cannot be blocked.
            Event::Block(no) => drop(self.f.store.block_employee(client_no, &no.to_string()).await),
            Event::Unblock(no) => drop(self.f.store.unblock_employee(client_no, &no.to_string()).await),
            Event::Remove(no) => drop(self.f.store.remove_employee(client_no, &no.to_string()).await),
            Event::Pass(quarters) => {
                self.f.clock.set(self.f.clock.now() + i64::from(*quarters) * HOUR / 4);
            }
            Event::Expire => {
                self.f.store.expire_deliveries().await.unwrap();
            }
            Event::AddUp => {
                self.f.store.add_up_sums().await.unwrap();
            }
            Event::DoDuties => self.f.store.do_duties().await.unwrap(),
        }
    }

    async fn check(&self) {
        for id in &self.messages {
            let counted = self
                .f
                .rows(&format!(
                    "select d.state || ' ' || count(*) from delivery d join message m
                         on m.client_no = d.client_no and m.no = d.message_no
                     where m.id = x'{}' group by d.state order by d.state",
                    id.simple()
                ))
                .await;
            let message = self.f.store.message(self.f.client_no, None, *id).await.unwrap().unwrap();
            let kept = message.states.iter().map(|one| format!("{} {}", one.state.rank(), one.count));
            assert_eq!(kept.collect::<Vec<_>>(), counted);
            let newest = self
                .f
                .rows(&format!(
                    "select coalesce(max(at), 0) from (
                         select sent_at as at, message_no from delivery union all select delivered_at, message_no from delivery
                         union all select read_at, message_no from delivery
                         union all select acknowledged_at, message_no from delivery
                         union all select outcome_at, message_no from delivery) times
                     join message m on m.no = times.message_no where m.id = x'{}'",
                    id.simple()
                ))
                .await;
            let newest: i64 = newest[0].parse().unwrap();
            let changed = message.changed_at.map_or(0, jiff::Timestamp::as_microsecond);
            // A delivery given back has no time any more, but it has changed.
            assert!(changed >= newest, "{changed} {newest}");
        }
    }
}

async fn sums_are_right(events: Vec<Event>) {
    let f = Fixture::new().await;
    f.add_employees(140).await;
    let phone = pair(&f, "1", Some("its-own")).await;
    let mut course = Course { f, phone, messages: Vec::new(), stride: Stride::default() };
    for event in &events {
        course.go(event).await;
        course.check().await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 40, ..ProptestConfig::default() })]

    #[test]
    fn sums_are_what_counting_finds(events in prop::collection::vec(event(), 5..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(sums_are_right(events));
    }
}
