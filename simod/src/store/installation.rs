//! Facts about the whole installation rather than a client: a few texts by name.

use sqlx::Connection as _;

use super::{
    Place, Result, Store, Write,
    db::{
        engine::{Conn, query, query_scalar},
        sqlite,
    },
};
use crate::{channel::ChannelKind, clock::Clock};

/// The private half of the Web Push key (VAPID).
const VAPID_KEY: &str = "vapid_key";

const FACT: &str = "select value from installation where name = $1";

/// The result of setting a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewKey {
    /// It is the installation's key now.
    Taken,
    /// It was already.
    Known,
    /// This many phones have subscribed with another key, which stays.
    InTheWay(u64),
}

impl Store {
    /// The key that browsers subscribe with, if there is one.
    pub async fn vapid_key(&self) -> Result<Option<String>> {
        fact(&mut *self.read().await?, VAPID_KEY).await
    }

    /// The same from a database that is not opened: a daemon may be using it, and nothing is migrated.
    pub async fn vapid_key_at(place: &Place) -> Result<Option<String>> {
        if !Self::pending_migrations(place).await?.is_empty() {
            return Ok(None);
        }
        match place {
            Place::File(path) => {
                let (mut connection, _) = sqlite::look(path).await?;
                let key = sqlx::query_scalar(FACT).bind(VAPID_KEY).fetch_optional(&mut connection).await?;
                connection.close().await?;
                Ok(key)
            }
            Place::Server { .. } => {
                let store = Self::open_at(place, Clock::System).await?;
                let key = store.vapid_key().await;
                store.close().await;
                key
            }
        }
    }

    /// The key that browsers subscribe with: this one, unless there is one already.
    pub async fn settle_vapid_key(&self, private: &str) -> Result<String> {
        let mut tx = self.write().await?;
        keep_fact(&mut tx, VAPID_KEY, private).await?;
        let settled = fact(&mut tx, VAPID_KEY).await?;
        tx.commit().await?;
        Ok(settled.unwrap_or_else(|| private.to_owned()))
    }

    /// Sets another key; where phones have subscribed with the old one, only if `anyway`: they cannot be reached any
    /// more.
    pub async fn replace_vapid_key(&self, private: &str, anyway: bool) -> Result<NewKey> {
        let mut tx = self.write().await?;
        if fact(&mut tx, VAPID_KEY).await?.as_deref() == Some(private) {
            return Ok(NewKey::Known);
        }
        let phones: i64 =
            query_scalar("select count(*) from device where channel = $1 and retired_at is null")
                .bind(ChannelKind::WebPush)
                .fetch_one(&mut tx)
                .await?;
        if phones > 0 && !anyway {
            return Ok(NewKey::InTheWay(phones as u64));
        }
        set_fact(&mut tx, VAPID_KEY, private).await?;
        tx.commit().await?;
        Ok(NewKey::Taken)
    }
}

/// Stores a fact unless it is known; a known one stays as it is.
pub(super) async fn keep_fact(tx: &mut Write, name: &str, value: &str) -> Result<()> {
    query("insert into installation (name, value) values ($1, $2) on conflict (name) do nothing")
        .bind(name)
        .bind(value)
        .execute(tx)
        .await?;
    Ok(())
}

/// Stores a fact, replacing the known one.
pub(super) async fn set_fact(tx: &mut Write, name: &str, value: &str) -> Result<()> {
    query(
        "insert into installation (name, value) values ($1, $2)
         on conflict (name) do update set value = excluded.value",
    )
    .bind(name)
    .bind(value)
    .execute(tx)
    .await?;
    Ok(())
}

async fn fact(conn: &mut Conn, name: &str) -> Result<Option<String>> {
    Ok(query_scalar(FACT).bind(name).fetch_optional(conn).await?)
}
