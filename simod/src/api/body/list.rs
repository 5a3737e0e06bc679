//! A JSON list whose items are parsed one by one, so that a wrong one does not fail the others.

use serde::{
    Deserializer,
    de::{DeserializeSeed, Error, IgnoredAny, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{Effort, explain, without_bom};
use crate::api::ApiError;

/// The items, unparsed; `None` if there are more than `most`: nothing after the first surplus one is looked at.
///
/// # Errors
/// When it is not a JSON list.
pub(crate) fn list(bytes: &[u8], most: usize) -> Result<Option<Vec<&RawValue>>, ApiError> {
    let bytes = without_bom(bytes);
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let mut items = Vec::new();
    let read = Collect { items: &mut items, most }.deserialize(&mut json).and_then(|()| json.end());
    if items.len() > most {
        return Ok(None);
    }
    match read {
        Ok(()) => Ok(Some(items)),
        Err(_) => Err(explain::<Vec<IgnoredAny>>(bytes, &mut Effort::none()).error),
    }
}

struct Collect<'a, 'de> {
    items: &'a mut Vec<&'de RawValue>,
    most: usize,
}

impl<'de> DeserializeSeed<'de> for Collect<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, list: D) -> Result<(), D::Error> {
        list.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Collect<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a sequence")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(item) = list.next_element()? {
            self.items.push(item);
            if self.items.len() > self.most {
                return Err(A::Error::custom("too many items"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_read_after_the_item_that_is_too_many() {
        let written = |items: Option<Vec<&RawValue>>| -> Option<Vec<String>> {
            items.map(|items| items.into_iter().map(|item| item.get().to_owned()).collect())
        };
        assert_eq!(
            written(list(b"\xef\xbb\xbf [{\"a\": 1}, 2]\n", 2).unwrap()).unwrap(),
            ["{\"a\": 1}", "2"]
        );
        assert!(list(b"[1, 2, 3, and what is no JSON", 2).unwrap().is_none());
        assert_eq!(list(b"[1, 2, and what is no JSON", 2).unwrap_err().code, "malformed");
        assert_eq!(list(b"[1, 2] 3", 2).unwrap_err().code, "malformed");
        assert_eq!(list(b"{}", 2).unwrap_err().errors[0].1.en, "must be a list");
        assert!(list(b"[]", 2).unwrap().unwrap().is_empty());
    }
}
