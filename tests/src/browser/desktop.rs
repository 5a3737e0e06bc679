//! A stand-in for a desktop: its own session bus with a notification area that records what browsers show and lets a test
//! click it.
#![allow(clippy::used_underscore_binding, reason = "zbus's macro uses the arguments that we do not")]

use std::{
    collections::HashMap,
    fs,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    time::Instant,
};

use tempfile::TempDir;
use zbus::{
    Connection, connection, interface,
    object_server::{InterfaceRef, SignalEmitter},
    wire::OwnedVariant,
};

use super::Group;
use crate::wait::eventually;

const PATH: &str = "/org/freedesktop/Notifications";
/// A bus that starts no services by itself.
const CONFIGURATION: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>ADDRESS</listen>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"#;

/// The notification area. It ends with the test's runtime, so each test has its own desktop.
pub struct Desktop {
    area: InterfaceRef<Area>,
    shown: Arc<Mutex<Vec<Shown>>>,
    address: String,
    // Field order matters: the connection must drop before the bus.
    _connection: Connection,
    _bus: Group,
    _directory: TempDir,
}

/// A notification as a person sees it.
#[derive(Debug, Clone)]
pub struct Shown {
    /// Its id; a notification that replaces another keeps the other's id.
    pub id: u32,
    /// The browser's name.
    pub app: String,
    /// The title.
    pub summary: String,
    /// The text below the title.
    pub body: String,
    /// Keys and labels of what can be clicked, alternating; `default` is the notification itself.
    pub actions: Vec<String>,
    /// Milliseconds until it closes by itself; 0: it stays; -1: the desktop decides.
    pub timeout: i32,
    /// Whether it is open.
    pub open: bool,
    /// When it was shown.
    pub at: Instant,
}

struct Area {
    shown: Arc<Mutex<Vec<Shown>>>,
    last: u32,
}

impl Desktop {
    /// Starts an empty one.
    pub async fn start() -> Self {
        let directory = tempfile::Builder::new().prefix("simo-desktop").tempdir().expect("a directory");
        let address = format!("unix:path={}", directory.path().join("bus").display());
        let configuration = directory.path().join("bus.conf");
        fs::write(&configuration, CONFIGURATION.replace("ADDRESS", &address)).expect("it can be written");
        let mut bus = Command::new("dbus-daemon");
        // As root it complains about resource limits.
        bus.stderr(Stdio::null())
            .args(["--nofork", "--nopidfile"])
            .arg(format!("--config-file={}", configuration.display()));
        let bus = Group::start(&mut bus);
        let shown = Arc::new(Mutex::new(Vec::new()));
        let connection = eventually("the bus listens", async || {
            let area = Area { shown: Arc::clone(&shown), last: 0 };
            let builder = connection::Builder::address(address.as_str());
            builder.name("org.freedesktop.Notifications").serve_at(PATH, area).build().await.ok()
        })
        .await;
        let area = connection.object_server().interface(PATH).await.expect("the area is served");
        Self { area, shown, address, _connection: connection, _bus: bus, _directory: directory }
    }

    /// The value for `DBUS_SESSION_BUS_ADDRESS`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// All notifications shown so far.
    pub fn shown(&self) -> Vec<Shown> {
        self.shown.lock().expect("nobody panicked").clone()
    }

    /// Waits until a notification with this title is open.
    pub async fn see(&self, summary: &str) -> Shown {
        eventually(&format!("{summary} is shown"), async || {
            self.shown().into_iter().rfind(|shown| shown.open && shown.summary == summary)
        })
        .await
    }

    /// Clicks the notification itself.
    pub async fn click(&self, shown: &Shown) {
        self.invoke(shown, "default").await;
    }

    /// Clicks the button with this label.
    pub async fn press(&self, shown: &Shown, button: &str) {
        let pair = shown.actions.chunks(2).find(|pair| pair.last().is_some_and(|text| text == button));
        let key = &pair.unwrap_or_else(|| panic!("no button {button}: {shown:?}"))[0];
        self.invoke(shown, key).await;
    }

    /// Dismisses it.
    pub async fn dismiss(&self, shown: &Shown) {
        close(&self.shown, shown.id);
        let dismissed = Area::notification_closed(self.area.signal_emitter(), shown.id, 2).await;
        dismissed.expect("the bus is there");
    }

    async fn invoke(&self, shown: &Shown, key: &str) {
        let invoked = Area::action_invoked(self.area.signal_emitter(), shown.id, key).await;
        invoked.expect("the bus is there");
    }
}

fn close(shown: &Mutex<Vec<Shown>>, id: u32) {
    for shown in shown.lock().expect("nobody panicked").iter_mut().filter(|shown| shown.id == id) {
        shown.open = false;
    }
}

#[interface(name = "org.freedesktop.Notifications")]
#[allow(clippy::unused_self, reason = "the form of D-Bus methods")]
impl Area {
    fn get_capabilities(&self) -> Vec<String> {
        ["actions", "body", "body-markup", "persistence", "icon-static"].map(str::to_owned).to_vec()
    }

    fn get_server_information(&self) -> (String, String, String, String) {
        ("test".to_owned(), "test".to_owned(), "1".to_owned(), "1.2".to_owned())
    }

    #[allow(clippy::too_many_arguments, reason = "the form of the desktop's standard")]
    fn notify(
        &mut self,
        app: String,
        replaces: u32,
        _icon: String,
        summary: String,
        body: String,
        actions: Vec<String>,
        _hints: HashMap<String, OwnedVariant>,
        timeout: i32,
    ) -> u32 {
        let id = if replaces == 0 { self.last + 1 } else { replaces };
        self.last = self.last.max(id);
        close(&self.shown, id);
        let shown = Shown { id, app, summary, body, actions, timeout, open: true, at: Instant::now() };
        self.shown.lock().expect("nobody panicked").push(shown);
        id
    }

    async fn close_notification(&self, id: u32, #[zbus(signal_emitter)] emitter: SignalEmitter<'_>) {
        close(&self.shown, id);
        let closed = Self::notification_closed(&emitter, id, 3).await;
        closed.expect("the bus is there");
    }

    #[zbus(signal)]
    async fn notification_closed(emitter: &SignalEmitter<'_>, id: u32, reason: u32) -> zbus::Result<()>;

    #[zbus(signal)]
    async fn action_invoked(emitter: &SignalEmitter<'_>, id: u32, key: &str) -> zbus::Result<()>;
}
