//! Where the NUL characters are in JSON.

use serde_json::value::RawValue;
use simo_common::{lang::Text, text};

use super::{
    RawFields,
    fields::{Fields, MOST, WHOLE, joined},
};

/// The fields with a NUL character in them, of JSON that was read already.
pub(super) fn with_nul(json: &[u8]) -> Fields {
    let mut found = Vec::new();
    if let Ok(json) = serde_json::from_slice(json) {
        find(json, String::new(), &mut found);
    }
    found.truncate(MOST);
    found
}

fn find(json: &RawValue, path: String, found: &mut Fields) {
    let json = json.get();
    match json.as_bytes().first() {
        Some(b'"') if has_nul(json) => {
            let field = if path.is_empty() { WHOLE.to_owned() } else { path };
            found.push((field, words()));
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(json).unwrap_or_default();
            for (n, item) in items.into_iter().enumerate() {
                find(item, format!("{path}[{n}]"), found);
            }
        }
        Some(b'{') => {
            let fields = serde_json::from_str(json).map_or_else(|_| Vec::new(), |RawFields(fields)| fields);
            for (name, value) in fields {
                let path = joined(&path, &name.replace('\0', ""));
                if name.contains('\0') {
                    found.push((path, words()));
                } else {
                    find(value, path, found);
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
