//! Debian's firefox-esr, headless.

use std::{
    fmt::Write as _,
    fs::{self, File},
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Desktop, Group, marionette::Marionette};
use crate::{
    PushService,
    wait::{eventually, within},
};

/// Every preference that a test needs; each comment says why.
const PREFERENCES: [(&str, &str); 16] = [
    // Otherwise a ws:// address is silently ignored.
    ("dom.push.testing.allowInsecureServerURL", "true"),
    // Marionette turns it off; then subscribe() fails at once.
    ("dom.push.connection.enabled", "true"),
    // In milliseconds; the default after a lost connection is 5 s, doubling.
    ("dom.push.retryBaseInterval", "200"),
    // On a machine without a network Firefox may believe it is offline and never connect.
    ("network.manage-offline-status", "false"),
    ("network.connectivity-service.enabled", "false"),
    ("network.captive-portal-service.enabled", "false"),
    ("network.proxy.type", "0"),
    // Without a notification area Firefox 153 rejects showNotification(); the test desktop has one.
    ("alerts.useSystemBackend", "true"),
    // No background traffic and no windows of Firefox's own.
    ("app.update.enabled", "false"),
    ("datareporting.policy.dataSubmissionEnabled", "false"),
    ("toolkit.telemetry.enabled", "false"),
    ("browser.safebrowsing.downloads.enabled", "false"),
    ("services.settings.server", "\"data:,#no-remote-settings\""),
    ("browser.shell.checkDefaultBrowser", "false"),
    ("browser.aboutwelcome.enabled", "false"),
    ("termsofuse.bypassNotification", "true"),
];

/// A Firefox with its own profile.
pub struct Firefox {
    /// Dropped before the profile directory, as Firefox writes into it until it ends.
    running: Option<(Group, Marionette)>,
    binary: PathBuf,
    profile: TempDir,
    version: String,
}

impl Firefox {
    /// Starts it with this push service and these preferences, beside those that every test needs. Its notifications appear
    /// on the desktop.
    pub async fn start(
        binary: &Path,
        service: &PushService,
        desktop: &Desktop,
        preferences: &[(&str, Value)],
    ) -> Self {
        let profile = tempfile::Builder::new().prefix("simo-firefox").tempdir().expect("a directory");
        let mut text = String::new();
        for (name, value) in PREFERENCES {
            let _ = writeln!(text, "user_pref({}, {value});", json!(name));
        }
        let server = ("dom.push.serverURL", json!(service.firefox_url()));
        for (name, value) in preferences.iter().chain([&server]) {
            let _ = writeln!(text, "user_pref({}, {value});", json!(name));
        }
        fs::write(profile.path().join("user.js"), text).expect("the profile can be written");
        let mut firefox = Self { running: None, binary: binary.to_owned(), profile, version: String::new() };
        firefox.run(desktop).await;
        firefox
    }

    /// Waits until a subscription is on disk. A Firefox killed within a second of subscribing may lose the subscription.
    pub async fn settle(&mut self) {
        self.chrome("Services.prefs.savePrefFile(null)", json!([])).await;
        let preferences = self.profile.path().join("prefs.js");
        eventually("Firefox writes down who it is", async || {
            let written =
                fs::read_to_string(&preferences).is_ok_and(|text| text.contains("dom.push.userAgentID"));
            written.then_some(())
        })
        .await;
    }

    /// Kills it with `kill -9`.
    pub fn kill9(&mut self) {
        self.running = None;
    }

    /// Starts it again with the same profile.
    pub async fn run(&mut self, desktop: &Desktop) {
        self.running = None;
        let profile = self.profile.path();
        let port =
            TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
        let user = profile.join("user.js");
        let mut preferences = fs::read_to_string(&user).expect("start() wrote it");
        // The last line for a key wins.
        let _ = writeln!(preferences, "user_pref(\"marionette.port\", {port});");
        fs::write(&user, preferences).expect("the profile can be written");
        let log = File::options().create(true).append(true).open(self.log()).expect("a log");
        let mut command = Command::new(&self.binary);
        command
            .args(["--headless", "--no-remote", "--marionette", "--remote-allow-system-access", "--profile"])
            .arg(profile)
            .env("HOME", profile)
            .env("DBUS_SESSION_BUS_ADDRESS", desktop.address())
            .env("MOZ_CRASHREPORTER_DISABLE", "1")
            .env("MOZ_DISABLE_AUTO_SAFE_MODE", "1")
            .stdout(log.try_clone().expect("a file"))
            .stderr(log);
        let mut group = Group::start(&mut command);
        let mut marionette = within(Duration::from_mins(1), "Firefox listens", || {
            assert!(
                !group.has_ended(),
                "Firefox ended: {}",
                fs::read_to_string(self.log()).unwrap_or_default()
            );
            async { Marionette::connect(port).await.ok() }
        })
        .await;
        let capabilities = json!({"capabilities": {"alwaysMatch": {"acceptInsecureCerts": true}}});
        let session = marionette.call("WebDriver:NewSession", capabilities).await.expect("a session");
        session["capabilities"]["browserVersion"].as_str().unwrap_or_default().clone_into(&mut self.version);
        marionette.call("WebDriver:SetTimeouts", json!({"script": 40_000})).await.expect("a time limit");
        self.running = Some((group, marionette));
    }

    fn log(&self) -> PathBuf {
        self.profile.path().join("simo.log")
    }

    /// Calls a Marionette command.
    ///
    /// # Errors
    /// Firefox refuses.
    pub async fn call(&mut self, command: &str, parameters: Value) -> Result<Value, String> {
        let (_, marionette) = self.running.as_mut().expect("Firefox runs");
        marionette.call(command, parameters).await
    }

    /// The browser's version.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Opens this address.
    pub async fn go(&mut self, url: &str) {
        self.call("WebDriver:Navigate", json!({ "url": url })).await.expect("the page loads");
    }

    /// Runs the body of an async function in the page; its arguments are `args[0]` and so on.
    pub async fn script(&mut self, body: &str, arguments: Value) -> Value {
        self.try_script(body, arguments).await.expect("the script runs")
    }

    /// Like [`Self::script`], for a body that may throw.
    ///
    /// # Errors
    /// The exception.
    pub async fn try_script(&mut self, body: &str, arguments: Value) -> Result<Value, String> {
        let script = format!(
            "const done = arguments[arguments.length - 1], args = Array.from(arguments).slice(0, -1);
             (async () => {{ {body} }})().then(value => done({{value: value === undefined ? null : value}}),
                                               error => done({{error: error.name + ': ' + error.message}}));"
        );
        let parameters = json!({"script": script, "args": arguments, "sandbox": null, "newSandbox": false});
        let result = self.call("WebDriver:ExecuteAsyncScript", parameters).await?["value"].clone();
        match result["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => Ok(result["value"].clone()),
        }
    }

    /// Runs the body of an async function in the browser's own context, which has `Services`.
    pub async fn chrome(&mut self, body: &str, arguments: Value) -> Value {
        self.call("Marionette:SetContext", json!({"value": "chrome"}))
            .await
            .expect("chrome scripts are allowed");
        let result = self.try_script(body, arguments).await;
        self.call("Marionette:SetContext", json!({"value": "content"})).await.expect("there is a page");
        result.expect("the script runs")
    }

    /// Sets the notification permission of this origin: `ALLOW_ACTION`, `DENY_ACTION`, `UNKNOWN_ACTION`.
    pub async fn permit(&mut self, origin: &str, action: &str) {
        let script = "const who = Services.scriptSecurityManager.createContentPrincipalFromOrigin(args[0]);
            Services.perms.addFromPrincipal(who, 'desktop-notification', Ci.nsIPermissionManager[args[1]]);";
        self.chrome(script, json!([origin, action])).await;
    }

    /// Clicks the selected element as a person does.
    ///
    /// # Errors
    /// No element matches, or it cannot be clicked.
    pub async fn click(&mut self, selector: &str) -> Result<(), String> {
        loop {
            match self.click_once(selector).await {
                // The page replaced the element between the two calls.
                Err(error) if error.contains("stale element") => {}
                clicked => return clicked,
            }
        }
    }

    async fn click_once(&mut self, selector: &str) -> Result<(), String> {
        let found =
            self.call("WebDriver:FindElement", json!({"using": "css selector", "value": selector})).await?;
        let element = found["value"].as_object().and_then(|value| value.values().next()).cloned();
        self.call("WebDriver:ElementClick", json!({ "id": element })).await.map(drop)
    }

    /// Sets the window size.
    pub async fn size(&mut self, width: u32, height: u32) {
        let size = json!({"width": width, "height": height});
        self.call("WebDriver:SetWindowRect", size).await.expect("a window can be resized");
    }

    /// A screenshot of the page as PNG.
    pub async fn screenshot(&mut self) -> Vec<u8> {
        let shot = self.call("WebDriver:TakeScreenshot", json!({"full": false})).await.expect("a picture");
        BASE64_STANDARD.decode(shot["value"].as_str().expect("base64")).expect("base64")
    }
}
