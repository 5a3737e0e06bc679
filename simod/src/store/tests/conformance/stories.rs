//! What a story has told of a moment never changes, whatever happens to the people, groups, grants, topics and phones.

use std::{collections::BTreeMap, time::Duration};

use proptest::prelude::*;
use simo_common::{
    api::{
        access::{ClientSpec, Grantee, Named, Rename},
        device::Receipt,
        message::Recipients,
        people::{EditEmployee, NewEmployee},
    },
    delivery::Reason,
    lang::Lang,
    receipt::ReceiptKind,
    time::from_us,
};
use uuid::Uuid;

use super::{
    super::{finished, fixture::NOON},
    Fixture, HOUR, Phone, pair,
};
use crate::{
    channel::{Address, ChannelKind},
    store::{ClaimedPush, DeviceEffect, Finished, GrantTerms, Incoming, PushResult, Reported, Way},
};

const PEOPLE: [&str; 4] = ["1", "2", "3", "4"];
const GROUPS: [&str; 2] = ["smena-a", "ceh-1"];

#[derive(Debug, Clone)]
enum Event {
    Post(Target, bool),
    Cancel(usize),
    /// Pushes sent now stay under way until their result is stored.
    Claim,
    /// A result is stored: of now, or of soon after sending but stored now.
    Send(u8, bool),
    Report(usize, usize, u8),
    Pass(u8),
    Expire,
    Pair(usize, bool),
    Unpair(usize),
    ChangeWay(usize, bool),
    RenamePhone(usize),
    Rename(usize),
    Block(usize),
    Unblock(usize),
    Remove(usize),
    Restore(usize),
    Move(usize, usize, bool),
    Include(bool),
    RemoveGroup(usize),
    RestoreGroup(usize),
    Grant(u8, u8),
    Revoke(usize),
    RemoveTopic,
    RestoreTopic,
    MoveClient(bool),
}

#[derive(Debug, Clone)]
enum Target {
    People(Vec<usize>),
    Group(usize),
    Everyone,
    Holders,
}

fn event() -> impl Strategy<Value = Event> {
    let person = || 0..PEOPLE.len();
    let group = || 0..GROUPS.len();
    let target = prop_oneof![
        prop::collection::vec(person(), 1..3).prop_map(Target::People),
        group().prop_map(Target::Group),
        Just(Target::Everyone),
        Just(Target::Holders),
    ];
    let phones = prop_oneof![
        (person(), any::<bool>()).prop_map(|(who, is_pushed_to)| Event::Pair(who, is_pushed_to)),
        (0..6_usize).prop_map(Event::Unpair),
        (0..6_usize, any::<bool>()).prop_map(|(which, is_pushed_to)| Event::ChangeWay(which, is_pushed_to)),
        (0..6_usize).prop_map(Event::RenamePhone),
    ];
    let people = prop_oneof![
        person().prop_map(Event::Rename),
        person().prop_map(Event::Block),
        person().prop_map(Event::Unblock),
        person().prop_map(Event::Remove),
        person().prop_map(Event::Restore),
    ];
    let access = prop_oneof![
        3 => (person(), group(), any::<bool>()).prop_map(|(who, group, is_in)| Event::Move(who, group, is_in)),
        1 => any::<bool>().prop_map(Event::Include),
        1 => group().prop_map(Event::RemoveGroup),
        1 => group().prop_map(Event::RestoreGroup),
        2 => (0..4_u8, 0..3_u8).prop_map(|(to, when)| Event::Grant(to, when)),
        2 => (0..4_usize).prop_map(Event::Revoke),
        1 => Just(Event::RemoveTopic),
        1 => Just(Event::RestoreTopic),
        1 => any::<bool>().prop_map(Event::MoveClient),
    ];
    prop_oneof![
        4 => (target, any::<bool>()).prop_map(|(target, on_topic)| Event::Post(target, on_topic)),
        1 => (0..3_usize).prop_map(Event::Cancel),
        2 => Just(Event::Claim),
        3 => (0..4_u8, any::<bool>()).prop_map(|(how, is_stored_late)| Event::Send(how, is_stored_late)),
        3 => (0..6_usize, 0..3_usize, 0..3_u8).prop_map(|(phone, message, kind)| Event::Report(phone, message, kind)),
        3 => (0..4_u8).prop_map(Event::Pass),
        1 => Just(Event::Expire),
        4 => phones,
        4 => people,
        4 => access,
    ]
}

/// What the stories say of moments, by message, person and language.
type Told = BTreeMap<(Uuid, &'static str, bool), Vec<String>>;

struct Course {
    f: Fixture,
    phones: Vec<Phone>,
    messages: Vec<Uuid>,
    on_its_way: Vec<ClaimedPush>,
    went_at: i64,
    told: Told,
}

impl Course {
    async fn new() -> Self {
        let f = Fixture::new().await;
        f.add_employees(1).await;
        let named = Named { slug: "ceh-1".to_owned(), name: None };
        f.store.add_group(f.client_no, &named).await.unwrap();
        f.grant_group("boiler", "smena-a").await;
        let phones = vec![pair(&f, "1", Some("its-own")).await, pair(&f, "2", None).await];
        Self { f, phones, messages: Vec::new(), on_its_way: Vec::new(), went_at: NOON, told: Told::new() }
    }

    async fn post(&mut self, target: &Target, on_topic: bool) {
        let mut incoming: Incoming = self.f.incoming("m");
        let mut to = Recipients::default();
        match target {
            Target::People(people) => {
                to.employees = people.iter().map(|who| PEOPLE[*who].to_owned()).collect();
            }
            Target::Group(group) => to.groups = vec![GROUPS[*group].to_owned()],
            Target::Everyone => to.everyone = true,
            Target::Holders => {}
        }
        let is_for_holders = matches!(target, Target::Holders);
        incoming.draft.recipients = (!is_for_holders).then_some(to);
        incoming.draft.topic = (on_topic || is_for_holders).then(|| "boiler".to_owned());
        incoming.draft.allow_empty = true;
        let answer = self.f.store.accept(&[incoming]).await.unwrap().pop().unwrap().answer;
        // The topic or a group may be archived.
        self.messages.extend(answer.ok().map(|posted| posted.id));
    }

    /// Impossible events, such as a second removal, are refused: then nothing happens.
    async fn go(&mut self, event: &Event, number: usize) {
        let (store, client) = (&self.f.store, self.f.client_no);
        match event {
            Event::Post(target, on_topic) => self.post(target, *on_topic).await,
            Event::Cancel(message) => {
                if let Some(id) = self.messages.iter().rev().nth(*message) {
                    store.cancel_message(client, None, *id).await.unwrap();
                }
            }
            Event::Claim => {
                let claimed = store.claim(ChannelKind::Fcm, 5, Duration::from_mins(1)).await.unwrap();
                self.on_its_way.extend(claimed.pushes);
                self.went_at = self.f.clock.now();
            }
            Event::Send(how, is_stored_late) => {
                if self.on_its_way.is_empty() {
                    let claimed = store.claim(ChannelKind::Fcm, 5, Duration::from_mins(1)).await.unwrap();
                    self.on_its_way = claimed.pushes;
                    self.went_at = self.f.clock.now();
                }
                let answer = || "ok".to_owned();
                let result = || match how {
                    0 => PushResult::Accepted { answer: answer() },
                    1 => PushResult::Failed {
                        reason: Reason::Rejected,
                        answer: answer(),
                        device: DeviceEffect::None,
                    },
                    2 => PushResult::Failed {
                        reason: Reason::DeadAddress,
                        answer: answer(),
                        device: DeviceEffect::Quarantine,
                    },
                    _ => PushResult::Retry {
                        due_at: self.f.clock.now() + HOUR / 4,
                        answer: answer(),
                        counts: true,
                    },
                };
                let at = if *is_stored_late { self.went_at } else { self.f.clock.now() };
                let result_of = |push: &_| Finished { at, ..finished(push, result()) };
                let results: Vec<_> = self.on_its_way.iter().map(result_of).collect();
                store.finish(&results).await.unwrap();
                self.on_its_way.clear();
            }
            Event::Report(phone, message, kind) => {
                let kinds = [ReceiptKind::Delivered, ReceiptKind::Read, ReceiptKind::Acknowledged];
                let (Some(phone), Some(message_id)) =
                    (self.phones.get(*phone), self.messages.iter().rev().nth(*message))
                else {
                    return;
                };
                let (message_id, kind) = (*message_id, kinds[usize::from(*kind)]);
                let receipts = vec![Receipt { message_id, kind, at: from_us(NOON), by: None }];
                let reported = Reported { phone: phone.caller.clone(), receipts };
                store.record(&[reported]).await.unwrap();
            }
            Event::Pass(quarters) => self.f.clock.set(self.f.clock.now() + i64::from(*quarters) * HOUR / 4),
            Event::Expire => {
                self.f.clock.set(self.f.clock.now() + 80 * HOUR);
                store.expire_deliveries().await.unwrap();
            }
            Event::Pair(who, is_pushed_to) => {
                let address = format!("address-of-{number}");
                let is_there = store.invite(client, PEOPLE[*who], 60).await.is_ok();
                if is_there {
                    let phone = pair(&self.f, PEOPLE[*who], is_pushed_to.then_some(&address)).await;
                    self.phones.push(phone);
                }
            }
            Event::Unpair(phone) => {
                if let Some(phone) = self.phones.get(*phone) {
                    store.remove_device(client, phone.paired.device_id).await.unwrap();
                }
            }
            Event::ChangeWay(phone, is_pushed_to) => {
                let Some(phone) = self.phones.get(*phone) else { return };
                let (channel, address) = if *is_pushed_to {
                    (ChannelKind::Fcm, Some(Address::new(format!("new-address-{number}"))))
                } else {
                    (ChannelKind::Stream, None)
                };
                let way = Way { channel, address, endpoint: None, lang: Lang::En, notifications: None };
                store.change_way(&phone.caller, &way).await.unwrap();
            }
            Event::RenamePhone(phone) => {
                if let Some(phone) = self.phones.get(*phone) {
                    let name = format!("phone {number}");
                    store.rename_device(client, phone.paired.device_id, &name).await.unwrap();
                }
            }
            Event::Rename(who) => {
                let edit =
                    EditEmployee { full_name: Some(format!("Name {number}")), ..EditEmployee::default() };
                drop(store.edit_employee(client, PEOPLE[*who], &edit).await);
            }
            Event::Block(who) => drop(store.block_employee(client, PEOPLE[*who]).await),
            Event::Unblock(who) => drop(store.unblock_employee(client, PEOPLE[*who]).await),
            Event::Remove(who) => drop(store.remove_employee(client, PEOPLE[*who]).await),
            Event::Restore(who) => {
                let new = NewEmployee {
                    personnel_no: PEOPLE[*who].to_owned(),
                    full_name: "Again".to_owned(),
                    ..NewEmployee::default()
                };
                drop(store.add_employee(client, &new).await);
            }
            Event::Move(who, group, is_in) => {
                drop(store.set_member(client, GROUPS[*group], PEOPLE[*who], *is_in).await);
            }
            Event::Include(true) => drop(store.include_group(client, "ceh-1", "smena-a").await),
            Event::Include(false) => drop(store.exclude_group(client, "ceh-1", "smena-a").await),
            Event::RemoveGroup(group) => drop(store.remove_group(client, GROUPS[*group]).await),
            Event::RestoreGroup(group) => {
                let named = Named { slug: GROUPS[*group].to_owned(), name: None };
                if store.add_group(client, &named).await.is_ok() {
                    let rename = Rename { name: format!("Group {number}") };
                    store.edit_group(client, GROUPS[*group], &rename).await.unwrap();
                }
            }
            Event::Grant(to, when) => {
                let grantee = match to {
                    0 => Grantee::Everyone,
                    1 | 2 => Grantee::Group(GROUPS[usize::from(*to) - 1].to_owned()),
                    _ => Grantee::Employee("3".to_owned()),
                };
                let ends_at = (*when == 1).then(|| self.f.clock.now() + HOUR / 2);
                let hours = (*when == 2).then(|| "mon-sun 08:00-16:00".parse().unwrap());
                let terms = GrantTerms { ends_at, hours, ..GrantTerms::default() };
                drop(store.grant(client, "boiler", &grantee, &terms).await);
            }
            Event::Revoke(place) => {
                let grants = store.grants(client, "boiler").await.unwrap();
                if let Some(grant) = grants.get(*place) {
                    store.revoke_grant(client, "boiler", grant.id).await.unwrap();
                }
            }
            Event::RemoveTopic => drop(store.remove_topic(client, "boiler").await),
            Event::RestoreTopic => {
                let named = serde_json::from_value(serde_json::json!({"slug": "boiler"})).unwrap();
                drop(store.add_topic(client, &named).await);
            }
            Event::MoveClient(is_east) => {
                let timezone = if *is_east { "Asia/Vladivostok" } else { "Europe/Moscow" };
                let spec = ClientSpec { timezone: Some(timezone.to_owned()), ..ClientSpec::default() };
                store.edit_client("zavod", &spec).await.unwrap();
            }
        }
    }

    async fn check(&mut self) {
        for id in &self.messages {
            for who in PEOPLE {
                for (is_russian, lang) in [(false, Lang::En), (true, Lang::Ru)] {
                    let explained =
                        self.f.store.explain(self.f.client_no, None, *id, who, lang).await.unwrap();
                    let lines = explained.story.iter().filter(|line| line.at.is_some());
                    let lines: Vec<String> =
                        lines.map(|line| format!("{} {}", line.at.unwrap(), line.text)).collect();
                    let before = self.told.insert((*id, who, is_russian), lines.clone()).unwrap_or_default();
                    let mut rest = lines.iter();
                    let missing = before.iter().find(|line| !rest.any(|now| now == *line));
                    assert_eq!(missing, None, "of {who}: it was told {before:#?}, now it is {lines:#?}");
                }
            }
        }
    }
}

async fn what_was_told_stays(events: &[Event]) {
    let mut course = Course::new().await;
    for (number, event) in events.iter().enumerate() {
        // Nothing happens at the same time: a phone's name is found by the time it got it.
        course.f.clock.set(course.f.clock.now() + 1);
        course.go(event, number).await;
        course.check().await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 12,
        max_shrink_iters: 30,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn what_a_story_has_told_it_tells_for_good(events in prop::collection::vec(event(), 5..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(what_was_told_stays(&events));
    }
}
