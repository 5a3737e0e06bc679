//! What FCM accepts: the fields of `projects.messages.send` (firebase.google.com/docs/reference/fcm/rest/v1), as its
//! JSON front end reads them. Unknown fields, wrong types and too large payloads are refused by name.

use serde_json::{Map, Value};

/// A refusal: the field, and the reason.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Violation {
    pub(super) field: String,
    pub(super) description: String,
}

/// The parts of a valid request that matter here.
#[derive(Debug)]
pub(super) struct Send {
    pub(super) address: String,
    pub(super) validate_only: bool,
}

#[derive(Clone, Copy)]
enum Kind {
    Text,
    Flag,
    Number,
    List,
    Ttl,
    TextMap,
    Anything,
    OneOf(&'static [&'static str]),
    Object(&'static [(&'static str, Kind)]),
}

use Kind::{Anything, Flag, List, Number, Object, OneOf, Text, TextMap, Ttl};

const REQUEST: &[(&str, Kind)] = &[("message", Object(MESSAGE)), ("validate_only", Flag)];

const MESSAGE: &[(&str, Kind)] = &[
    ("name", Text),
    ("data", TextMap),
    ("notification", Object(&[("title", Text), ("body", Text), ("image", Text)])),
    ("android", Object(ANDROID)),
    (
        "webpush",
        Object(&[
            ("headers", TextMap),
            ("data", TextMap),
            ("notification", Anything),
            ("fcm_options", Object(&[("link", Text), ("analytics_label", Text)])),
        ]),
    ),
    (
        "apns",
        Object(&[
            ("headers", TextMap),
            ("payload", Anything),
            ("fcm_options", Object(&[("analytics_label", Text), ("image", Text)])),
            ("live_activity_token", Text),
        ]),
    ),
    ("fcm_options", Object(&[("analytics_label", Text)])),
    ("token", Text),
    ("fid", Text),
    ("topic", Text),
    ("condition", Text),
];

const ANDROID: &[(&str, Kind)] = &[
    ("collapse_key", Text),
    ("priority", OneOf(&["NORMAL", "HIGH", "normal", "high"])),
    ("ttl", Ttl),
    ("restricted_package_name", Text),
    ("data", TextMap),
    ("notification", Object(ANDROID_NOTIFICATION)),
    ("fcm_options", Object(&[("analytics_label", Text)])),
    ("direct_boot_ok", Flag),
    ("bandwidth_constrained_ok", Flag),
    ("restricted_satellite_ok", Flag),
];

const ANDROID_NOTIFICATION: &[(&str, Kind)] = &[
    ("title", Text),
    ("body", Text),
    ("icon", Text),
    ("color", Text),
    ("sound", Text),
    ("tag", Text),
    ("click_action", Text),
    ("body_loc_key", Text),
    ("body_loc_args", List),
    ("title_loc_key", Text),
    ("title_loc_args", List),
    ("channel_id", Text),
    ("ticker", Text),
    ("sticky", Flag),
    ("event_time", Text),
    ("local_only", Flag),
    (
        "notification_priority",
        OneOf(&[
            "PRIORITY_UNSPECIFIED",
            "PRIORITY_MIN",
            "PRIORITY_LOW",
            "PRIORITY_DEFAULT",
            "PRIORITY_HIGH",
            "PRIORITY_MAX",
        ]),
    ),
    ("default_sound", Flag),
    ("default_vibrate_timings", Flag),
    ("default_light_settings", Flag),
    ("vibrate_timings", List),
    ("visibility", OneOf(&["VISIBILITY_UNSPECIFIED", "PRIVATE", "PUBLIC", "SECRET"])),
    ("notification_count", Number),
    ("light_settings", Anything),
    ("image", Text),
    ("proxy", OneOf(&["PROXY_UNSPECIFIED", "ALLOW", "DENY", "IF_PRIORITY_LOWERED"])),
];

/// Limit for the keys and values in `data` and `notification` together, in bytes.
const PAYLOAD: usize = 4096;
/// Four weeks, in seconds.
const LONGEST_TTL: f64 = 2_419_200.0;

/// Reads a request as FCM does.
pub(super) fn send(request: &Value) -> Result<Send, Violation> {
    check(request, Object(REQUEST), "")?;
    let message = request["message"]
        .as_object()
        .ok_or_else(|| violation("message", "Invalid JSON payload received. \"message\" is required."))?;
    let mut targets =
        ["token", "fid", "topic", "condition"].into_iter().filter_map(|kind| message.get(kind)?.as_str());
    let (Some(address), None) = (targets.next(), targets.next()) else {
        return Err(violation("message", "Exactly one of token, topic or condition is required"));
    };
    if address.is_empty() {
        return Err(violation("message.token", "Recipient of the message is not set."));
    }
    for data in [message.get("data"), message.get("android").and_then(|android| android.get("data"))] {
        let keys = data.and_then(Value::as_object).into_iter().flat_map(Map::keys);
        for key in keys {
            if key == "from" || key == "message_type" || key.starts_with("google.") || key.starts_with("gcm.")
            {
                return Err(violation("message.data", &format!("Invalid data payload key: {key}")));
            }
        }
    }
    let size: usize = ["data", "notification"]
        .into_iter()
        .filter_map(|part| message.get(part)?.as_object())
        .flatten()
        .map(|(key, value)| key.len() + value.as_str().map_or(0, str::len))
        .sum();
    if size > PAYLOAD {
        return Err(violation("message.android", &format!("Android message is too big ({size} bytes)")));
    }
    Ok(Send {
        address: address.to_owned(),
        validate_only: request["validate_only"] == true || request["validateOnly"] == true,
    })
}

fn check(value: &Value, kind: Kind, path: &str) -> Result<(), Violation> {
    let fits = match kind {
        Text => value.is_string(),
        Flag => value.is_boolean(),
        Number => value.is_i64(),
        List => value.is_array(),
        Anything => true,
        OneOf(names) => value.as_str().is_some_and(|name| names.contains(&name)),
        Ttl => value.as_str().is_some_and(is_ttl),
        TextMap => {
            let Some(map) = value.as_object() else {
                return Err(wrong(path, value));
            };
            if let Some((key, value)) = map.iter().find(|(_, value)| !value.is_string()) {
                return Err(wrong(&format!("{path}[{key}]"), value));
            }
            true
        }
        Object(fields) => {
            let Some(object) = value.as_object() else {
                return Err(wrong(path, value));
            };
            for (name, value) in object {
                let Some((_, kind)) = fields.iter().find(|(known, _)| is_named(name, known)) else {
                    let place = if path.is_empty() { String::new() } else { format!(" at '{path}'") };
                    let text = format!(
                        "Invalid JSON payload received. Unknown name \"{name}\"{place}: Cannot find field."
                    );
                    return Err(violation(path, &text));
                };
                let inner = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                check(value, *kind, &inner)?;
            }
            true
        }
    };
    if fits { Ok(()) } else { Err(wrong(path, value)) }
}

/// The JSON of protocol buffers accepts both `collapse_key` and `collapseKey`.
fn is_named(name: &str, known: &str) -> bool {
    let plain = |text: &str| -> Vec<u8> {
        text.bytes().filter(|&b| b != b'_').map(|b| b.to_ascii_lowercase()).collect()
    };
    name == known || (!name.contains('_') && plain(name) == plain(known))
}

/// `"3600s"`, `"3.5s"`: seconds up to four weeks.
fn is_ttl(text: &str) -> bool {
    text.strip_suffix('s')
        .filter(|number| number.bytes().all(|b| b.is_ascii_digit() || b == b'.'))
        .and_then(|number| number.parse::<f64>().ok())
        .is_some_and(|seconds| (0.0..=LONGEST_TTL).contains(&seconds))
}

fn wrong(path: &str, value: &Value) -> Violation {
    violation(path, &format!("Invalid value at '{path}', {value}"))
}

fn violation(field: &str, description: &str) -> Violation {
    Violation { field: field.to_owned(), description: description.to_owned() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(message: &Value) -> String {
        send(&json!({ "message": message })).unwrap_err().description
    }

    #[test]
    fn a_good_message_is_taken() {
        let sent = send(&json!({"message": {
            "token": "t", "data": {"id": "1", "title": "Привет"},
            "android": {"priority": "HIGH", "ttl": "3600s", "collapseKey": "x"},
        }}));
        assert_eq!(sent.unwrap().address, "t");
    }

    #[test]
    fn what_google_refuses_is_refused() {
        assert!(refused(&json!({"token": "t", "titel": 1})).contains("Unknown name \"titel\" at 'message'"));
        assert!(refused(&json!({"token": "t", "data": {"n": 5}})).contains("message.data[n]"));
        assert!(refused(&json!({"token": "t", "data": {"from": "x"}})).contains("from"));
        assert!(refused(&json!({"token": "t", "data": {"google.x": "x"}})).contains("google.x"));
        assert!(refused(&json!({"token": "t", "android": {"ttl": 3600}})).contains("ttl"));
        assert!(refused(&json!({"token": "t", "android": {"ttl": "2419201s"}})).contains("ttl"));
        assert!(refused(&json!({"token": "t", "android": {"priority": "URGENT"}})).contains("priority"));
        assert!(refused(&json!({"token": "t", "data": {"t": "ж".repeat(2048)}})).contains("too big"));
        assert!(refused(&json!({"data": {}})).contains("Exactly one"));
        assert!(send(&json!({})).is_err());
        assert!(send(&json!({"message": {"token": "t"}, "extra": 1})).is_err());
    }
}
