//! `simoctl audit`: who changed what, and whether the stored entries are those that were recorded.

mod verify;

use std::{
    fs::{File, OpenOptions},
    io::{self, BufWriter, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use serde_json::Value as Json;
use simo_common::{
    api::audit::{AuditEntry, AuditHead, AuditPayload, EraseAudit, RefusedAttempts, RefusedPost},
    client::{AuditQuery, ListQuery},
};

use super::{is_stdio, unwritable};
use crate::{
    failure::Failure,
    output::{Column, Record, Value},
    session::Session,
};

/// Entries per request when all are wanted.
const PAGE: u32 = 5_000;

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// List changes, newest first
    List(List),
    /// Check that no change was altered, taken out or put in since it was recorded
    Verify(verify::Verify),
    /// Write all entries, oldest first, one JSON object a line
    Export {
        /// The file to write; - or nothing is standard output
        #[arg(short, long, value_name = "FILE")]
        file: Option<PathBuf>,
        #[command(flatten)]
        chain: Chain,
    },
    /// Show the last entry's number and hash, to be kept elsewhere for `verify --head`
    Head(Chain),
    /// List what was refused: posts of ACS, wrong tokens and codes, too many requests; summed up by the hour
    Refused {
        /// Only with all of these words in client, ACS, address, reason, field, titles and external ids
        text: Vec<String>,
        /// Only posts of this ACS
        #[arg(long, value_name = "NAME")]
        acs: Option<String>,
        /// At most so many rows
        #[arg(long, value_name = "N", value_parser = super::rows, default_value = "100")]
        limit: u64,
    },
    /// Erase for good what the audit says of an employee; the entries stay, and still verify
    Erase {
        /// Their personnel number; a predecessor's with the day: 100001~2026-11-23
        employee: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Chain {
    /// The server's own audit (owners and their tokens), not a client's
    #[arg(long)]
    server: bool,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only with all of these words in who did it and to what
    text: Vec<String>,
    /// Only about this employee
    #[arg(long, value_name = "NO")]
    employee: Option<String>,
    /// Only this action (`topic.grant`), or all of a noun (`topic`)
    #[arg(long)]
    action: Option<String>,
    /// Only from then on: 2026-11-22, 2026-11-22T08:00, today, -2h
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    after: Option<String>,
    /// Only earlier
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    before: Option<String>,
    /// At most so many rows
    #[arg(long, value_name = "N", value_parser = super::rows, default_value = "100")]
    limit: u64,
    #[command(flatten)]
    chain: Chain,
}

pub(crate) async fn run(session: &Session, verb: Verb) -> Result<(), Failure> {
    let api = session.client()?;
    match verb {
        Verb::List(list) => {
            let wanted = AuditQuery {
                server: list.chain.server,
                employee: list.employee,
                action: list.action,
                after: list.after,
                before: list.before,
                oldest_first: false,
            };
            let query = ListQuery {
                query: (!list.text.is_empty()).then(|| list.text.join(" ")),
                ..ListQuery::default()
            };
            let key = |entry: &AuditEntry| entry.seq.to_string();
            let fetch = async |query: &_| api.audit(query, &wanted).await;
            session.list(query, Some(list.limit), key, fetch).await
        }
        Verb::Verify(verify) => verify::run(session, verify).await,
        Verb::Export { file, chain } => {
            export(session, file.filter(|path| !is_stdio(path)), chain.server).await
        }
        Verb::Head(chain) => Ok(session.out.record(&api.audit_head(chain.server).await?)?),
        Verb::Refused { text, acs, limit } => {
            let query =
                ListQuery { query: (!text.is_empty()).then(|| text.join(" ")), ..ListQuery::default() };
            let key = |row: &RefusedAttempts| {
                let of_post = [&row.acs, &row.token, &row.field].map(|part| part.as_deref().unwrap_or(""));
                format!("{} {} {} {of_post:?}", row.first_at, row.address, row.reason)
            };
            let fetch = async |query: &_| api.refused_attempts(query, acs.as_deref()).await;
            session.list(query, Some(limit), key, fetch).await
        }
        Verb::Erase { employee } => {
            session.confirm(&session.say(
                format!("Erase for good what the audit says of employee {employee}?"),
                format!("Стереть навсегда всё, что аудит говорит о сотруднике {employee}?"),
            ))?;
            let erased = api.erase_audit(&EraseAudit { employee }).await?;
            let count = erased.entries.len();
            if session.out.is_structured() {
                session.out.json(&erased)?;
            }
            session
                .done(&session.say(format!("Entries erased: {count}."), format!("Стёрто записей: {count}.")));
            Ok(())
        }
    }
}

/// Creates a file that only its owner may read: it will hold people's names and contact data.
fn private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(path)
}

async fn export(session: &Session, file: Option<PathBuf>, server: bool) -> Result<(), Failure> {
    let mut out: Box<dyn Write> = match &file {
        Some(path) => {
            let created = private(path).map_err(|cause| unwritable(session, path, cause))?;
            Box::new(BufWriter::new(created))
        }
        None => Box::new(BufWriter::new(io::stdout())),
    };
    let mut count = 0_u64;
    each(session, server, |entry| {
        count += 1;
        serde_json::to_writer(&mut out, &entry).map_err(io::Error::from)?;
        Ok(out.write_all(b"\n")?)
    })
    .await?;
    out.flush()?;
    if file.is_some() {
        session
            .done(&session.say(format!("Entries written: {count}."), format!("Записано записей: {count}.")));
    }
    Ok(())
}

/// Calls `take` with all entries of a chain, from the first.
async fn each(
    session: &Session,
    server: bool,
    mut take: impl FnMut(AuditEntry) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let api = session.client()?;
    let wanted = AuditQuery { server, oldest_first: true, ..AuditQuery::default() };
    let mut query = ListQuery { limit: Some(PAGE), ..ListQuery::default() };
    loop {
        let page = api.audit(&query, &wanted).await?;
        page.items.into_iter().try_for_each(&mut take)?;
        query.cursor = page.next;
        if query.cursor.is_none() {
            return Ok(());
        }
    }
}

impl Record for AuditEntry {
    const COLUMNS: &'static [Column<Self>] = &[
        Column::new("seq", "No", "№", |e| e.seq.into()),
        Column::new("at", "When", "Когда", |e| e.at.into()),
        Column::new("who", "Who", "Кто", |e| said(e, |p| p.who.as_str().into())),
        Column::wide("from", "From", "Откуда", |e| {
            said(e, |p| p.from.as_deref().unwrap_or_default().into())
        }),
        Column::new("action", "Action", "Действие", |e| (&e.action).into()),
        Column::new("subject", "What", "Что", |e| said(e, |p| p.subject.as_str().into())),
        Column::new("change", "Change", "Изменение", |e| {
            said(e, |p| Value::Text(difference(p.before.as_ref(), p.after.as_ref())))
        }),
        Column::alone("hash", "Hash", "Хеш", |e| (&e.hash).into()),
    ];
}

impl Record for RefusedAttempts {
    const COLUMNS: &'static [Column<Self>] = &[
        Column::new("client", "Client", "Клиент", |r| r.client.as_deref().unwrap_or_default().into()),
        Column::new("acs", "ACS", "АСУ", |r| r.acs.as_deref().unwrap_or_default().into()),
        Column::wide("token", "Token", "Токен", |r| r.token.as_deref().unwrap_or_default().into()),
        Column::new("address", "From", "Откуда", |r| (&r.address).into()),
        Column::new("reason", "Why", "Почему", |r| (&r.reason).into()),
        Column::new("field", "Field", "Поле", |r| r.field.as_deref().unwrap_or_default().into()),
        Column::new("count", "Times", "Раз", |r| r.count.into()),
        Column::new("first_at", "First", "Впервые", |r| r.first_at.into()),
        Column::new("last_at", "Last", "Последний раз", |r| r.last_at.into()),
        Column::new("title", "Newest title", "Последний заголовок", |r| {
            newest(r, |post| Some(&post.title))
        }),
        Column::wide("external_id", "External id", "external_id", |r| {
            newest(r, |post| post.external_id.as_deref())
        }),
    ];
}

/// A field of the newest refused post.
fn newest(refused: &RefusedAttempts, what: impl Fn(&RefusedPost) -> Option<&str>) -> Value {
    refused.newest.first().and_then(what).unwrap_or_default().into()
}

fn said(entry: &AuditEntry, what: impl Fn(&AuditPayload) -> Value) -> Value {
    entry.payload.as_ref().map_or(Value::Nothing, what)
}

/// The fields that changed; for a new or removed object, all that are not empty.
pub(super) fn difference(before: Option<&Json>, after: Option<&Json>) -> String {
    let empty = Json::Null;
    let (before, after) = (before.unwrap_or(&empty), after.unwrap_or(&empty));
    let names = |value: &Json| match value {
        Json::Object(fields) => fields.keys().cloned().collect(),
        _ => Vec::new(),
    };
    let mut fields: Vec<String> = names(before).into_iter().chain(names(after)).collect();
    fields.sort_unstable();
    fields.dedup();
    let lines = fields.iter().filter_map(|field| {
        let (was, is) = (before.get(field).unwrap_or(&empty), after.get(field).unwrap_or(&empty));
        match (brief(was), brief(is)) {
            (was, is) if was == is => None,
            (was, is) if was.is_empty() => Some(format!("{field}: {is}")),
            (was, is) if is.is_empty() => Some(format!("{field}: {was} → –")),
            (was, is) => Some(format!("{field}: {was} → {is}")),
        }
    });
    lines.collect::<Vec<_>>().join("; ")
}

fn brief(value: &Json) -> String {
    match value {
        Json::Null => String::new(),
        Json::String(text) => text.clone(),
        Json::Array(items) => items.iter().map(brief).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

impl Record for AuditHead {
    const COLUMNS: &'static [Column<Self>] = &[
        Column::new("seq", "No", "№", |h| h.seq.into()),
        Column::new("hash", "Hash", "Хеш", |h| (&h.hash).into()),
    ];
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_differs_is_shown() {
        let payload = AuditPayload {
            before: Some(json!({"name": "Котельная", "grants": 2, "archived_at": null})),
            after: Some(json!({"name": "Котельная №1", "grants": 2, "archived_at": "2026-11-23T00:00:00Z"})),
            ..AuditPayload::default()
        };
        assert_eq!(
            difference(payload.before.as_ref(), payload.after.as_ref()),
            "archived_at: 2026-11-23T00:00:00Z; name: Котельная → Котельная №1"
        );
        let gone = AuditPayload { before: Some(json!({"employee": "100001"})), ..AuditPayload::default() };
        assert_eq!(difference(gone.before.as_ref(), None), "employee: 100001 → –");
    }
}
