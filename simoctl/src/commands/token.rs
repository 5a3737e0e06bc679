//! `simoctl token`: codes with which ACS and operators get in. A secret is shown once, on stdout and alone, so that
//! a script can catch it.

use clap::{Args, Subcommand};
use simo_common::api::access::{IssuedToken, NewToken, Token};
use uuid::Uuid;

use super::ListArgs;
use crate::{
    failure::Failure,
    output::{Column, Record, value::local, write_text},
    russian::Help,
    session::Session,
};

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Issue a token; it is shown this once
    #[command(after_help = ISSUE_EXAMPLES)]
    Issue(Issue),
    /// List tokens
    List(ListArgs),
    /// Show a token, without its secret
    Show {
        /// Its id
        id: Uuid,
    },
    /// Issue a successor and revoke the token
    Rotate {
        /// Its id
        id: Uuid,
    },
    /// Revoke a token: it is out at once
    Revoke {
        /// Its id
        id: Uuid,
    },
}

const ISSUE_EXAMPLES: &str = "\
Examples:
  simoctl --client romashka token issue --acs 1c
  TOKEN=$(simoctl --client romashka token issue --acs scada-2 --no-personal)
  simoctl --client romashka -o json token issue --operator anna --expires-at 2027-01-01";

#[derive(Debug, Args)]
pub(crate) struct Issue {
    #[command(flatten)]
    holder: Holder,
    /// What it is for; shown in lists
    #[arg(long)]
    name: Option<String>,
    /// When it stops working: 2027-01-01, 2027-01-01T08:00, with or without an offset
    #[arg(long, value_name = "TIME")]
    expires_at: Option<String>,
    /// The ACS may send with it to a topic only, never to people by name
    #[arg(long, conflicts_with = "operator")]
    no_personal: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Holder {
    /// For this ACS; it is made if it is new
    #[arg(long, value_name = "NAME")]
    acs: Option<String>,
    /// For this operator
    #[arg(long, value_name = "NAME")]
    operator: Option<String>,
}

pub(crate) async fn run(session: &Session, verb: Verb) -> Result<(), Failure> {
    let api = session.client()?;
    match verb {
        Verb::Issue(issue) => {
            let wanted = NewToken {
                acs: issue.holder.acs,
                operator: issue.holder.operator,
                name: issue.name,
                expires_at: issue.expires_at,
                personal: issue.no_personal.then_some(false),
            };
            show_secret(session, &api.issue_token(&wanted).await?)
        }
        Verb::List(list) => {
            let key = |token: &Token| token.id.to_string();
            let fetch = async |query: &_| api.tokens(query).await;
            session.list(list.query(), list.limit, key, fetch).await
        }
        Verb::Show { id } => Ok(session.out.record(&api.token(id).await?)?),
        Verb::Rotate { id } => {
            let holder = api.token(id).await?.holder;
            session.confirm(&session.say(
                format!("Rotate this token of {holder}? The old one stops working at once."),
                format!("Сменить этот токен ({holder})? Старый сразу перестанет работать."),
            ))?;
            show_secret(session, &api.rotate_token(id).await?)
        }
        Verb::Revoke { id } => {
            let holder = api.token(id).await?.holder;
            session.confirm(&session.say(
                format!("Revoke this token of {holder}? It stops working at once."),
                format!("Отозвать этот токен ({holder})? Он сразу перестанет работать."),
            ))?;
            api.revoke_token(id).await?;
            session.done(session.say("Token revoked.", "Токен отозван."));
            Ok(())
        }
    }
}

fn show_secret(session: &Session, issued: &IssuedToken) -> Result<(), Failure> {
    if session.out.is_structured() {
        session.out.record(issued)?;
        return Ok(());
    }
    write_text(&issued.token)?;
    let (id, holder) = (issued.id, &issued.holder);
    let until = issued.expires_at.map_or_else(String::new, |at| {
        let at = local(at, session.out.zone());
        session.say(format!(", until {at}"), format!(", до {at}"))
    });
    session.done(&session.say(
        format!("Token for {holder}{until}. It is shown this once: keep it now. Its id: {id}"),
        format!("Токен для {holder}{until}. Он показан один раз: сохраните сейчас. Его id: {id}"),
    ));
    Ok(())
}

impl Record for Token {
    const COLUMNS: &'static [Column<Self>] = &[
        Column::new("id", "Id", "Id", |t| t.id.into()),
        Column::new("kind", "Kind", "Вид", |t| t.kind.into()),
        Column::new("holder", "Holder", "Чей", |t| (&t.holder).into()),
        Column::new("name", "For", "Для чего", |t| (&t.name).into()),
        Column::wide("shown", "Token", "Токен", |t| (&t.shown).into()),
        Column::alone("personal", "Personal", "Личные сообщения", |t| {
            t.personal.into()
        }),
        Column::wide("created_at", "Issued", "Выпущен", |t| t.created_at.into()),
        Column::wide("expires_at", "Expires", "Истекает", |t| {
            t.expires_at.into()
        }),
        Column::new("revoked_at", "Revoked", "Отозван", |t| t.revoked_at.into()),
    ];
}

impl Record for IssuedToken {
    const COLUMNS: &'static [Column<Self>] = &[
        Column::new("id", "Id", "Id", |t| t.id.into()),
        Column::new("token", "Token", "Токен", |t| (&t.token).into()),
        Column::new("kind", "Kind", "Вид", |t| t.kind.into()),
        Column::new("holder", "Holder", "Чей", |t| (&t.holder).into()),
        Column::new("expires_at", "Expires", "Истекает", |t| {
            t.expires_at.into()
        }),
    ];
}

pub(super) const RUSSIAN: Help = &[
    ("token issue", "Выпустить токен; он показывается один раз"),
    ("token issue/acs", "Для этой АСУ; если её нет, она будет создана"),
    ("token issue/operator", "Для этого оператора"),
    ("token issue/name", "Для чего он; видно в списках"),
    (
        "token issue/expires_at",
        "Когда перестанет работать: 2027-01-01, 2027-01-01T08:00, со смещением или без",
    ),
    (
        "token issue/no_personal",
        "С ним АСУ может отправлять только в темы, а не людям по именам",
    ),
    ("token list", "Список токенов"),
    ("token show", "Показать токен без секрета"),
    ("token show/id", "Его id"),
    ("token rotate", "Выпустить замену и отозвать токен"),
    ("token rotate/id", "Его id"),
    ("token revoke", "Отозвать токен: он сразу перестаёт работать"),
    ("token revoke/id", "Его id"),
];
