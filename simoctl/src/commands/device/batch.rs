//! `simoctl device invite --group …`: codes for many people, on a sheet to print and in a table to distribute.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget};
use simo_common::{
    api::invites::{BatchInvite, InviteBatch, MadeBatch, NewBatch},
    client::{Client, ListQuery},
};
use uuid::Uuid;

use super::{
    super::{
        public_address::{is_only_here, warn_of_url},
        secret_file::Paper,
    },
    qr_sheet,
};
use crate::{
    failure::Failure,
    output::{Column, Record, value::local},
    session::Session,
};

/// Whom to invite together.
#[derive(Debug, Args)]
pub(crate) struct Batch {
    /// Everyone in this group; may be given several times, or with commas
    #[arg(long = "group", value_name = "SLUG", value_delimiter = ',', conflicts_with_all = ["all", "employee"])]
    groups: Vec<String>,
    /// All employees
    #[arg(long, conflicts_with = "employee")]
    all: bool,
    /// Only those who have no device; without --group of all employees
    #[arg(long, conflicts_with = "employee")]
    without_device: bool,
    /// What to call the batch
    #[arg(long, conflicts_with = "employee")]
    name: Option<String>,
    /// Write a sheet to print: HTML with QR codes, a page per group; - is standard output
    #[arg(long, value_name = "FILE", conflicts_with = "employee")]
    sheet: Option<PathBuf>,
    /// Write the codes as CSV; - is standard output
    #[arg(long, value_name = "FILE", conflicts_with = "employee")]
    csv: Option<PathBuf>,
    /// Write them even if their links lead nowhere on a phone
    #[arg(long, conflicts_with = "employee")]
    anyway: bool,
}

pub(super) async fn run(
    session: &Session,
    api: &Client,
    batch: &Batch,
    valid_for: Option<i64>,
) -> Result<(), Failure> {
    if (batch.sheet.is_some() || batch.csv.is_some()) && !batch.anyway {
        refuse_dead_links(session, api).await?;
    }
    // Opened before the codes are made: codes that cannot be written would be lost.
    let sheet = open(session, batch.sheet.as_deref())?;
    let csv = open(session, batch.csv.as_deref())?;
    let new = NewBatch {
        groups: batch.groups.clone(),
        everyone: batch.groups.is_empty(),
        without_device: batch.without_device,
        name: batch.name.clone(),
        valid_for,
    };
    let groups = if sheet.is_some() { group_names(api).await? } else { HashMap::new() };
    let bar = ProgressBar::new_spinner();
    if session.is_quiet() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    bar.set_message(session.say("Making codes", "Выдача кодов"));
    bar.enable_steady_tick(Duration::from_millis(100));
    let made = api.invite_devices(&new).await;
    bar.finish_and_clear();
    let made = made?;
    let on_paper = sheet.is_some() || csv.is_some();
    let written = write(session, &made, batch, &groups, sheet, csv);
    if let Err(failure) = written {
        let id = made.id;
        session.talk(&session.say(
            format!(
                "The codes were made all the same; withdraw them: simoctl device invites --withdraw {id}"
            ),
            format!("Коды при этом выданы; отзовите их: simoctl device invites --withdraw {id}"),
        ));
        return Err(failure);
    }
    if session.out.is_json() {
        session.out.json(&made)?;
    } else if !on_paper {
        session.out.list(&made.invites)?;
    }
    tell(session, &made);
    Ok(())
}

/// Refuses unusable links: a printed or distributed code cannot be corrected.
async fn refuse_dead_links(session: &Session, api: &Client) -> Result<(), Failure> {
    let server = api.whoami().await?.server;
    if !is_only_here(&server) {
        return Ok(());
    }
    Err(Failure::failed(session.say(
        format!("The links would begin with {server}, which leads nowhere on a phone."),
        format!("Ссылки начинались бы с {server}: на телефоне такой адрес никуда не ведёт."),
    ))
    .hint(session.say(
        "set `public_url` in simod's configuration to the address that phones reach; or --anyway",
        "задайте в настройках simod `public_url`: адрес, по которому его находят телефоны; или --anyway",
    )))
}

fn open(session: &Session, path: Option<&Path>) -> Result<Option<Paper>, Failure> {
    path.map(|path| Paper::open(session, path)).transpose()
}

fn write(
    session: &Session,
    made: &MadeBatch,
    batch: &Batch,
    groups: &HashMap<String, String>,
    sheet: Option<Paper>,
    csv: Option<Paper>,
) -> Result<(), Failure> {
    if let Some(paper) = sheet {
        let text = qr_sheet::html(session.lang, session.out.zone(), made, &batch.groups, groups);
        paper.write(session, text.as_bytes())?;
    }
    if let Some(paper) = csv {
        paper.write(session, &table(made)?)?;
    }
    Ok(())
}

fn tell(session: &Session, made: &MadeBatch) {
    let (id, count) = (made.id, made.invites.len());
    let until = local(made.expires_at, session.out.zone());
    session.done(&session.say(
        format!(
            "Codes made: {count}, valid until {until}. To withdraw: simoctl device invites --withdraw {id}"
        ),
        format!(
            "Выдано кодов: {count}, действуют до {until}. Отозвать: simoctl device invites --withdraw {id}"
        ),
    ));
    if let Some(invite) = made.invites.first() {
        warn_of_url(session, &invite.uri);
    }
    if !made.blocked.is_empty() {
        let blocked = made.blocked.join(", ");
        session.talk(&session.say(
            format!("Blocked, without a code: {blocked}"),
            format!("Заблокированы, без кода: {blocked}"),
        ));
    }
}

/// CSV that Excel opens directly: UTF-8 with a BOM, and no cell that begins like a formula.
fn table(made: &MadeBatch) -> Result<Vec<u8>, Failure> {
    let mut writer = csv::Writer::from_writer("\u{feff}".as_bytes().to_vec());
    let plain = |text: &str| {
        if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.to_owned() }
    };
    let expires_at = made.expires_at.to_string();
    let mut rows =
        vec![["personnel_no", "full_name", "groups", "code", "uri", "expires_at"].map(str::to_owned)];
    rows.extend(made.invites.iter().map(|invite| {
        [
            plain(&invite.personnel_no),
            plain(&invite.full_name),
            invite.groups.join("|"),
            invite.code.clone(),
            invite.uri.clone(),
            expires_at.clone(),
        ]
    }));
    let broken = |cause: csv::Error| Failure::from(std::io::Error::other(cause));
    for row in rows {
        writer.write_record(row).map_err(broken)?;
    }
    writer.into_inner().map_err(|cause| std::io::Error::other(cause.to_string()).into())
}

async fn group_names(api: &Client) -> Result<HashMap<String, String>, Failure> {
    let mut names = HashMap::new();
    let mut query = ListQuery { limit: Some(1_000), ..ListQuery::default() };
    loop {
        let page = api.groups(&query).await?;
        names.extend(page.items.into_iter().map(|group| (group.slug, group.name)));
        query.cursor = page.next;
        if query.cursor.is_none() {
            return Ok(names);
        }
    }
}

pub(super) async fn withdraw(session: &Session, api: &Client, id: Uuid) -> Result<(), Failure> {
    session.confirm(session.say(
        "Withdraw the codes of this batch that were not used?",
        "Отозвать неиспользованные коды этого набора?",
    ))?;
    let withdrawn = api.withdraw_invites(id).await?;
    if session.out.is_json() {
        session.out.json(&withdrawn)?;
    }
    let count = withdrawn.withdrawn;
    session.done(&session.say(format!("Codes withdrawn: {count}."), format!("Отозвано кодов: {count}.")));
    Ok(())
}

impl Record for BatchInvite {
    const COLUMNS: &'static [Column<Self>] = &[
        Column::new("personnel_no", "No.", "Таб. №", |i| (&i.personnel_no).into()),
        Column::new("full_name", "Name", "Имя", |i| (&i.full_name).into()),
        Column::wide("groups", "Groups", "Группы", |i| (&i.groups).into()),
        Column::new("code", "Code", "Код", |i| (&i.code).into()),
        Column::wide("uri", "Link", "Ссылка", |i| (&i.uri).into()),
    ];
}

impl Record for InviteBatch {
    const COLUMNS: &'static [Column<Self>] = &[
        Column::new("id", "Id", "Id", |b| b.id.into()),
        Column::new("name", "Name", "Название", |b| (&b.name).into()),
        Column::new("created_at", "Made", "Выданы", |b| b.created_at.into()),
        Column::new("expires_at", "Until", "До", |b| b.expires_at.into()),
        Column::new("invites", "Codes", "Кодов", |b| b.invites.into()),
        Column::new("used", "Used", "Использовано", |b| b.used.into()),
        Column::new("open", "Unused", "Осталось", |b| b.open.into()),
        Column::new("withdrawn", "Withdrawn", "Отозвано", |b| b.withdrawn.into()),
    ];
}
