//! The web app in real browsers: from a POST to the notification in Firefox, the first screen and the scrolled list in Chromium;
//! and the search of a person who has ten thousand messages.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, stream};
use serde_json::json;
use simo_common::{
    api::{message::PostMessage, people::NewInvite},
    client::{Client, ListQuery},
};
use simo_tests::{
    Plant, PushService, Simod,
    browser::{Chromium, Desktop, Firefox, Screen as _, chromium, firefoxes},
    eventually,
    plant::to_employees,
    wait::within,
};

use crate::{blast::quantile, site, table::Row};

/// Personnel number of the phone's owner.
const ANNA: &str = "001";
const WARM_POSTS: usize = 200;
const APART: Duration = Duration::from_millis(300);
const STOPPED_POSTS: usize = 10;
/// Messages that Anna's phone keeps.
const KEPT: usize = 5_000;
/// Messages that are searched.
const SEARCHED: usize = 10_000;
const SEARCHES: usize = 50;
/// How many times the first screen and the scrolled list are measured.
const RUNS: usize = 3;
/// Wheel events in one run.
const TURNS: usize = 200;

/// Records when the first message is on the screen, counted from the start of the navigation.
const NOTE_FIRST: &str = "new MutationObserver((_, watch) => {
    if (!document.querySelector(\"a[href^='#m=']\")) return;
    watch.disconnect();
    requestAnimationFrame(() => { window.firstMessage = performance.now(); });
}).observe(document, { childList: true, subtree: true });";

const COUNT_KEPT: &str =
    "new Promise((done) => { const open = indexedDB.open('simo /app/'); open.onsuccess = () => {
    const count = open.result.transaction('messages').objectStore('messages').count();
    count.onsuccess = () => { open.result.close(); done(count.result); }; }; })";

pub(crate) async fn measure(directory: &Path) -> Vec<Row> {
    let service = PushService::start();
    let simod = site::setup(directory, "browsers")
        .set("webpush.subject", "mailto:it@example.org")
        .set("webpush.ca", service.write_ca(directory).to_str().expect("a path in UTF-8"))
        .set("webpush.allowed_hosts", vec![service.host()])
        .start()
        .await;
    let plant = Plant::new(&simod, "zavod").await;
    plant.employees(&[ANNA, "002"], &[]).await;
    let site = Site {
        service,
        desktop: Desktop::start().await,
        acs: plant.acs(&simod, "scada").await,
        simod,
        plant,
    };
    let mut rows = Vec::new();
    if let Some(binary) = firefoxes().first() {
        rows.extend(site.firefox(binary).await);
    }
    rows.extend(site.search().await);
    if let Some(binary) = chromium() {
        rows.extend(site.chromium(&binary).await);
    }
    rows
}

struct Site {
    service: PushService,
    desktop: Desktop,
    simod: Simod,
    plant: Plant,
    acs: Client,
}

impl Site {
    /// `localhost` rather than an address, because browsers consider it secure.
    fn origin(&self) -> String {
        self.simod.url().replace("127.0.0.1", "localhost")
    }

    async fn link(&self) -> String {
        let invite = NewInvite { employee: ANNA.to_owned(), valid_for: None };
        let code = self.plant.admin.invite_device(&invite).await.expect("a phone can be invited").code;
        format!("{}/app/#pair={code}", self.origin())
    }

    async fn firefox(&self, binary: &Path) -> [Row; 3] {
        let mut firefox = Firefox::start(binary, &self.service, &self.desktop, &[]).await;
        firefox.go(&format!("{}/app/", self.origin())).await;
        firefox.permit(&self.origin(), "ALLOW_ACTION").await;
        firefox.pair(&self.link().await).await;
        firefox.press("button.big").await;
        firefox.until("Boolean(document.querySelector('.good'))").await;
        // Leaves the page, whose stream would otherwise show the message before the push.
        firefox.go("about:blank").await;
        self.rings("Warm-up").await;
        let mut warm = Vec::new();
        for number in 0..WARM_POSTS {
            let begun = Instant::now();
            warm.push(self.rings(&format!("Warm {number}")).await);
            tokio::time::sleep(APART.saturating_sub(begun.elapsed())).await;
        }
        let mut stopped = Vec::new();
        for number in 0..STOPPED_POSTS {
            firefox.chrome(STOP_WORKERS, json!([])).await;
            stopped.push(self.rings(&format!("Stopped {number}")).await);
        }
        let version = firefox.version();
        [
            Row::at_most(
                format!("POST to notification in Firefox {version}, p50"),
                quantile(&mut warm, 0.5),
                60.0,
                "ms",
            ),
            Row::at_most("  p99", quantile(&mut warm, 0.99), 250.0, "ms"),
            Row::at_most("  with a stopped worker, the slowest", quantile(&mut stopped, 1.0), 1_000.0, "ms"),
        ]
    }

    /// Milliseconds from the POST until a notification with this title is shown.
    async fn rings(&self, title: &str) -> f64 {
        let posted = Instant::now();
        self.acs.post_message(&to_employees(title, &[ANNA]), false).await.expect("it is accepted");
        let shown = self.desktop.see(title).await;
        (shown.at - posted).as_secs_f64() * 1e3
    }

    async fn post(&self, to: &str, count: usize) {
        let post = |number: usize| async move {
            let title = format!("Насос {}: давление ниже нормы", number % 100);
            let body = format!("Показание {number}, порог 4,5 бар");
            let message = PostMessage { body, ..to_employees(&title, &[to]) };
            self.acs.post_message(&message, false).await.expect("it is accepted");
        };
        stream::iter(0..count).for_each_concurrent(64, post).await;
    }

    async fn search(&self) -> [Row; 2] {
        let phone = self.plant.stream_phone(&self.simod, "002").await;
        self.post("002", SEARCHED).await;
        let mut times = Vec::new();
        for number in 0..SEARCHES {
            let query = Some(format!("насос {number} давление"));
            let begun = Instant::now();
            let found = phone.client.own_messages(&ListQuery { query, ..ListQuery::default() }).await;
            times.push(begun.elapsed().as_secs_f64() * 1e3);
            assert!(!found.expect("it is found").items.is_empty());
        }
        [
            Row::at_most("search in 10,000 of one's own, p50", quantile(&mut times, 0.5), 100.0, "ms"),
            Row::only("  the slowest of 50", format!("{:.1} ms", quantile(&mut times, 1.0))),
        ]
    }

    async fn chromium(&self, binary: &Path) -> [Row; 2] {
        let mut chromium = Chromium::start(binary, &self.desktop).await;
        chromium.viewport(360, 740, true).await;
        chromium.pair(&self.link().await).await;
        self.post(ANNA, KEPT).await;
        chromium.go(&format!("{}/app/#", self.origin())).await.expect("the page loads");
        chromium.reload().await;
        let all = async || (chromium.evaluate(COUNT_KEPT).await.as_u64()? >= KEPT as u64).then_some(());
        within(Duration::from_mins(2), "the phone has all", all).await;
        let script = json!({"source": NOTE_FIRST});
        chromium.call("Page.addScriptToEvaluateOnNewDocument", script).await.expect("Chromium obeys");
        let (mut first, mut longest) = (Vec::new(), Duration::ZERO);
        for _ in 0..RUNS {
            chromium.reload().await;
            let seen = eventually("a message is on the screen", async || {
                chromium.evaluate("window.firstMessage").await.as_f64()
            });
            first.push(seen.await);
            // Lets the app finish what it does after its start, which is not scrolling.
            tokio::time::sleep(Duration::from_secs(3)).await;
            chromium.trace().await;
            for turn in 0..TURNS {
                let far = if turn < TURNS / 2 { 400 } else { 4_000 };
                let wheel = json!({"type": "mouseWheel", "x": 180, "y": 400, "deltaX": 0, "deltaY": far});
                chromium.call("Input.dispatchMouseEvent", wheel).await.expect("Chromium obeys");
                tokio::time::sleep(Duration::from_millis(16)).await;
            }
            longest = longest.max(chromium.tasks().await.into_iter().max().unwrap_or_default());
        }
        [
            Row::at_most(
                "first screen of 5,000 messages from a warm cache",
                quantile(&mut first, 1.0),
                300.0,
                "ms",
            ),
            Row::at_most("longest task while 5,000 messages scroll", longest.as_secs_f64() * 1e3, 50.0, "ms"),
        ]
    }
}

/// Stops the running workers, as Firefox does after half a minute without an event.
const STOP_WORKERS: &str =
    "const workers = Cc['@mozilla.org/serviceworkers/manager;1'].getService(Ci.nsIServiceWorkerManager);
    const all = workers.getAllRegistrations();
    for (let place = 0; place < all.length; place++) {
        await all.queryElementAt(place, Ci.nsIServiceWorkerRegistrationInfo).activeWorker?.terminateWorker();
    }";
