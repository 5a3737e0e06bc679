//! `simoctl operator`: people who administer.

use clap::{Subcommand, ValueEnum};
use simo_common::{
    api::{
        access::{NewOperator, Operator},
        login::{LoginCode, MOST_CODE_DAYS, NewLoginCode, Session as LoggedIn},
    },
    client::ListQuery,
    people::Role,
};
use uuid::Uuid;

use super::{
    ListArgs,
    public_address::{others_reach, warn_of_url},
};
use crate::{
    failure::Failure,
    output::{Column, Record, Value, value::local, write_text},
    session::Session,
};

const DAY_SECONDS: i64 = 24 * 3_600;

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Add an operator; prints a one-time code to log in with
    Add {
        /// Their short name, unique over all clients
        name: String,
        /// What they may do
        #[arg(long, default_value = "admin")]
        role: RoleName,
        /// How long the code works: 2h, 7d; 24 hours unless given
        #[arg(long, value_name = "TIME", value_parser = super::message::seconds)]
        valid_for: Option<i64>,
    },
    /// Make another one-time code for an operator; the one before works no more
    Code {
        /// Their short name
        name: String,
        /// How long the code works: 2h, 7d; 24 hours unless given
        #[arg(long, value_name = "TIME", value_parser = super::message::seconds)]
        valid_for: Option<i64>,
    },
    /// List where an operator is logged in
    Sessions {
        /// Their short name; you, unless given
        name: Option<String>,
        /// At most so many rows
        #[arg(long, value_name = "N", value_parser = super::rows)]
        limit: Option<u64>,
        /// With those that have ended
        #[arg(long)]
        archived: bool,
    },
    /// End an operator's sessions: their machines are locked out at once
    Logout {
        /// Their short name
        name: String,
        /// Only this session, see `simoctl operator sessions`
        #[arg(value_parser = super::id)]
        id: Option<Uuid>,
    },
    /// List operators
    List(ListArgs),
    /// Show an operator
    Show {
        /// Their short name
        name: String,
    },
    /// Give an operator another role
    Edit {
        /// Their short name
        name: String,
        /// What they may do from now on
        #[arg(long)]
        role: RoleName,
    },
    /// Archive an operator: their tokens stop working at once
    Remove {
        /// Their short name
        name: String,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum RoleName {
    Viewer,
    Admin,
    Owner,
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Viewer => Self::Viewer,
            RoleName::Admin => Self::Admin,
            RoleName::Owner => Self::Owner,
        }
    }
}

pub(crate) async fn run(session: &Session, verb: Verb) -> Result<(), Failure> {
    let api = session.client()?;
    match verb {
        Verb::Add { name, role, valid_for } => {
            let role = role.into();
            code_lives(session, valid_for)?;
            api.add_operator(&NewOperator { name: name.clone(), role }).await?;
            session
                .done(&session.say(format!("Operator {name} added."), format!("Оператор {name} добавлен.")));
            show_code(session, &api.login_code(&name, &NewLoginCode { valid_for }).await?)
        }
        Verb::Code { name, valid_for } => {
            show_code(session, &api.login_code(&name, &NewLoginCode { valid_for }).await?)
        }
        Verb::Sessions { name, limit, archived } => {
            let query = ListQuery { archived, ..ListQuery::default() };
            let key = |logged_in: &LoggedIn| logged_in.id.to_string();
            let fetch = async |query: &_| match &name {
                Some(name) => api.sessions_of(name, query).await,
                None => api.sessions(query).await,
            };
            session.list(query, limit, key, fetch).await
        }
        Verb::Logout { name, id } => log_out(session, &name, id).await,
        Verb::List(list) => {
            let key = |operator: &Operator| operator.name.clone();
            let fetch = async |query: &_| api.operators(query).await;
            session.list(list.query(), list.limit, key, fetch).await
        }
        Verb::Show { name } => Ok(session.out.record(&api.operator(&name).await?)?),
        Verb::Edit { name, role } => {
            let new = NewOperator { name: name.clone(), role: role.into() };
            if warn_of_self(session, |own| own == name).await? {
                session.confirm(session.say("Give yourself another role?", "Дать себе другую роль?"))?;
            }
            let operator = api.edit_operator(&name, &new).await?;
            let text = session.say(format!("Operator {name} changed."), format!("Оператор {name} изменён."));
            session.made(&operator, &text)
        }
        Verb::Remove { name } => {
            warn_of_self(session, |own| own == name).await?;
            session.confirm(&session.say(
                format!("Archive operator {name}? Their tokens stop working at once."),
                format!("Отправить в архив оператора {name}? Его токены сразу перестанут работать."),
            ))?;
            api.remove_operator(&name).await?;
            session.done(
                &session
                    .say(format!("Operator {name} archived."), format!("Оператор {name} отправлен в архив.")),
            );
            Ok(())
        }
    }
}

/// Warns callers who are about to remove their own rights.
pub(super) async fn warn_of_self(
    session: &Session,
    is_meant: impl FnOnce(&str) -> bool,
) -> Result<bool, Failure> {
    let me = session.client()?.whoami().await?;
    let is_self = me.kind == "operator" && is_meant(&me.name);
    if is_self {
        let name = me.name;
        session.talk(
            &session.say(
                format!("This is you: {name} loses rights."),
                format!("Это вы сами: {name} теряет права."),
            ),
        );
    }
    Ok(is_self)
}

/// Checked before adding an operator, who would be left without a code.
fn code_lives(session: &Session, valid_for: Option<i64>) -> Result<(), Failure> {
    if valid_for.is_none_or(|seconds| seconds <= MOST_CODE_DAYS * DAY_SECONDS) {
        return Ok(());
    }
    Err(Failure::usage(session.say(
        format!("A code works {MOST_CODE_DAYS} days at most: see --valid-for."),
        format!("Код работает не дольше {MOST_CODE_DAYS} суток: см. --valid-for."),
    )))
}

async fn log_out(session: &Session, name: &str, id: Option<Uuid>) -> Result<(), Failure> {
    let api = session.client()?;
    if let Some(id) = id {
        api.end_session_of(name, id).await?;
        session.done(
            &session.say(format!("Session of {name} ended."), format!("Сеанс оператора {name} завершён.")),
        );
        return Ok(());
    }
    session.confirm(&session.say(
        format!("End all sessions of {name}? Their machines are locked out at once."),
        format!("Завершить все сеансы оператора {name}? Его машины сразу потеряют доступ."),
    ))?;
    let ended = api.end_sessions_of(name).await?.sessions;
    session.done(&session.say(
        format!("Sessions of {name} that were ended: {ended}."),
        format!("Завершено сеансов оператора {name}: {ended}."),
    ));
    Ok(())
}

/// Prints a code, and the command that the operator needs.
pub(super) fn show_code(session: &Session, made: &LoginCode) -> Result<(), Failure> {
    if session.out.is_structured() {
        session.out.record(made)?;
    } else {
        write_text(&made.code)?;
    }
    hand_over(session, made)
}

/// Explains what to give the operator along with the code.
pub(super) fn hand_over(session: &Session, made: &LoginCode) -> Result<(), Failure> {
    let LoginCode { operator, code, server, .. } = made;
    let until = local(made.expires_at, session.out.zone());
    session.talk(&session.say(
        format!("Hand this over to {operator}; it works once, until {until}:"),
        format!("Передайте это оператору {operator}; код работает один раз, до {until}:"),
    ));
    let server = others_reach(session.connection()?, server);
    session.talk(&format!("  simoctl login {server} --code {code}"));
    warn_of_url(session, &server);
    Ok(())
}

impl Record for LoginCode {
    const COLUMNS: &'static [Column<Self>] = &[
        Column::new("operator", "Operator", "Оператор", |c| (&c.operator).into()),
        Column::new("code", "Code", "Код", |c| (&c.code).into()),
        Column::wide("server", "Server", "Сервер", |c| (&c.server).into()),
        Column::new("expires_at", "Works until", "Работает до", |c| c.expires_at.into()),
    ];
}

impl Record for LoggedIn {
    const COLUMNS: &'static [Column<Self>] = &[
        Column::new("id", "Id", "Id", |s| s.id.into()),
        Column::new("operator", "Operator", "Оператор", |s| (&s.operator).into()),
        Column::new("name", "Machine", "Машина", |s| (&s.name).into()),
        Column::wide("shown", "Token", "Токен", |s| (&s.shown).into()),
        Column::new("current", "This one", "Этот", |s| s.current.into()),
        Column::new("created_at", "Since", "С", |s| s.created_at.into()),
        Column::new("expires_at", "Until", "До", |s| s.expires_at.into()),
        Column::new("used_at", "Last used", "Последнее использование", |s| {
            s.used_at.into()
        }),
        Column::wide("used_from", "From", "Откуда", |s| {
            s.used_from.as_deref().map_or(Value::Nothing, Into::into)
        }),
        Column::new("revoked_at", "Ended", "Завершён", |s| s.revoked_at.into()),
    ];
}

impl Record for Operator {
    const COLUMNS: &'static [Column<Self>] = &[
        Column::new("name", "Operator", "Оператор", |o| (&o.name).into()),
        Column::new("client", "Client", "Клиент", |o| o.client.as_deref().into()),
        Column::new("role", "Role", "Роль", |o| o.role.into()),
        Column::new("created_at", "Created", "Создан", |o| o.created_at.into()),
        Column::new("archived_at", "Archived", "В архиве с", |o| o.archived_at.into()),
    ];
}
