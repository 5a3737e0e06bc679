//! A site as YAML: always the same bytes for the same site. Any text that YAML readers might take for a number, a date or a
//! boolean is quoted.

use std::fmt::Write as _;

use serde_json::Value;
use simo_common::api::site::{Site, SiteClient};

use super::shape::{CLIENT, Field, Shape, TEXTS};

/// Words that some YAML readers do not take as text.
const LOADED: [&str; 10] = ["true", "false", "yes", "no", "on", "off", "null", "y", "n", "nan"];

/// A site as YAML, below a comment.
pub(crate) fn yaml(site: &Site, comment: &str) -> String {
    let mut text = String::new();
    for line in comment.lines() {
        let _ = writeln!(text, "# {line}");
    }
    if let Some(owners) = &site.owners {
        let owners: Value = owners.as_slice().into();
        let _ = writeln!(text, "owners: {}", flow(&owners, TEXTS));
    }
    if !site.clients.is_empty() {
        text.push_str("clients:\n");
    }
    for (slug, client) in &site.clients {
        let _ = writeln!(text, "  {}:", scalar(slug));
        write_client(&mut text, client);
    }
    text
}

/// A client's keys, in the documented order.
fn write_client(text: &mut String, client: &SiteClient) {
    // A struct of strings and numbers: its serialisation cannot fail.
    let value = serde_json::to_value(client).unwrap_or_default();
    for field in CLIENT {
        let name = field.name;
        match (value.get(name), field.shape) {
            (None, _) => {}
            (Some(Value::Array(objects)), Shape::Objects(_, fields)) if !objects.is_empty() => {
                let _ = writeln!(text, "    {name}:");
                for object in objects {
                    write_object(text, object, fields);
                }
            }
            (Some(value), shape) => {
                let _ = writeln!(text, "    {name}: {}", flow(value, shape));
            }
        }
    }
}

fn write_object(text: &mut String, object: &Value, fields: &[Field]) {
    let mut mark = "-";
    for field in fields {
        let name = field.name;
        match (object.get(name), field.shape) {
            (None, _) => continue,
            (Some(Value::Array(items)), Shape::List(shape)) if items.iter().any(Value::is_object) => {
                let _ = writeln!(text, "      {mark} {name}:");
                for item in items {
                    let _ = writeln!(text, "          - {}", flow(item, *shape));
                }
            }
            (Some(value), shape) => {
                let _ = writeln!(text, "      {mark} {name}: {}", flow(value, shape));
            }
        }
        mark = " ";
    }
}

/// A value on one line.
fn flow(value: &Value, shape: Shape) -> String {
    match (value, shape) {
        (value, Shape::OrNothing(shape)) => flow(value, *shape),
        (Value::String(text), _) => scalar(text),
        (Value::Array(items), Shape::List(shape)) => {
            let items = items.iter().map(|item| flow(item, *shape));
            format!("[{}]", items.collect::<Vec<_>>().join(", "))
        }
        (Value::Object(object), Shape::Object(fields) | Shape::TextOr(_, fields)) => {
            let fields = fields.iter().filter_map(|field| {
                let value = object.get(field.name)?;
                Some(format!("{}: {}", field.name, flow(value, field.shape)))
            });
            format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
        }
        (other, _) => other.to_string(),
    }
}

fn scalar(text: &str) -> String {
    let is_plain = text.starts_with(char::is_alphabetic)
        && !text.ends_with(' ')
        && text.chars().all(|c| c.is_alphanumeric() || " -_./@()«»№+".contains(c))
        && !LOADED.contains(&text.to_lowercase().as_str());
    if is_plain {
        text.to_owned()
    } else {
        // A JSON string is also a YAML string.
        Value::from(text).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A site with every key.
    #[test]
    fn a_site_is_written_with_all_that_it_says_and_reads_back() {
        let site: Site = serde_json::from_value(serde_json::json!({
            "owners": ["boss"],
            "clients": {"zavod": {
                "name": "Завод", "timezone": "Asia/Omsk", "payload": "doorbell", "notification": true,
                "default_ttl": 60, "retention_days": 0,
                "acs": [{"name": "1c", "tokens": ["main", {
                    "name": "boiler", "personal": true, "scopes": ["send"], "topics": ["boiler"],
                    "networks": ["10.0.0.0/8", "fd00::/8"], "rate_limit": 60, "expires_at": "2027-01-01T00:00:00Z",
                }]}],
                "operators": [{"name": "anna", "role": "admin"}],
                "groups": [{"slug": "a", "name": "А", "includes": [], "members": ["001"]}],
                "employees": [{
                    "personnel_no": "001", "full_name": "Исаева Анна", "email": "a@example.org", "phone": "+7",
                    "locale": "ru", "timezone": "Asia/Omsk", "groups": ["a"], "blocked": true, "person": "same",
                }],
                "topics": [{
                    "slug": "boiler", "name": "Котельная", "priority": "high",
                    "recipients": {"employees": ["001"], "groups": ["a"], "everyone": true},
                    "grants": [
                        {"everyone": true, "hours": "mon-fri 08:00-20:00"},
                        {"group": "a", "from": "2026-01-01T00:00:00Z"},
                        {"employee": "001", "until": "2027-01-01T00:00:00Z"},
                    ],
                }],
            }},
        }))
        .unwrap();
        let text = yaml(&site, "A site");
        insta::assert_snapshot!(text);
        let files = super::super::files::understand(&[("site.yaml".to_owned(), text)]);
        assert_eq!((files.are_sound(), &files.site), (true, &site));
    }

    #[test]
    fn what_could_be_taken_for_something_else_stands_in_quotes() {
        for plain in ["smena-a", "Исаева Анна", "a@example.org", "ООО «Ромашка»", "Asia/Omsk"]
        {
            assert_eq!(scalar(plain), plain);
        }
        for quoted in ["001", "+7", "no", "Yes", "", "a: b", "a #b", "- x", "a ", "[a", "2026-01-01", "~"] {
            assert_eq!(scalar(quoted), format!("\"{quoted}\""));
        }
        assert_eq!(scalar("a\"b"), r#""a\"b""#);
    }
}
