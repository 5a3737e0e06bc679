//! The daemon's configuration: defaults, then a TOML file, then the environment (`SIMO_…`), then flags.

mod check;
mod error;
mod keys;
mod load;
mod webpush;

use std::path::PathBuf;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use simo_common::paths;
use url::{Url, form_urlencoded};

use crate::store::{self, Place};

pub use self::{
    error::{ConfigError, Source},
    keys::{ConfigKey, KEYS, ValueKind, is_foreign},
    load::load,
    webpush::WebPush,
};

/// Everything that can be configured. Unknown keys are refused.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The database: `sqlite:/path/simo.db` or `postgres://user:password@host/simo`.
    pub database: String,
    /// The server's own URL, if `database` leads to it through a pooler; used for migrations and wake-ups.
    pub database_direct: Option<String>,
    /// The TCP address to listen on; port 0 picks a free one.
    pub listen: String,
    /// A PEM file with the certificate for HTTPS and its intermediates; it goes with `tls_key`. Both are reread when they
    /// change.
    pub tls_certificate: Option<PathBuf>,
    /// A PEM file with the certificate's private key.
    pub tls_key: Option<PathBuf>,
    /// Whether to speak plain HTTP on an address that other machines reach, behind a proxy that speaks HTTPS for us.
    pub allow_plain_http: bool,
    /// The Unix socket for local administration.
    pub socket: PathBuf,
    /// The address under which phones reach this server, for invitations.
    pub public_url: Option<String>,
    /// What to log: `error`, `warn`, `info`, `debug`, or a filter such as `info,simod=debug`.
    pub log: String,
    /// How to log: `text` or `json`.
    pub log_format: LogFormat,
    /// Seconds that a shutdown waits for work in progress.
    pub shutdown_grace: u64,
    /// Seconds that a stopping instance goes on answering, while its `/readyz` says 503 and load balancers turn to others.
    /// Default: 5 on PostgreSQL, 0 on SQLite, where there are no other instances.
    pub shutdown_delay: Option<u64>,
    /// Networks of proxies whose `X-Forwarded-For` is trusted, such as `10.0.0.5/32`; none by default.
    pub trusted_proxies: Vec<IpNet>,
    /// Origins whose pages may call the API from a browser, such as `https://admin.example.org`; none by default.
    pub cors_origins: Vec<String>,
    /// Requests a minute for a token without a limit of its own; 0: unlimited.
    pub rate_limit_per_token: u64,
    /// Wrong tokens and codes a minute from one address; 0: unlimited.
    pub failures_per_minute: u64,
    /// A program to run when this instance is not ready, and when it is again; it gets the reason on its standard input.
    pub alarm_command: Option<PathBuf>,
    /// Limits for HTTP clients.
    pub http: Http,
    /// The web app.
    pub app: WebApp,
    /// Firebase Cloud Messaging.
    pub fcm: Fcm,
    /// Web Push.
    pub webpush: WebPush,
    /// How deliveries are retried.
    pub delivery: Delivery,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            database: format!("sqlite:{}", paths::default_database().display()),
            database_direct: None,
            listen: paths::DEFAULT_LISTEN.to_owned(),
            tls_certificate: None,
            tls_key: None,
            allow_plain_http: false,
            socket: paths::default_socket(),
            public_url: None,
            log: "info".to_owned(),
            log_format: LogFormat::Text,
            shutdown_grace: 20,
            shutdown_delay: None,
            trusted_proxies: Vec::new(),
            cors_origins: Vec::new(),
            rate_limit_per_token: 600_000,
            failures_per_minute: 20,
            alarm_command: None,
            http: Http::default(),
            app: WebApp::default(),
            fcm: Fcm::default(),
            webpush: WebPush::default(),
            delivery: Delivery::default(),
        }
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For collectors: one JSON object a line.
    Json,
}

/// Limits for HTTP clients.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// Seconds that a connection may go without a complete request head, before the first and before the next. More than a
    /// load balancer keeps idle connections, so that it never finds one closed. On HTTP/2: seconds without a request or a
    /// read.
    pub head_timeout_seconds: f64,
    /// Seconds that a request's body may take, plus one for each 4 KiB; one of more than 64 KiB with a known length takes
    /// at most five and a half minutes.
    pub body_timeout_seconds: f64,
    /// Seconds that a client may stop reading its answer.
    pub write_timeout_seconds: f64,
    /// Connections at once, on TCP and on the socket each; further ones wait. Fewer where too few files may be open.
    pub connections: usize,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            head_timeout_seconds: 75.0,
            body_timeout_seconds: 30.0,
            write_timeout_seconds: 60.0,
            connections: 50_000,
        }
    }
}

/// The web app.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebApp {
    /// Whether browsers get its worker; `false` also removes it from those that have it, and they get no more pushes.
    pub worker: bool,
}

impl Default for WebApp {
    fn default() -> Self {
        Self { worker: true }
    }
}

/// Firebase Cloud Messaging. Without a service account the channel is off.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Fcm {
    /// The service account's JSON file, from the Firebase console.
    pub service_account: Option<PathBuf>,
    /// Where OAuth tokens come from; by default the service account's `token_uri`.
    pub token_url: Option<String>,
    /// The provider's address.
    pub base_url: String,
    /// HTTP/2 connections.
    pub connections: usize,
    /// Pushes in progress on each connection; Google allows about 100.
    pub streams_per_connection: usize,
    /// Seconds that a push may take.
    pub timeout_seconds: f64,
    /// An HTTP proxy for outgoing connections.
    pub proxy: Option<String>,
    /// A PEM file with CA certificates to trust besides the system's.
    pub ca: Option<PathBuf>,
}

impl Default for Fcm {
    fn default() -> Self {
        Self {
            service_account: None,
            token_url: None,
            base_url: "https://fcm.googleapis.com".to_owned(),
            connections: 4,
            streams_per_connection: 90,
            timeout_seconds: 10.0,
            proxy: None,
            ca: None,
        }
    }
}

/// How deliveries are retried.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Delivery {
    /// Seconds before the second try; doubles with each.
    pub retry_first_seconds: f64,
    /// The longest pause between two tries, in seconds.
    pub retry_max_seconds: f64,
    /// Seconds before a quarantined address is probed with a later message.
    pub quarantine_probe_seconds: f64,
    /// The share of a channel's devices whose addresses may die within an hour before the brake holds.
    pub brake_share: f64,
    /// How many must have died before the share counts.
    pub brake_minimum: u64,
}

impl Default for Delivery {
    fn default() -> Self {
        Self {
            retry_first_seconds: 10.0,
            retry_max_seconds: 900.0,
            quarantine_probe_seconds: 3600.0,
            brake_share: 0.2,
            brake_minimum: 50,
        }
    }
}

impl Config {
    /// The configuration as TOML, without the passwords in URLs. Unset keys are named in a comment.
    pub fn shown(&self) -> String {
        let mut shown = self.clone();
        shown.shutdown_delay = Some(self.shutdown_delay());
        shown.database = self.shown_database();
        shown.database_direct = shown.database_direct.as_deref().map(without_password);
        let urls =
            [&mut shown.fcm.proxy, &mut shown.fcm.token_url, &mut shown.public_url, &mut shown.webpush.proxy];
        for url in urls {
            *url = url.as_deref().map(without_password);
        }
        shown.fcm.base_url = without_password(&shown.fcm.base_url);
        // Every field is a plain value, which TOML can express.
        let set = toml::Table::try_from(&shown).unwrap_or_default();
        let is_unset = |path: &&str| match path.split_once('.') {
            Some((section, key)) => set.get(section).is_none_or(|section| section.get(key).is_none()),
            None => !set.contains_key(*path),
        };
        let unset: Vec<&str> = KEYS.iter().map(|key| key.path).filter(is_unset).collect();
        let unset =
            if unset.is_empty() { String::new() } else { format!("# not set: {}\n", unset.join(", ")) };
        unset + &toml::to_string_pretty(&shown).unwrap_or_default()
    }

    /// Seconds that an instance goes on answering after it was told to stop, so that load balancers notice and turn away.
    pub fn shutdown_delay(&self) -> u64 {
        let is_shared = matches!(self.place(), Ok(Place::Server { .. }));
        self.shutdown_delay.unwrap_or(if is_shared { 5 } else { 0 })
    }

    /// The database's location.
    ///
    /// # Errors
    /// Those of [`Place::of`] and [`Place::with_direct`].
    pub fn place(&self) -> store::Result<Place> {
        let place = Place::of(&self.database)?;
        match &self.database_direct {
            Some(direct) => place.with_direct(direct),
            None => Ok(place),
        }
    }

    /// The scheme of the TCP address.
    pub fn scheme(&self) -> &'static str {
        if self.tls_certificate.is_some() { "https" } else { "http" }
    }

    /// The address under which phones and operators reach us.
    pub fn found_at(&self) -> String {
        match &self.public_url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => format!("{}://{}", self.scheme(), self.listen),
        }
    }

    /// The `public_url` as browsers compare it.
    pub fn origin(&self) -> Option<String> {
        let url = self.public_url.as_deref()?.parse::<Url>().ok()?;
        Some(url.as_str().trim_end_matches('/').to_owned())
    }

    /// The database, without a password.
    pub fn shown_database(&self) -> String {
        without_password(&self.database)
    }
}

/// A URL without its passwords: the one before the host, and those in parameters (`?password=`, `sslpassword=`), which
/// PostgreSQL's URLs may contain too.
pub fn without_password(text: &str) -> String {
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        return store::without_password(text, HIDDEN, query_without_passwords);
    }
    if text.starts_with("sqlite:") || text.starts_with(['/', '.']) {
        return text.to_owned();
    }
    let url = Url::parse(text).ok().filter(Url::has_host);
    let Some(mut url) = url else {
        // In a malformed URL the password may be anywhere.
        return match text.split_once("://") {
            _ if !text.contains(['@', '?']) => text.to_owned(),
            Some((scheme, _)) => format!("{scheme}://{HIDDEN}"),
            None => HIDDEN.to_owned(),
        };
    };
    let query = url.query().map(query_without_passwords);
    if url.password().is_none() && url.query() == query.as_deref() {
        return text.to_owned();
    }
    if url.password().is_some() {
        // Only URLs that cannot have a password refuse one.
        let _cannot = url.set_password(Some(HIDDEN));
    }
    url.set_query(query.as_deref());
    url.to_string()
}

/// Replaces passwords.
const HIDDEN: &str = "***";

fn query_without_passwords(query: &str) -> String {
    let pairs = query.split('&').map(|pair| {
        let is_secret = form_urlencoded::parse(pair.as_bytes()).any(|(name, _)| {
            let name = name.to_ascii_lowercase();
            ["password", "secret", "token"].iter().any(|word| name.contains(word))
        });
        match pair.split_once('=') {
            Some((name, _)) if is_secret => format!("{name}={HIDDEN}"),
            _ => pair.to_owned(),
        }
    });
    pairs.collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_shown() {
        let mut config = Config::default();
        config.fcm.proxy = Some("http://user:secret@proxy:3128".to_owned());
        config.webpush.proxy = config.fcm.proxy.clone();
        config.database = "postgres://simo:secret@db/simo".to_owned();
        assert!(!config.shown().contains("secret"));
        assert!(config.shown().contains("user:***@proxy"));
    }

    #[test]
    fn what_is_shown_is_read_back_and_names_every_key() {
        let shown = Config::default().shown();
        let unset = shown.lines().next().unwrap();
        assert!(unset.starts_with("# not set: database_direct, tls_certificate"), "{unset}");
        assert!(toml::from_str::<Config>(&shown).is_ok());
        for key in KEYS {
            let own = key.path.rsplit('.').next().unwrap();
            assert!(unset.contains(key.path) || shown.contains(&format!("\n{own} = ")), "{}", key.path);
        }
        assert!(shown.contains("\nshutdown_delay = 0\n"));
    }

    #[test]
    fn passwords_among_the_parameters_of_a_url_are_not_shown() {
        for (url, shown) in [
            (
                "postgres://db/simo?user=a&password=hunter2&sslrootcert=/etc/ca.pem",
                "postgres://db/simo?user=a&password=***&sslrootcert=/etc/ca.pem",
            ),
            (
                "postgres://a:hunter2@db/simo?sslmode=require&sslPassword=hunter2",
                "postgres://a:***@db/simo?sslmode=require&sslPassword=***",
            ),
            ("postgres://db/simo?pass%77ord=hunter2", "postgres://db/simo?pass%77ord=***"),
            ("postgres://a:hunt@er2@db/simo", "postgres://***"),
            ("postgres://a:hunt/er2@db/simo", "postgres://***"),
            ("postgres://a:hunt#er2@db/simo", "postgres://***"),
            ("postgres://a:hunt?er2@db/simo", "postgres://***"),
            ("postgres://a:hunt%er2@db/simo", "postgres://***"),
            (
                "postgres://a:hunter2@db,[::1]:5433/simo?sslmode=require",
                "postgres://a:***@db,[::1]:5433/simo?sslmode=require",
            ),
            ("postgresql://a@%2Frun%2Fpostgresql/simo", "postgresql://a@%2Frun%2Fpostgresql/simo"),
            ("simo:hunter2@db/simo", "***"),
            ("http://a:hunter2@[proxy:3128", "http://***"),
            ("postgres://db/simo?user=a", "postgres://db/simo?user=a"),
            ("sqlite:/var/lib/simo/simo.db", "sqlite:/var/lib/simo/simo.db"),
        ] {
            assert_eq!(without_password(url), shown);
        }
    }
}
