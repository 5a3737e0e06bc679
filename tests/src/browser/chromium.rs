//! Debian's chromium, headless. Its push service cannot be replaced, so a test hands pushes to the worker.

use std::{
    fs::{self, File},
    path::Path,
    process::Command,
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Desktop, Group, cdp::Cdp};
use crate::wait::{eventually, within};

/// A Chromium with its own profile (an incognito one denies all notifications) and one page.
pub struct Chromium {
    cdp: Cdp,
    session: String,
    _group: Group,
    _profile: TempDir,
}

impl Chromium {
    /// Starts it; its notifications appear on the desktop.
    pub async fn start(binary: &Path, desktop: &Desktop) -> Self {
        Self::start_with(binary, desktop, &[]).await
    }

    /// Starts it with these extra arguments.
    pub async fn start_with(binary: &Path, desktop: &Desktop, arguments: &[&str]) -> Self {
        let profile = tempfile::Builder::new().prefix("simo-chromium").tempdir().expect("a directory");
        let log = profile.path().join("simo.log");
        let mut command = Command::new(binary);
        command
            .args([
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--no-first-run",
            ])
            .args([
                "--no-default-browser-check",
                "--disable-background-networking",
                "--remote-debugging-port=0",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .args(arguments)
            .arg("about:blank")
            .env("DBUS_SESSION_BUS_ADDRESS", desktop.address())
            .stdout(File::create(profile.path().join("simo.out")).expect("a file"))
            .stderr(File::create(&log).expect("a log"));
        let mut group = Group::start(&mut command);
        let cdp = within(Duration::from_mins(1), "Chromium listens", || {
            let log = fs::read_to_string(&log).unwrap_or_default();
            assert!(!group.has_ended(), "Chromium ended: {log}");
            async move {
                let url =
                    log.lines().find_map(|line| line.strip_prefix("DevTools listening on "))?.to_owned();
                Cdp::connect(&url).await.ok()
            }
        })
        .await;
        let target = eventually("Chromium has a page", async || {
            let targets = cdp.call(None, "Target.getTargets", json!({})).await.ok()?;
            let mut targets = targets["targetInfos"].as_array().into_iter().flatten();
            targets.find(|target| target["type"] == "page").map(|target| target["targetId"].clone())
        })
        .await;
        let session = attach(&cdp, &target).await;
        let chromium = Self { cdp, session, _group: group, _profile: profile };
        for domain in ["Page.enable", "Runtime.enable", "Network.enable", "ServiceWorker.enable"] {
            chromium.must(domain, json!({})).await;
        }
        chromium
    }

    /// Calls a method of the page.
    ///
    /// # Errors
    /// Chromium refuses.
    pub async fn call(&self, method: &str, parameters: Value) -> Result<Value, String> {
        self.cdp.call(Some(&self.session), method, parameters).await
    }

    async fn must(&self, method: &str, parameters: Value) -> Value {
        self.call(method, parameters).await.expect("Chromium obeys")
    }

    /// Takes the parameters of all events of this method so far.
    pub fn events(&self, method: &str) -> Vec<Value> {
        self.cdp.take(method)
    }

    /// Opens this address, and waits until it is loaded.
    ///
    /// # Errors
    /// It cannot be loaded.
    pub async fn go(&self, url: &str) -> Result<(), String> {
        self.cdp.take("Page.loadEventFired");
        let gone = self.call("Page.navigate", json!({ "url": url })).await?;
        if let Some(error) = gone["errorText"].as_str() {
            return Err(error.to_owned());
        }
        // A new fragment of the same document loads nothing.
        if gone.get("loaderId").is_some() {
            self.loaded().await;
        }
        Ok(())
    }

    /// Loads the page again.
    pub async fn reload(&self) {
        self.cdp.take("Page.loadEventFired");
        self.must("Page.reload", json!({})).await;
        self.loaded().await;
    }

    async fn loaded(&self) {
        eventually("the page is loaded", async || self.cdp.take("Page.loadEventFired").pop()).await;
    }

    /// The value of an expression in the page; promises are awaited.
    pub async fn evaluate(&self, expression: &str) -> Value {
        self.try_evaluate(expression).await.expect("the script runs")
    }

    /// The value of an expression that may throw or reject.
    ///
    /// # Errors
    /// The exception.
    pub async fn try_evaluate(&self, expression: &str) -> Result<Value, String> {
        let parameters = json!({
            "expression": expression, "awaitPromise": true, "returnByValue": true, "userGesture": true,
        });
        let result = self.call("Runtime.evaluate", parameters).await?;
        match result.get("exceptionDetails") {
            None => Ok(result["result"]["value"].clone()),
            Some(thrown) => {
                let said = &thrown["exception"]["description"];
                Err(said.as_str().map_or_else(|| thrown.to_string(), str::to_owned))
            }
        }
    }

    /// Sets a permission (such as `notifications`) for this origin: `granted`, `denied` or `prompt`.
    pub async fn permit(&self, origin: &str, permission: &str, setting: &str) {
        let parameters = json!({"origin": origin, "permission": {"name": permission}, "setting": setting});
        self.cdp.call(None, "Browser.setPermission", parameters).await.expect("Chromium obeys");
    }

    /// Hands a push to the worker of this origin, bypassing encryption, subscription and permission.
    pub async fn push(&self, origin: &str, text: &str) {
        // A wrong id succeeds too, so take that of the live registration.
        self.must("ServiceWorker.disable", json!({})).await;
        self.cdp.take("ServiceWorker.workerRegistrationUpdated");
        self.must("ServiceWorker.enable", json!({})).await;
        let id = eventually("the worker is registered", async || {
            let updates = self.cdp.take("ServiceWorker.workerRegistrationUpdated");
            let registrations =
                updates.iter().filter_map(|update| update["registrations"].as_array()).flatten();
            registrations
                .filter(|registration| registration["isDeleted"] == false)
                .rfind(|registration| {
                    registration["scopeURL"].as_str().is_some_and(|scope| scope.starts_with(origin))
                })
                .map(|registration| registration["registrationId"].clone())
        })
        .await;
        let parameters = json!({"origin": origin, "registrationId": id, "data": text});
        self.must("ServiceWorker.deliverPushMessage", parameters).await;
    }

    /// Sets the page's size, as on a phone or on a monitor.
    pub async fn viewport(&self, width: u32, height: u32, mobile: bool) {
        let parameters = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile});
        self.must("Emulation.setDeviceMetricsOverride", parameters).await;
    }

    /// Sets the dark or the light theme.
    pub async fn dark(&self, dark: bool) {
        let scheme = if dark { "dark" } else { "light" };
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.must("Emulation.setEmulatedMedia", features).await;
    }

    /// Sets the person's language; pages see it from the next load on.
    pub async fn language(&self, language: &str) {
        let version = self.cdp.call(None, "Browser.getVersion", json!({})).await.expect("it has one");
        let agent = json!({"userAgent": version["userAgent"], "acceptLanguage": language});
        self.must("Emulation.setUserAgentOverride", agent).await;
        self.must("Emulation.setLocaleOverride", json!({ "locale": language })).await;
    }

    /// Evaluates an expression in the running worker.
    pub async fn in_worker(&self, expression: &str) -> Value {
        let target = eventually("a worker runs", async || self.workers().await.pop()).await;
        let worker = attach(&self.cdp, &target).await;
        let parameters = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let result = self.cdp.call(Some(&worker), "Runtime.evaluate", parameters).await.expect("it runs");
        assert!(result.get("exceptionDetails").is_none(), "{result}");
        result["result"]["value"].clone()
    }

    /// Stops the running workers; the next event starts a new one.
    pub async fn stop_workers(&self) {
        self.must("ServiceWorker.enable", json!({})).await;
        self.must("ServiceWorker.stopAllWorkers", json!({})).await;
        eventually("no worker runs", async || self.workers().await.is_empty().then_some(())).await;
    }

    async fn workers(&self) -> Vec<Value> {
        let targets = self.cdp.call(None, "Target.getTargets", json!({})).await.expect("it has some");
        let targets = targets["targetInfos"].as_array().into_iter().flatten();
        targets
            .filter(|target| target["type"] == "service_worker")
            .map(|target| target["targetId"].clone())
            .collect()
    }

    /// Takes the page and the running workers offline, or online again.
    pub async fn offline(&self, offline: bool) {
        let conditions =
            json!({"offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1});
        for target in self.workers().await {
            // The session must stay attached: detaching would end the condition.
            let worker = attach(&self.cdp, &target).await;
            for (method, parameters) in
                [("Network.enable", json!({})), ("Network.emulateNetworkConditions", conditions.clone())]
            {
                self.cdp.call(Some(&worker), method, parameters).await.expect("Chromium obeys");
            }
        }
        self.must("Network.emulateNetworkConditions", conditions).await;
    }

    /// Why the page cannot be installed as an app.
    pub async fn installability_errors(&self) -> Vec<Value> {
        let errors = self.must("Page.getInstallabilityErrors", json!({})).await;
        errors["installabilityErrors"].as_array().cloned().unwrap_or_default()
    }

    /// Clicks the middle of the selected element with the mouse.
    pub async fn click(&self, selector: &str) {
        let at = self
            .evaluate(&format!(
                "(() => {{ const e = document.querySelector({}); e.scrollIntoView({{block: 'center'}});
                   const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; }})()",
                json!(selector)
            ))
            .await;
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({"type": kind, "x": at[0], "y": at[1], "button": "left", "clickCount": 1});
            self.must("Input.dispatchMouseEvent", event).await;
        }
    }

    /// A screenshot of the page as PNG.
    pub async fn screenshot(&self) -> Vec<u8> {
        let shot = self.must("Page.captureScreenshot", json!({"format": "png"})).await;
        BASE64_STANDARD.decode(shot["data"].as_str().expect("base64")).expect("base64")
    }

    /// Starts tracing the tasks of the pages' main threads.
    pub async fn trace(&self) {
        let config = json!({"includedCategories": ["disabled-by-default-devtools.timeline"]});
        let parameters = json!({"transferMode": "ReportEvents", "traceConfig": config});
        self.cdp.call(None, "Tracing.start", parameters).await.expect("Chromium obeys");
    }

    /// Ends the trace; returns how long each task of a page took.
    pub async fn tasks(&self) -> Vec<Duration> {
        // A task is traced only when it ends, and the one that answered the last call may still be running.
        self.evaluate("new Promise(done => setTimeout(done, 100))").await;
        self.cdp.call(None, "Tracing.end", json!({})).await.expect("it was begun");
        let complete = async || self.cdp.take("Tracing.tracingComplete").pop();
        within(Duration::from_mins(2), "the trace is complete", complete).await;
        let parts = self.cdp.take("Tracing.dataCollected");
        let events: Vec<&Value> =
            parts.iter().filter_map(|part| part["value"].as_array()).flatten().collect();
        let thread = |event: &Value| (event["pid"].clone(), event["tid"].clone());
        let main: Vec<_> = events
            .iter()
            .filter(|event| event["name"] == "thread_name" && event["args"]["name"] == "CrRendererMain")
            .map(|event| thread(event))
            .collect();
        events
            .iter()
            .filter(|event| event["name"] == "RunTask" && main.contains(&thread(event)))
            .filter_map(|event| event["dur"].as_u64().map(Duration::from_micros))
            .collect()
    }
}

async fn attach(cdp: &Cdp, target: &Value) -> String {
    let parameters = json!({"targetId": target, "flatten": true});
    let attached = cdp.call(None, "Target.attachToTarget", parameters).await.expect("the target is there");
    attached["sessionId"].as_str().expect("a session").to_owned()
}
