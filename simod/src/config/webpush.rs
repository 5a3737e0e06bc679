//! Settings of Web Push, and the subject under which it sends.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use simo_common::{lang::Text, text};

use super::Config;
use crate::channel::webpush::check_subject;

/// Web Push. The channel is on if it has a contact: its `subject`, or the `public_url`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebPush {
    /// Whether the channel may be on at all.
    pub enabled: bool,
    /// The contact for push services, such as `mailto:it@example.org` or an https URL; by default the `public_url`.
    pub subject: Option<String>,
    /// Hosts, with or without ports, of push services besides those of the browsers' makers; their addresses may be
    /// private.
    pub allowed_hosts: Vec<String>,
    /// HTTP/2 connections to each push service.
    pub connections: usize,
    /// Pushes in progress on each connection.
    pub streams_per_connection: usize,
    /// Seconds that a push may take.
    pub timeout_seconds: f64,
    /// An HTTP proxy for outgoing connections. It resolves names, so addresses behind it are not checked.
    pub proxy: Option<String>,
    /// A PEM file with CA certificates to trust besides the system's.
    pub ca: Option<PathBuf>,
}

impl Default for WebPush {
    fn default() -> Self {
        Self {
            enabled: true,
            subject: None,
            allowed_hosts: Vec::new(),
            connections: 4,
            streams_per_connection: 90,
            timeout_seconds: 10.0,
            proxy: None,
            ca: None,
        }
    }
}

impl Config {
    /// The subject under which Web Push is sent.
    ///
    /// # Errors
    /// Why the channel is off.
    pub fn webpush_subject(&self) -> Result<String, Text> {
        if !self.webpush.enabled {
            return Err(text!("`webpush.enabled` is false", "`webpush.enabled` — false"));
        }
        if let Some(subject) = &self.webpush.subject {
            return Ok(subject.clone());
        }
        let Some(url) = self.public_url.as_deref().map(|url| url.trim_end_matches('/')) else {
            return Err(text!(
                "neither `webpush.subject` nor `public_url` is set",
                "не заданы ни `webpush.subject`, ни `public_url`"
            ));
        };
        match check_subject(url) {
            Ok(()) => Ok(url.to_owned()),
            Err(Text { en, ru }) => {
                Err(text!("set `webpush.subject`: {en}", "задайте `webpush.subject`: {ru}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn web_push_is_on_where_it_is_known_in_whose_name() {
        let on = |public_url: Option<&str>, subject: Option<&str>, enabled| {
            let webpush = WebPush { enabled, subject: subject.map(str::to_owned), ..WebPush::default() };
            let config = Config { webpush, public_url: public_url.map(str::to_owned), ..Config::default() };
            config.webpush_subject().map_err(|why| why.en)
        };
        let (url, mailbox) = ("https://simo.example.org", "mailto:it@example.org");
        assert_eq!(on(Some("https://simo.example.org/"), None, true).as_deref(), Ok(url));
        assert_eq!(on(Some("http://10.0.0.7:7466"), Some(mailbox), true).as_deref(), Ok(mailbox));
        for off in [
            on(None, None, true),
            on(Some(url), None, false),
            on(Some("https://simo.local"), None, true),
            on(Some("http://simo.example.org"), None, true),
            on(Some("https://me:secret@simo.example.org"), None, true),
        ] {
            assert!(off.unwrap_err().contains('`'));
        }
    }
}
