//! The way to FCM: what is sent, what every answer of the provider does, and who waits for whom.

use std::{collections::HashSet, time::Duration};

use serde_json::Value;
use simo_common::{
    api::{
        access::{ClientSpec, Payload},
        device::{ChannelAddress, Receipt},
        history::Explanation,
        message::PostMessage,
    },
    client::{Client, ListQuery},
    delivery::DeliveryState,
    message::Priority,
    receipt::ReceiptKind,
    time,
};
use simo_tests::{
    FakeFcm, Phone, Plant, Simod, clock, eventually,
    fcm::{Answer, Call},
    plant::{post, to_employees},
    simod::Setup,
    wait::within,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use uuid::Uuid;

/// One employee with a phone at `phone-1`, and somebody to write to him.
struct Site {
    fcm: FakeFcm,
    simod: Simod,
    plant: Plant,
    acs: Client,
    phone: Phone,
}

impl Site {
    async fn new() -> Self {
        Self::with(|setup| setup).await
    }

    async fn with(change: impl FnOnce(Setup) -> Setup) -> Self {
        let fcm = FakeFcm::start();
        let simod = change(Setup::new().fcm(&fcm)).start().await;
        let plant = Plant::new(&simod, "zavod").await;
        plant.employees(&["001", "002"], &[]).await;
        let phone = plant.fcm_phone(&simod, "001", "phone-1").await;
        let acs = plant.acs(&simod, "1c").await;
        Self {
            fcm,
            simod,
            plant,
            acs,
            phone,
        }
    }

    async fn post(&self, title: &str) -> Uuid {
        post(&self.acs, &to_employees(title, &["001"])).await.id
    }

    async fn explain(&self, id: Uuid) -> Explanation {
        self.plant.admin.explain(id, "001").await.unwrap()
    }

    async fn reaches(&self, id: Uuid, state: DeliveryState) -> Explanation {
        eventually(&format!("{id} is {state:?}"), || async {
            let why = self.explain(id).await;
            (why.delivery.as_ref()?.state == state).then_some(why)
        })
        .await
    }

    async fn device(&self, id: Uuid) -> simo_common::api::people::Device {
        self.plant.admin.device(id).await.unwrap()
    }

    fn calls(&self, id: Uuid) -> Vec<Call> {
        let id = id.to_string();
        self.fcm
            .journal()
            .calls()
            .into_iter()
            .filter(|call| call.message_id.as_deref() == Some(&id))
            .collect()
    }
}

#[tokio::test]
async fn a_push_carries_the_message_as_data() {
    let site = Site::new().await;
    let message = PostMessage {
        body: "7,4 бар при норме 6,0".to_owned(),
        priority: Priority::Critical,
        data: serde_json::from_str(r#"{"датчик": {"номер": 7}}"#).unwrap(),
        ttl: Some(600),
        ..to_employees("Давление", &["001"])
    };
    let id = post(&site.acs, &message).await.id;
    let why = site.reaches(id, DeliveryState::Sent).await;
    assert_eq!(
        (
            why.pushes.len(),
            why.pushes[0].state.as_str(),
            why.pushes[0].tries
        ),
        (1, "accepted", 1)
    );
    let calls = site.calls(id);
    let sent = &calls[0].body["message"];
    let text = sent["data"].to_string();
    for part in ["Давление", "7,4 бар при норме 6,0", "датчик"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert!(
        sent["android"]["priority"]
            .as_str()
            .unwrap()
            .eq_ignore_ascii_case("high")
    );
    let ttl: i64 = sent["android"]["ttl"]
        .as_str()
        .unwrap()
        .trim_end_matches('s')
        .parse()
        .unwrap();
    assert!((590..=600).contains(&ttl), "{ttl}");
    assert!(sent["notification"].is_null());
}

#[tokio::test]
async fn what_may_pass_by_itself_is_tried_again() {
    let site = Site::with(|setup| setup.set("fcm.timeout_seconds", 0.5)).await;
    for answer in [
        Answer::Unavailable(None),
        Answer::Internal,
        Answer::Html,
        Answer::ResetStream,
        Answer::DropConnection,
        Answer::Hang,
    ] {
        site.fcm.script().next(1, answer);
        let id = site.post(answer.name()).await;
        let why = site.reaches(id, DeliveryState::Sent).await;
        assert_eq!(site.calls(id).len(), 2, "{answer:?}");
        assert_eq!(why.pushes[0].tries, 2, "{answer:?}");
        assert_eq!(site.device(site.phone.id).await.state, "active", "{answer:?}");
    }
    site.fcm.script().next(1, Answer::GoAway);
    let id = site.post("goaway").await;
    site.reaches(id, DeliveryState::Sent).await;
    let id = site.post("after goaway").await;
    site.reaches(id, DeliveryState::Sent).await;
}

#[tokio::test]
async fn retry_after_is_honoured() {
    let site = Site::new().await;
    site.fcm.script().next(1, Answer::Unavailable(Some(2)));
    let id = site.post("Подождать").await;
    site.reaches(id, DeliveryState::Sent).await;
    let calls = site.calls(id);
    assert!(calls[1].at_us - calls[0].at_us >= 2 * time::SECOND, "{calls:?}");
}

#[tokio::test]
async fn a_project_quota_pauses_everyone_and_a_devices_only_itself() {
    let site = Site::new().await;
    site.plant.fcm_phone(&site.simod, "002", "phone-2").await;
    site.fcm.script().next(1, Answer::QuotaProject(Some(2)));
    let first = site.post("Квота проекта").await;
    eventually("it was tried", || async {
        (site.calls(first).len() == 1).then_some(())
    })
    .await;
    let second = post(&site.acs, &to_employees("Другому", &["002"])).await.id;
    let why = site.reaches(first, DeliveryState::Sent).await;
    assert!(why.pushes[0].tries <= 1, "a pause costs no try: {why:?}");
    eventually("the other one is sent", || async {
        (site.calls(second).len() == 1).then_some(())
    })
    .await;
    let paused = site.calls(first)[0].at_us;
    let resumed = site.calls(first)[1].at_us.min(site.calls(second)[0].at_us);
    assert!(resumed - paused >= 2 * time::SECOND, "{} µs", resumed - paused);

    site.fcm.script().next(1, Answer::QuotaDevice(Some(2)));
    let first = site.post("Квота телефона").await;
    eventually("it was tried", || async {
        (site.calls(first).len() == 1).then_some(())
    })
    .await;
    let second = post(&site.acs, &to_employees("Другому", &["002"])).await.id;
    within(
        Duration::from_millis(1500),
        "the other phone does not wait",
        || async { (site.calls(second).len() == 1).then_some(()) },
    )
    .await;
    site.reaches(first, DeliveryState::Sent).await;
    let calls = site.calls(first);
    assert!(calls[1].at_us - calls[0].at_us >= 2 * time::SECOND);
}

#[tokio::test]
async fn a_dead_address_is_quarantined_probed_once_and_retired() {
    for dead in [Answer::Unregistered, Answer::InvalidToken] {
        let site = Site::with(|setup| setup.set("delivery.quarantine_probe_seconds", 1.0)).await;
        site.fcm.script().address("phone-1", dead);
        let first = site.post("Первое").await;
        let why = site.reaches(first, DeliveryState::Failed).await;
        assert_eq!(why.pushes[0].reason.as_deref(), Some("dead_address"), "{why:?}");
        assert_eq!(why.pushes[0].tries, 1);
        assert_eq!(site.device(site.phone.id).await.state, "quarantined");

        // While quarantined, nothing is sent to it.
        let meanwhile = site.post("В карантине").await;
        let since = clock::now_us();
        eventually("a later message probes it, and it is retired", || async {
            if site.device(site.phone.id).await.state == "retired" {
                return Some(());
            }
            if clock::now_us() - since > 1_500_000 && site.fcm.journal().len() == 1 {
                site.post("Проба").await;
            }
            None
        })
        .await;
        assert!(site.calls(meanwhile).is_empty() || site.calls(meanwhile)[0].at_us - since > 900_000);
        assert_eq!(site.fcm.journal().len(), 2, "{:#?}", site.fcm.journal().calls());
        let after = post(&site.acs, &to_employees("После", &["001"])).await;
        assert_eq!(after.recipients.without_device, 1);
    }
}

#[tokio::test]
async fn a_sign_of_life_ends_the_quarantine() {
    let site = Site::new().await;
    let dies = async || {
        site.fcm.script().address("phone-1", Answer::Unregistered);
        let id = site.post("Умер").await;
        site.reaches(id, DeliveryState::Failed).await;
        assert_eq!(site.device(site.phone.id).await.state, "quarantined");
        site.fcm.script().forgive("phone-1");
        id
    };
    let lives = async |how: &str| {
        assert_eq!(site.device(site.phone.id).await.state, "active", "{how}");
        let id = site.post("Жив").await;
        site.reaches(id, DeliveryState::Sent).await;
    };
    let lost = dies().await;
    let receipt = Receipt {
        message_id: lost,
        kind: ReceiptKind::Delivered,
        at: time::from_us(clock::now_us()),
    };
    site.phone.client.send_receipts(&[receipt]).await.unwrap();
    lives("a receipt").await;
    dies().await;
    let address = ChannelAddress {
        kind: "fcm".to_owned(),
        address: Some("phone-1-new".to_owned()),
        address_kind: None,
    };
    site.phone.client.change_channel(&address).await.unwrap();
    lives("a new address").await;
}

#[tokio::test]
async fn a_payload_that_is_refused_is_not_tried_again() {
    let site = Site::new().await;
    site.fcm.script().next(1, Answer::InvalidPayload);
    let id = site.post("Отклонено").await;
    let why = site.reaches(id, DeliveryState::Failed).await;
    assert_eq!(why.pushes[0].reason.as_deref(), Some("rejected"));
    assert_eq!(why.delivery.unwrap().reason.as_deref(), Some("rejected"));
    assert_eq!(
        (
            site.calls(id).len(),
            site.device(site.phone.id).await.state.as_str()
        ),
        (1, "active")
    );
}

#[tokio::test]
async fn a_wrong_configuration_alarms_and_touches_no_phone() {
    for answer in [
        Answer::WrongProject,
        Answer::SenderIdMismatch,
        Answer::ThirdPartyAuth,
    ] {
        let site = Site::new().await;
        site.fcm.script().address("phone-1", answer);
        let id = site.post("Не туда").await;
        eventually("the channel's health says so", || async {
            let health = site.simod.owner().readiness().await.unwrap();
            assert!(health.ready, "a channel never makes the instance unready");
            health
                .channels
                .into_iter()
                .find(|channel| channel.channel == "fcm" && channel.state == "alarm")
        })
        .await;
        assert_eq!(site.device(site.phone.id).await.state, "active", "{answer:?}");
        // Messages are taken all the while.
        site.post("Принимается").await;
        let state = site.explain(id).await.delivery.unwrap().state;
        assert!(
            matches!(state, DeliveryState::Queued | DeliveryState::Failed),
            "{answer:?}: {state:?}"
        );
    }
}

#[tokio::test]
async fn a_refused_bearer_token_is_renewed_once() {
    let site = Site::new().await;
    let id = site.post("Раз").await;
    site.reaches(id, DeliveryState::Sent).await;
    assert_eq!(site.fcm.tokens_issued(), 1, "one token serves all");
    site.fcm.forget_tokens();
    let id = site.post("Два").await;
    site.reaches(id, DeliveryState::Sent).await;
    assert_eq!(site.fcm.tokens_issued(), 2);
}

#[tokio::test]
async fn all_who_wait_for_a_token_share_one() {
    let site = Site::new().await;
    let messages: Vec<PostMessage> = (0..200).map(|n| to_employees(&n.to_string(), &["001"])).collect();
    site.acs.post_batch(&messages).await.unwrap();
    eventually("all are sent", || async {
        (site.fcm.journal().accepted() == 200).then_some(())
    })
    .await;
    assert_eq!(site.fcm.tokens_issued(), 1);
}

#[tokio::test]
async fn a_doorbell_tells_the_provider_nothing() {
    let site = Site::new().await;
    let doorbell = ClientSpec {
        payload: Some(Payload::Doorbell),
        ..ClientSpec::default()
    };
    site.simod.owner().edit_client("zavod", &doorbell).await.unwrap();
    let message = PostMessage {
        body: "Секретный текст".to_owned(),
        ..to_employees("Тайна", &["001"])
    };
    let id = post(&site.acs, &message).await.id;
    site.reaches(id, DeliveryState::Sent).await;
    // The id itself may contain the ACS's name, which is hexadecimal.
    let sent = site.calls(id)[0].body.to_string().replace(&id.to_string(), "");
    assert!(
        !sent.contains("Секрет") && !sent.contains("Тайна") && !sent.contains("1c"),
        "{sent}"
    );
    assert_eq!(
        site.phone.client.own_message(id).await.unwrap().body,
        "Секретный текст"
    );
}

#[tokio::test]
async fn what_is_too_long_is_cut_between_characters_and_marked() {
    let site = Site::new().await;
    let whole = "Ж😀".repeat(2_700);
    assert!(whole.len() <= 16 * 1024 + 1 && whole.len() > 16_000);
    let message = PostMessage {
        body: whole.clone(),
        data: serde_json::from_str(&format!(r#"{{"k":"{}"}}"#, "x".repeat(1000))).unwrap(),
        ..to_employees(&"Т".repeat(250), &["001"])
    };
    let id = post(&site.acs, &message).await.id;
    site.reaches(id, DeliveryState::Sent).await;
    let call = site.calls(id).remove(0);
    let data = call.body["message"]["data"].as_object().unwrap().clone();
    let body = data["body"].as_str().unwrap().trim_end_matches('…');
    assert!(body.len() > 500 && whole.starts_with(body), "{body}");
    let marked = data
        .iter()
        .any(|(key, value)| key.contains("trunc") && value == "true");
    assert!(
        marked,
        "nothing says that it is cut: {:?}",
        data.keys().collect::<Vec<_>>()
    );
    assert_eq!(site.phone.client.own_message(id).await.unwrap().body, whole);

    // Data alone can be too long; the phone fetches it.
    let message = PostMessage {
        data: serde_json::from_str(&format!(r#"{{"k":"{}"}}"#, "x".repeat(4_000))).unwrap(),
        ..to_employees("Большие данные", &["001"])
    };
    let id = post(&site.acs, &message).await.id;
    site.reaches(id, DeliveryState::Sent).await;
}

#[tokio::test]
async fn a_delivery_fails_only_when_every_phone_did() {
    let site = Site::new().await;
    site.plant.fcm_phone(&site.simod, "001", "phone-2").await;
    site.fcm.script().address("phone-1", Answer::InvalidPayload);
    let id = site.post("Один из двух").await;
    let why = site.reaches(id, DeliveryState::Sent).await;
    assert_eq!(why.pushes.len(), 2);
    eventually("both pushes have ended", || async {
        let pushes = site.explain(id).await.pushes;
        let states: HashSet<String> = pushes.into_iter().map(|push| push.state).collect();
        (states == HashSet::from(["accepted".to_owned(), "failed".to_owned()])).then_some(())
    })
    .await;
    assert_eq!(
        site.explain(id).await.delivery.unwrap().state,
        DeliveryState::Sent
    );

    site.fcm.script().address("phone-2", Answer::InvalidPayload);
    let id = site.post("Ни один").await;
    site.reaches(id, DeliveryState::Failed).await;
}

#[tokio::test]
async fn what_cannot_be_sent_in_time_expires() {
    let site = Site::new().await;
    site.fcm.script().address("phone-1", Answer::Unavailable(None));
    let message = PostMessage {
        ttl: Some(1),
        ..to_employees("Поздно", &["001"])
    };
    let id = post(&site.acs, &message).await.id;
    let why = site.reaches(id, DeliveryState::Expired).await;
    let push = &why.pushes[0];
    assert_eq!(
        (
            push.state.as_str(),
            why.delivery.as_ref().unwrap().reason.as_deref()
        ),
        ("expired", Some("expired"))
    );
    assert!(push.tries >= 2, "{push:?}");
    let tries = site.calls(id).len();
    site.fcm.script().forgive("phone-1");
    let later = site.post("Вовремя").await;
    site.reaches(later, DeliveryState::Sent).await;
    assert_eq!(site.calls(id).len(), tries, "an expired push is not tried again");
}

#[tokio::test]
async fn a_sick_provider_slows_nobody_else() {
    let site = Site::with(|setup| {
        setup
            .set("fcm.connections", 1)
            .set("fcm.streams_per_connection", 4)
    })
    .await;
    site.fcm.script().address("phone-1", Answer::Hang);
    let stream = site.plant.stream_phone(&site.simod, "002").await;
    let mut live = stream.client.own_stream().await.unwrap();
    let many: Vec<PostMessage> = (0..300).map(|n| to_employees(&n.to_string(), &["001"])).collect();
    site.acs.post_batch(&many).await.unwrap();
    eventually("the permits are all held", || async {
        (site.fcm.journal().len() == 4).then_some(())
    })
    .await;
    let message = post(&site.acs, &to_employees("Мимо", &["002"])).await;
    let next = tokio::time::timeout(Duration::from_secs(1), futures_util::StreamExt::next(&mut live)).await;
    assert_eq!(
        next.expect("a stream does not wait for FCM").unwrap().unwrap().id,
        message.id
    );
    site.acs.cancel_message(message.id).await.unwrap();
}

/// With few permits and a slow provider, a queue builds up.
async fn slow_site() -> Site {
    let site = Site::with(|setup| {
        setup
            .set("fcm.connections", 1)
            .set("fcm.streams_per_connection", 4)
    })
    .await;
    site.fcm.script().delay(Duration::from_millis(20));
    let many: Vec<PostMessage> = (0..400).map(|n| to_employees(&n.to_string(), &["001"])).collect();
    site.acs.post_batch(&many).await.unwrap();
    eventually("the queue moves", || async {
        (site.fcm.journal().len() > 4).then_some(())
    })
    .await;
    site
}

#[tokio::test]
async fn one_client_does_not_wait_behind_another() {
    let site = slow_site().await;
    let other = Plant::new(&site.simod, "fabrika").await;
    other.employees(&["001"], &[]).await;
    other.fcm_phone(&site.simod, "001", "other-phone").await;
    let acs = other.acs(&site.simod, "1c").await;
    let before = site.fcm.journal().len();
    post(&acs, &to_employees("Без очереди", &["001"])).await;
    let call = eventually("it arrives", || async {
        site.fcm.journal().calls_to("other-phone").pop()
    })
    .await;
    assert!(
        (call.number as usize) < before + 60,
        "{} calls before it",
        call.number as usize - before
    );
}

#[tokio::test]
async fn the_more_urgent_overtake() {
    let site = slow_site().await;
    let before = site.fcm.journal().len();
    let urgent = PostMessage {
        priority: Priority::Critical,
        ..to_employees("Авария", &["001"])
    };
    let id = post(&site.acs, &urgent).await.id;
    let call = eventually("it arrives", || async { site.calls(id).pop() }).await;
    assert!(
        (call.number as usize) < before + 60,
        "{} calls before it",
        call.number as usize - before
    );
}

#[tokio::test]
async fn no_connection_carries_more_streams_than_allowed() {
    let site = Site::with(|setup| {
        setup
            .set("fcm.connections", 2)
            .set("fcm.streams_per_connection", 20)
    })
    .await;
    site.fcm.script().delay(Duration::from_millis(30));
    let many: Vec<PostMessage> = (0..600).map(|n| to_employees(&n.to_string(), &["001"])).collect();
    site.acs.post_batch(&many).await.unwrap();
    eventually("all are sent", || async {
        (site.fcm.journal().accepted() == 600).then_some(())
    })
    .await;
    let connections: HashSet<u64> = site
        .fcm
        .journal()
        .calls()
        .iter()
        .map(|call| call.connection)
        .collect();
    assert!(
        site.fcm.most_streams() <= 20,
        "{} streams",
        site.fcm.most_streams()
    );
    assert!(
        site.fcm.most_streams() > 5,
        "{} streams: they are not used",
        site.fcm.most_streams()
    );
    assert_eq!(connections.len(), 2, "{connections:?}");
    assert_eq!(site.fcm.journal().arrivals().values().max(), Some(&1));
}

#[tokio::test]
async fn the_brake_holds_when_an_unlikely_share_of_phones_dies() {
    let site = Site::with(|setup| {
        setup
            .set("delivery.brake_minimum", 5)
            .set("delivery.brake_share", 0.5)
    })
    .await;
    let numbers: Vec<String> = (100..120).map(|n| n.to_string()).collect();
    let numbers: Vec<&str> = numbers.iter().map(String::as_str).collect();
    site.plant.employees(&numbers, &["tolpa"]).await;
    for number in &numbers {
        let address = format!("dying-{number}");
        site.fcm.script().address(&address, Answer::Unregistered);
        site.plant.fcm_phone(&site.simod, number, &address).await;
    }
    let states = async || {
        let list = ListQuery {
            limit: Some(1000),
            ..ListQuery::default()
        };
        let devices = site.plant.admin.devices(&list, None).await.unwrap().items;
        devices.iter().filter(|device| device.state != "active").count()
    };
    for number in &numbers {
        post(&site.acs, &to_employees("Проверка", &[number])).await;
    }
    eventually("an alarm says so", || async {
        let health = site.simod.owner().readiness().await.unwrap();
        health
            .channels
            .into_iter()
            .find(|channel| channel.channel == "fcm" && channel.state == "alarm")
    })
    .await;
    let touched = states().await;
    assert!(touched < 20, "all {touched} phones were taken off");
}

#[tokio::test]
async fn a_notification_is_sent_to_apps_without_code_of_their_own() {
    let site = Site::new().await;
    let spec = ClientSpec {
        notification: Some(true),
        ..ClientSpec::default()
    };
    site.simod.owner().edit_client("zavod", &spec).await.unwrap();
    let id = site.post("С уведомлением").await;
    site.reaches(id, DeliveryState::Sent).await;
    let sent = &site.calls(id)[0].body["message"];
    let title = [
        &sent["notification"]["title"],
        &sent["android"]["notification"]["title"],
    ];
    assert!(title.contains(&&Value::from("С уведомлением")), "{sent}");
}

/// A proxy that knows `CONNECT` and counts.
async fn proxy() -> (String, std::sync::Arc<std::sync::atomic::AtomicUsize>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let served = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = std::sync::Arc::clone(&served);
    tokio::spawn(async move {
        while let Ok((mut inner, _)) = listener.accept().await {
            let count = std::sync::Arc::clone(&count);
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(inner.read_u8().await.unwrap());
                }
                let head = String::from_utf8(head).unwrap();
                let to = head.strip_prefix("CONNECT ").unwrap().split(' ').next().unwrap();
                let mut outer = tokio::net::TcpStream::connect(to).await.unwrap();
                inner.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                let _ = tokio::io::copy_bidirectional(&mut inner, &mut outer).await;
            });
        }
    });
    (url, served)
}

#[tokio::test]
async fn a_configured_proxy_is_the_only_way_out() {
    let (url, served) = proxy().await;
    let site = Site::with(|setup| setup.set("fcm.proxy", url.as_str())).await;
    let id = site.post("Через прокси").await;
    site.reaches(id, DeliveryState::Sent).await;
    assert!(
        served.load(std::sync::atomic::Ordering::Relaxed) >= 2,
        "both the token and the push go through it"
    );
}

#[tokio::test]
async fn without_a_service_account_the_channel_is_off_and_says_so() {
    let simod = Simod::start().await;
    let plant = Plant::new(&simod, "zavod").await;
    plant.employees(&["001"], &[]).await;
    plant.fcm_phone(&simod, "001", "phone-1").await;
    let acs = plant.acs(&simod, "1c").await;
    let id = post(&acs, &to_employees("Некуда", &["001"])).await.id;
    let why = eventually("its story says why it waits or failed", || async {
        let why = plant.admin.explain(id, "001").await.unwrap();
        let known = why
            .pushes
            .first()?
            .reason
            .clone()
            .or_else(|| why.delivery.as_ref()?.reason.clone());
        (known.as_deref() == Some("no_channel")).then_some(why)
    })
    .await;
    assert!(!why.story.is_empty());
}
