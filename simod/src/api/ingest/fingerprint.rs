//! Tells apart two messages with the same key.

use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use simo_common::api::message::{PostMessage, Recipients};

use crate::api::body::RawFields;

/// A hash of the message's meaning: 1C and others reorder keys between two tries, so objects and recipients are sorted. 64
/// bits are enough to tell the messages with one key apart, and are stored with every message.
pub(super) fn of(message: &PostMessage) -> i64 {
    let mut meaning = message.clone();
    // A topic's default for a message without priority may change between two tries.
    meaning.priority = Some(meaning.priority.unwrap_or_default());
    if let Some(Recipients { employees, groups, .. }) = &mut meaning.recipients {
        employees.sort();
        employees.dedup();
        groups.sort();
        groups.dedup();
    }
    let mut sorted = String::new();
    write_sorted(&serde_json::to_string(&meaning).unwrap_or_default(), &mut sorted);
    let hash = Sha256::digest(sorted.as_bytes());
    i64::from_be_bytes(std::array::from_fn(|place| hash[place]))
}

/// Writes JSON with objects' fields sorted by name; everything else, including numbers, stays as written.
fn write_sorted(json: &str, to: &mut String) {
    if json.starts_with('{')
        && let Ok(RawFields(mut fields)) = serde_json::from_str(json)
    {
        // Fields with the same name keep their order, which decides the value that readers use.
        fields.sort_by(|a, b| a.0.cmp(&b.0));
        write_within('{', '}', fields, to, |(name, value), to| {
            to.push_str(&serde_json::Value::String(name).to_string());
            to.push(':');
            write_sorted(value.get(), to);
        });
    } else if json.starts_with('[')
        && let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(json)
    {
        write_within('[', ']', items, to, |item, to| write_sorted(item.get(), to));
    } else {
        to.push_str(json);
    }
}

fn write_within<T>(
    open: char,
    close: char,
    parts: Vec<T>,
    to: &mut String,
    mut write: impl FnMut(T, &mut String),
) {
    to.push(open);
    for (n, part) in parts.into_iter().enumerate() {
        if n > 0 {
            to.push(',');
        }
        write(part, to);
    }
    to.push(close);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint(json: &str) -> i64 {
        of(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn the_same_meaning_has_the_same_fingerprint() {
        let one = fingerprint(r#"{"title":"a","topic":"t","data":{"x":1,"y":[{"b":2,"a":"\u0431"}]}}"#);
        let same = fingerprint(
            r#"{"data":{"y": [{"a": "б", "b": 2}],"x":1},"topic":"t","title":"a","priority":"normal"}"#,
        );
        assert_eq!(one, same);
        let people = |list: &str| {
            fingerprint(&format!(
                r#"{{"title":"a","recipients":{{"employees":{list}}},"data":{{"y":1,"x":2}}}}"#
            ))
        };
        assert_eq!(people(r#"["2","1"]"#), people(r#"["1","2","1"]"#));
    }

    #[test]
    fn another_meaning_has_another_fingerprint() {
        let of = |data: &str| fingerprint(&format!(r#"{{"title":"a","topic":"t","data":{data}}}"#));
        let all = [
            r#"{"x":1}"#,
            r#"{"x":"1"}"#,
            r#"{"x":[1]}"#,
            r#"{"x":{"1":1}}"#,
            r#"{"x":1,"x":2}"#,
            r#"{"x":2,"x":1}"#,
            r#"{"x":12345678901234567890123}"#,
            r#"{"x":12345678901234567890124}"#,
        ];
        let different: std::collections::BTreeSet<_> = all.iter().map(|data| of(data)).collect();
        assert_eq!(different.len(), all.len());
    }
}
