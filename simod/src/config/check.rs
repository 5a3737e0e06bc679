//! Checks values beyond their types.

use std::net::SocketAddr;

use simo_common::{lang::Text, text};
use toml::{Table, Value};

use super::{
    Config,
    error::{ConfigError, Source},
    without_password,
};
use crate::channel::webpush::{Listed, check_subject};

/// Checks the configuration in a table; `from` is the source of its newest values.
pub(super) fn check(table: &Table, from: &Source) -> Result<(), ConfigError> {
    let value =
        |key: &str, detail: Text| ConfigError::Value { from: from.clone(), key: key.to_owned(), detail };
    let config = parse(table).map_err(|(key, detail)| value(&key, library_says(&detail)))?;
    let seconds = [
        ("http.head_timeout_seconds", config.http.head_timeout_seconds),
        ("http.body_timeout_seconds", config.http.body_timeout_seconds),
        ("http.write_timeout_seconds", config.http.write_timeout_seconds),
        ("fcm.timeout_seconds", config.fcm.timeout_seconds),
        ("webpush.timeout_seconds", config.webpush.timeout_seconds),
        ("delivery.retry_first_seconds", config.delivery.retry_first_seconds),
        ("delivery.retry_max_seconds", config.delivery.retry_max_seconds),
        ("delivery.quarantine_probe_seconds", config.delivery.quarantine_probe_seconds),
    ];
    for (key, seconds) in seconds {
        if !(seconds > 0.0 && seconds <= 86_400.0 * 28.0) {
            return Err(value(
                key,
                text!("must be above 0 and at most 28 days", "должно быть больше 0 и не больше 28 дней"),
            ));
        }
    }
    if !(0.0..=1.0).contains(&config.delivery.brake_share) {
        return Err(value("delivery.brake_share", text!("must be between 0 and 1", "должно быть от 0 до 1")));
    }
    if config.http.connections == 0 {
        return Err(value("http.connections", text!("must be at least 1", "должно быть не меньше 1")));
    }
    for origin in &config.cors_origins {
        let parsed = url::Url::parse(origin).ok();
        if parsed.is_none_or(|url| url.origin().ascii_serialization() != *origin) {
            let detail = text!(
                "`{origin}` is not an origin such as https://admin.example.org",
                "`{origin}` не источник вида https://admin.example.org"
            );
            return Err(value("cors_origins", detail));
        }
    }
    let counts = [
        ("fcm.connections", config.fcm.connections, 64),
        ("fcm.streams_per_connection", config.fcm.streams_per_connection, 100),
        ("webpush.connections", config.webpush.connections, 64),
        ("webpush.streams_per_connection", config.webpush.streams_per_connection, 100),
    ];
    for (key, count, most) in counts {
        if !(1..=most).contains(&count) {
            return Err(value(key, text!("must be 1 to {most}", "должно быть от 1 до {most}")));
        }
    }
    if let Some(subject) = &config.webpush.subject {
        check_subject(subject).map_err(|detail| value("webpush.subject", detail))?;
    }
    if let Err(entry) = Listed::new(&config.webpush.allowed_hosts) {
        let detail = text!(
            "`{entry}` is not a host such as ntfy.example.org or ntfy.example.org:8443",
            "`{entry}` не узел вида ntfy.example.org или ntfy.example.org:8443"
        );
        return Err(value("webpush.allowed_hosts", detail));
    }
    if !is_address(&config.listen) {
        let listen = &config.listen;
        let detail = text!(
            "`{listen}` is not an address such as 127.0.0.1:7466",
            "`{listen}` не адрес вида 127.0.0.1:7466"
        );
        return Err(value("listen", detail));
    }
    let urls = [
        ("public_url", config.public_url.as_deref()),
        ("fcm.token_url", config.fcm.token_url.as_deref()),
        ("fcm.base_url", Some(config.fcm.base_url.as_str())),
        ("fcm.proxy", config.fcm.proxy.as_deref()),
        ("webpush.proxy", config.webpush.proxy.as_deref()),
    ];
    for (key, url) in urls {
        if let Some(url) = url.filter(|url| !is_web_url(url)) {
            let shown = without_password(url);
            let detail = text!(
                "`{shown}` is not a URL such as https://simo.example.org",
                "`{shown}` не URL вида https://simo.example.org"
            );
            return Err(value(key, detail));
        }
    }
    Ok(())
}

/// Parses the configuration in a table. On error: the wrong key, and its value's error.
pub(super) fn parse(table: &Table) -> Result<Config, (String, String)> {
    serde_path_to_error::deserialize(Value::Table(table.clone())).map_err(|error| {
        let said = error.inner().message();
        let detail = match value_at(table, error.path()) {
            Some(value) if !said.contains(value) => format!("`{value}`: {said}"),
            _ => said.to_owned(),
        };
        (error.path().to_string(), detail)
    })
}

/// A library's error message, in English only.
pub(super) fn library_says(said: &str) -> Text {
    Text::new(said, format!("значение не подходит ({said})"))
}

/// The string at this path.
fn value_at<'a>(table: &'a Table, path: &serde_path_to_error::Path) -> Option<&'a str> {
    use serde_path_to_error::Segment;
    let mut segments = path.iter();
    let Some(Segment::Map { key }) = segments.next() else {
        return None;
    };
    let value = segments.try_fold(table.get(key)?, |value, segment| match segment {
        Segment::Map { key } => value.get(key),
        Segment::Seq { index } => value.get(*index),
        _ => None,
    });
    value?.as_str()
}

/// A host, or an IP address, and a port.
fn is_address(text: &str) -> bool {
    text.parse::<SocketAddr>().is_ok()
        || text.rsplit_once(':').is_some_and(|(host, port)| {
            !host.is_empty() && !host.contains([':', '/', ' ']) && port.parse::<u16>().is_ok()
        })
}

fn is_web_url(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

#[cfg(test)]
mod tests {
    use crate::config::load;

    fn one(name: &str, value: &str) -> [(String, String); 1] {
        [(name.to_owned(), value.to_owned())]
    }

    #[test]
    fn addresses_and_urls_that_are_none_are_refused() {
        for (name, bad) in [
            ("SIMO_LISTEN", "abc"),
            ("SIMO_LISTEN", "127.0.0.1"),
            ("SIMO_LISTEN", "127.0.0.1:99999"),
            ("SIMO_PUBLIC_URL", "ftp://x"),
            ("SIMO_PUBLIC_URL", "simo.example.org"),
            ("SIMO_FCM__PROXY", "not a url"),
            ("SIMO_FCM__BASE_URL", "fcm"),
            ("SIMO_WEBPUSH__SUBJECT", "mailto:it@localhost"),
            ("SIMO_WEBPUSH__ALLOWED_HOSTS", "https://ntfy.example.org"),
            ("SIMO_WEBPUSH__PROXY", "proxy"),
        ] {
            let error = load(None, one(name, bad), &[]).unwrap_err().to_string();
            assert!(error.starts_with(name) && error.contains(bad), "{error}");
        }
        for (name, good) in [
            ("SIMO_LISTEN", "localhost:0"),
            ("SIMO_LISTEN", "[::1]:7466"),
            ("SIMO_PUBLIC_URL", "https://simo.example.org/phones"),
            ("SIMO_FCM__PROXY", "http://user:secret@proxy:3128"),
            ("SIMO_WEBPUSH__SUBJECT", "mailto:it@example.org"),
            ("SIMO_WEBPUSH__ALLOWED_HOSTS", "ntfy.example.org:8443, 10.0.0.7"),
        ] {
            assert!(load(None, one(name, good), &[]).is_ok(), "{good}");
        }
    }
}
