//! Where the NUL characters are in JSON.

use std::fmt;

use serde::{
    Deserializer,
    de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use simo_common::{lang::Text, text};

use super::fields::{Fields, MOST, WHOLE, joined};

/// The fields with a NUL character in them. JSON that cannot be read to its end counts as one with a NUL somewhere.
pub(super) fn with_nul(json: &[u8]) -> Fields {
    let mut found = Vec::new();
    let place = Place {
        path: String::new(),
        found: &mut found,
    };
    let is_read = place.deserialize(&mut serde_json::Deserializer::from_slice(json));
    if is_read.is_err() && found.is_empty() {
        found.push((WHOLE.to_owned(), says()));
    }
    found.truncate(MOST);
    found
}

fn says() -> Text {
    text!(
        "must not contain the NUL character (\\u0000)",
        "не должно содержать символ NUL (\\u0000)"
    )
}

/// Where the walk is. It makes no `serde_json::Value`, which takes some names of fields for its own.
struct Place<'a> {
    path: String,
    found: &'a mut Fields,
}

impl<'de> DeserializeSeed<'de> for Place<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Place<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        if text.contains('\0') {
            let field = if self.path.is_empty() {
                WHOLE.to_owned()
            } else {
                self.path
            };
            self.found.push((field, says()));
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        for n in 0.. {
            let place = Place {
                path: format!("{}[{n}]", self.path),
                found: &mut *self.found,
            };
            if items.next_element_seed(place)?.is_none() {
                break;
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        while let Some(name) = fields.next_key::<String>()? {
            let path = joined(&self.path, &name.replace('\0', ""));
            if name.contains('\0') {
                self.found.push((path, says()));
                fields.next_value::<IgnoredAny>()?;
            } else {
                let found = &mut *self.found;
                fields.next_value_seed(Place { path, found })?;
            }
        }
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }
}
