//! A channel with two providers, one of them in trouble.

use std::{collections::HashMap, time::Duration};

use simo_common::time::SECOND;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    channel::{Address, FailureScope},
    config::{self, Config},
    testing::Plant,
};

const PERMITS: usize = 8;
const PHONES: u32 = 3 * PERMITS as u32;

/// Results of pushes: to all of a provider, or to one address.
type Script = Arc<Mutex<HashMap<&'static str, Failure>>>;

/// Its addresses begin with the provider's name.
struct TwoProviders {
    script: Script,
    /// The addresses it has sent to.
    sent: Arc<Mutex<Vec<String>>>,
}

fn provider_of(address: &Address) -> &str {
    address.as_str().split('/').next().unwrap_or_default()
}

impl Channel for TwoProviders {
    const KIND: ChannelKind = ChannelKind::Fcm;
    const PROVIDER_OF: Option<fn(&Address) -> &str> = Some(provider_of);

    fn permits(&self) -> usize {
        PERMITS
    }

    fn time_out(&self) -> Duration {
        Duration::from_secs(1)
    }

    async fn send(&self, push: &Outgoing) -> Result<Accepted, Failure> {
        let address = push.address.as_str();
        self.sent.lock().unwrap().push(address.to_owned());
        tokio::time::sleep(Duration::from_millis(2)).await;
        let script = self.script.lock().unwrap();
        match script.get(provider_of(&push.address)).or_else(|| script.get(address)) {
            Some(failure) => Err(failure.clone()),
            None => Ok(Accepted { answer: "taken".to_owned() }),
        }
    }
}

/// As many phones of apple as of mozilla; mozilla's employees come first.
struct Scene {
    plant: Plant,
    app: Arc<App>,
    script: Script,
    sent: Arc<Mutex<Vec<String>>>,
}

impl Scene {
    async fn new() -> Self {
        let plant = Plant::new().await;
        for no in 1..=PHONES {
            for (no, provider) in [(no, "mozilla"), (PHONES + no, "apple")] {
                let employee = plant.employee(no).await;
                plant.phone(employee, Some(&format!("{provider}/{no}"))).await;
            }
        }
        let delivery = config::Delivery { brake_share: 0.2, brake_minimum: 2, ..Default::default() };
        let config = Config { delivery, ..Config::default() };
        let tracker = TaskTracker::new();
        let app = App::new(config, plant.store.clone(), None, &tracker, CancellationToken::new());
        let (script, sent) = (Script::default(), Arc::default());
        Dispatcher::start(&app, &tracker, TwoProviders { script: script.clone(), sent: Arc::clone(&sent) });
        Self { plant, app, script, sent }
    }

    async fn post(&self, title: &str, employees: std::ops::RangeInclusive<u32>) {
        let employees: Vec<_> = employees.map(Into::into).collect();
        self.plant.message(title, &employees).await;
        self.app.wake.all();
    }

    fn say(&self, of: &'static str, failure: Option<Failure>) {
        let mut script = self.script.lock().unwrap();
        match failure {
            Some(failure) => script.insert(of, failure),
            None => script.remove(of),
        };
    }

    fn sent_to(&self, provider: &str) -> usize {
        self.sent.lock().unwrap().iter().filter(|address| address.starts_with(provider)).count()
    }

    /// How many pushes to the provider's phones meet the condition.
    async fn pushes(&self, provider: &str, condition: &str) -> i64 {
        let query = format!(
            "select count(*) from push p join device d on d.client_no = p.client_no and d.no = p.device_no
             where d.address like '{provider}/%' and {condition}"
        );
        self.plant.number(&query).await.unwrap()
    }

    /// Waits until so many do; the clock stands still.
    async fn until(&self, provider: &str, condition: &str, many: i64) {
        for _ in 0..1_000 {
            if self.pushes(provider, condition).await == many {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{provider}: {} {condition}, not {many}", self.pushes(provider, condition).await);
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.app.shutdown.cancel();
    }
}

#[tokio::test]
async fn a_provider_that_is_down_holds_up_no_other_and_gets_its_own_when_it_is_back() {
    let scene = Scene::new().await;
    let phones = i64::from(PHONES);
    scene.say("mozilla", Some(Failure::Unreachable { answer: "no route".to_owned() }));
    scene.post("first", 1..=2 * PHONES).await;
    scene.until("apple", "p.sent_at is not null", phones).await;
    let now = scene.app.clock().now();
    scene.until("mozilla", &format!("p.due_at > {now} and p.last_tried_at is not null"), phones).await;
    assert_eq!(scene.pushes("mozilla", "p.tries > 0").await, 0);
    let tried = scene.sent_to("mozilla");
    assert!((1..=PERMITS).contains(&tried), "{tried} were sent to whom nothing can be");

    // While it is closed, others' new messages go out, and the waiting ones are not claimed.
    scene.post("second", PHONES + 1..=2 * PHONES).await;
    scene.until("apple", "p.sent_at is not null", 2 * phones).await;
    tokio::time::sleep(POLL * 2).await;
    assert_eq!(scene.sent_to("mozilla"), tried);
    let shown = scene.app.channels.borrow().clone();
    assert!(shown[0].detail.as_ref().unwrap().starts_with("mozilla: paused until"), "{shown:?}");

    // It opens for one push, which fails. Then the provider is back.
    scene.plant.advance(15 * SECOND);
    scene.until("mozilla", &format!("p.due_at > {now} + {}", 15 * SECOND), phones).await;
    assert_eq!(scene.sent_to("mozilla"), tried + 1);
    scene.say("mozilla", None);
    for _ in 0..100 {
        scene.plant.advance(SECOND);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    scene.until("mozilla", "p.sent_at is not null and p.tries = 1", phones).await;
    let metrics = scene.app.metrics.render();
    for (provider, accepted) in [("mozilla", phones), ("apple", 2 * phones)] {
        let line = format!(
            "simo_pushes_total{{channel=\"fcm\",provider=\"{provider}\",result=\"accepted\"}} {accepted}"
        );
        assert!(metrics.contains(&line), "{line} is not in\n{metrics}");
    }
}

#[tokio::test]
async fn the_brake_of_one_provider_does_not_hold_the_other() {
    let scene = Scene::new().await;
    let dead = || Some(Failure::DeadAddress { answer: "gone".to_owned() });
    scene.say("mozilla", dead());
    scene.post("first", 1..=PHONES).await;
    scene.until("mozilla", "p.last_tried_at is not null", i64::from(PHONES)).await;
    let quarantined = |provider| {
        let query = "select count(*) from device where quarantined_at is not null and address like";
        format!("{query} '{provider}/%'")
    };
    // A fifth of its own phones, not of all.
    assert_eq!(scene.plant.number(&quarantined("mozilla")).await, Some(i64::from(PHONES / 5 + 1)));
    // One of apple's dies.
    scene.say("apple/25", dead());
    scene.post("second", PHONES + 1..=2 * PHONES).await;
    scene.until("apple", "p.done_at is not null", i64::from(PHONES)).await;
    assert_eq!(scene.plant.number(&quarantined("apple")).await, Some(1));
}

#[tokio::test]
async fn what_one_provider_asks_for_does_not_concern_the_other() {
    let scene = Scene::new().await;
    let after = Some(Duration::from_secs(30));
    let quota = Failure::Paused { scope: FailureScope::Provider, after, answer: "too many".to_owned() };
    scene.say("mozilla", Some(quota));
    scene.post("first", 1..=2 * PHONES).await;
    scene.until("apple", "p.sent_at is not null", i64::from(PHONES)).await;
    let asked = scene.app.clock().now() + 30 * SECOND;
    scene.until("mozilla", &format!("p.due_at >= {asked} and p.tries = 0"), i64::from(PHONES)).await;
}

#[tokio::test]
async fn what_waits_for_a_phone_goes_when_another_push_to_it_got_through() {
    let scene = Scene::new().await;
    let away = Failure::Retry { answer: "507 no subscriber".to_owned(), after: None };
    scene.say("mozilla/1", Some(away));
    scene.post("first", 1..=2).await;
    scene.until("mozilla", "p.tries = 1 and p.done_at is null", 1).await;
    tokio::time::sleep(POLL).await;
    assert_eq!(scene.pushes("mozilla", "p.sent_at is not null").await, 1);
    scene.say("mozilla/1", None);
    scene.post("second", 1..=1).await;
    // The clock stands still: no push has waited.
    scene.until("mozilla", "p.sent_at is not null", 3).await;
}

#[tokio::test]
async fn a_pause_that_was_asked_for_a_phone_is_kept_when_another_push_to_it_got_through() {
    let scene = Scene::new().await;
    let after = Some(Duration::from_secs(30));
    let quota = Failure::Paused { scope: FailureScope::Device, after, answer: "too many".to_owned() };
    scene.say("mozilla/1", Some(quota));
    scene.post("first", 1..=1).await;
    let asked = scene.app.clock().now() + 30 * SECOND;
    scene.until("mozilla", &format!("p.due_at >= {asked}"), 1).await;
    scene.say("mozilla/1", None);
    scene.post("second", 1..=1).await;
    scene.until("mozilla", "p.sent_at is not null", 1).await;
    tokio::time::sleep(POLL).await;
    assert_eq!(scene.pushes("mozilla", &format!("p.due_at >= {asked} and p.sent_at is null")).await, 1);
}
