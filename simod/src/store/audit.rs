//! The audit: every change is recorded in the transaction that makes it, one chain of entries per client
//! ([`simo_common::audit`]). Changes outside any client have a chain of their own, [`SERVER`].

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use simo_common::{
    api::audit::{AuditEntry, AuditHead, AuditPayload},
    audit::{self, End, Hash},
    hex::hex,
    time,
};

use super::{ClientNo, EmployeeNo, Error, Listing, Result, Rows, Store, list::page};
use crate::{
    actor,
    store::db::engine::{
        Conn,
        Kind::{Bytes, Text, Whole},
        Row, query, query_as, query_scalar,
    },
};

/// The chain of changes outside any client: owners and their tokens.
pub const SERVER: ClientNo = ClientNo::NONE;

/// Entries that one statement writes.
const AT_ONCE: usize = 10_000;

/// Nouns of changes to objects that a site file does not describe.
const BESIDE_SITE: [&str; 5] = ["device", "message", "audit", "session", "clock"];

/// A change to be recorded in the audit.
#[derive(Debug)]
pub(super) struct AuditChange {
    action: &'static str,
    subject: String,
    employee: Option<String>,
    before: Option<Value>,
    after: Option<Value>,
}

impl AuditChange {
    /// An action (`topic.grant`) on a subject.
    pub(super) fn new(action: &'static str, subject: impl Into<String>) -> Self {
        Self { action, subject: subject.into(), employee: None, before: None, after: None }
    }

    /// The change concerns the employee with this number, and is erased with them.
    pub(super) fn about(mut self, personnel_no: &str) -> Self {
        self.employee = Some(personnel_no.to_owned());
        self
    }

    pub(super) fn before(mut self, what: &impl Serialize) -> Self {
        self.before = told(what);
        self
    }

    pub(super) fn after(mut self, what: &impl Serialize) -> Self {
        self.after = told(what);
        self
    }

    /// Whether nothing has changed, so that there is nothing to record.
    fn is_none(&self) -> bool {
        self.before.is_some() && self.before == self.after
    }
}

/// The value as JSON. Our wire types always serialise.
fn told(what: &impl Serialize) -> Option<Value> {
    serde_json::to_value(what).ok().filter(|value| !value.is_null())
}

/// The changes of a transaction, until it commits. They are written last, so that the end of a chain is never locked
/// while waiting for a row.
#[derive(Debug, Default)]
pub(super) struct Changes {
    at: i64,
    made: Vec<(ClientNo, AuditChange)>,
}

impl Changes {
    /// For a transaction that begins now.
    pub(super) fn at(now: i64) -> Self {
        Self { at: now, made: Vec::new() }
    }

    pub(super) fn record(&mut self, chain: ClientNo, change: AuditChange) {
        if !change.is_none() {
            self.made.push((chain, change));
        }
    }

    /// Writes them to the audit.
    pub(super) async fn write(self, conn: &mut Conn) -> Result<()> {
        let mut made = self.made;
        // Transactions that write to the same chains lock them in the same order.
        made.sort_by_key(|(chain, _)| *chain);
        let mut rest = made.into_iter().peekable();
        while let Some((chain, _)) = rest.peek() {
            let chain = *chain;
            let mut changes = Vec::new();
            while let Some((_, change)) = rest.next_if(|(next, _)| *next == chain) {
                changes.push(change);
            }
            append(conn, chain, changes, self.at).await?;
        }
        Ok(())
    }
}

/// An entry: number, action, hash of the payload, hash, payload, personnel number.
type Entry = (u64, &'static str, Hash, Hash, String, Option<String>);

async fn append(conn: &mut Conn, chain: ClientNo, changes: Vec<AuditChange>, at: i64) -> Result<()> {
    let (seq, hash): (i64, Vec<u8>) = query_as(
        "insert into audit_head (client_no, seq, hash, revision) values ($1, 0, $2, 0)
         on conflict (client_no) do update set seq = audit_head.seq returning seq, hash",
    )
    .bind(chain)
    .bind(Hash::default().as_slice())
    .fetch_one(conn)
    .await?;
    let mut end = End { seq: seq as u64, hash: hash_of(&hash) };
    let moves_site = changes.iter().any(|change| {
        let noun = change.action.split('.').next();
        noun.is_some_and(|noun| !BESIDE_SITE.contains(&noun))
    });
    let actor = actor::current();
    let entries: Vec<Entry> = changes
        .into_iter()
        .map(|change| {
            let payload = audit::canonical(&AuditPayload {
                who: actor.who.clone(),
                from: actor.from.map(|from| from.to_string()),
                subject: change.subject,
                before: change.before,
                after: change.after,
                salt: format!("{:032x}", rand::random::<u128>()),
            });
            let payload_hash = audit::payload_hash(&payload);
            end = end.then(at, change.action, &payload_hash);
            (end.seq, change.action, payload_hash, end.hash, payload, change.employee)
        })
        .collect();
    for entries in entries.chunks(AT_ONCE) {
        let hashes = entries.iter().map(|(seq, action, payload_hash, hash, ..)| {
            [(*seq).into(), (*action).into(), payload_hash.as_slice().into(), hash.as_slice().into()]
        });
        let payloads =
            entries.iter().map(|(seq, .., payload, no)| [(*seq).into(), payload.into(), no.into()]);
        query(
            "insert into audit (client_no, seq, at, action, payload_hash, hash)
             select $1, {seq}, $2, {action}, {payload_hash}, {hash} from {rows}",
        )
        .bind(chain)
        .bind(at)
        .over([("seq", Whole), ("action", Text), ("payload_hash", Bytes), ("hash", Bytes)], hashes)
        .execute(conn)
        .await?;
        query(
            "insert into audit_payload (client_no, seq, payload, employee_no)
             select $1, {seq}, {payload},
                 (select e.no from employee e where e.client_no = $1 and e.personnel_no = {no})
             from {rows}",
        )
        .bind(chain)
        .over([("seq", Whole), ("payload", Text), ("no", Text)], payloads)
        .execute(conn)
        .await?;
    }
    query("update audit_head set seq = $2, hash = $3, revision = revision + $4 where client_no = $1")
        .bind(chain)
        .bind(end.seq as i64)
        .bind(end.hash.as_slice())
        .bind(i64::from(moves_site))
        .execute(conn)
        .await?;
    Ok(())
}

/// Selects audit entries.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Entries about this employee.
    pub employee: Option<String>,
    /// Entries with this action, or with any action of this noun.
    pub action: Option<String>,
    /// At this time or later.
    pub from: Option<i64>,
    /// Before this time.
    pub until: Option<i64>,
    /// From the first entry forward, instead of from the last one back.
    pub oldest_first: bool,
}

impl Store {
    /// A page of a chain's entries.
    pub async fn audit(
        &self,
        chain: ClientNo,
        filter: &AuditFilter,
        listing: &Listing<u64>,
    ) -> Result<Rows<AuditEntry, u64>> {
        let mut reader = self.read().await?;
        let employee_no = match &filter.employee {
            Some(personnel_no) => Some(employee_no(&mut reader, chain, personnel_no).await?),
            None => None,
        };
        let (follows, order) = if filter.oldest_first { (">", "asc") } else { ("<", "desc") };
        let rows = query(format!(
            "select a.*, p.payload from audit a
             left join audit_payload p on p.client_no = a.client_no and p.seq = a.seq
             where a.client_no = $1 and ($2 is null or a.seq {follows} $2)
             and ($3 is null or p.employee_no = $3) and ($4 is null or a.at >= $4) and ($5 is null or a.at < $5)
             and ($6 is null or a.action = $6 or substr(a.action, 1, length($6) + 1) = $6 || '.')
             order by a.seq {order} limit $7"
        ))
        .bind(chain)
        .bind(listing.after.map(|seq| seq as i64))
        .bind(employee_no)
        .bind(filter.from)
        .bind(filter.until)
        .bind(filter.action.as_deref())
        .bind(listing.rows())
        .fetch(&mut reader);
        page(rows, listing.limit, |row| {
            let entry = read_entry(row)?;
            let names = entry.payload.as_ref().map(|p| [&*p.who, &p.subject]);
            let fits = listing.find.fits(&names.unwrap_or_default());
            Ok(fits.then_some((entry.seq, entry)))
        })
        .await
    }

    /// The end of a chain.
    pub async fn audit_head(&self, chain: ClientNo) -> Result<AuditHead> {
        let head: Option<(i64, Vec<u8>)> = query_as("select seq, hash from audit_head where client_no = $1")
            .bind(chain)
            .fetch_optional(&mut *self.read().await?)
            .await?;
        let (seq, hash) = head.unwrap_or_default();
        Ok(AuditHead { seq: seq as u64, hash: hex(&hash_of(&hash)) })
    }

    /// Erases the audit's entries about an employee. The erasure is itself an entry, which does not name them.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such employee.
    pub async fn erase_audit(&self, client_no: ClientNo, personnel_no: &str) -> Result<Vec<u64>> {
        let mut tx = self.write().await?;
        let employee_no = employee_no(&mut tx, client_no, personnel_no).await?;
        let mut entries: Vec<i64> =
            query_scalar("delete from audit_payload indexed by audit_payload_employee where client_no = $1 and employee_no = $2 returning seq")
                .bind(client_no)
                .bind(employee_no)
                .fetch_all(&mut tx)
                .await?;
        entries.sort_unstable();
        if !entries.is_empty() {
            let erased = serde_json::json!({ "entries": entries });
            tx.record(client_no, AuditChange::new(audit::ERASED, "").after(&erased));
        }
        tx.commit().await?;
        Ok(entries.into_iter().map(|seq| seq as u64).collect())
    }
}

/// Also finds archived employees.
async fn employee_no(conn: &mut Conn, client_no: ClientNo, personnel_no: &str) -> Result<EmployeeNo> {
    let found: Option<EmployeeNo> =
        query_scalar("select no from employee where client_no = $1 and personnel_no = $2")
            .bind(client_no)
            .bind(personnel_no)
            .fetch_optional(conn)
            .await?;
    found.ok_or_else(|| Error::not_found("employee", personnel_no))
}

fn hash_of(bytes: &[u8]) -> Hash {
    bytes.try_into().unwrap_or_default()
}

/// A payload that was tampered with is handed out too, as its subject: verifying the chain shows that its hash does not
/// fit.
fn read_payload(text: String) -> AuditPayload {
    serde_json::from_str(&text).unwrap_or_else(|_| AuditPayload { subject: text, ..AuditPayload::default() })
}

fn read_entry(row: &Row) -> Result<AuditEntry> {
    let at: Timestamp = time::from_us(row.try_get("at")?);
    // SQLite accepts bytes in a text column; bytes that are not text do not fit their hash.
    let payload: Option<String> = match row.try_get("payload") {
        Err(sqlx::Error::ColumnDecode { .. }) => Some(String::new()),
        payload => payload?,
    };
    let hash = |column: &str| row.try_get::<Vec<u8>, _>(column).map(|bytes| hex(&hash_of(&bytes)));
    Ok(AuditEntry {
        seq: row.try_get::<i64, _>("seq")? as u64,
        at,
        action: row.try_get("action")?,
        payload: payload.map(read_payload),
        payload_hash: hash("payload_hash")?,
        hash: hash("hash")?,
    })
}
