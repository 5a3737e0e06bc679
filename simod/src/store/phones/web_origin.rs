//! The address at which browsers know the app. At another one it is another app to them: icon, permission, messages and
//! subscription stay at the old one.

use crate::store::{
    Result, Store,
    db::engine::query,
    installation::{keep_fact, set_fact},
};

const ORIGIN: &str = "web_origin";
/// When it was changed last, in microseconds.
const CHANGED_AT: &str = "web_origin_changed_at";

/// Where browsers know the app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebOrigin {
    /// The `public_url` with which the first of them was paired, or what took its place.
    pub url: String,
    /// Paired browsers.
    pub phones: u64,
    /// Those of them that were paired before the address was changed: they have to be paired anew.
    pub left_behind: u64,
}

impl Store {
    /// Where browsers know the app; `None` before the first of them.
    pub async fn web_origin(&self) -> Result<Option<WebOrigin>> {
        let row = query(
            "select o.value as url, count(d.no) as phones,
                count(case when d.paired_at < cast(c.value as bigint) then 1 end) as left_behind
             from installation o
             left join installation c on c.name = $2
             left join device d on d.retired_at is null and d.platform like 'web%'
             where o.name = $1
             group by o.value",
        )
        .bind(ORIGIN)
        .bind(CHANGED_AT)
        .fetch_optional(&mut *self.read().await?)
        .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(WebOrigin {
            url: row.try_get("url")?,
            phones: row.try_get::<i64, _>("phones")? as u64,
            left_behind: row.try_get::<i64, _>("left_behind")? as u64,
        }))
    }

    /// Keeps the address at which the first browser was paired.
    pub async fn keep_web_origin(&self, url: &str) -> Result<()> {
        let mut tx = self.write().await?;
        keep_fact(&mut tx, ORIGIN, url).await?;
        tx.commit().await
    }

    /// Changes it, and leaves behind the browsers that know the old one.
    pub async fn change_web_origin(&self, url: &str) -> Result<()> {
        let now = self.clock().now().to_string();
        let mut tx = self.write().await?;
        for (name, value) in [(ORIGIN, url), (CHANGED_AT, &now)] {
            set_fact(&mut tx, name, value).await?;
        }
        tx.commit().await
    }
}
