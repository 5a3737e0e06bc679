//! Clients: the legal entities that everything else belongs to.

use jiff::tz::TimeZone;
use simo_common::{
    api::access::{Client, ClientSpec, MadeClient, NewOperator, Payload, WebPush},
    message::limits,
    people::Role,
    text, time,
};

use super::{ends::end_client, operators::insert_operator};
use crate::store::{
    ClientNo, Error, Listing, Result, Rows, Store, Write,
    audit::AuditChange,
    callers::login::insert_code,
    db::engine::{Conn, Row, query, query_scalar},
    list::page,
};

/// The time zone of a client that names none.
pub(super) const DEFAULT_TIMEZONE: &str = "Europe/Moscow";

impl Store {
    /// A page of clients, by slug.
    pub async fn clients(&self, listing: &Listing<String>) -> Result<Rows<Client, String>> {
        let mut reader = self.read().await?;
        let rows = query(
            "select * from client where slug > $1 and ($2 or archived_at is null) order by slug limit $3",
        )
        .bind(listing.after.as_deref().unwrap_or(""))
        .bind(listing.archived)
        .bind(listing.rows())
        .fetch(&mut reader);
        page(rows, listing.limit, |row| {
            let client = read_client(row)?;
            let fits = listing.find.fits(&[&client.slug, &client.name]);
            Ok(fits.then(|| (client.slug.clone(), client)))
        })
        .await
    }

    /// The client with this slug, archived or not.
    pub async fn client(&self, slug: &str) -> Result<Client> {
        let (_, client) = client(&mut *self.read().await?, slug).await?;
        Ok(client)
    }

    /// The time zone of a client, in which times without an offset are read.
    pub async fn client_timezone(&self, client_no: ClientNo) -> Result<TimeZone> {
        let name: String = query_scalar("select timezone from client where no = $1")
            .bind(client_no)
            .fetch_one(&mut *self.read().await?)
            .await?;
        Ok(TimeZone::get(&name).unwrap_or(TimeZone::UTC))
    }

    /// Creates a client. With `restore` an archived one is restored, changed as `spec` says: with its history, people
    /// and topics, and without operators, tokens and phones.
    ///
    /// # Errors
    /// [`Error::Conflict`] when the client exists, or is archived and not to be restored; [`Error::NotFound`] when
    /// there is none to restore.
    pub async fn add_client(&self, slug: &str, spec: &ClientSpec) -> Result<Client> {
        let mut tx = self.write().await?;
        let (_, added) = make_client(&mut tx, slug, spec, self.clock.now()).await?;
        tx.commit().await?;
        Ok(added)
    }

    /// Creates a client as [`Store::add_client`] does, and its first admin with a login code, all or nothing.
    ///
    /// # Errors
    /// As [`Store::add_client`], and [`Error::Conflict`] when the admin's name is taken.
    pub async fn add_client_and_admin(
        &self,
        slug: &str,
        spec: &ClientSpec,
        admin: &str,
        code_valid_for_seconds: i64,
    ) -> Result<MadeClient> {
        let now = self.clock.now();
        let mut tx = self.write().await?;
        let (client_no, client) = make_client(&mut tx, slug, spec, now).await?;
        let admin = NewOperator { name: admin.to_owned(), role: Role::Admin };
        insert_operator(&mut tx, Some(client_no), &admin, now).await?;
        let code = insert_code(&mut tx, Some(client_no), &admin.name, code_valid_for_seconds, now);
        let login = Some(code.await?);
        tx.commit().await?;
        Ok(MadeClient { client, login })
    }

    /// Changes the settings that `spec` names.
    pub async fn edit_client(&self, slug: &str, spec: &ClientSpec) -> Result<Client> {
        let mut tx = self.write().await?;
        let (client_no, before) = client(&mut tx, slug).await?;
        set(&mut tx, slug, spec).await?;
        let (_, after) = client(&mut tx, slug).await?;
        tx.record(client_no, AuditChange::new("client.edit", slug).before(&before).after(&after));
        tx.commit().await?;
        Ok(after)
    }

    /// Archives a client: all tokens of its ACS, operators and phones stop working for good.
    pub async fn remove_client(&self, slug: &str) -> Result<()> {
        let mut tx = self.write().await?;
        let now = self.clock.now();
        let (client_no, before) = client(&mut tx, slug).await?;
        query("update client set archived_at = coalesce(archived_at, $2) where slug = $1")
            .bind(slug)
            .bind(now)
            .execute(&mut tx)
            .await?;
        end_client(&mut tx, client_no, now).await?;
        let (_, after) = client(&mut tx, slug).await?;
        tx.record(client_no, AuditChange::new("client.remove", slug).before(&before).after(&after));
        tx.commit().await
    }
}

/// Creates or restores a client, as `spec` says.
async fn make_client(tx: &mut Write, slug: &str, spec: &ClientSpec, now: i64) -> Result<(ClientNo, Client)> {
    if spec.restore {
        restore_client(tx, slug, spec, now).await
    } else {
        insert_client(tx, slug, spec, now).await
    }
}

/// Restores a client from the archive, and records it in the audit.
async fn restore_client(
    tx: &mut Write,
    slug: &str,
    spec: &ClientSpec,
    now: i64,
) -> Result<(ClientNo, Client)> {
    let (client_no, before) = client(tx, slug).await?;
    let restored = query("update client set archived_at = null where slug = $1 and archived_at is not null")
        .bind(slug)
        .execute(tx)
        .await?;
    if restored.rows_affected() == 0 {
        return Err(is_there(slug));
    }
    end_client(tx, client_no, now).await?;
    set(tx, slug, spec).await?;
    let (_, after) = client(tx, slug).await?;
    let change = AuditChange::new("client.restore", slug).before(&before).after(&after);
    tx.record(client_no, change);
    Ok((client_no, after))
}

/// Changes the settings that `spec` names.
async fn set(tx: &mut Write, slug: &str, spec: &ClientSpec) -> Result<()> {
    query(
        "update client set
             name = coalesce($2, name), timezone = coalesce($3, timezone), payload = coalesce($4, payload),
             notification = coalesce($5, notification), default_ttl = coalesce($6, default_ttl),
             retention_days = nullif(coalesce($7, retention_days), 0), webpush = coalesce($8, webpush)
         where slug = $1",
    )
    .bind(slug)
    .bind(&spec.name)
    .bind(&spec.timezone)
    .bind(spec.payload.map(Payload::as_str))
    .bind(spec.notification)
    .bind(spec.default_ttl)
    .bind(spec.retention_days)
    .bind(spec.webpush.map(WebPush::as_str))
    .execute(tx)
    .await?;
    Ok(())
}

/// Creates a client, and records it in the audit.
async fn insert_client(
    tx: &mut Write,
    slug: &str,
    spec: &ClientSpec,
    now: i64,
) -> Result<(ClientNo, Client)> {
    let added = query(
        "insert into client
             (slug, name, timezone, payload, notification, default_ttl, retention_days, created_at, webpush)
         values ($1, $2, $3, $4, $5, $6, nullif($7, 0), $8, $9)
         on conflict (slug) do nothing",
    )
    .bind(slug)
    .bind(spec.name.as_deref().unwrap_or(slug))
    .bind(spec.timezone.as_deref().unwrap_or(DEFAULT_TIMEZONE))
    .bind(spec.payload.unwrap_or_default().as_str())
    .bind(spec.notification.unwrap_or_default())
    .bind(spec.default_ttl.unwrap_or(limits::DEFAULT_TTL_SECONDS))
    .bind(spec.retention_days)
    .bind(now)
    .bind(spec.webpush.unwrap_or_default().as_str())
    .execute(tx)
    .await?
    .rows_affected();
    if added == 0 {
        let (_, known) = client(tx, slug).await?;
        return Err(match known.archived_at {
            None => is_there(slug),
            Some(_) => Error::Conflict(text!(
                "there was a client `{slug}`, which is archived: take another slug, or say `restore` (--restore) to bring it \
                 back with its history, people and topics, and without its operators, tokens and phones",
                "клиент «{slug}» был и находится в архиве: выберите другое имя или укажите `restore` (--restore), чтобы \
                 вернуть его с историей, сотрудниками и темами, но без операторов, токенов и телефонов"
            )),
        });
    }
    let (client_no, added) = client(tx, slug).await?;
    tx.record(client_no, AuditChange::new("client.add", slug).after(&added));
    Ok((client_no, added))
}

fn is_there(slug: &str) -> Error {
    Error::Conflict(text!("there is a client `{slug}` already", "клиент «{slug}» уже есть"))
}

/// The client with this slug, archived or not, with its number.
async fn client(conn: &mut Conn, slug: &str) -> Result<(ClientNo, Client)> {
    let row = query("select * from client where slug = $1")
        .bind(slug)
        .fetch_optional(conn)
        .await?
        .ok_or_else(|| Error::not_found("client", slug))?;
    Ok((row.try_get("no")?, read_client(&row)?))
}

fn read_client(row: &Row) -> Result<Client> {
    let (payload, webpush): (String, String) = (row.try_get("payload")?, row.try_get("webpush")?);
    Ok(Client {
        slug: row.try_get("slug")?,
        name: row.try_get("name")?,
        timezone: row.try_get("timezone")?,
        payload: Payload::from_name(&payload),
        notification: row.try_get("notification")?,
        webpush: WebPush::from_name(&webpush),
        default_ttl: row.try_get("default_ttl")?,
        retention_days: row.try_get("retention_days")?,
        created_at: time::from_us(row.try_get("created_at")?),
        archived_at: row.try_get::<Option<i64>, _>("archived_at")?.map(time::from_us),
    })
}
