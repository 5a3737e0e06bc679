//! Web Push end to end: a subscription, simod's encrypted post over TLS, a strict push service that decrypts it, and the
//! effect of each service's answers.

use serde_json::Value;
use simo_common::{
    api::{
        access::{ClientSpec, WebPush},
        device::{ChannelAddress, SubscriptionKeys},
        history::Explanation,
        message::PostMessage,
        problem::Problem,
    },
    client::{Client, Error},
    delivery::DeliveryState,
    message::Priority,
};
use simo_tests::{
    Phone, Plant, PushService, Simod, eventually,
    plant::{post, to_employees},
    push_service::{Answer, Personality, Push, Subscription, Trouble},
    simod::Setup,
};
use uuid::Uuid;

/// A plant whose phones use a push service.
struct Site {
    service: PushService,
    simod: Simod,
    plant: Plant,
    acs: Client,
}

impl Site {
    async fn new(personality: Personality) -> Self {
        let service = PushService::of(personality);
        let directory = tempfile::tempdir().unwrap().keep();
        let ca = service.write_ca(&directory);
        let simod = Setup::new()
            .set("public_url", "https://simo.example.org")
            .set("webpush.ca", ca.to_str().unwrap())
            .set("webpush.allowed_hosts", vec![service.host()])
            .set("delivery.retry_first_seconds", 0.1)
            .set("delivery.quarantine_probe_seconds", 1.0)
            .start()
            .await;
        std::fs::remove_dir_all(directory).unwrap();
        let plant = Plant::new(&simod, "zavod").await;
        plant.employees(&["001", "002"], &[]).await;
        let acs = plant.acs(&simod, "1c").await;
        Self { service, simod, plant, acs }
    }

    /// A browser paired as this employee's phone.
    async fn browser(&self, personnel_no: &str) -> (Phone, Subscription) {
        let phone = self.plant.stream_phone(&self.simod, personnel_no).await;
        let key = phone.client.own_device().await.unwrap().webpush.unwrap().key;
        let subscription = self.service.subscribe(Some(&key));
        phone.client.change_channel(&address(&subscription)).await.unwrap();
        let own = phone.client.own_device().await.unwrap();
        assert_eq!(own.channel.endpoint.as_ref(), Some(&subscription.endpoint));
        (phone, subscription)
    }

    async fn reaches(&self, id: Uuid, state: DeliveryState) -> Explanation {
        eventually(&format!("{id} is {state:?}"), || async {
            let why = self.plant.admin.explain(id, "001").await.unwrap();
            (why.delivery.as_ref()?.state == state).then_some(why)
        })
        .await
    }

    /// The pushes to a subscription, once there are this many.
    async fn pushes(&self, to: &Subscription, count: usize) -> Vec<Push> {
        eventually(&format!("{count} pushes came"), || async {
            let pushes = self.service.journal().pushes_to(&to.endpoint);
            (pushes.len() >= count).then_some(pushes)
        })
        .await
    }

    async fn state_of(&self, phone: &Phone) -> String {
        self.plant.admin.device(phone.id).await.unwrap().state
    }
}

fn address(subscription: &Subscription) -> ChannelAddress {
    ChannelAddress {
        kind: "webpush".to_owned(),
        address: None,
        address_kind: None,
        endpoint: Some(subscription.endpoint.clone()),
        keys: Some(SubscriptionKeys { p256dh: subscription.p256dh.clone(), auth: subscription.auth.clone() }),
        notifications: Some(true),
    }
}

/// The problem that the API refused with.
fn refused<T: std::fmt::Debug>(result: Result<T, Error>) -> Problem {
    match result {
        Err(Error::Problem(problem)) => *problem,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_browser_is_sent_what_it_alone_can_read() {
    let site = Site::new(Personality::Mozilla).await;
    let (_phone, subscription) = site.browser("001").await;
    let message = PostMessage {
        body: "Предел 8,5 бар".to_owned(),
        priority: Some(Priority::Critical),
        require_ack: true,
        ttl: Some(600),
        ..to_employees("Котёл 2: давление", &["001"])
    };
    let id = post(&site.acs, &message).await.id;
    let push = site.pushes(&subscription, 1).await.remove(0);
    assert_eq!((push.urgency.as_deref(), push.topic.as_deref(), push.http_2), (Some("high"), None, true));
    assert!((590..=600).contains(&push.ttl.unwrap()), "{:?}", push.ttl);
    assert_eq!((push.body.len() - 103) % 128, 0, "its length tells nothing");
    let text = push.json();
    assert_eq!(text["web_push"], 8030);
    let shown = &text["notification"];
    assert_eq!((&shown["title"], &shown["requireInteraction"]), (&"Котёл 2: давление".into(), &true.into()));
    assert_eq!(shown["navigate"], format!("https://simo.example.org/app/#m={id}"));
    assert_eq!((&shown["tag"], &shown["data"]["id"]), (&id.to_string().into(), &id.to_string().into()));
    assert_eq!(shown["actions"].as_array().unwrap().len(), 2);
    assert_eq!(shown["data"]["body"], "Предел 8,5 бар");
    let why = site.reaches(id, DeliveryState::Sent).await;
    assert_eq!(why.pushes[0].channel, "webpush");

    let doorbell = ClientSpec { webpush: Some(WebPush::Doorbell), ..ClientSpec::default() };
    site.plant.admin.edit_client(&site.plant.slug, &doorbell).await.unwrap();
    post(&site.acs, &to_employees("Тайна", &["001"])).await;
    let text = site.pushes(&subscription, 2).await.remove(1).json();
    assert_eq!(text["notification"]["data"]["doorbell"], true);
    assert!(!text.to_string().contains("Тайна"), "{text}");
}

#[tokio::test]
async fn a_long_text_is_cut_to_what_a_push_carries() {
    let site = Site::new(Personality::Google).await;
    let (_phone, subscription) = site.browser("001").await;
    let long =
        PostMessage { body: "Котёл — ".repeat(500), ..to_employees("Длинное", &["001"]) };
    post(&site.acs, &long).await;
    let push = site.pushes(&subscription, 1).await.remove(0);
    assert!(push.body.len() <= 4096);
    let data = push.json()["notification"]["data"].clone();
    assert_eq!(data["truncated"], Value::Bool(true));
    assert!(data["body"].as_str().unwrap().ends_with('…'));
}

#[tokio::test]
async fn what_a_service_cannot_take_now_is_tried_again() {
    let site = Site::new(Personality::Ntfy).await;
    let (phone, subscription) = site.browser("001").await;
    let again = [Trouble::NobodyListens, Trouble::Internal, Trouble::Unavailable].map(|trouble| {
        Personality::Ntfy.answer(trouble).unwrap_or_else(|| panic!("ntfy says nothing of {trouble:?}"))
    });
    for answer in again.iter().chain([&Answer::reset()]) {
        let before = site.service.journal().pushes_to(&subscription.endpoint).len();
        site.service.script().next(1, answer);
        let id = post(&site.acs, &to_employees("Повтор", &["001"])).await.id;
        site.reaches(id, DeliveryState::Sent).await;
        assert_eq!(site.service.journal().pushes_to(&subscription.endpoint).len(), before + 2, "{answer:?}");
    }
    assert_eq!(site.state_of(&phone).await, "active");
}

#[tokio::test]
async fn a_token_that_is_not_taken_stops_the_service_and_no_phone() {
    let site = Site::new(Personality::Mozilla).await;
    let (phone, _) = site.browser("001").await;
    let refused = Personality::Mozilla.answer(Trouble::Vapid).unwrap();
    site.service.script().next(1, &refused);
    let id = post(&site.acs, &to_employees("Ключ", &["001"])).await.id;
    eventually("the channel raises an alarm", || async {
        let channels = site.simod.anyone().readiness().await.ok()?.channels;
        channels.iter().any(|one| one.channel == "webpush" && one.state == "alarm").then_some(())
    })
    .await;
    assert_eq!(site.state_of(&phone).await, "active");
    let why = site.reaches(id, DeliveryState::Sent).await;
    assert_eq!(why.pushes[0].tries, 1, "only the try that was taken counts");
}

#[tokio::test]
async fn a_subscription_that_ended_is_quarantined_and_ends_with_its_device() {
    let site = Site::new(Personality::Mozilla).await;
    let (phone, subscription) = site.browser("001").await;
    site.service.end(&subscription.endpoint);
    let first = post(&site.acs, &to_employees("Первое", &["001"])).await.id;
    let why = site.reaches(first, DeliveryState::Failed).await;
    assert_eq!(why.pushes[0].reason.as_deref(), Some("dead_address"), "{why:?}");
    assert_eq!(site.state_of(&phone).await, "quarantined");
    assert!(phone.client.own_device().await.unwrap().channel.quarantined);
    let key = phone.client.own_device().await.unwrap().webpush.unwrap().key;
    let fresh = site.service.subscribe(Some(&key));
    phone.client.change_channel(&address(&fresh)).await.unwrap();
    let next = post(&site.acs, &to_employees("Второе", &["001"])).await.id;
    site.reaches(next, DeliveryState::Sent).await;
    assert_eq!(site.state_of(&phone).await, "active");
}

/// A browser has only one subscription: the phone's next owner must not read the previous owner's alarms.
#[tokio::test]
async fn a_browser_that_another_client_pairs_leaves_the_first() {
    let site = Site::new(Personality::Mozilla).await;
    let (phone, subscription) = site.browser("001").await;
    let other = Plant::new(&site.simod, "fabrika").await;
    other.employees(&["7"], &[]).await;
    let successor = other.stream_phone(&site.simod, "7").await;
    successor.client.change_channel(&address(&subscription)).await.unwrap();
    assert_eq!(refused(phone.client.own_device().await).status, 401);
    let device = site.plant.admin.device(phone.id).await.unwrap();
    assert_eq!((device.state.as_str(), device.reason.as_deref()), ("retired", Some("replaced")));
    let id = post(&site.acs, &to_employees("Чужое", &["001"])).await.id;
    let own = post(&other.acs(&site.simod, "1c").await, &to_employees("Своё", &["7"])).await.id;
    let pushes = site.pushes(&subscription, 1).await;
    assert_eq!(pushes[0].json()["notification"]["tag"], own.to_string());
    let why = site.plant.admin.explain(id, "001").await.unwrap();
    assert_eq!(why.delivery.unwrap().state, DeliveryState::Queued);
}

#[tokio::test]
async fn nothing_is_posted_to_addresses_that_phones_make_up() {
    let site = Site::new(Personality::Mozilla).await;
    let (phone, subscription) = site.browser("001").await;
    for (endpoint, field) in [
        ("http://localhost/p/1", "endpoint"),
        ("https://localhost/p/1", "endpoint"),
        ("https://127.0.0.1/p/1", "endpoint"),
        ("https://user@fcm.googleapis.com/fcm/send/x", "endpoint"),
        ("https://fcm.googleapis.com:8443/fcm/send/x", "endpoint"),
        ("https://fcm.googleapis.com.example.org/x", "endpoint"),
        ("nothing", "endpoint"),
    ] {
        let made_up = Subscription { endpoint: endpoint.to_owned(), ..subscription.clone() };
        let problem = refused(phone.client.change_channel(&address(&made_up)).await);
        assert_eq!((problem.status, &*problem.errors[0].field), (422, field), "{endpoint}");
    }
    for (p256dh, auth, field) in
        [("AAAA", &*subscription.auth, "keys.p256dh"), (&subscription.p256dh, "AAAA", "keys.auth")]
    {
        let wrong = Subscription { p256dh: p256dh.to_owned(), auth: auth.to_owned(), ..subscription.clone() };
        let problem = refused(phone.client.change_channel(&address(&wrong)).await);
        assert_eq!(problem.errors[0].field, field);
    }
    let known = address(&subscription);
    let mut limited = Ok(());
    for _ in 0..20 {
        limited = limited.and(phone.client.change_channel(&known).await);
    }
    assert_eq!(refused(limited).status, 429, "twenty an hour");
}
