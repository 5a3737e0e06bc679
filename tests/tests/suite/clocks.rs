//! A machine whose clock is wrong for a while: no work waits for a time that was never right, nothing goes missing, and
//! no message is given up because of it.

use std::time::Duration;

use simo_common::{
    api::{
        clock::{ClockJump, ClockState},
        message::PostMessage,
    },
    client::{AuditQuery, Client, ListQuery},
    delivery::DeliveryState,
};
use simo_tests::{
    FakeFcm, Plant, Simod, eventually,
    fcm::Answer,
    plant::{post, to_employees},
    simod::Setup,
    wait::within,
};
use uuid::Uuid;

use crate::cli::Ctl;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

/// One employee with a phone, on a machine whose clock can be set.
struct Site {
    fcm: FakeFcm,
    simod: Simod,
    plant: Plant,
    acs: Client,
}

impl Site {
    /// Starts with a clock that is this many seconds ahead.
    async fn with_clock(ahead: i64) -> Self {
        let fcm = FakeFcm::start();
        let simod = Setup::new().embedded().fcm(&fcm).clock_ahead(ahead).start().await;
        let plant = Plant::new(&simod, "zavod").await;
        plant.employees(&["001"], &[]).await;
        plant.fcm_phone(&simod, "001", "phone-1").await;
        let acs = plant.acs(&simod, "1c").await;
        Self { fcm, simod, plant, acs }
    }

    async fn post(&self, title: &str, ttl: Option<i64>) -> Uuid {
        post(&self.acs, &PostMessage { ttl, ..to_employees(title, &["001"]) }).await.id
    }

    async fn reaches(&self, id: Uuid, state: DeliveryState) {
        eventually(&format!("{id} is {state:?}"), || async {
            let why = self.plant.admin.explain(id, "001").await.unwrap();
            (why.delivery?.state == state).then_some(())
        })
        .await;
    }

    async fn state(&self, id: Uuid) -> DeliveryState {
        self.plant.admin.explain(id, "001").await.unwrap().delivery.unwrap().state
    }

    /// The messages of a list or search, newest first.
    async fn listed(&self, query: Option<&str>) -> Vec<Uuid> {
        let query = ListQuery { query: query.map(str::to_owned), ..ListQuery::default() };
        let page = self.plant.admin.messages(&query).await.unwrap();
        page.items.into_iter().map(|message| message.id).collect()
    }

    async fn clock(&self) -> ClockState {
        self.simod.owner().clock().await.unwrap()
    }

    async fn jump(&self) -> ClockJump {
        eventually("the jump is noticed", || async { self.clock().await.jump }).await
    }

    /// Sets the clock and waits until simod notices. Returns the step that it reports, in seconds.
    async fn set_clock(&self, ahead: i64) -> i64 {
        let before = self.clock().await.steps.len();
        self.simod.set_clock(ahead);
        eventually("the clock is followed", || async {
            let steps = self.clock().await.steps;
            (steps.len() > before).then(|| steps[0].seconds)
        })
        .await
    }

    async fn restart(&mut self, ahead: i64) {
        self.simod.terminate().await;
        self.simod.set_clock(ahead);
        self.simod.restart().await;
        self.plant.admin = self.simod.owner().for_client(Some(self.plant.slug.clone()));
        self.acs = self.plant.acs(&self.simod, "1c").await;
    }
}

#[tokio::test]
async fn a_clock_two_hours_ahead_that_is_put_right_holds_up_no_push() {
    // Google rejects signatures from the future, so the channel waits.
    let site = Site::with_clock(2 * HOUR).await;
    let id = site.post("Давление", None).await;
    within(Duration::from_secs(20), "the channel is in trouble", || async {
        let ready = site.simod.anyone().readiness().await.unwrap();
        ready.channels.iter().any(|channel| channel.state == "alarm").then_some(())
    })
    .await;
    site.simod.set_clock(0);
    site.reaches(id, DeliveryState::Sent).await;
    // A message accepted now has an earlier time, and goes out as quickly.
    let next = site.post("Давление в норме", None).await;
    site.reaches(next, DeliveryState::Sent).await;
    assert_eq!(site.clock().await.steps[0].seconds, -2 * HOUR);
}

#[tokio::test]
async fn a_retry_does_not_wait_for_a_time_that_was_ahead() {
    let site = Site::with_clock(0).await;
    let before = site.post("раньше", None).await;
    site.reaches(before, DeliveryState::Sent).await;
    site.set_clock(2 * HOUR).await;
    site.fcm.script().address("phone-1", Answer::Unavailable(None));
    let id = site.post("Давление", None).await;
    eventually("it was tried", || async {
        let why = site.plant.admin.explain(id, "001").await.unwrap();
        (why.pushes[0].tries > 0).then_some(())
    })
    .await;
    assert_eq!(site.set_clock(0).await, -2 * HOUR);
    site.fcm.script().forgive("phone-1");
    site.reaches(id, DeliveryState::Sent).await;
}

#[tokio::test]
async fn what_was_accepted_while_the_clock_was_ahead_is_listed_found_and_explained() {
    let site = Site::with_clock(2 * HOUR).await;
    let then = site.post("Давление", None).await;
    assert_eq!(site.set_clock(0).await, -2 * HOUR);
    let now = site.post("Температура", None).await;
    // In order of acceptance, regardless of their times.
    assert_eq!(site.listed(None).await, [now, then]);
    assert_eq!(site.listed(Some("давление")).await, [then]);
    let ctl = Ctl::new(&site.simod, "zavod");
    let id = then.to_string();
    let story = ctl.ok(&["message", "explain", &id, "--employee", "001"]);
    assert!(story.contains("accepted while the clock was 7200 s ahead"), "{story}");
    let story = ctl.ok(&["--lang", "ru", "message", "explain", &id, "--employee", "001"]);
    assert!(story.contains("часы спешили на 7200 с"), "{story}");
}

#[tokio::test]
async fn a_clock_five_days_ahead_for_a_moment_gives_nothing_up() {
    let site = Site::with_clock(0).await;
    let first = site.post("раньше", None).await;
    site.reaches(first, DeliveryState::Sent).await;
    site.fcm.script().address("phone-1", Answer::Unavailable(None));
    let queued = site.post("Давление", Some(HOUR)).await;
    let short = site.post("короткое", Some(8)).await;
    assert_eq!(site.set_clock(5 * DAY).await, 5 * DAY);

    let jump = site.jump().await;
    assert_eq!(jump.ahead_seconds, 5 * DAY);
    let ready = site.simod.anyone().readiness().await.unwrap();
    assert!(ready.ready, "{ready:?}");
    assert!(ready.clock.unwrap().detail.starts_with("the clock was set 432000 s ahead; expiry rests until "));
    let metrics = reqwest::get(format!("{}/metrics", site.simod.url())).await.unwrap().text().await.unwrap();
    assert!(metrics.contains("simo_clock_ahead_seconds 432000"), "{metrics}");
    let doctor = Ctl::new(&site.simod, "zavod").run(&["doctor"]).out;
    assert!(doctor.contains("the clock was set 432000 s ahead; expiry rests until "), "{doctor}");

    // Expiry counts the time that has really passed; once it reaches the short message, it has checked the queued one too.
    site.reaches(short, DeliveryState::Expired).await;
    assert_eq!(site.state(queued).await, DeliveryState::Queued);
    assert_eq!(site.set_clock(0).await, -5 * DAY);
    assert_eq!(site.clock().await.jump, None);
    site.fcm.script().forgive("phone-1");
    site.reaches(queued, DeliveryState::Sent).await;
}

#[tokio::test]
async fn a_jump_that_an_owner_accepts_is_believed_at_once() {
    let site = Site::with_clock(0).await;
    let first = site.post("раньше", None).await;
    site.reaches(first, DeliveryState::Sent).await;
    site.fcm.script().address("phone-1", Answer::Unavailable(None));
    let id = site.post("Давление", Some(HOUR)).await;
    site.set_clock(2 * HOUR).await;
    assert_eq!(site.jump().await.ahead_seconds, 2 * HOUR);
    let ctl = Ctl::new(&site.simod, "zavod");
    assert!(ctl.ok(&["clock", "show"]).contains("the clock was set 7200 s ahead"));
    let accepted = ctl.json(&["clock", "accept"]);
    assert!(accepted["jump"].is_null(), "{accepted}");
    site.reaches(id, DeliveryState::Expired).await;
    let server = AuditQuery { server: true, ..AuditQuery::default() };
    let audit = site.simod.owner().audit(&ListQuery::default(), &server).await.unwrap().items;
    assert_eq!(audit.iter().filter(|entry| entry.action == "clock.accept").count(), 1);
}

#[tokio::test]
async fn a_start_with_a_clock_that_was_set_gives_nothing_up_and_holds_nothing_up() {
    let mut site = Site::with_clock(0).await;
    let first = site.post("раньше", None).await;
    site.reaches(first, DeliveryState::Sent).await;
    site.fcm.script().address("phone-1", Answer::Unavailable(None));
    let queued = site.post("Давление", Some(HOUR)).await;
    // A machine that slept for longer than a day, or whose clock pretends so; also after another restart.
    for _ in 0..2 {
        site.restart(25 * HOUR).await;
        let ahead = site.jump().await.ahead_seconds;
        assert!((25 * HOUR..25 * HOUR + 600).contains(&ahead), "{ahead}");
        assert_eq!(site.state(queued).await, DeliveryState::Queued);
    }
    // A message accepted now moves the stored time forward.
    let then = site.post("позже", Some(HOUR)).await;
    site.restart(0).await;
    let state = site.clock().await;
    assert_eq!(state.jump, None);
    assert!((-25 * HOUR..-25 * HOUR + 600).contains(&state.steps[0].seconds), "{:?}", state.steps);
    site.fcm.script().forgive("phone-1");
    for id in [queued, then] {
        site.reaches(id, DeliveryState::Sent).await;
    }
}
