//! `simoctl client`: legal entities.

use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use simo_common::api::access::{Client, ClientSpec, MadeClient, Payload, WebPush};

use super::{ListArgs, operator::hand_over};
use crate::{
    failure::Failure,
    output::{Column, Record, value::named, write_text},
    session::Session,
};

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Add a client
    Add {
        /// Its short name: a–z 0–9 - _ .; cannot be changed later
        slug: String,
        /// Make its first admin, too, and print the one-time code to log in with
        #[arg(long, value_name = "NAME")]
        admin: Option<String>,
        /// Bring it back from the archive: with its history, people and topics, without operators, tokens and phones
        #[arg(long)]
        restore: bool,
        #[command(flatten)]
        settings: Settings,
    },
    /// List clients
    List(ListArgs),
    /// Show a client
    Show {
        /// Its short name
        slug: String,
    },
    /// Change a client
    #[command(group = ArgGroup::new("changes").required(true).multiple(true)
        .args(["name", "timezone", "payload", "notification", "webpush", "default_ttl", "retention_days"]))]
    Edit {
        /// Its short name
        slug: String,
        #[command(flatten)]
        settings: Settings,
    },
    /// Archive a client: its operators, tokens and phones stop working for good, its history stays
    Remove {
        /// Its short name
        slug: String,
    },
}

/// What a client may be told.
#[derive(Debug, Args)]
pub(crate) struct Settings {
    /// Its name for people
    #[arg(long)]
    name: Option<String>,
    /// IANA time zone of times that its ACS write without an offset
    #[arg(long, value_name = "ZONE")]
    timezone: Option<String>,
    /// What FCM is given of its messages: full, or doorbell (only the id)
    #[arg(long)]
    payload: Option<PayloadName>,
    /// Whether pushes by FCM carry a provider-side notification
    #[arg(long, value_name = "BOOL")]
    notification: Option<bool>,
    /// What travels by Web Push, encrypted for the phone alone: text, or doorbell (only that there is a message)
    #[arg(long)]
    webpush: Option<WebPushName>,
    /// Time until its messages expire when they say nothing: 90s, 30m, 72h, 7d
    #[arg(long, value_name = "TIME", value_parser = super::message::seconds)]
    default_ttl: Option<i64>,
    /// Days that history is kept; 0: for ever
    #[arg(long, value_name = "DAYS")]
    retention_days: Option<i64>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum PayloadName {
    Full,
    Doorbell,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum WebPushName {
    Text,
    Doorbell,
}

impl Settings {
    fn spec(self, slug: Option<String>, admin: Option<String>) -> ClientSpec {
        ClientSpec {
            slug,
            admin,
            restore: false,
            name: self.name,
            timezone: self.timezone,
            payload: self.payload.map(|payload| match payload {
                PayloadName::Full => Payload::Full,
                PayloadName::Doorbell => Payload::Doorbell,
            }),
            notification: self.notification,
            webpush: self.webpush.map(|webpush| match webpush {
                WebPushName::Text => WebPush::Text,
                WebPushName::Doorbell => WebPush::Doorbell,
            }),
            default_ttl: self.default_ttl,
            retention_days: self.retention_days,
        }
    }
}

pub(crate) async fn run(session: &Session, verb: Verb) -> Result<(), Failure> {
    let api = session.client()?;
    match verb {
        Verb::Add { slug, admin, restore, settings } => {
            let spec = ClientSpec { restore, ..settings.spec(Some(slug), admin) };
            let made = api.add_client(&spec).await?;
            let client = &made.client;
            let slug = &client.slug;
            if let Some(login) = &made.login {
                let admin = &login.operator;
                session.done(&if restore {
                    session.say(
                        format!("Client {slug} is back, and its admin {admin}."),
                        format!("Клиент {slug} возвращён, его администратор — {admin}."),
                    )
                } else {
                    session.say(
                        format!("Client {slug} added, and its admin {admin}."),
                        format!("Добавлены клиент {slug} и его администратор {admin}."),
                    )
                });
                if session.out.is_structured() {
                    session.out.record(&made)?;
                } else {
                    write_text(&login.code)?;
                }
                return hand_over(session, login);
            }
            let text = if restore {
                session.say(
                    format!(
                        "Client {slug} is back, without operators, tokens and phones. Next: simoctl --client {slug} operator add \
                         NAME --role admin, token issue, device invite"
                    ),
                    format!(
                        "Клиент {slug} возвращён, без операторов, токенов и телефонов. Дальше: simoctl --client {slug} operator \
                         add ИМЯ --role admin, token issue, device invite"
                    ),
                )
            } else {
                session.say(
                    format!("Client {slug} added. Next: simoctl --client {slug} token issue --acs NAME"),
                    format!("Клиент {slug} добавлен. Дальше: simoctl --client {slug} token issue --acs ИМЯ"),
                )
            };
            session.made(client, &text)
        }
        Verb::List(list) => {
            let key = |client: &Client| client.slug.clone();
            let fetch = async |query: &_| api.clients(query).await;
            session.list(list.query(), list.limit, key, fetch).await
        }
        Verb::Show { slug } => Ok(session.out.record(&api.client(&slug).await?)?),
        Verb::Edit { slug, settings } => {
            let client = api.edit_client(&slug, &settings.spec(None, None)).await?;
            let text = session.say(format!("Client {slug} changed."), format!("Клиент {slug} изменён."));
            session.made(&client, &text)
        }
        Verb::Remove { slug } => {
            let client = api.client(&slug).await?;
            let name = &client.name;
            session.confirm(&session.say(
                format!("Archive client {slug} ({name})? Its ACS, operators and phones are locked out at once, for good."),
                format!(
                    "Отправить в архив клиента {slug} ({name})? Его АСУ, операторы и телефоны сразу потеряют доступ, навсегда."
                ),
            ))?;
            api.remove_client(&slug).await?;
            session.done(
                &session.say(format!("Client {slug} archived."), format!("Клиент {slug} отправлен в архив.")),
            );
            Ok(())
        }
    }
}

impl Record for MadeClient {
    const COLUMNS: &'static [Column<Self>] = &[
        Column::new("slug", "Client", "Клиент", |c| (&c.client.slug).into()),
        Column::new("name", "Name", "Название", |c| (&c.client.name).into()),
        Column::new("admin", "Admin", "Администратор", |c| {
            c.login.as_ref().map(|login| &*login.operator).into()
        }),
        Column::new("code", "Code", "Код", |c| c.login.as_ref().map(|login| &*login.code).into()),
        Column::new("expires_at", "Works until", "Работает до", |c| {
            c.login.as_ref().map(|login| login.expires_at).into()
        }),
    ];
}

impl Record for Client {
    const COLUMNS: &'static [Column<Self>] = &[
        Column::new("slug", "Client", "Клиент", |c| (&c.slug).into()),
        Column::new("name", "Name", "Название", |c| (&c.name).into()),
        Column::new("timezone", "Time zone", "Часовой пояс", |c| (&c.timezone).into()),
        Column::wide("payload", "Payload", "Содержимое", |c| match c.payload {
            Payload::Full => named("full", "full", "полностью"),
            Payload::Doorbell => named("doorbell", "doorbell", "только номер"),
        }),
        Column::alone("notification", "Notification", "Уведомление", |c| c.notification.into()),
        Column::alone("webpush", "Web Push", "Web Push", |c| match c.webpush {
            WebPush::Text => named("text", "text", "текст"),
            WebPush::Doorbell => named("doorbell", "doorbell", "только сигнал"),
        }),
        Column::wide("default_ttl", "TTL, seconds", "Срок, секунд", |c| c.default_ttl.into()),
        Column::wide("retention_days", "Kept, days", "Хранится, дней", |c| {
            c.retention_days.into()
        }),
        Column::new("created_at", "Created", "Создан", |c| c.created_at.into()),
        Column::new("archived_at", "Archived", "В архиве с", |c| c.archived_at.into()),
    ];
}
