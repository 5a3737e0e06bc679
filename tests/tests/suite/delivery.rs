//! The path to FCM: the content of pushes, the effect of every answer of the provider, and the order of sending.

mod answers;
mod fairness;

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

/// One employee with a phone at `phone-1`, and an ACS.
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
        Self { fcm, simod, plant, acs, phone }
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
        priority: Some(Priority::Critical),
        data: serde_json::from_str(r#"{"датчик": {"номер": 7}}"#).unwrap(),
        ttl: Some(600),
        ..to_employees("Давление", &["001"])
    };
    let id = post(&site.acs, &message).await.id;
    let why = site.reaches(id, DeliveryState::Sent).await;
    assert_eq!((why.pushes.len(), why.pushes[0].state.as_str(), why.pushes[0].tries), (1, "accepted", 1));
    let calls = site.calls(id);
    let sent = &calls[0].body["message"];
    let text = sent["data"].to_string();
    for part in ["Давление", "7,4 бар при норме 6,0", "датчик"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert!(sent["android"]["priority"].as_str().unwrap().eq_ignore_ascii_case("high"));
    let ttl: i64 = sent["android"]["ttl"].as_str().unwrap().trim_end_matches('s').parse().unwrap();
    assert!((590..=600).contains(&ttl), "{ttl}");
    assert!(sent["notification"].is_null());
}

#[tokio::test]
async fn a_doorbell_tells_the_provider_nothing() {
    let site = Site::new().await;
    let doorbell = ClientSpec { payload: Some(Payload::Doorbell), ..ClientSpec::default() };
    site.simod.owner().edit_client("zavod", &doorbell).await.unwrap();
    let message = PostMessage {
        body: "Секретный текст".to_owned(), ..to_employees("Тайна", &["001"])
    };
    let id = post(&site.acs, &message).await.id;
    site.reaches(id, DeliveryState::Sent).await;
    // Without the id, whose hexadecimal digits may contain `1c`, the ACS's name.
    let sent = site.calls(id)[0].body.to_string().replace(&id.to_string(), "");
    assert!(!sent.contains("Секрет") && !sent.contains("Тайна") && !sent.contains("1c"), "{sent}");
    assert_eq!(site.phone.client.own_message(id).await.unwrap().body, "Секретный текст");
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
    let marked = data.iter().any(|(key, value)| key.contains("trunc") && value == "true");
    assert!(marked, "nothing says that it is cut: {:?}", data.keys().collect::<Vec<_>>());
    assert_eq!(site.phone.client.own_message(id).await.unwrap().body, whole);

    // `data` alone can be too long; then the phone fetches it.
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
    assert_eq!(site.explain(id).await.delivery.unwrap().state, DeliveryState::Sent);

    site.fcm.script().address("phone-2", Answer::InvalidPayload);
    let id = site.post("Ни один").await;
    site.reaches(id, DeliveryState::Failed).await;
}

#[tokio::test]
async fn what_cannot_be_sent_in_time_expires() {
    let site = Site::new().await;
    site.fcm.script().address("phone-1", Answer::Unavailable(None));
    let message = PostMessage { ttl: Some(1), ..to_employees("Поздно", &["001"]) };
    let id = post(&site.acs, &message).await.id;
    let why = site.reaches(id, DeliveryState::Expired).await;
    let push = &why.pushes[0];
    assert_eq!(
        (push.state.as_str(), why.delivery.as_ref().unwrap().reason.as_deref()),
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
async fn a_notification_is_sent_to_apps_without_code_of_their_own() {
    let site = Site::new().await;
    let spec = ClientSpec { notification: Some(true), ..ClientSpec::default() };
    site.simod.owner().edit_client("zavod", &spec).await.unwrap();
    let id = site.post("С уведомлением").await;
    site.reaches(id, DeliveryState::Sent).await;
    let sent = &site.calls(id)[0].body["message"];
    let title = [&sent["notification"]["title"], &sent["android"]["notification"]["title"]];
    assert!(title.contains(&&Value::from("С уведомлением")), "{sent}");
}

/// A proxy that supports `CONNECT` and counts its uses.
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
        let known = why.pushes.first()?.reason.clone().or_else(|| why.delivery.as_ref()?.reason.clone());
        (known.as_deref() == Some("no_channel")).then_some(why)
    })
    .await;
    assert!(!why.story.is_empty());
}
