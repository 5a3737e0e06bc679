//! Pushes to a service on this machine.

mod stand_in;

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use base64::Engine as _;
use futures_util::future::join_all;
use http::{StatusCode, Version};
use serde_json::{Value, json};
use simo_common::{lang::Lang, time::SECOND};
use uuid::Uuid;

use self::stand_in::StandIn;
use super::{address::BASE64, encrypt::tests::decrypted, encrypt::tests::phone, *};
use crate::testing::START;

const H2: &[u8] = b"h2";
const H1: &[u8] = b"http/1.1";

pub(super) fn push() -> Outgoing {
    Outgoing {
        message_id: Uuid::from_u128(7),
        address: Address::new(String::new()),
        title: "Котёл 2: давление".to_owned(),
        body: "Предел 8,5 бар".to_owned(),
        data: Some(r#"{"boiler":3}"#.to_owned()),
        topic: Some("boiler".to_owned()),
        topic_name: Some("Котельная".to_owned()),
        acs: "scada-2".to_owned(),
        client: "Завод".to_owned(),
        priority: Priority::High,
        require_ack: true,
        accepted_at: START,
        expires_at: START + 90 * SECOND,
        now: START,
        lang: Lang::Ru,
        platform: "web-android".to_owned(),
        doorbell: false,
        notification: true,
    }
}

struct Scene {
    service: StandIn,
    channel: WebPush,
    to: Subscription,
    /// The phone's own key.
    key: aws_lc_rs::agreement::PrivateKey,
}

impl Scene {
    async fn new(protocols: &[&[u8]]) -> Self {
        let service = StandIn::speaking(protocols).await;
        let port = service.address.port();
        let (to, key) = phone(&format!("https://localhost:{port}/up?x=1"));
        let config = config::WebPush {
            allowed_hosts: vec![format!("localhost:{port}")],
            ca: Some(service.ca()),
            connections: 2,
            streams_per_connection: 50,
            ..config::WebPush::default()
        };
        let vapid = Arc::new(VapidKey::generate().unwrap());
        let base = "https://simo.example.org".to_owned();
        let subject = "mailto:it@example.org".to_owned();
        let channel = WebPush::new(&config, base, subject, vapid, Clock::manual(START)).unwrap();
        Self { service, channel, to, key }
    }

    fn address(&self) -> Address {
        let Subscription { endpoint, p256dh, auth } = &self.to;
        Address::new(format!("{endpoint} {} {}", BASE64.encode(p256dh), BASE64.encode(auth)))
    }

    async fn send(&self) -> Result<Accepted, Failure> {
        self.channel.send(&Outgoing { address: self.address(), ..push() }).await
    }

    async fn send_many(&self, many: usize) -> usize {
        join_all((0..many).map(|_| self.send())).await.iter().filter(|sent| sent.is_ok()).count()
    }
}

#[tokio::test]
async fn a_push_comes_encrypted_and_in_our_name() {
    let scene = Scene::new(&[H2, H1]).await;
    scene.send().await.unwrap();
    let pushed = scene.service.seen.pushed.lock().unwrap().pop().unwrap();
    let header = |name: &str| pushed.headers[name].to_str().unwrap().to_owned();
    for (name, value) in [
        ("ttl", "90"),
        ("urgency", "high"),
        ("content-encoding", "aes128gcm"),
        ("content-type", "application/octet-stream"),
    ] {
        assert_eq!(header(name), value);
    }
    assert_eq!(pushed.headers.get("topic"), None);
    let authorization = header("authorization");
    let claims = authorization.split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&BASE64.decode(claims).unwrap()).unwrap();
    let origin = format!("https://localhost:{}", scene.service.address.port());
    let exp = START / SECOND + 43_200;
    assert_eq!(claims, json!({"aud": origin, "sub": "mailto:it@example.org", "exp": exp}));
    let (text, padded) = decrypted(&scene.to, &scene.key, &pushed.body);
    assert_eq!(padded % 128, 0);
    let said: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(said["notification"]["body"], "Котельная · важно\nПредел 8,5 бар");
}

#[tokio::test]
async fn a_cold_start_opens_few_connections_and_many_pushes_share_them() {
    let scene = Scene::new(&[H2, H1]).await;
    scene.service.answer(|answers| answers.after = Duration::from_millis(20));
    assert_eq!(scene.send_many(100).await, 100);
    // Those two, and the one that detected the version.
    assert!(scene.service.connections() <= 3, "{}", scene.service.connections());
    let pushed = scene.service.seen.pushed.lock().unwrap();
    assert!(pushed.iter().all(|pushed| pushed.version == Version::HTTP_2));
}

#[tokio::test]
async fn a_service_without_http2_gets_all_by_few_connections() {
    let scene = Scene::new(&[H1]).await;
    scene.service.answer(|answers| answers.after = Duration::from_millis(5));
    assert_eq!(scene.send_many(60).await, 60);
    // Four pushes at once; one that finds no connection free just after an answer opens another.
    assert!(scene.service.connections() <= 12, "{}", scene.service.connections());
}

#[tokio::test]
async fn what_a_service_speaks_may_change() {
    let mut scene = Scene::new(&[H2, H1]).await;
    assert_eq!(scene.send_many(5).await, 5);
    scene.service.again(&[H1]).await;
    // At least one push detects it by failing.
    for _ in 0..100 {
        if scene.send_many(5).await == 5 {
            return;
        }
    }
    panic!("nothing is sent any more");
}

#[tokio::test]
async fn nobody_is_followed_elsewhere_and_long_answers_are_cut() {
    let scene = Scene::new(&[H2]).await;
    let elsewhere = format!("https://localhost:{}/elsewhere", scene.service.address.port());
    scene.service.answer(|answers| {
        answers.status = StatusCode::TEMPORARY_REDIRECT;
        answers.headers.insert("location", elsewhere.parse().unwrap());
    });
    let sent = scene.send().await;
    assert!(matches!(sent, Err(Failure::Misconfigured { scope: FailureScope::Device, .. })), "{sent:?}");
    assert_eq!(scene.service.seen.pushed.lock().unwrap().len(), 1);
    scene.service.answer(|answers| {
        answers.status = StatusCode::SERVICE_UNAVAILABLE;
        answers.headers.insert("retry-after", "7".parse().unwrap());
        answers.body = vec![b'x'; 10_000_000];
    });
    let Err(Failure::Retry { answer, after }) = scene.send().await else { panic!("not a retry") };
    assert_eq!((answer.len() < 400, after), (true, Some(Duration::from_secs(7))));
}

#[tokio::test]
async fn a_dead_service_is_tried_once_by_many_and_its_secret_url_is_not_told() {
    let scene = Scene::new(&[H2]).await;
    let channel = &scene.channel;
    // It accepts connections, and never answers.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let tried = Arc::new(AtomicUsize::new(0));
    let counted = tried.clone();
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            drop(connection);
        }
    });
    let config =
        config::WebPush { allowed_hosts: vec![format!("localhost:{port}")], ..config::WebPush::default() };
    let (base, subject) = (channel.base.clone(), channel.subject.clone());
    let dead = WebPush::new(&config, base, subject, channel.key.clone(), Clock::manual(START)).unwrap();
    let address =
        scene.address().as_str().replace(&scene.service.address.port().to_string(), &port.to_string());
    let push = Outgoing { address: Address::new(address), ..push() };
    for failed in join_all((0..50).map(|_| dead.send(&push))).await {
        let Err(Failure::Retry { answer, .. }) = failed else { panic!("{failed:?}") };
        assert!(!answer.contains("/up"), "{answer}");
    }
    // `localhost` may have two addresses.
    assert!(tried.load(Ordering::SeqCst) <= 2, "{tried:?}");
}

#[tokio::test]
async fn a_host_that_is_allowed_no_more_is_sent_nothing() {
    let scene = Scene::new(&[H2]).await;
    let address = Address::new(scene.address().as_str().replace("localhost", "127.0.0.1"));
    let sent = scene.channel.send(&Outgoing { address, ..push() }).await;
    let Err(Failure::Misconfigured { scope: FailureScope::Device, answer }) = sent else {
        panic!("{sent:?}")
    };
    assert!(answer.contains("webpush.allowed_hosts"));
    assert_eq!(scene.service.connections(), 0);
}
