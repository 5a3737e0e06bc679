//! `simoctl message send`: all fields of a message. Before it goes to many people, they are counted.

use std::{fmt::Write as _, path::Path};

use clap::Args;
use simo_common::{
    api::message::{Message, PostMessage, PostedMessage, Recipients},
    message::Data,
};

use crate::{
    commands::{is_stdio, only_one_input, priority::PriorityName, read_text, unreadable},
    failure::Failure,
    output::{Column, Record, value::local, write_text},
    session::Session,
};

/// More recipients than this need confirmation.
const MANY: u64 = 100;

pub(super) const EXAMPLES: &str = "\
Examples:
  simoctl message send --topic boiler --title 'Котёл №2' --body 'Давление выше нормы' -p high
  simoctl message send --employee 100001 --title 'Зайдите в отдел кадров'
  simoctl message send --group smena-a --title 'Сбор в 9:00' --send-at 2026-11-22T08:00 --require-ack
  journalctl -n 20 | simoctl message send --topic it --title 'Сбой службы' --body -
  simoctl message send --everyone --title 'Учебная тревога' --dry-run";

#[derive(Debug, Args)]
#[allow(
    clippy::struct_excessive_bools,
    clippy::struct_field_names,
    reason = "each is a flag, named as the API's field"
)]
pub(crate) struct Send {
    /// What the phone shows first
    #[arg(short, long)]
    title: String,
    /// The text; - reads it from standard input
    #[arg(short, long, default_value = "", hide_default_value = true)]
    body: String,
    /// The topic; without one it is a personal message, which needs recipients
    #[arg(long, value_name = "SLUG")]
    topic: Option<String>,
    /// How urgent it is; as the topic says, or else normal, unless said otherwise
    #[arg(short, long)]
    priority: Option<PriorityName>,
    /// To the employee with this personnel number; may be given several times, or with commas
    #[arg(long = "employee", value_name = "NO", value_delimiter = ',')]
    employees: Vec<String>,
    /// To this group; may be given several times, or with commas
    #[arg(long = "group", value_name = "SLUG", value_delimiter = ',')]
    groups: Vec<String>,
    /// To everyone of the client
    #[arg(long)]
    everyone: bool,
    /// A JSON object for the app; @FILE reads it from a file, @- from standard input
    #[arg(long, value_name = "JSON")]
    data: Option<String>,
    /// When to send it: 2026-11-22T08:00; without an offset in the client's time zone
    #[arg(long, value_name = "TIME")]
    send_at: Option<String>,
    /// When to give up
    #[arg(long, value_name = "TIME", conflicts_with = "ttl")]
    expires_at: Option<String>,
    /// How long to try: 90s, 30m, 72h, 7d
    #[arg(long, value_name = "TIME", value_parser = super::seconds)]
    ttl: Option<i64>,
    /// The person must acknowledge it
    #[arg(long)]
    require_ack: bool,
    /// Your own id of it; the same one never makes a second message
    #[arg(long, value_name = "ID")]
    external_id: Option<String>,
    /// Accept it even when nobody may receive it
    #[arg(long)]
    allow_empty: bool,
    /// Only show who would receive it
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(session: &Session, args: Send) -> Result<(), Failure> {
    let api = session.client()?;
    let dry_run = args.dry_run;
    let message = message(session, args)?;
    if dry_run {
        let posted = api.post_message(&message, true).await?;
        return tell(session, &posted, true);
    }
    if !session.agreed() {
        let count = api.post_message(&message, true).await?.recipients.accepted;
        if count > MANY {
            let title = &message.title;
            session.confirm(&session.say(
                format!("Send “{title}” to {count} people?"),
                format!("Отправить «{title}» (получателей: {count})?"),
            ))?;
        }
    }
    let posted = api.post_message(&message, false).await?;
    tell(session, &posted, false)?;
    if message.send_at.is_some() {
        tell_when(session, &api.message(posted.id).await?);
    }
    Ok(())
}

/// Says when it is sent: the time had no offset, or may have passed.
fn tell_when(session: &Session, message: &Message) {
    let at = message.send_at.filter(|_| message.scheduled);
    session.done(&match at.map(|at| local(at, session.out.zone())) {
        Some(at) => session.say(format!("It is sent at {at}."), format!("Будет отправлено {at}.")),
        None if message.canceled_at.is_some() => {
            session.say("It is canceled.".to_owned(), "Оно отменено.".to_owned())
        }
        None => session.say(
            "The time has passed: it is sent at once.".to_owned(),
            "Это время уже прошло: отправляется сразу.".to_owned(),
        ),
    });
}

fn message(session: &Session, args: Send) -> Result<PostMessage, Failure> {
    let recipients = Recipients { employees: args.employees, groups: args.groups, everyone: args.everyone };
    if args.topic.is_none() && recipients.is_empty() {
        return Err(Failure::usage(session.say(
            "To whom? A message needs a topic, recipients, or both.",
            "Кому? Сообщению нужна тема, получатели или то и другое.",
        ))
        .hint("--topic, --employee, --group, --everyone"));
    }
    let body_path = Path::new(&args.body);
    if is_stdio(body_path) && args.data.as_deref() == Some("@-") {
        return Err(only_one_input(session, "--body", "--data"));
    }
    let body = if is_stdio(body_path) {
        let text = read_text(body_path).map_err(|cause| unreadable(session, body_path, cause))?;
        text.trim_end().to_owned()
    } else {
        args.body
    };
    Ok(PostMessage {
        title: args.title,
        body,
        topic: args.topic,
        priority: args.priority.map(Into::into),
        recipients: (!recipients.is_empty()).then_some(recipients),
        data: args.data.map(|text| data(session, &text)).transpose()?,
        send_at: args.send_at,
        expires_at: args.expires_at,
        ttl: args.ttl,
        require_ack: args.require_ack,
        external_id: args.external_id,
        allow_empty: args.allow_empty,
    })
}

fn data(session: &Session, given: &str) -> Result<Data, Failure> {
    let text = match given.strip_prefix('@') {
        None => given.to_owned(),
        Some(path) => read_text(path.as_ref()).map_err(|cause| unreadable(session, path.as_ref(), cause))?,
    };
    text.parse().map_err(|cause: serde_json::Error| {
        Failure::usage(session.say(
            format!("--data is not a JSON object: {cause}."),
            format!("--data не объект JSON: {cause}."),
        ))
        .hint("--data '{\"order\": 17}'")
    })
}

fn tell(session: &Session, posted: &PostedMessage, dry_run: bool) -> Result<(), Failure> {
    if session.out.is_structured() {
        session.out.record(posted)?;
    } else if !dry_run {
        write_text(&posted.id.to_string())?;
    }
    let counts = &posted.recipients;
    let accepted = counts.accepted;
    let mut text = match (dry_run, posted.duplicate) {
        (true, _) => session.say(
            format!("A rehearsal, nothing was sent. Recipients: {accepted}"),
            format!("Проверка, ничего не отправлено. Получателей: {accepted}"),
        ),
        (_, true) => session.say(
            format!("It had been accepted before. Recipients: {accepted}"),
            format!("Оно уже было принято раньше. Получателей: {accepted}"),
        ),
        _ => session
            .say(format!("Accepted. Recipients: {accepted}"), format!("Принято. Получателей: {accepted}")),
    };
    let parts = [
        (counts.without_device, session.say("of them without a device", "из них без устройства")),
        (counts.denied, session.say("denied", "без доступа")),
    ];
    for (count, words) in parts.iter().filter(|(count, _)| *count > 0) {
        let _ = write!(text, "; {words}: {count}");
    }
    if !counts.unknown.is_empty() {
        let unknown = counts.unknown.join(", ");
        text.push_str(&session.say(format!("; unknown: {unknown}"), format!("; неизвестны: {unknown}")));
    }
    session.done(&text);
    Ok(())
}

impl Record for PostedMessage {
    const COLUMNS: &'static [Column<Self>] = &[
        Column::new("id", "Id", "Id", |m| m.id.into()),
        Column::new("duplicate", "Repeated", "Повтор", |m| m.duplicate.into()),
        Column::new("accepted", "Recipients", "Получателей", |m| m.recipients.accepted.into()),
        Column::new("without_device", "Without a device", "Без устройства", |m| {
            m.recipients.without_device.into()
        }),
        Column::new("denied", "Denied", "Без доступа", |m| m.recipients.denied.into()),
        Column::new("unknown", "Unknown", "Неизвестны", |m| (&m.recipients.unknown).into()),
        Column::new("fitted", "Did not fit", "Не поместилось", |m| {
            super::view::parts(&m.fitted)
        }),
    ];
}
