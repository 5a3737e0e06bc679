//! The layout of messages, deliveries and their stories.

use anstyle::AnsiColor;
use simo_common::{
    api::{
        history::{Delivery, Explanation, Push, StoryLine},
        message::{Canceled, Message},
    },
    delivery::DeliveryState as State,
    message::{Data, Part},
    page::Page,
};
use uuid::Uuid;

use crate::{
    failure::Failure,
    output::{
        Column, Record, Value,
        value::{local, named, reason},
        write_text,
    },
    session::Session,
    terminal::{harmless, one_line},
};

/// Runs `simoctl message show`.
pub(super) async fn message(session: &Session, id: Uuid) -> Result<(), Failure> {
    let message = session.client()?.message(id).await?;
    session.out.record(&message)?;
    Ok(())
}

/// Runs `simoctl message explain`.
pub(super) async fn explanation(session: &Session, id: Uuid, employee: &str) -> Result<(), Failure> {
    let told = session.client()?.explain(id, employee).await?;
    let out = &session.out;
    if !out.is_for_people() {
        if out.is_json() {
            out.json(&told)?;
        } else {
            out.list(&told.story.iter().map(Line::from).collect::<Vec<_>>())?;
        }
        return Ok(());
    }
    write_text(&heading(session, &told))?;
    for line in &told.story {
        let at = line.at.map_or_else(String::new, |at| local(at, out.zone()));
        write_text(&format!("{at:19}  {}", harmless(&line.text)))?;
    }
    if !told.pushes.is_empty() {
        write_text(session.say("\nPushes\n", "\nОтправки\n"))?;
        out.list(&told.pushes)?;
    }
    Ok(())
}

/// A scheduled message, as a table row.
#[derive(serde::Serialize)]
#[serde(transparent)]
pub(super) struct Scheduled(Message);

impl Scheduled {
    pub(super) fn key(&self) -> String {
        self.0.id.to_string()
    }
}

/// A page of scheduled messages.
pub(super) fn scheduled(page: Page<Message>) -> Page<Scheduled> {
    Page { items: page.items.into_iter().map(Scheduled).collect(), next: page.next }
}

impl Record for Scheduled {
    const COLUMNS: &'static [Column<Self>] = &[
        Column::new("send_at", "To be sent", "Отправить", |m| m.0.send_at.into()),
        Column::new("title", "Title", "Заголовок", |m| (&m.0.title).into()),
        Column::new("topic", "Topic", "Тема", |m| m.0.topic.as_deref().into()),
        Column::new("priority", "Priority", "Приоритет", |m| m.0.priority.into()),
        Column::new("acs", "ACS", "АСУ", |m| (&m.0.acs).into()),
        Column::wide("expires_at", "Expires", "Истекает", |m| m.0.expires_at.into()),
        Column::wide("accepted_at", "Accepted", "Принято", |m| m.0.accepted_at.into()),
        Column::wide("external_id", "External id", "Внешний номер", |m| {
            m.0.external_id.as_deref().into()
        }),
        Column::new("id", "Message", "Сообщение", |m| m.0.id.into()),
    ];
}

fn heading(session: &Session, told: &Explanation) -> String {
    let (title, no) = (one_line(&told.title), &told.personnel_no);
    let employee = one_line(&told.employee);
    let state = told.delivery.as_ref().map_or_else(
        || session.say("no delivery", "доставки нет").to_owned(),
        |delivery| session.out.painted(&delivery.state.into()),
    );
    session.say(
        format!("“{title}” to {no} {employee}: {state}\n\n"),
        format!("«{title}» для {no} {employee}: {state}\n\n"),
    )
}

/// A sentence of a story, as a table row.
#[derive(serde::Serialize)]
struct Line {
    at: Option<jiff::Timestamp>,
    text: String,
}

impl From<&StoryLine> for Line {
    fn from(line: &StoryLine) -> Self {
        Self { at: line.at, text: line.text.clone() }
    }
}

impl Record for Line {
    const COLUMNS: &'static [Column<Self>] = &[
        Column::new("at", "When", "Когда", |l| l.at.into()),
        Column::new("text", "What", "Что", |l| (&l.text).into()),
    ];
}

/// The state, including whether a delivery waits for a device.
fn state(delivery: &Delivery) -> Value {
    if !delivery.waits_for_device() {
        return delivery.state.into();
    }
    let words = ("queued, no device".to_owned(), "в очереди, нет устройства".to_owned());
    Value::Code(delivery.state.as_str().to_owned(), words, Some(AnsiColor::Yellow))
}

impl Record for Delivery {
    const COLUMNS: &'static [Column<Self>] = &[
        Column::new("accepted_at", "Accepted", "Принято", |d| d.accepted_at.into()),
        Column::new("personnel_no", "No.", "Таб. №", |d| (&d.personnel_no).into()),
        Column::new("employee", "Employee", "Сотрудник", |d| (&d.employee).into()),
        Column::wide("acs", "ACS", "АСУ", |d| (&d.acs).into()),
        Column::wide("topic", "Topic", "Тема", |d| d.topic.as_deref().into()),
        Column::new("title", "Title", "Заголовок", |d| (&d.title).into()),
        Column::alone("priority", "Priority", "Приоритет", |d| d.priority.into()),
        Column::new("state", "State", "Состояние", state),
        Column::wide("reason", "Why", "Почему", |d| reason(d.reason.as_deref())),
        Column::alone("require_ack", "Must acknowledge", "Нужно подтвердить", |d| {
            d.require_ack.into()
        }),
        Column::alone("sent_at", "Sent", "Отправлено", |d| d.sent_at.into()),
        Column::alone("delivered_at", "Delivered", "Доставлено", |d| d.delivered_at.into()),
        Column::alone("read_at", "Read", "Прочитано", |d| d.read_at.into()),
        Column::alone("acknowledged_at", "Acknowledged", "Подтверждено", |d| {
            d.acknowledged_at.into()
        }),
        Column::wide("message_id", "Message", "Сообщение", |d| d.message_id.into()),
        Column::alone("client", "Client", "Клиент", |d| (&d.client).into()),
    ];
}

impl Record for Message {
    const COLUMNS: &'static [Column<Self>] = &[
        Column::new("id", "Message", "Сообщение", |m| m.id.into()),
        Column::new("title", "Title", "Заголовок", |m| (&m.title).into()),
        Column::new("body", "Text", "Текст", |m| match m.body.as_str() {
            "" => Value::Nothing,
            text => text.into(),
        }),
        Column::new("client", "Client", "Клиент", |m| (&m.client).into()),
        Column::new("acs", "ACS", "АСУ", |m| (&m.acs).into()),
        Column::new("topic", "Topic", "Тема", |m| m.topic.as_deref().into()),
        Column::new("priority", "Priority", "Приоритет", |m| m.priority.into()),
        Column::new("recipients", "To", "Кому", recipients),
        Column::new("data", "Data", "Данные", |m| m.data.as_ref().map(Data::as_str).into()),
        Column::new("fitted", "Did not fit", "Не поместилось", |m| parts(&m.fitted)),
        Column::new("require_ack", "Must acknowledge", "Нужно подтвердить", |m| {
            m.require_ack.into()
        }),
        Column::new("external_id", "External id", "Внешний номер", |m| {
            m.external_id.as_deref().into()
        }),
        Column::new("accepted_at", "Accepted", "Принято", |m| m.accepted_at.into()),
        Column::new("send_at", "Send at", "Отправить", |m| m.send_at.into()),
        Column::new("expires_at", "Expires", "Истекает", |m| m.expires_at.into()),
        Column::new("canceled_at", "Canceled", "Отменено", |m| m.canceled_at.into()),
        Column::new("cancel_reason", "Canceled because", "Причина отмены", |m| {
            reason(m.cancel_reason.as_deref())
        }),
        Column::new("scheduled", "Scheduled", "Отложено", |m| m.scheduled.into()),
        Column::new("accepted", "Recipients", "Получателей", |m| m.counts.accepted.into()),
        Column::new("without_device", "Without a device", "Без устройства", |m| {
            m.counts.without_device.into()
        }),
        Column::new("denied", "Denied", "Без доступа", |m| m.counts.denied.into()),
        Column::new("states", "Deliveries", "Доставки", states),
    ];
}

/// The parts that were cut to their limits.
pub(super) fn parts(parts: &[Part]) -> Value {
    match parts {
        [] => Value::Nothing,
        parts => Value::List(parts.iter().map(|part| part.as_str().to_owned()).collect()),
    }
}

fn recipients(message: &Message) -> Value {
    let Some(to) = &message.recipients else {
        return named("topic", "all who hold a grant", "всем, у кого есть доступ");
    };
    let groups = to.groups.iter().map(|slug| format!("group:{slug}"));
    let everyone = to.everyone.then(|| "everyone".to_owned());
    Value::List(to.employees.iter().cloned().chain(groups).chain(everyone).collect())
}

fn states(message: &Message) -> Value {
    let told = |name: fn(State) -> &'static str, sign: &str| {
        let counts = message.states.iter().map(|s| format!("{}{sign}{}", name(s.state), s.count));
        counts.collect::<Vec<_>>()
    };
    Value::Code(
        told(State::as_str, "=").join("|"),
        (told(State::as_str, ": ").join(", "), told(State::as_russian, ": ").join(", ")),
        None,
    )
}

impl Record for Canceled {
    const COLUMNS: &'static [Column<Self>] = &[
        Column::new("canceled", "Stopped", "Остановлено", |c| c.canceled.into()),
        Column::new("too_late", "Too late", "Поздно", |c| c.too_late.into()),
        Column::new("scheduled", "Before its time", "До срока", |c| c.scheduled.into()),
    ];
}

impl Record for Push {
    const COLUMNS: &'static [Column<Self>] = &[
        Column::new("device", "Device", "Устройство", |p| (&p.device).into()),
        Column::new("channel", "Channel", "Канал", |p| (&p.channel).into()),
        Column::new("state", "State", "Состояние", |p| push_state(&p.state)),
        Column::new("tries", "Tries", "Попыток", |p| p.tries.into()),
        Column::wide("due_at", "Next try", "Следующая попытка", |p| p.due_at.into()),
        Column::new("last_tried_at", "Last try", "Последняя попытка", |p| {
            p.last_tried_at.into()
        }),
        Column::new("last_answer", "Answer", "Ответ", |p| p.last_answer.as_deref().into()),
        Column::new("reason", "Why", "Почему", |p| reason(p.reason.as_deref())),
        Column::wide("sent_at", "Sent", "Отправлено", |p| p.sent_at.into()),
        Column::wide("done_at", "Done", "Завершено", |p| p.done_at.into()),
        Column::wide("device_id", "Device id", "Id устройства", |p| p.device_id.into()),
    ];
}

fn push_state(code: &str) -> Value {
    let russian = match code {
        "waiting" => "ждёт",
        "accepted" => "принято провайдером",
        "failed" => "не удалось",
        "expired" => "истекло",
        "canceled" => "отменено",
        "received" => "получено",
        other => other,
    };
    named(code, code, russian)
}
