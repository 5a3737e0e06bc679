//! The audit chain: how an entry's hash is made, and whether the entries are those that were chained.
//!
//! Every entry's hash covers the hash before it: nothing can be changed, removed or inserted without changing all later hashes.
//! It covers the hash of the payload, not the payload itself, which names people and may have to be erased on request; a salt
//! keeps the hash from revealing what was erased.
//!
//! The hash is SHA-256 over these lines, each ended by a line feed: `simo-audit-1`, the entry's number, its time in microseconds,
//! its action, the hash of its payload, the hash of the entry before (zeros for the first); hashes in lower-case hexadecimal. The
//! payload's hash is SHA-256 over its JSON without spaces, the keys of every object sorted by their bytes.

use std::collections::HashSet;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

pub use crate::hex::hex;
use crate::{
    api::audit::{AuditEntry, AuditHead, AuditPayload},
    lang::Text,
    text,
};

/// SHA-256.
pub type Hash = [u8; 32];

/// Action of the entries that erase payloads.
pub const ERASED: &str = "audit.erase";

/// The canonical form of a payload, which is hashed and stored.
pub fn canonical(payload: &AuditPayload) -> String {
    let mut text = String::new();
    // A struct of strings and JSON: its serialisation cannot fail.
    write_sorted(&serde_json::to_value(payload).unwrap_or_default(), &mut text);
    text
}

fn write_sorted(value: &Value, to: &mut String) {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(key, _)| key.as_bytes());
            to.push('{');
            for (place, (key, value)) in members.into_iter().enumerate() {
                if place > 0 {
                    to.push(',');
                }
                to.push_str(&Value::from(key.as_str()).to_string());
                to.push(':');
                write_sorted(value, to);
            }
            to.push('}');
        }
        Value::Array(items) => {
            to.push('[');
            for (place, item) in items.iter().enumerate() {
                if place > 0 {
                    to.push(',');
                }
                write_sorted(item, to);
            }
            to.push(']');
        }
        scalar => to.push_str(&scalar.to_string()),
    }
}

/// The hash of a payload in its canonical form.
pub fn payload_hash(canonical: &str) -> Hash {
    Sha256::digest(canonical).into()
}

/// The end of a chain, to which the next entry is chained.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct End {
    /// The number of the last entry; the first one has 1.
    pub seq: u64,
    /// Its hash.
    pub hash: Hash,
}

impl End {
    /// The end of the chain after one more entry.
    #[must_use]
    pub fn then(&self, at: i64, action: &str, payload_hash: &Hash) -> Self {
        let seq = self.seq + 1;
        let (payload, before) = (hex(payload_hash), hex(&self.hash));
        let hash = Sha256::digest(format!("simo-audit-1\n{seq}\n{at}\n{action}\n{payload}\n{before}\n"));
        Self { seq, hash: hash.into() }
    }
}

/// Parses a hash in hexadecimal.
pub fn from_hex(text: &str) -> Option<Hash> {
    let mut hash = Hash::default();
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (place, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * place..2 * place + 2], 16).ok()?;
    }
    Some(hash)
}

/// Verifies a chain, entry by entry from the first.
#[derive(Debug, Default)]
pub struct Verifier {
    end: End,
    /// Entries without payload that no erasure entry covers so far: an erasure comes later than the entries it erases.
    erased: HashSet<u64>,
    count: u64,
}

impl Verifier {
    /// Checks the next entry.
    ///
    /// # Errors
    /// How the entry differs from the one that was chained.
    pub fn take(&mut self, entry: &AuditEntry) -> Result<(), Text> {
        let seq = entry.seq;
        if seq != self.end.seq + 1 {
            let expected = self.end.seq + 1;
            return Err(text!(
                "entry {expected} is missing: {seq} comes next",
                "нет записи {expected}: следующая — {seq}"
            ));
        }
        let wrong = || {
            text!(
                "entry {seq} is not what was recorded: its hash does not fit",
                "запись {seq} изменена: её хеш не сходится"
            )
        };
        let payload_hash = from_hex(&entry.payload_hash).ok_or_else(wrong)?;
        let end = self.end.then(entry.at.as_microsecond(), &entry.action, &payload_hash);
        if from_hex(&entry.hash) != Some(end.hash) {
            return Err(wrong());
        }
        match &entry.payload {
            Some(payload) if self::payload_hash(&canonical(payload)) != payload_hash => {
                return Err(text!(
                    "what entry {seq} says is not what was recorded",
                    "содержание записи {seq} изменено"
                ));
            }
            Some(payload) if entry.action == ERASED => {
                for seq in erased_entries(payload) {
                    self.erased.remove(&seq);
                }
            }
            Some(_) => {}
            None => {
                self.erased.insert(seq);
                self.count += 1;
            }
        }
        self.end = end;
        Ok(())
    }

    /// The last entry checked.
    pub fn end(&self) -> End {
        self.end
    }

    /// Number of entries without payload.
    pub fn erased(&self) -> u64 {
        self.count
    }

    /// Checks that the chain does not go beyond a head that was read after the last entry.
    ///
    /// # Errors
    /// The chain is longer: the head was set back.
    pub fn ends_by(&self, head: &AuditHead) -> Result<(), Text> {
        let (last, end) = (self.end.seq, head.seq);
        if last > end {
            return Err(text!(
                "the server says that the chain ends at entry {end}, but there is an entry {last}",
                "по словам сервера цепочка кончается на записи {end}, а есть запись {last}"
            ));
        }
        Ok(())
    }

    /// Checks the entry just taken against a head with the same number.
    ///
    /// # Errors
    /// The hashes differ: the chain was rewritten.
    pub fn meets(&self, head: &AuditHead) -> Result<(), Text> {
        let seq = head.seq;
        if self.end.seq == seq && from_hex(&head.hash) != Some(self.end.hash) {
            return Err(text!(
                "entry {seq} is another one than when its hash was kept: the chain was written anew",
                "запись {seq} не та, чей хеш был сохранён: цепочка переписана"
            ));
        }
        Ok(())
    }

    /// To be called after the last entry.
    ///
    /// # Errors
    /// The chain ends before an entry that a head names, or payloads are missing without an erasure entry.
    pub fn finish(&self, head: Option<&AuditHead>) -> Result<(), Text> {
        let last = self.end.seq;
        if let Some(seq) = head.map(|head| head.seq).filter(|seq| *seq > last) {
            return Err(text!(
                "the chain ends at entry {last}, but there was an entry {seq}: the end was cut off",
                "цепочка кончается на записи {last}, а была запись {seq}: конец отрезан"
            ));
        }
        match self.erased.iter().min() {
            None => Ok(()),
            Some(seq) => Err(text!(
                "what entry {seq} said is gone, and no entry says that it was erased",
                "содержание записи {seq} пропало, а записи о стирании нет"
            )),
        }
    }
}

/// Numbers of the entries that an erasure emptied.
fn erased_entries(payload: &AuditPayload) -> impl Iterator<Item = u64> + '_ {
    let entries = payload.after.as_ref().and_then(|after| after.get("entries"));
    entries.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{lang::Lang, time::from_us};
    use serde_json::json;

    fn payload(subject: &str, after: Value) -> AuditPayload {
        AuditPayload {
            who: "operator ivanov".to_owned(),
            from: Some("10.0.0.7".to_owned()),
            subject: subject.to_owned(),
            before: None,
            after: Some(after),
            salt: "0f".repeat(16),
        }
    }

    fn chain(said: Vec<(&str, AuditPayload)>) -> Vec<AuditEntry> {
        let mut end = End::default();
        let entries = said.into_iter().map(|(action, payload)| {
            let payload_hash = payload_hash(&canonical(&payload));
            let at = 1_700_000_000_000_000 + end.seq as i64;
            end = end.then(at, action, &payload_hash);
            AuditEntry {
                seq: end.seq,
                at: from_us(at),
                action: action.to_owned(),
                payload: Some(payload),
                payload_hash: hex(&payload_hash),
                hash: hex(&end.hash),
            }
        });
        entries.collect()
    }

    fn three() -> Vec<AuditEntry> {
        chain(vec![
            ("topic.add", payload("boiler", json!({"slug": "boiler"}))),
            ("employee.add", payload("100001", json!({"full_name": "Анна"}))),
            ("topic.remove", payload("boiler", json!({}))),
        ])
    }

    fn verify(entries: &[AuditEntry], head: Option<&AuditHead>) -> Result<u64, String> {
        let mut verifier = Verifier::default();
        let said = entries
            .iter()
            .try_for_each(|entry| {
                verifier.take(entry)?;
                head.map_or(Ok(()), |head| verifier.meets(head))
            })
            .and_then(|()| verifier.finish(head));
        said.map(|()| verifier.erased()).map_err(|why| why.get(Lang::En).to_owned())
    }

    #[test]
    fn the_hash_is_the_documented_one() {
        let end = End::default().then(1_700_000_000_000_000, "topic.add", &[0xab; 32]);
        let lines = format!(
            "simo-audit-1\n1\n1700000000000000\ntopic.add\n{}\n{}\n",
            "ab".repeat(32),
            "00".repeat(32)
        );
        assert_eq!(end.hash, payload_hash(&lines));
        assert_eq!(from_hex(&hex(&end.hash)), Some(end.hash));
        let sorted = canonical(&payload("x", json!({"b": [1, {"z": null, "a": "ё"}], "a": true})));
        assert_eq!(
            sorted,
            r#"{"after":{"a":true,"b":[1,{"a":"ё","z":null}]},"from":"10.0.0.7","salt":"0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f","subject":"x","who":"operator ivanov"}"#
        );
    }

    #[test]
    fn whatever_is_changed_taken_out_or_put_in_is_found() {
        assert_eq!(verify(&three(), None), Ok(0));
        let changes: [fn(&mut Vec<AuditEntry>); 7] = [
            |entries| entries[1].action = "employee.block".to_owned(),
            |entries| entries[1].at = from_us(0),
            |entries| entries[1].payload.as_mut().unwrap().who = "operator petrov".to_owned(),
            |entries| entries[1].payload_hash = "00".repeat(32),
            |entries| drop(entries.remove(1)),
            |entries| drop(entries.remove(0)),
            |entries| entries[1].payload = None,
        ];
        for (place, change) in changes.into_iter().enumerate() {
            let mut entries = three();
            change(&mut entries);
            assert!(verify(&entries, None).is_err(), "change {place}");
        }
    }

    #[test]
    fn what_was_erased_by_a_recorded_erasure_verifies() {
        let mut said: Vec<_> =
            three().into_iter().map(|entry| (entry.action, entry.payload.unwrap())).collect();
        said.push((ERASED.to_owned(), payload("", json!({"entries": [2]}))));
        let mut entries = chain(said.iter().map(|(action, said)| (&**action, said.clone())).collect());
        entries[1].payload = None;
        assert_eq!(verify(&entries, None), Ok(1));
        entries[0].payload = None;
        assert!(verify(&entries, None).unwrap_err().contains("entry 1"));
    }

    #[test]
    fn a_kept_head_shows_a_chain_that_was_cut_or_written_anew() {
        let entries = three();
        let head = |entry: &AuditEntry| AuditHead { seq: entry.seq, hash: entry.hash.clone() };
        assert_eq!(verify(&entries, Some(&head(&entries[1]))), Ok(0));
        assert!(verify(&entries[..2], Some(&head(&entries[2]))).is_err(), "cut off");
        let other = chain(vec![("topic.add", payload("x", json!({})))]);
        assert!(verify(&other, Some(&head(&entries[0]))).is_err(), "anew");
    }

    #[test]
    fn a_head_that_was_set_back_and_one_without_entries_are_faults() {
        let mut verifier = Verifier::default();
        let entries = three();
        for entry in &entries {
            verifier.take(entry).unwrap();
        }
        let head = |seq| AuditHead { seq, hash: entries[2].hash.clone() };
        let nothing = Verifier::default();
        assert!(nothing.finish(Some(&head(3))).is_err());
        assert!(nothing.finish(Some(&AuditHead { hash: hex(&Hash::default()), ..head(0) })).is_ok());
        assert!(verifier.ends_by(&head(2)).is_err());
        assert!(verifier.ends_by(&head(3)).is_ok());
        assert!(verifier.ends_by(&head(4)).is_ok(), "one more was made meanwhile");
    }
}
