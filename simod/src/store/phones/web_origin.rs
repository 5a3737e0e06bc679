//! The address under which browsers know the app. Under another one it is another app to them: icon, permission,
//! messages and subscription stay with the old one.

use crate::store::{
    Result, Store,
    db::engine::query,
    installation::{keep_fact, set_fact},
};

const ORIGIN: &str = "web_origin";
/// Time of the last change, in microseconds.
const CHANGED_AT: &str = "web_origin_changed_at";

/// The web app's address, and its browsers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebOrigin {
    /// The `public_url` with which the first of them was paired, or its replacement.
    pub url: String,
    /// Paired browsers.
    pub phones: u64,
    /// Those of them that were paired before the address changed: they have to be paired anew.
    pub left_behind: u64,
}

impl Store {
    /// The app's address; `None` before the first browser.
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

    /// Stores the address at which the first browser was paired.
    pub async fn keep_web_origin(&self, url: &str) -> Result<()> {
        let mut tx = self.write().await?;
        keep_fact(&mut tx, ORIGIN, url).await?;
        tx.commit().await
    }

    /// Changes the address; browsers that know the old one are left behind.
    pub async fn change_web_origin(&self, url: &str) -> Result<()> {
        let now = self.clock().now().to_string();
        let mut tx = self.write().await?;
        for (name, value) in [(ORIGIN, url), (CHANGED_AT, &now)] {
            set_fact(&mut tx, name, value).await?;
        }
        tx.commit().await
    }
}
