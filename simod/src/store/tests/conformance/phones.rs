//! Phones pair with a code, change their way, and leave; what they may read.

use simo_common::{
    api::{access::Named, invites::NewBatch},
    delivery::Reason,
    lang::Lang,
    time::{MILLISECOND, SECOND, from_us},
};

use super::{
    super::{
        super::{DeviceEffect, PushResult},
        fixture::NOON,
    },
    Fixture, HOUR, Pairing, claim_all, device, finished, invalid, is_conflict, is_missing, listed, pair,
    post, send_all,
};
use crate::{
    channel::{Address, ChannelKind},
    store::Way,
};

#[tokio::test]
async fn a_code_pairs_one_phone_and_guessing_is_slowed() {
    let f = Fixture::new().await;
    let (code, until) = f.store.invite(f.client_no, "2", 3_600).await.unwrap();
    assert_eq!(until, NOON + HOUR);
    assert!(is_missing(&f.store.invite(f.client_no, "404", 60).await, "employee"));
    f.store.block_employee(f.client_no, "2").await.unwrap();
    assert!(is_conflict(&f.store.invite(f.client_no, "2", 60).await));
    let phone = device(&code, Some("new"));
    assert_eq!(f.store.pair(&phone).await.unwrap(), Pairing::Blocked);
    f.store.unblock_employee(f.client_no, "2").await.unwrap();

    f.clock.set(until);
    assert_eq!(f.store.pair(&phone).await.unwrap(), Pairing::WrongCode, "it has run out");
    f.clock.set(until - 1);
    let Pairing::Done(paired) = f.store.pair(&phone).await.unwrap() else { panic!("the code works") };
    assert_eq!((&*paired.personnel_no, &*paired.full_name, &*paired.client), ("2", "Сотрудник 2", "zavod"));
    assert_eq!(f.store.employee(f.client_no, "2").await.unwrap().devices, 2);

    f.clock.set(until + SECOND);
    for _ in 0..20 {
        assert_eq!(f.store.pair(&phone).await.unwrap(), Pairing::WrongCode);
    }
    let right = device(&f.store.invite(f.client_no, "3", 60).await.unwrap().0, Some("right"));
    assert_eq!(f.store.pair(&right).await.unwrap(), Pairing::NextSecond);
    f.clock.set(until + 2 * SECOND);
    assert!(matches!(f.store.pair(&right).await.unwrap(), Pairing::Done(_)));
}

#[tokio::test]
async fn devices_are_listed_newest_first_and_say_why_they_went() {
    let f = Fixture::new().await;
    f.add_employees(1).await;
    let mut phones = Vec::new();
    // Ids ascend by millisecond.
    for address in ["a", "b", "c"] {
        f.clock.set(f.clock.now() + MILLISECOND);
        phones.push(pair(&f, "4", Some(address)).await);
    }
    let [left, removed, kept] = &phones[..] else { panic!("three phones") };
    assert_eq!(f.store.count_devices(ChannelKind::Fcm).await.unwrap(), 6);
    f.store.leave(&left.caller).await.unwrap();
    f.store.remove_device(f.client_no, removed.paired.device_id).await.unwrap();
    for gone in [left, removed] {
        assert!(f.store.token_holder(&gone.token_hash).await.unwrap().is_none());
    }
    assert_eq!(f.store.count_devices(ChannelKind::Fcm).await.unwrap(), 4);
    assert_eq!(f.store.count_devices(ChannelKind::Stream).await.unwrap(), 0);
    let of_4 = listed(
        async |listing| f.store.devices(f.client_no, Some("4"), &listing).await,
        |device| format!("{}/{}", device.state, device.reason.as_deref().unwrap_or("-")),
        "сотрудник 4",
    );
    let all = "active/- retired/device_gone retired/left";
    assert_eq!(of_4.await, ["active/-", all, all]);
    let of_all = listed(
        async |listing| f.store.devices(f.client_no, None, &listing).await,
        |device| device.personnel_no.clone(),
        "телефон",
    );
    let of_all = of_all.await;
    assert_eq!((of_all[0].len(), &*of_all[2]), ("1 2 3 4".len(), "4 4 4"));
    let device = f.store.device(f.client_no, kept.paired.device_id).await.unwrap();
    assert_eq!(
        (&*device.channel, &*device.name, &*device.platform, device.paired_at),
        ("fcm", "Телефон", "android", from_us(NOON + 3 * MILLISECOND))
    );
    let nobody = uuid::Uuid::from_u128(1);
    assert!(is_missing(&f.store.device(f.client_no, nobody).await, "device"));
    assert!(is_missing(&f.store.remove_device(f.client_no, nobody).await, "device"));
}

#[tokio::test]
async fn what_waits_for_a_phone_goes_its_new_way() {
    let f = Fixture::new().await;
    let phone = pair(&f, "1", None).await;
    post(&f, f.personal("первое", &["1"])).await;
    let waiting = async || {
        (
            f.store.waiting_pushes(ChannelKind::Fcm).await.unwrap(),
            f.store.waiting_pushes(ChannelKind::Stream).await.unwrap(),
        )
    };
    assert_eq!(waiting().await, (1, 1));
    // The fixture's phone has this address so far.
    let way = Way {
        channel: ChannelKind::Fcm,
        address: Some(Address::new("address-1".to_owned())),
        endpoint: None,
        lang: Lang::En,
        notifications: None,
    };
    for _ in 0..2 {
        f.store.change_way(&phone.caller, &way).await.unwrap();
    }
    assert_eq!(waiting().await, (1, 0));
    let pushes = claim_all(&f).await;
    assert_eq!(pushes[0].claim.key.device_no, phone.caller.device_no);
    assert_eq!(
        f.rows("select reason from device where retired_at is not null").await,
        [Reason::Replaced.number().to_string()]
    );
}

#[tokio::test]
async fn dead_addresses_are_remembered_for_an_hour() {
    let f = Fixture::new().await;
    post(&f, f.personal("a", &["1", "2"])).await;
    let pushes = claim_all(&f).await;
    let dead = |device| PushResult::Failed {
        reason: Reason::DeadAddress,
        answer: "UNREGISTERED".to_owned(),
        device,
    };
    let results = [
        finished(&pushes[0], dead(DeviceEffect::Quarantine)),
        finished(&pushes[1], dead(DeviceEffect::Retire)),
    ];
    f.store.finish(&results).await.unwrap();
    let mut known = f.store.dead_devices(ChannelKind::Fcm).await.unwrap();
    known.sort_unstable();
    let mut expected: Vec<_> = pushes.iter().map(|push| (push.claim.key.device_no, NOON)).collect();
    expected.sort_unstable();
    assert_eq!(known, expected);
    assert!(f.store.dead_devices(ChannelKind::Stream).await.unwrap().is_empty());
    assert_eq!(
        f.store.count_devices(ChannelKind::Fcm).await.unwrap(),
        2,
        "a quarantined one is still in use"
    );
    let addresses = f.store.known_addresses(ChannelKind::Fcm).await.unwrap();
    assert_eq!(addresses.iter().filter(|known| known.is_in_use).count(), 2);
    assert_eq!(addresses.iter().filter(|known| known.dead_at == Some(NOON)).count(), 2);
    f.clock.set(NOON + HOUR);
    assert!(f.store.dead_devices(ChannelKind::Fcm).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_phone_reads_its_employees_own_messages() {
    let f = Fixture::new().await;
    let mut ids = Vec::new();
    for title in ["первое", "отменённое", "второе"] {
        f.clock.set(f.clock.now() + MILLISECOND);
        ids.push(post(&f, f.personal(title, &["1", "2"])).await);
    }
    let foreign = post(&f, f.personal("чужое", &["2"])).await;
    f.store.cancel_message(f.client_no, None, ids[1]).await.unwrap();
    send_all(&f).await;
    let phone = pair(&f, "1", None).await.caller;
    let newest = f.store.own_messages(&phone, None, 1).await.unwrap();
    let rest = f.store.own_messages(&phone, Some(newest[0].0), 10).await.unwrap();
    let titles: Vec<_> = newest.iter().chain(&rest).map(|(_, own)| &*own.title).collect();
    assert_eq!(titles, ["второе", "первое"]);
    let own = f.store.own_message(&phone, ids[0]).await.unwrap().unwrap();
    assert_eq!((&own, &*own.acs, own.state.as_str()), (&rest[0].1, "1c", "sent"));
    for not_his in [ids[1], foreign] {
        assert_eq!(f.store.own_message(&phone, not_his).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_batch_of_codes_is_made_counted_and_withdrawn_together() {
    let f = Fixture::new().await;
    let client = f.client_no;
    f.add_employees(1).await;
    f.store.block_employee(client, "2").await.unwrap();
    let everyone = NewBatch { everyone: true, ..NewBatch::default() };
    let made = f.store.invite_batch(client, &everyone, "all", 3_600).await.unwrap();
    let numbers: Vec<_> = made.invites.iter().map(|i| &*i.personnel_no).collect();
    assert_eq!((&*numbers, &*made.blocked), (&["1", "3", "4"][..], &["2".to_owned()][..]));
    assert_eq!(made.expires_at, from_us(NOON + HOUR));
    let group = NewBatch { groups: vec!["smena-a".to_owned()], without_device: true, ..NewBatch::default() };
    assert_eq!(
        invalid(f.store.invite_batch(client, &group, "shift", 60).await),
        ["groups"],
        "all of them have a device"
    );
    let unknown = NewBatch { groups: vec!["smena-a".to_owned(), "x".to_owned()], ..NewBatch::default() };
    assert_eq!(invalid(f.store.invite_batch(client, &unknown, "", 60).await), ["groups[1]"]);

    let around = Named { slug: "zavod".to_owned(), name: None };
    f.store.add_group(client, &around).await.unwrap();
    f.store.include_group(client, "zavod", "smena-a").await.unwrap();
    let nested = NewBatch { groups: vec!["zavod".to_owned()], ..NewBatch::default() };
    let within = f.store.invite_batch(client, &nested, "zavod", 60).await.unwrap();
    assert_eq!(within.invites[0].personnel_no, "1", "groups may contain groups");
    f.store.withdraw_batch(client, within.id).await.unwrap();

    let phone = device(&made.invites[0].code, None);
    assert!(matches!(
        f.store.pair(&phone).await.unwrap(),
        Pairing::Done(paired) if paired.personnel_no == "1"
    ));
    assert_eq!(f.store.withdraw_batch(client, made.id).await.unwrap(), 2);
    assert_eq!(f.store.withdraw_batch(client, made.id).await.unwrap(), 0);
    let late = device(&made.invites[1].code, None);
    assert_eq!(f.store.pair(&late).await.unwrap(), Pairing::WrongCode);
    let lists = listed(
        async |listing| f.store.invite_batches(client, &listing).await,
        |b| format!("{} {}/{}/{}/{}", b.name, b.used, b.open, b.withdrawn, b.invites),
        "ALL",
    );
    let (zavod, all) = (format!("zavod 0/0/{0}/{0}", within.invites.len()), "all 1/0/2/3");
    let lists = lists.await;
    for list in &lists[..2] {
        assert!(list.contains(&zavod) && list.contains(all), "{list}");
    }
    assert_eq!(lists[2], all);
    let nobody = uuid::Uuid::from_u128(1);
    assert!(is_missing(&f.store.withdraw_batch(client, nobody).await, "batch of invitations"));
}

#[tokio::test]
async fn phones_that_would_miss_the_next_alarm_are_listed_by_employee_with_every_reason() {
    let f = Fixture::new().await;
    let client = f.client_no;
    f.add_employees(3).await;
    f.store.block_employee(client, "5").await.unwrap();
    // The fixture's phones were paired long ago; 4 to 6 have none.
    let fresh = pair(&f, "2", Some("fresh")).await;
    let off = pair(&f, "3", None).await;
    let stream = |notifications| Way {
        channel: ChannelKind::Stream,
        address: None,
        endpoint: None,
        lang: Lang::En,
        notifications,
    };
    f.store.change_way(&off.caller, &stream(Some(false))).await.unwrap();
    f.execute("update device set quarantined_at = 1 where address = 'address-1'").await;
    let since = NOON - HOUR;
    let silent = async || {
        listed(
            async |listing| f.store.silent_phones(client, since, &listing).await,
            |phone| format!("{}:{:?}", phone.personnel_no, phone.why),
            "СОТРУДНИК 6",
        )
        .await
    };
    let all = "1:[Quarantined, NoContact] 2:[NoContact] 3:[NoContact] 3:[NotificationsOff] 4:[NoDevice] 6:[NoDevice]";
    let [live, ..] = silent().await;
    let mut words: Vec<_> = live.split(' ').collect();
    words.sort_unstable();
    let mut expected: Vec<_> = all.split(' ').collect();
    expected.sort_unstable();
    assert_eq!(words, expected, "{live}");
    assert_eq!(silent().await[2], "6:[NoDevice]");

    // Its report holds until the next one.
    let device = async |phone: &super::Phone| {
        let device = f.store.device(client, phone.paired.device_id).await.unwrap();
        (device.notifications, device.seen_at)
    };
    f.clock.set(NOON + HOUR);
    f.store.change_way(&off.caller, &stream(None)).await.unwrap();
    assert_eq!(device(&off).await, (Some(false), Some(from_us(NOON + HOUR))), "and is a sign of life");
    f.store.change_way(&off.caller, &stream(Some(true))).await.unwrap();
    assert_eq!(device(&off).await.0, Some(true));
    assert_eq!(device(&fresh).await.0, None);

    let renamed = f.store.rename_device(client, fresh.paired.device_id, "Проходная").await;
    assert_eq!(renamed.unwrap().name, "Проходная");
    let nobody = uuid::Uuid::from_u128(1);
    assert!(is_missing(&f.store.rename_device(client, nobody, "x").await, "device"));
}
