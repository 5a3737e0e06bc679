//! The same key never makes a second message: `Idempotency-UsedKey` and `external_id`, per ACS.

use std::collections::HashMap;

use simo_common::api::message::{PostedMessage, RecipientCounts};

use super::{Accepted, Incoming, KeyKind, Refusal, Slot, insert::insert_key_rows};
use crate::store::{
    AcsNo, ClientNo, MessageNo, Result, Write,
    db::engine::{
        Kind::{Text, Whole},
        Named, Row, query,
    },
};

/// A key in its namespace: client, ACS, kind, text. Operators of a client share the ACS 0.
type UsedKey = (ClientNo, AcsNo, KeyKind, String);

/// A key of one kind.
const KEY: [Named; 3] = [("client", Whole), ("acs", Whole), ("key", Text)];

/// The earlier use of a key.
struct Earlier {
    no: MessageNo,
    answer: PostedMessage,
    fingerprint: Option<i64>,
}

/// The keys and meanings of a batch's items, and the item that has each key so far.
pub(super) struct Keys {
    by_item: Vec<Vec<UsedKey>>,
    fingerprints: Vec<Option<i64>>,
    taken: HashMap<UsedKey, (usize, MessageNo)>,
    /// Items that repeat a message by `external_id` alone, with that message: their `Idempotency-UsedKey` is new.
    repeats: HashMap<usize, MessageNo>,
    /// Items whose `Idempotency-UsedKey` is to be stored for an existing message.
    bound: Vec<(usize, MessageNo)>,
}

/// The earlier item of a batch that has a key, and the message stored under it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Winner {
    pub place: usize,
    pub kind: KeyKind,
    pub message_no: MessageNo,
}

impl Keys {
    /// Whether two items of the batch have the same meaning.
    pub(super) fn means_the_same(&self, one: usize, other: usize) -> bool {
        self.fingerprints[one] == self.fingerprints[other]
    }

    /// The earlier item of the batch that is stored under one of this one's keys.
    pub(super) fn winner(&self, place: usize) -> Option<Winner> {
        self.by_item[place].iter().find_map(|key| {
            let (place, message_no) = *self.taken.get(key)?;
            Some(Winner { place, kind: key.2, message_no })
        })
    }

    /// The message of an earlier batch that the item repeats under a new `Idempotency-UsedKey`.
    pub(super) fn repeated(&self, place: usize) -> Option<MessageNo> {
        self.repeats.get(&place).copied()
    }

    /// Marks the item as going to be stored: later ones with its keys lose to it. A refused or dry-run item must not
    /// win, or the loser would be told of a message that does not exist.
    pub(super) fn take(&mut self, place: usize, message_no: MessageNo) {
        for key in &self.by_item[place] {
            self.taken.insert(key.clone(), (place, message_no));
        }
    }

    /// The item repeats a message by its `external_id`: its `Idempotency-UsedKey` then also leads to that message;
    /// otherwise the same key could make a second one later.
    pub(super) fn bind(&mut self, place: usize, message_no: MessageNo) {
        let by_header = |key: &&UsedKey| key.2 == KeyKind::IdempotencyKey;
        if let Some(key) = self.by_item[place].iter().find(by_header) {
            self.taken.insert(key.clone(), (place, message_no));
            self.bound.push((place, message_no));
        }
    }

    /// Whether [`Keys::store_bound`] has anything to store.
    pub(super) fn has_bound(&self) -> bool {
        !self.bound.is_empty()
    }

    /// Stores the keys that lead to existing messages.
    pub(super) async fn store_bound(&self, tx: &mut Write, now: i64) -> Result<()> {
        let rows = self.bound.iter().filter_map(|(place, message_no)| {
            let (client_no, acs_no, _, text) =
                self.by_item[*place].iter().find(|key| key.2 == KeyKind::IdempotencyKey)?;
            Some([
                (*client_no).into(),
                (*acs_no).into(),
                text.into(),
                (*message_no).into(),
                self.fingerprints[*place].into(),
                now.into(),
            ])
        });
        insert_key_rows(tx, rows.collect()).await
    }
}

/// Answers the items whose keys were used by an earlier batch.
pub(super) async fn settle(tx: &mut Write, slots: &mut [Slot<'_>]) -> Result<Keys> {
    let keys: Vec<Vec<UsedKey>> = slots.iter().map(keys_of).collect();
    let fingerprints = slots
        .iter()
        .map(|slot| match slot {
            Slot::Open(item) => item.incoming.draft.fingerprint,
            _ => None,
        })
        .collect();
    let mut keys = Keys {
        by_item: keys,
        fingerprints,
        taken: HashMap::new(),
        repeats: HashMap::new(),
        bound: Vec::new(),
    };
    if keys.by_item.iter().all(Vec::is_empty) {
        return Ok(keys);
    }
    let earlier = load(tx, keys.by_item.iter().flatten()).await?;
    for (place, slot) in slots.iter_mut().enumerate() {
        let known = keys.by_item[place].iter().find_map(|key| Some((earlier.get(key)?, key.2)));
        let Some((earlier, kind)) = known else { continue };
        let answer = if earlier.fingerprint == keys.fingerprints[place] {
            // A dry run leaves no trace.
            let is_stored = matches!(slot, Slot::Open(item) if !item.incoming.dry_run);
            if kind == KeyKind::ExternalId && is_stored {
                keys.repeats.insert(place, earlier.no);
            }
            Ok(earlier.answer.clone())
        } else {
            Err(Refusal::KeyReused(kind))
        };
        *slot = Slot::Done(Accepted { answer, stored: false });
    }
    Ok(keys)
}

fn keys_of(slot: &Slot<'_>) -> Vec<UsedKey> {
    let Slot::Open(item) = slot else { return Vec::new() };
    let Incoming { idempotency_key, draft, .. } = item.incoming;
    let key = |kind, text: &String| {
        (item.sender.client_no, item.sender.acs_no.unwrap_or_default(), kind, text.clone())
    };
    let by_header = idempotency_key.as_ref().map(|text| key(KeyKind::IdempotencyKey, text));
    let by_id = draft.external_id.as_ref().map(|text| key(KeyKind::ExternalId, text));
    by_header.into_iter().chain(by_id).collect()
}

async fn load(tx: &mut Write, keys: impl Iterator<Item = &UsedKey>) -> Result<HashMap<UsedKey, Earlier>> {
    let mut by_header = Vec::new();
    let mut by_id = Vec::new();
    for (client_no, acs_no, kind, text) in keys {
        let of_kind = if *kind == KeyKind::IdempotencyKey { &mut by_header } else { &mut by_id };
        of_kind.push([client_no.into(), acs_no.into(), text.into()]);
    }
    let mut earlier = HashMap::new();
    if !by_header.is_empty() {
        let rows = query(
            "select i.client_no, i.acs_no, i.key, i.fingerprint, m.no, m.id, m.accepted, m.without_device, m.denied,
                    m.unknown, m.fitted
             from {rows} cross join idempotency i
             left join message m on m.client_no = i.client_no and m.no = coalesce(
                 (select w.no from message w where w.client_no = i.client_no and w.waited_as = i.message_no),
                 i.message_no)
             where i.client_no = {client} and i.acs_no = {acs} and i.key = {key}",
        )
        .over(KEY, by_header)
        .fetch_all(tx)
        .await?;
        let mut leads_nowhere = Vec::new();
        for row in rows {
            let key = (row.try_get(0)?, row.try_get(1)?, KeyKind::IdempotencyKey, row.try_get(2)?);
            if row.try_get::<Option<MessageNo>, _>("no")?.is_some() {
                earlier.insert(key, read_earlier(&row)?);
            } else {
                leads_nowhere.push(key);
            }
        }
        forget(tx, &leads_nowhere).await?;
    }
    if !by_id.is_empty() {
        // Here an operator's ACS is null, which the index has as 0.
        let rows = query(
            "select m.client_no, m.acs_no, m.external_id, m.fingerprint, m.no, m.id, m.accepted, m.without_device, m.denied,
                    m.unknown, m.fitted
             from {rows} cross join message m
             where m.client_no = {client} and coalesce(m.acs_no, 0) = {acs} and m.external_id = {key}",
        )
        .over(KEY, by_id)
        .fetch_all(tx)
        .await?;
        for row in rows {
            let acs_no = row.try_get::<Option<AcsNo>, _>(1)?.unwrap_or_default();
            let key = (row.try_get(0)?, acs_no, KeyKind::ExternalId, row.try_get(2)?);
            earlier.insert(key, read_earlier(&row)?);
        }
    }
    Ok(earlier)
}

/// Deletes keys whose messages were deleted: a key bound to a message after its acceptance is younger than the message,
/// and would block a new message with the key.
async fn forget(tx: &mut Write, keys: &[UsedKey]) -> Result<()> {
    if keys.is_empty() {
        return Ok(());
    }
    let keys = keys.iter().map(|(client_no, acs_no, _, text)| [client_no.into(), acs_no.into(), text.into()]);
    query("delete from idempotency where (client_no, acs_no, key) in (select {client}, {acs}, {key} from {rows})")
        .over(KEY, keys)
        .execute(tx)
        .await?;
    Ok(())
}

fn read_earlier(row: &Row) -> Result<Earlier> {
    Ok(Earlier {
        no: row.try_get("no")?,
        fingerprint: row.try_get("fingerprint")?,
        answer: PostedMessage {
            id: row.try_get("id")?,
            duplicate: true,
            recipients: RecipientCounts {
                accepted: row.try_get::<i64, _>("accepted")? as u64,
                without_device: row.try_get::<i64, _>("without_device")? as u64,
                denied: row.try_get::<i64, _>("denied")? as u64,
                unknown: row.json("unknown")?.unwrap_or_default(),
                more_unknown: 0,
            },
            fitted: row.json("fitted")?.unwrap_or_default(),
        },
    })
}
