//! Invitations in bulk: a batch is made in one transaction, and withdrawn in one statement.

use simo_common::{
    api::invites::{BatchInvite, InviteBatch, MadeBatch, NewBatch},
    id, text,
    time::{SECOND, from_us},
    token,
};
use uuid::Uuid;

use crate::store::{
    BatchNo, ClientNo, EmployeeNo, Error, Listing, Result, Rows, Store, Write,
    audit::AuditChange,
    db::engine::{
        Kind::{Bytes, Whole},
        query, query_scalar,
    },
    directory::{employees::group_nos, groups::within},
    list::page,
};

/// A person to be invited.
struct Invited {
    no: EmployeeNo,
    invite: BatchInvite,
}

impl Store {
    /// Makes a code for each of the people that `new` names, as a batch called `name`. The caller makes the codes'
    /// links.
    pub async fn invite_batch(
        &self,
        client_no: ClientNo,
        new: &NewBatch,
        name: &str,
        valid_for_seconds: i64,
    ) -> Result<MadeBatch> {
        let now = self.clock.now();
        let expires_at = now + valid_for_seconds * SECOND;
        let mut tx = self.write().await?;
        let (people, blocked) = invited(&mut tx, client_no, new).await?;
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
        let batch_no: BatchNo = query_scalar(
            "insert into invite_batch (client_no, id, name, created_at, expires_at) values ($1, $2, $3, $4, $5)
             returning no",
        )
        .bind(client_no)
        .bind(batch_id)
        .bind(name)
        .bind(now)
        .bind(expires_at)
        .fetch_one(&mut tx)
        .await?;
        let rows = people.iter().map(|person| {
            let hash = token::hash(&token::normalize_code(&person.invite.code));
            [hash.to_vec().into(), person.no.into()]
        });
        query(
            "insert into invite (code_hash, client_no, employee_no, created_at, expires_at, batch_no)
             select {hash}, $1, {employee}, $2, $3, $4 from {rows}",
        )
        .bind(client_no)
        .bind(now)
        .bind(expires_at)
        .bind(batch_no)
        .over([("hash", Bytes), ("employee", Whole)], rows)
        .execute(&mut tx)
        .await?;
        let made = serde_json::json!({
            "name": name, "invites": people.len(), "expires_at": from_us(expires_at)
        });
        tx.record(client_no, AuditChange::new("device.invite-many", batch_id.to_string()).after(&made));
        tx.commit().await?;
        Ok(MadeBatch {
            id: batch_id,
            name: name.to_owned(),
            expires_at: from_us(expires_at),
            invites: people.into_iter().map(|person| person.invite).collect(),
            blocked,
        })
    }

    /// A page of batches, newest first; those whose codes have all expired only with archived ones.
    pub async fn invite_batches(
        &self,
        client_no: ClientNo,
        listing: &Listing<Uuid>,
    ) -> Result<Rows<InviteBatch, Uuid>> {
        let mut reader = self.read().await?;
        let rows = query(
            "select b.id, b.name, b.created_at, b.expires_at, count(i.code_hash) as invites,
                    count(i.used_at) as used, count(i.withdrawn_at) as withdrawn,
                    count(case when i.used_at is null and i.expires_at > $2 then 1 end) as open
             from invite_batch b left join invite i on i.client_no = b.client_no and i.batch_no = b.no
             where b.client_no = $1 and ($3 or b.expires_at > $2) and ($4 is null or b.id < $4)
             group by b.no, b.id, b.name, b.created_at, b.expires_at order by b.id desc limit $5",
        )
        .bind(client_no)
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

    /// Withdraws the unused codes of a batch; returns how many were still valid.
    pub async fn withdraw_batch(&self, client_no: ClientNo, id: Uuid) -> Result<u64> {
        let now = self.clock.now();
        let mut tx = self.write().await?;
        let batch_no: Option<BatchNo> =
            query_scalar("select no from invite_batch where client_no = $1 and id = $2")
                .bind(client_no)
                .bind(id)
                .fetch_optional(&mut tx)
                .await?;
        if batch_no.is_none() {
            return Err(Error::not_found("batch of invitations", id.to_string()));
        }
        // They expire now, which instances of earlier versions respect as well.
        let withdrawn = query(
            "update invite set withdrawn_at = $3, expires_at = $3
             where client_no = $1 and batch_no = $2 and used_at is null and expires_at > $3",
        )
        .bind(client_no)
        .bind(batch_no)
        .bind(now)
        .execute(&mut tx)
        .await?;
        let count = serde_json::json!({ "invites": withdrawn.rows_affected() });
        tx.record(client_no, AuditChange::new("device.withdraw-invites", id.to_string()).before(&count));
        tx.commit().await?;
        Ok(withdrawn.rows_affected())
    }
}

/// The people who get a code, by name, and the numbers of those who are blocked.
async fn invited(tx: &mut Write, client_no: ClientNo, new: &NewBatch) -> Result<(Vec<Invited>, Vec<String>)> {
    let groups = group_nos(tx, client_no, &new.groups).await?;
    // People archived or blocked meanwhile are refused when they pair.
    let rows = query(concat!(
        within!("$1", "select {group} from {rows}"),
        "select e.no, e.personnel_no, e.full_name, e.blocked_at,
                (select string_agg(g.slug, ',' order by g.slug) from group_member m
                 join \"group\" g on g.client_no = m.client_no and g.no = m.group_no
                 where m.client_no = e.client_no and m.employee_no = e.no and g.archived_at is null) as groups
         from employee e where e.client_no = $1 and e.archived_at is null and (not $2 or e.devices = 0)
         and ($3 or e.no in (
             select m.employee_no from within
             cross join group_member m where m.client_no = $1 and m.group_no = within.no))
         order by e.sort_key"
    ))
    .bind(client_no)
    .bind(new.without_device)
    .bind(new.everyone)
    .each(("group", Whole), groups)
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
            no: row.try_get("no")?,
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
