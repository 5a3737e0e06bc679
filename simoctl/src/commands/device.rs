//! `simoctl device`: phones, and pairing codes for new ones.

mod batch;
mod device_test;
mod qr_sheet;

use clap::Subcommand;
use simo_common::{
    api::{
        access::Rename,
        invites::InviteBatch,
        people::{Device, Invite, NewInvite, Silence, SilentPhone},
    },
    qr,
};
use uuid::Uuid;

use super::{ListArgs, message, public_address::warn_of_url};
use crate::{
    failure::Failure,
    output::{
        Column, Record, Value,
        value::{local, named, reason},
        write_text,
    },
    session::Session,
};

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Make a pairing code for an employee's phone, and its QR code; or for many at once
    #[command(after_help = INVITE_EXAMPLES)]
    Invite {
        /// Whose phone it will be: a personnel number
        #[arg(required_unless_present_any = ["groups", "all", "without_device"])]
        employee: Option<String>,
        /// How long the code works: 30m, 24h, 7d; 24 hours (7 days for many) unless given, 30 days at most
        #[arg(long, value_name = "TIME", value_parser = message::seconds)]
        valid_for: Option<i64>,
        #[command(flatten)]
        batch: batch::Batch,
    },
    /// List codes that were made together, or withdraw them
    Invites {
        #[command(flatten)]
        list: ListArgs,
        /// Withdraw the unused codes of this batch
        #[arg(long, value_name = "ID", value_parser = super::id, conflicts_with_all = ["text", "limit", "archived"])]
        withdraw: Option<Uuid>,
    },
    /// Send a trial message, and wait for the receipt of each phone
    Test(device_test::Trial),
    /// List devices
    List {
        #[command(flatten)]
        list: ListArgs,
        /// Only those of this employee
        #[arg(long, value_name = "NO", conflicts_with = "silent")]
        employee: Option<String>,
        /// Phones that would miss the next alarm: no contact for so long, quarantined, notifications off, or none at all
        #[arg(long, value_name = "TIME", value_parser = message::seconds, conflicts_with = "archived")]
        silent: Option<i64>,
    },
    /// Show a device
    Show {
        /// Its id
        #[arg(value_parser = super::id)]
        id: Uuid,
    },
    /// Rename a device
    Edit {
        /// Its id
        #[arg(value_parser = super::id)]
        id: Uuid,
        /// Its new name
        #[arg(long)]
        name: String,
    },
    /// Let a device go: its token stops working at once
    Remove {
        /// Its id
        #[arg(value_parser = super::id)]
        id: Uuid,
    },
}

const INVITE_EXAMPLES: &str = "\
Examples:
  simoctl --client romashka device invite 100001
  CODE=$(simoctl --client romashka device invite 100001 --valid-for 10m)
  simoctl listen --code \"$CODE\"
  simoctl device invite --group smena-a --group smena-b --sheet invites.html
  simoctl device invite --without-device --valid-for 14d --csv invites.csv";

pub(crate) async fn run(session: &Session, verb: Verb) -> Result<(), Failure> {
    let api = session.client()?;
    match verb {
        Verb::Invite { employee: Some(employee), valid_for, .. } => {
            let invite = api.invite_device(&NewInvite { employee, valid_for }).await?;
            show(session, &invite)
        }
        Verb::Invite { valid_for, batch, .. } => batch::run(session, api, &batch, valid_for).await,
        Verb::Invites { withdraw: Some(id), .. } => batch::withdraw(session, api, id).await,
        Verb::Invites { list, .. } => {
            let key = |batch: &InviteBatch| batch.id.to_string();
            let fetch = async |query: &_| api.invite_batches(query).await;
            session.list(list.query(), list.limit, key, fetch).await
        }
        Verb::Test(trial) => device_test::run(session, api, &trial).await,
        Verb::List { list, silent: Some(seconds), .. } => {
            let key = |phone: &SilentPhone| format!("{} {:?}", phone.personnel_no, phone.device_id);
            let fetch = async |query: &_| api.silent_devices(query, seconds).await;
            session.list(list.query(), list.limit, key, fetch).await
        }
        Verb::Edit { id, name } => {
            let device = api.edit_device(id, &Rename { name }).await?;
            session.made(&device, session.say("Device renamed.", "Устройство переименовано."))
        }
        Verb::List { list, employee, .. } => {
            let key = |device: &Device| device.id.to_string();
            let fetch = async |query: &_| api.devices(query, employee.as_deref()).await;
            session.list(list.query(), list.limit, key, fetch).await
        }
        Verb::Show { id } => Ok(session.out.record(&api.device(id).await?)?),
        Verb::Remove { id } => {
            let device = api.device(id).await?;
            let (name, employee) = (&device.name, &device.employee);
            session.confirm(&session.say(
                format!("Let the device “{name}” of {employee} go? It has to be paired anew to come back."),
                format!("Отключить устройство «{name}» ({employee})? Чтобы вернуть, его надо будет подключить заново."),
            ))?;
            api.remove_device(id).await?;
            session.done(session.say("Device let go.", "Устройство отключено."));
            Ok(())
        }
    }
}

/// People get a QR code to scan, scripts only the code.
fn show(session: &Session, invite: &Invite) -> Result<(), Failure> {
    warn_of_url(session, &invite.uri);
    if session.out.is_structured() {
        session.out.record(invite)?;
        return Ok(());
    }
    if !session.out.is_for_people() {
        write_text(&invite.code)?;
        return Ok(());
    }
    let (code, uri) = (&invite.code, &invite.uri);
    let picture = qr::picture(uri).unwrap_or_default();
    let until = local(invite.expires_at, session.out.zone());
    write_text(&session.say(
        format!("{picture}\nCode   {code}\nFor    {}\nUntil  {until}\nLink   {uri}", invite.personnel_no),
        format!("{picture}\nКод     {code}\nКому    {}\nДо      {until}\nСсылка  {uri}", invite.personnel_no),
    ))?;
    Ok(())
}

impl Record for Device {
    const COLUMNS: &'static [Column<Self>] = &[
        Column::new("id", "Id", "Id", |d| d.id.into()),
        Column::new("personnel_no", "No.", "Таб. №", |d| (&d.personnel_no).into()),
        Column::new("employee", "Employee", "Сотрудник", |d| (&d.employee).into()),
        Column::new("name", "Device", "Устройство", |d| (&d.name).into()),
        Column::new("channel", "Channel", "Канал", |d| (&d.channel).into()),
        Column::wide("platform", "Platform", "Платформа", |d| (&d.platform).into()),
        Column::new("state", "State", "Состояние", |d| state(&d.state)),
        Column::wide("reason", "Why", "Почему", |d| reason(d.reason.as_deref())),
        Column::alone("paired_at", "Paired", "Подключено", |d| d.paired_at.into()),
        Column::wide("seen_at", "Seen", "На связи", |d| d.seen_at.into()),
        Column::alone("notifications", "Notifications", "Уведомления", |d| {
            d.notifications.map_or(Value::Nothing, Into::into)
        }),
    ];
}

impl Record for SilentPhone {
    const COLUMNS: &'static [Column<Self>] = &[
        Column::new("personnel_no", "No.", "Таб. №", |p| (&p.personnel_no).into()),
        Column::new("employee", "Employee", "Сотрудник", |p| (&p.employee).into()),
        Column::new("phone", "Phone", "Телефон", |p| p.phone.as_deref().into()),
        Column::wide("device_id", "Id", "Id", |p| p.device_id.map_or(Value::Nothing, Into::into)),
        Column::new("name", "Device", "Устройство", |p| p.name.as_deref().into()),
        Column::wide("channel", "Channel", "Канал", |p| p.channel.as_deref().into()),
        Column::new("seen_at", "Seen", "На связи", |p| p.seen_at.into()),
        Column::new("why", "Why", "Почему", |p| silence(&p.why)),
    ];
}

fn silence(why: &[Silence]) -> Value {
    let words = why.iter().map(|why| match why {
        Silence::NoDevice => ("no_device", "no device", "нет устройства"),
        Silence::Quarantined => ("quarantined", "quarantined", "в карантине"),
        Silence::NotificationsOff => ("notifications_off", "notifications off", "уведомления выключены"),
        Silence::NoContact => ("no_contact", "no contact", "давно не на связи"),
    });
    let words: Vec<_> = words.collect();
    let joined = |word: fn(&(&'static str, &'static str, &'static str)) -> &'static str, between| {
        words.iter().map(word).collect::<Vec<_>>().join(between)
    };
    named(&joined(|word| word.0, "|"), &joined(|word| word.1, ", "), &joined(|word| word.2, ", "))
}

fn state(code: &str) -> Value {
    match code {
        "active" => named(code, "active", "работает"),
        "quarantined" => named(code, "quarantined", "в карантине"),
        "retired" => named(code, "retired", "отключено"),
        other => other.into(),
    }
}

impl Record for Invite {
    const COLUMNS: &'static [Column<Self>] = &[
        Column::new("code", "Code", "Код", |i| (&i.code).into()),
        Column::new("personnel_no", "For", "Кому", |i| (&i.personnel_no).into()),
        Column::new("expires_at", "Until", "До", |i| i.expires_at.into()),
        Column::new("uri", "Link", "Ссылка", |i| (&i.uri).into()),
    ];
}
