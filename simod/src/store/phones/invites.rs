//! Invitations in bulk: a batch is made in one transaction, and withdrawn in one statement.

use simo_common::{
    api::invites::{BatchInvite, InviteBatch, MadeBatch, NewBatch},
    id, text,
    time::{SECOND, from_us},
    token,
};
use uuid::Uuid;

use crate::store::{
    Error, Listing, Result, Rows, Store, Write,
    audit::Change,
    db::{
        engine::{query, query_scalar},
        rows_as_json::{self, hex, hex_hash, json},
    },
    directory::{employees::group_ids, groups::within},
    list::page,
};

/// A person who is to be invited.
struct Invited {
    id: Uuid,
    invite: BatchInvite,
}

impl Store {
    /// Makes a code for each of the people that `new` names, and keeps them together under `name`. The links of the
    /// codes are the caller's to make.
    pub async fn invite_batch(
        &self,
        client_id: Uuid,
        new: &NewBatch,
        name: &str,
        valid_for_seconds: i64,
    ) -> Result<MadeBatch> {
        let now = self.clock.now();
        let expires_at = now + valid_for_seconds * SECOND;
        let mut tx = self.write().await?;
        let (people, blocked) = invited(&mut tx, client_id, new).await?;
        if people.is_empty() {
            return Err(Error::Invalid(vec![(
                if new.everyone { "everyone" } else { "groups" }.to_owned(),
                text!(
                    "there is nobody to invite: no members, all of them blocked, or all with a device",
                    "приглашать некого: участников нет, все заблокированы или у всех уже есть устройство"
                ),
            )]));
        }
        let batch_id = id::new(now);
        query(
            "insert into invite_batch (client_id, id, name, created_at, expires_at) values ($1, $2, $3, $4, $5)",
        )
        .bind(client_id)
        .bind(batch_id)
        .bind(name)
        .bind(now)
        .bind(expires_at)
        .execute(&mut tx)
        .await?;
        let rows: Vec<_> = people
            .iter()
            .map(|person| {
                let hash = token::hash(&token::normalize_code(&person.invite.code));
                (hex_hash(&hash), hex(person.id))
            })
            .collect();
        query(
            "insert into invite (code_hash, client_id, employee_id, created_at, expires_at, batch_id)
             select unhex(j.value->>0, ''), $1, unhex(j.value->>1), $3, $4, $5 from jsonb_each($2) j",
        )
        .bind(client_id)
        .bind(json(&rows))
        .bind(now)
        .bind(expires_at)
        .bind(batch_id)
        .execute(&mut tx)
        .await?;
        let made = serde_json::json!({
            "name": name, "invites": people.len(), "expires_at": from_us(expires_at)
        });
        tx.record(client_id, Change::new("device.invite-many", batch_id.to_string()).after(&made));
        tx.commit().await?;
        Ok(MadeBatch {
            id: batch_id,
            name: name.to_owned(),
            expires_at: from_us(expires_at),
            invites: people.into_iter().map(|person| person.invite).collect(),
            blocked,
        })
    }

    /// A page of batches, newest first; those whose codes have all run out only with archived ones.
    pub async fn invite_batches(
        &self,
        client_id: Uuid,
        listing: &Listing<Uuid>,
    ) -> Result<Rows<InviteBatch, Uuid>> {
        let mut reader = self.read().await?;
        let rows = query(
            "select b.id, b.name, b.created_at, b.expires_at, count(i.code_hash) as invites,
                    count(i.used_at) as used, count(i.withdrawn_at) as withdrawn,
                    count(case when i.used_at is null and i.expires_at > $2 then 1 end) as open
             from invite_batch b left join invite i on i.client_id = b.client_id and i.batch_id = b.id
             where b.client_id = $1 and ($3 or b.expires_at > $2) and ($4 is null or b.id < $4)
             group by b.id, b.name, b.created_at, b.expires_at order by b.id desc limit $5",
        )
        .bind(client_id)
        .bind(self.clock.now())
        .bind(listing.archived)
        .bind(listing.after)
        .bind(listing.rows())
        .fetch(&mut reader);
        page(rows, listing.limit, |row| {
            let count = |column: &str| row.try_get::<i64, _>(column).map(|count| count as u64);
            let batch = InviteBatch {
                id: row.try_get("id")?,
                name: row.try_get("name")?,
                created_at: from_us(row.try_get("created_at")?),
                expires_at: from_us(row.try_get("expires_at")?),
                used: count("used")?,
                open: count("open")?,
                withdrawn: count("withdrawn")?,
                invites: count("invites")?,
            };
            Ok(listing.find.fits(&[&batch.name]).then_some((batch.id, batch)))
        })
        .await
    }

    /// Withdraws the codes of a batch that were not used; says how many still worked.
    pub async fn withdraw_batch(&self, client_id: Uuid, id: Uuid) -> Result<u64> {
        let now = self.clock.now();
        let mut tx = self.write().await?;
        let known: bool =
            query_scalar("select count(*) > 0 from invite_batch where client_id = $1 and id = $2")
                .bind(client_id)
                .bind(id)
                .fetch_one(&mut tx)
                .await?;
        if !known {
            return Err(Error::not_found("batch of invitations", id.to_string()));
        }
        // They run out now, which instances of earlier versions respect as well.
        let withdrawn = query(
            "update invite set withdrawn_at = $3, expires_at = $3
             where client_id = $1 and batch_id = $2 and used_at is null and expires_at > $3",
        )
        .bind(client_id)
        .bind(id)
        .bind(now)
        .execute(&mut tx)
        .await?;
        let count = serde_json::json!({ "invites": withdrawn.rows_affected() });
        tx.record(client_id, Change::new("device.withdraw-invites", id.to_string()).before(&count));
        tx.commit().await?;
        Ok(withdrawn.rows_affected())
    }
}

/// Who gets a code, by name, and the numbers of those who are blocked.
async fn invited(tx: &mut Write, client_id: Uuid, new: &NewBatch) -> Result<(Vec<Invited>, Vec<String>)> {
    let groups = group_ids(tx, client_id, &new.groups).await?;
    // Whoever is archived or blocked meanwhile is refused when he pairs.
    let rows = query(concat!(
        within!("$1", "select unhex(atom) from jsonb_each($4)"),
        "select e.id, e.personnel_no, e.full_name, e.blocked_at,
                (select string_agg(g.slug, ',' order by g.slug) from group_member m
                 join \"group\" g on g.client_id = m.client_id and g.id = m.group_id
                 where m.client_id = e.client_id and m.employee_id = e.id and g.archived_at is null) as groups
         from employee e where e.client_id = $1 and e.archived_at is null and (not $2 or e.devices = 0)
         and ($3 or e.id in (
             select m.employee_id from within
             cross join group_member m where m.client_id = $1 and m.group_id = within.id))
         order by e.sort_key"
    ))
    .bind(client_id)
    .bind(new.without_device)
    .bind(new.everyone)
    .bind(rows_as_json::ids(&groups))
    .fetch_all(tx)
    .await?;
    let (mut people, mut blocked) = (Vec::with_capacity(rows.len()), Vec::new());
    for row in rows {
        let personnel_no: String = row.try_get("personnel_no")?;
        if row.try_get::<Option<i64>, _>("blocked_at")?.is_some() {
            blocked.push(personnel_no);
            continue;
        }
        let groups: Option<String> = row.try_get("groups")?;
        let groups = groups.iter().flat_map(|slugs| slugs.split(','));
        people.push(Invited {
            id: row.try_get("id")?,
            invite: BatchInvite {
                personnel_no,
                full_name: row.try_get("full_name")?,
                groups: groups.map(str::to_owned).collect(),
                code: token::generate_code(),
                uri: String::new(),
            },
        });
    }
    Ok((people, blocked))
}
