//! `simoctl operator`: people who administer.

use clap::{Subcommand, ValueEnum};
use simo_common::{
    api::access::{NewOperator, Operator},
    people::Role,
};

use super::ListArgs;
use crate::{
    failure::Failure,
    output::{Column, Record},
    russian::Help,
    session::Session,
};

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Add an operator
    Add {
        /// His short name, unique over all clients
        name: String,
        /// What he may do
        #[arg(long, default_value = "admin")]
        role: RoleName,
    },
    /// List operators
    List(ListArgs),
    /// Show an operator
    Show {
        /// His short name
        name: String,
    },
    /// Give an operator another role
    Edit {
        /// His short name
        name: String,
        /// What he may do from now on
        #[arg(long)]
        role: RoleName,
    },
    /// Archive an operator: his tokens stop working at once
    Remove {
        /// His short name
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
        Verb::Add { name, role } => {
            let role = role.into();
            let operator = api.add_operator(&NewOperator { name, role }).await?;
            let name = &operator.name;
            let text = session.say(
                format!("Operator {name} added. Next: simoctl token issue --operator {name}"),
                format!("Оператор {name} добавлен. Дальше: simoctl token issue --operator {name}"),
            );
            session.made(&operator, &text)
        }
        Verb::List(list) => {
            let key = |operator: &Operator| operator.name.clone();
            let fetch = async |query: &_| api.operators(query).await;
            session.list(list.query(), list.limit, key, fetch).await
        }
        Verb::Show { name } => Ok(session.out.record(&api.operator(&name).await?)?),
        Verb::Edit { name, role } => {
            let new = NewOperator {
                name: name.clone(),
                role: role.into(),
            };
            let operator = api.edit_operator(&name, &new).await?;
            let text = session.say(
                format!("Operator {name} changed."),
                format!("Оператор {name} изменён."),
            );
            session.made(&operator, &text)
        }
        Verb::Remove { name } => {
            session.confirm(&session.say(
                format!("Archive operator {name}? His tokens stop working at once."),
                format!("Отправить в архив оператора {name}? Его токены сразу перестанут работать."),
            ))?;
            api.remove_operator(&name).await?;
            session.done(&session.say(
                format!("Operator {name} archived."),
                format!("Оператор {name} отправлен в архив."),
            ));
            Ok(())
        }
    }
}

impl Record for Operator {
    const COLUMNS: &'static [Column<Self>] = &[
        Column::new("name", "Operator", "Оператор", |o| (&o.name).into()),
        Column::new("client", "Client", "Клиент", |o| o.client.as_deref().into()),
        Column::new("role", "Role", "Роль", |o| o.role.into()),
        Column::new("created_at", "Created", "Создан", |o| o.created_at.into()),
        Column::new("archived_at", "Archived", "В архиве с", |o| {
            o.archived_at.into()
        }),
    ];
}

pub(super) const RUSSIAN: Help = &[
    ("operator add", "Добавить оператора"),
    (
        "operator add/name",
        "Короткое имя, единственное среди всех клиентов",
    ),
    (
        "operator add/role",
        "Что ему можно: viewer (смотреть), admin (управлять клиентом), owner (всеми)",
    ),
    ("operator list", "Список операторов"),
    ("operator show", "Показать оператора"),
    ("operator show/name", "Короткое имя"),
    ("operator edit", "Дать оператору другую роль"),
    ("operator edit/name", "Короткое имя"),
    (
        "operator edit/role",
        "Что ему можно теперь: viewer (смотреть), admin (управлять клиентом), owner (всеми)",
    ),
    (
        "operator remove",
        "Отправить оператора в архив: его токены сразу перестают работать",
    ),
    ("operator remove/name", "Короткое имя"),
];
