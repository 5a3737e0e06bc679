//! Where pushes may be sent: phones name the URLs, and simod posts to them.

use std::collections::HashSet;

use simo_common::{lang::Text, text};
use url::Url;

use crate::channel::Address;

/// Real endpoints are shorter (`UnifiedPush`, `AND_3.0.0`).
const ENDPOINT_BYTES: usize = 1_000;

/// Origins allowed for phones' endpoints besides the known push services, as an administrator has listed them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listed {
    /// As `https://host` or `https://host:port`.
    origins: HashSet<String>,
    hosts: HashSet<String>,
}

impl Listed {
    /// The entries of the configuration: each is a `host` or a `host:port`.
    ///
    /// # Errors
    /// The first entry that is neither.
    pub fn new(entries: &[String]) -> Result<Self, &String> {
        let mut listed = Self::default();
        for entry in entries {
            let url = Url::parse(&format!("https://{entry}/")).ok().filter(is_origin).ok_or(entry)?;
            listed.hosts.extend(url.host_str().map(str::to_owned));
            listed.origins.insert(url.origin().ascii_serialization());
        }
        Ok(listed)
    }

    /// Whether the host is listed, with any port: then its addresses may be private.
    pub(super) fn has_host(&self, host: &str) -> bool {
        self.hosts.contains(host)
    }
}

/// Whether the URL is only `https://host:port/`.
fn is_origin(url: &Url) -> bool {
    url.path() == "/" && url.query().is_none() && url.fragment().is_none() && is_anonymous(url)
}

fn is_anonymous(url: &Url) -> bool {
    url.username().is_empty() && url.password().is_none()
}

/// Reads a phone's endpoint, normalised for comparison.
pub(super) fn read(text: &str, listed: &Listed) -> Result<Url, Text> {
    let wrong = || {
        text!(
            "an https URL of at most {ENDPOINT_BYTES} bytes without user and fragment, as `pushManager.subscribe()` gives it",
            "URL https не длиннее {ENDPOINT_BYTES} байт без пользователя и фрагмента, как его даёт `pushManager.subscribe()`"
        )
    };
    if text.len() > ENDPOINT_BYTES {
        return Err(wrong());
    }
    let url = Url::parse(text).map_err(|_| wrong())?;
    let is_plain = url.scheme() == "https" && is_anonymous(&url) && url.fragment().is_none();
    if !is_plain || url.as_str().len() > ENDPOINT_BYTES {
        return Err(wrong());
    }
    let host = url.host_str().unwrap_or_default();
    let is_known = known(host).is_some() && url.port().is_none();
    if is_known || listed.origins.contains(&url.origin().ascii_serialization()) {
        return Ok(url);
    }
    let place = authority(url.as_str());
    Err(text!(
        "`{place}` is no push service that this server sends to; if it is to be one, an administrator adds it to \
         `webpush.allowed_hosts`",
        "`{place}` — не служба push, в которую отправляет этот сервер; если это нужно, администратор добавляет её в \
         `webpush.allowed_hosts`"
    ))
}

/// The name of a browser's push service.
pub(super) fn known(host: &str) -> Option<&'static str> {
    match host {
        "fcm.googleapis.com" | "jmt17.google.com" => Some("google"),
        _ if host.ends_with(".push.services.mozilla.com") => Some("mozilla"),
        _ if host.ends_with(".push.apple.com") => Some("apple"),
        _ if host.ends_with(".notify.windows.com") => Some("microsoft"),
        _ => None,
    }
}

/// The provider of an address: one of the known services, else the listed host itself.
pub(super) fn provider(address: &Address) -> &str {
    let place = authority(address.as_str());
    known(place).unwrap_or(place)
}

/// The `host` or `host:port` of a normalised URL.
fn authority(url: &str) -> &str {
    let rest = url.strip_prefix("https://").unwrap_or(url);
    rest.split('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed() -> Listed {
        let hosts = ["ntfy.plant.example:8443", "push.plant.example", "10.0.0.7:8443", "[fd00::7]"];
        Listed::new(&hosts.map(str::to_owned)).unwrap()
    }

    #[test]
    fn known_services_and_listed_hosts_are_read_in_one_form() {
        for (said, read_as) in [
            ("https://fcm.googleapis.com/fcm/send/a:b", "https://fcm.googleapis.com/fcm/send/a:b"),
            ("https://FCM.googleapis.com:443/x", "https://fcm.googleapis.com/x"),
            (
                "https://updates.push.services.mozilla.com/wpush/v2/g",
                "https://updates.push.services.mozilla.com/wpush/v2/g",
            ),
            ("https://web.push.apple.com/Q", "https://web.push.apple.com/Q"),
            (
                "https://wns2-par02p.notify.windows.com/w/?token=B%2b",
                "https://wns2-par02p.notify.windows.com/w/?token=B%2b",
            ),
            ("https://ntfy.plant.example:8443/upAB?up=1", "https://ntfy.plant.example:8443/upAB?up=1"),
            ("https://push.plant.example", "https://push.plant.example/"),
            ("https://0xA.0.0.7:8443/a b", "https://10.0.0.7:8443/a%20b"),
            ("https://[FD00::7]/x", "https://[fd00::7]/x"),
        ] {
            assert_eq!(read(said, &listed()).map(String::from), Ok(read_as.to_owned()), "{said}");
        }
    }

    #[test]
    fn what_is_no_place_to_post_to_is_refused() {
        let long = format!("https://fcm.googleapis.com/{}", "a".repeat(ENDPOINT_BYTES));
        let grows = format!("https://fcm.googleapis.com/{}", "я".repeat(400));
        for text in [
            "",
            "fcm.googleapis.com/x",
            "http://fcm.googleapis.com/x",
            "ws://fcm.googleapis.com/x",
            "https://u@fcm.googleapis.com/x",
            "https://fcm.googleapis.com/x#f",
            &long,
            &grows,
        ] {
            let refused = read(text, &listed()).unwrap_err();
            assert!(refused.en.starts_with("an https URL"), "{text}");
        }
        for (text, named) in [
            ("https://fcm.googleapis.com:8443/x", "fcm.googleapis.com:8443"),
            ("https://fcm.googleapis.com./x", "fcm.googleapis.com."),
            ("https://fcm.googleapis.com.evil.example/x", "fcm.googleapis.com.evil.example"),
            ("https://evilpush.apple.com/x", "evilpush.apple.com"),
            ("https://push.apple.com/x", "push.apple.com"),
            ("https://127.0.0.1/x", "127.0.0.1"),
            ("https://2130706433/x", "127.0.0.1"),
            ("https://[::1]/x", "[::1]"),
            ("https://10.0.0.7/x", "10.0.0.7"),
            ("https://ntfy.plant.example/up", "ntfy.plant.example"),
            ("https://push.plant.example:8443/up", "push.plant.example:8443"),
        ] {
            let refused = read(text, &listed()).unwrap_err();
            assert!(refused.ru.contains(&format!("`{named}`")), "{text}: {refused:?}");
            assert!(refused.en.contains("webpush.allowed_hosts"));
        }
    }

    #[test]
    fn an_entry_is_a_host_and_perhaps_a_port() {
        for entry in
            ["", "https://a.example", "a.example/x", "u@a.example", "a.example:port", "*.example/", "a?b"]
        {
            assert!(Listed::new(&[entry.to_owned()]).is_err(), "{entry}");
        }
        assert!(listed().has_host("ntfy.plant.example") && !listed().has_host("plant.example"));
    }

    #[test]
    fn an_address_tells_whose_it_is() {
        for (endpoint, name) in [
            ("https://jmt17.google.com/x", "google"),
            ("https://updates.push.services.mozilla.com/x", "mozilla"),
            ("https://web.push.apple.com/x", "apple"),
            ("https://db5p.notify.windows.com/x", "microsoft"),
            ("https://ntfy.plant.example:8443/x", "ntfy.plant.example:8443"),
        ] {
            assert_eq!(provider(&Address::new(format!("{endpoint} key auth"))), name);
        }
    }
}
