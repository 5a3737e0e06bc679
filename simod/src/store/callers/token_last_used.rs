//! When tokens were last used, and from where. Uses are noted in memory, at no cost to the caller, and written
//! periodically.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

use crate::store::{
    Result, Store,
    db::engine::{
        Kind::{Bytes, Text, Whole},
        query,
    },
};

/// The last use of each token since the last write.
#[derive(Debug, Default)]
pub(in crate::store) struct Uses(Mutex<HashMap<[u8; 32], Use>>);

#[derive(Debug, Clone, Copy)]
struct Use {
    at: i64,
    from: Option<IpAddr>,
}

impl Uses {
    /// Notes uses of tokens.
    pub(in crate::store) fn note(
        &self,
        tokens: impl IntoIterator<Item = ([u8; 32], Option<IpAddr>)>,
        now: i64,
    ) {
        let mut uses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (hash, from) in tokens {
            uses.insert(hash, Use { at: now, from });
        }
    }

    fn take(&self) -> HashMap<[u8; 32], Use> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Store {
    /// Notes a use of a token.
    pub fn note_use(&self, hash: [u8; 32], from: Option<IpAddr>) {
        self.uses.note([(hash, from)], self.clock.now());
    }

    /// Writes the last use of tokens; returns whether there was any. A failed write is dropped: the token is soon used
    /// again.
    pub async fn write_uses(&self) -> Result<bool> {
        let mut uses: Vec<_> = self.uses.take().into_iter().collect();
        if uses.is_empty() {
            return Ok(false);
        }
        // In one order, so that instances do not deadlock.
        uses.sort_unstable_by_key(|(hash, _)| *hash);
        let rows = uses.iter().map(|(hash, last)| {
            let from = last.from.map(|address| address.to_string());
            [hash.as_slice().into(), last.at.into(), from.into()]
        });
        let mut tx = self.write().await?;
        query(
            "update token set used_at = {at}, used_from = coalesce({from}, used_from)
             from {rows} where token.hash = {hash} and (token.used_at is null or token.used_at < {at})",
        )
        .over([("hash", Bytes), ("at", Whole), ("from", Text)], rows)
        .execute(&mut tx)
        .await?;
        tx.commit().await?;
        Ok(true)
    }
}
