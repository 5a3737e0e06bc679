//! Finding NUL characters in JSON.

use serde_json::value::RawValue;
use simo_common::{lang::Text, text};

use super::{
    Effort, RawFields,
    fields::{Fields, MOST, WHOLE, clipped, joined},
};

/// Whether there is a NUL character in valid JSON. Backslashes occur only in strings, and an escaped one is a
/// character itself.
pub(super) fn is_in(json: &[u8]) -> bool {
    memchr::memmem::find_iter(json, b"\\u0000").any(|place| {
        let before = json[..place].iter().rev().take_while(|byte| **byte == b'\\').count();
        before % 2 == 0
    })
}

/// The fields that contain a NUL character, in JSON that has one.
pub(super) fn with_nul(json: &[u8], effort: &mut Effort) -> Fields {
    let mut found = Vec::new();
    if let Ok(json) = serde_json::from_slice(json) {
        find(json, "", effort, &mut found);
    }
    if found.is_empty() {
        found.push((WHOLE.to_owned(), words()));
    }
    found.truncate(MOST);
    found
}

/// Each level is scanned once more than the one around it.
fn find(json: &RawValue, path: &str, effort: &mut Effort, found: &mut Fields) {
    let json = json.get();
    match json.as_bytes().first() {
        Some(b'"') if has_nul(json) => {
            let field = if path.is_empty() { WHOLE } else { clipped(path) };
            found.push((field.to_owned(), words()));
        }
        Some(b'[') if effort.spend(json.len()) => {
            let items: Vec<&RawValue> = serde_json::from_str(json).unwrap_or_default();
            for (n, item) in items.into_iter().enumerate() {
                find(item, &format!("{path}[{n}]"), effort, found);
            }
        }
        Some(b'{') if effort.spend(json.len()) => {
            let fields = serde_json::from_str(json).map_or_else(|_| Vec::new(), |RawFields(fields)| fields);
            for (name, value) in fields {
                let path = joined(path, &name.replace('\0', ""));
                if name.contains('\0') {
                    found.push((clipped(&path).to_owned(), words()));
                } else {
                    find(value, &path, effort, found);
                }
            }
        }
        _ => {}
    }
}

fn has_nul(json: &str) -> bool {
    serde_json::from_str::<String>(json).is_ok_and(|text| text.contains('\0'))
}

fn words() -> Text {
    text!("must not contain the NUL character (\\u0000)", "не должно содержать символ NUL (\\u0000)")
}
