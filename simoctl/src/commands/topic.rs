//! `simoctl topic`: kinds of information, and who may receive them.

use clap::{Args, Subcommand};
use simo_common::api::access::{Grant, Grantee, Named, Receiver, Rename, Topic};
use uuid::Uuid;

use super::ListArgs;
use crate::{
    failure::{Exit, Failure},
    output::{Column, Record, Value, value::named},
    russian::Help,
    session::Session,
};

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Add a topic; nobody may receive it until it is granted
    Add {
        /// Its short name: a–z 0–9 - _ .
        slug: String,
        /// Its name for people
        #[arg(long)]
        name: Option<String>,
    },
    /// List topics
    List(ListArgs),
    /// Show a topic
    Show {
        /// Its short name
        slug: String,
    },
    /// Rename a topic
    Edit {
        /// Its short name, which stays
        slug: String,
        /// Its new name for people
        #[arg(long)]
        name: String,
    },
    /// Archive a topic: nothing can be sent to it any more, its history stays
    Remove {
        /// Its short name
        slug: String,
    },
    /// Let someone receive a topic
    Grant {
        /// The topic's short name
        slug: String,
        #[command(flatten)]
        to: To,
    },
    /// Take a grant back: it counts no more at once
    Revoke {
        /// The topic's short name
        slug: String,
        #[command(flatten)]
        whose: Whose,
    },
    /// List a topic's grants
    Grants {
        /// The topic's short name
        slug: String,
    },
    /// List the employees who would receive a topic now, and by which grant
    Who {
        /// The topic's short name
        slug: String,
        #[command(flatten)]
        list: ListArgs,
    },
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct To {
    /// Everyone of the client
    #[arg(long)]
    everyone: bool,
    /// The members of this group
    #[arg(long, value_name = "SLUG")]
    group: Option<String>,
    /// This employee
    #[arg(long, value_name = "NO")]
    employee: Option<String>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Whose {
    /// The grant for everyone
    #[arg(long)]
    everyone: bool,
    /// The grant of this group
    #[arg(long, value_name = "SLUG")]
    group: Option<String>,
    /// The grant of this employee
    #[arg(long, value_name = "NO")]
    employee: Option<String>,
    /// The grant with this id
    #[arg(long)]
    id: Option<Uuid>,
}

impl To {
    fn grantee(self) -> Grantee {
        match (self.group, self.employee) {
            (Some(group), _) => Grantee::Group(group),
            (_, Some(no)) => Grantee::Employee(no),
            _ => Grantee::Everyone,
        }
    }
}

impl Whose {
    fn means(&self, grant: &Grant) -> bool {
        self.id == Some(grant.id)
            || match &grant.grantee {
                Grantee::Everyone => self.everyone,
                Grantee::Group(slug) => self.group.as_ref() == Some(slug),
                Grantee::Employee(no) => self.employee.as_ref() == Some(no),
            }
    }
}

pub(crate) async fn run(session: &Session, verb: Verb) -> Result<(), Failure> {
    let api = session.client()?;
    match verb {
        Verb::Add { slug, name } => {
            let topic = api.add_topic(&Named { slug, name }).await?;
            let slug = &topic.slug;
            let text = session.say(
                format!("Topic {slug} added. Next: simoctl topic grant {slug} --everyone (or --group, --employee)"),
                format!("Тема {slug} добавлена. Дальше: simoctl topic grant {slug} --everyone (или --group, --employee)"),
            );
            session.made(&topic, &text)
        }
        Verb::List(list) => {
            let key = |topic: &Topic| topic.slug.clone();
            let fetch = async |query: &_| api.topics(query).await;
            session.list(list.query(), list.limit, key, fetch).await
        }
        Verb::Show { slug } => Ok(session.out.record(&api.topic(&slug).await?)?),
        Verb::Edit { slug, name } => {
            let topic = api.edit_topic(&slug, &Rename { name }).await?;
            let text = session.say(format!("Topic {slug} changed."), format!("Тема {slug} изменена."));
            session.made(&topic, &text)
        }
        Verb::Remove { slug } => {
            api.topic(&slug).await?;
            session.confirm(&session.say(
                format!("Archive topic {slug}? Nothing can be sent to it any more."),
                format!("Отправить в архив тему {slug}? В неё больше нельзя будет отправлять."),
            ))?;
            api.remove_topic(&slug).await?;
            session.done(&session.say(
                format!("Topic {slug} archived."),
                format!("Тема {slug} отправлена в архив."),
            ));
            Ok(())
        }
        Verb::Grant { slug, to } => {
            let grant = api.grant(&slug, &to.grantee()).await?;
            let whom = whom(session, &grant.grantee);
            let text = session.say(
                format!("Topic {slug} is granted to {whom}."),
                format!("Тема {slug}: доступ есть у {whom}."),
            );
            session.made(&grant, &text)
        }
        Verb::Revoke { slug, whose } => revoke(session, &slug, &whose).await,
        Verb::Grants { slug } => Ok(session.out.list(&api.grants(&slug).await?.items)?),
        Verb::Who { slug, list } => {
            let key = |receiver: &Receiver| receiver.personnel_no.clone();
            let fetch = async |query: &_| api.who_receives(&slug, query).await;
            session.list(list.query(), list.limit, key, fetch).await
        }
    }
}

async fn revoke(session: &Session, slug: &str, whose: &Whose) -> Result<(), Failure> {
    let api = session.client()?;
    let grants = api.grants(slug).await?.items;
    let Some(grant) = grants.iter().find(|grant| whose.means(grant)) else {
        let what = session.say(
            format!("Topic {slug} has no such grant."),
            format!("У темы {slug} нет такого доступа."),
        );
        return Err(Failure::new(Exit::NotFound, what).hint(session.say(
            format!("See simoctl topic grants {slug}"),
            format!("См. simoctl topic grants {slug}"),
        )));
    };
    let whom = whom(session, &grant.grantee);
    session.confirm(&session.say(
        format!("Take topic {slug} away from {whom}?"),
        format!("Забрать доступ к теме {slug} у {whom}?"),
    ))?;
    api.revoke_grant(slug, grant.id).await?;
    session.done(&session.say(
        format!("Topic {slug} is no longer granted to {whom}."),
        format!("Тема {slug}: доступа у {whom} больше нет."),
    ));
    Ok(())
}

fn whom(session: &Session, grantee: &Grantee) -> String {
    match grantee {
        Grantee::Everyone => session.say("everyone", "всех").to_owned(),
        Grantee::Group(slug) => session.say(format!("group {slug}"), format!("группы {slug}")),
        Grantee::Employee(no) => session.say(format!("employee {no}"), format!("сотрудника {no}")),
    }
}

/// `everyone`, `group:<slug>` or `employee:<no>`.
fn grantee(grantee: &Grantee) -> Value {
    match grantee {
        Grantee::Everyone => named("everyone", "everyone", "все"),
        Grantee::Group(slug) => named(
            &format!("group:{slug}"),
            &format!("group {slug}"),
            &format!("группа {slug}"),
        ),
        Grantee::Employee(no) => named(
            &format!("employee:{no}"),
            &format!("employee {no}"),
            &format!("сотрудник {no}"),
        ),
    }
}

impl Record for Topic {
    const COLUMNS: &'static [Column<Self>] = &[
        Column::new("slug", "Topic", "Тема", |t| (&t.slug).into()),
        Column::new("name", "Name", "Название", |t| (&t.name).into()),
        Column::new("grants", "Grants", "Доступов", |t| t.grants.into()),
        Column::new("archived_at", "Archived", "В архиве с", |t| {
            t.archived_at.into()
        }),
    ];
}

impl Record for Grant {
    const COLUMNS: &'static [Column<Self>] = &[
        Column::new("grantee", "Granted to", "Кому", |g| grantee(&g.grantee)),
        Column::alone("topic", "Topic", "Тема", |g| (&g.topic).into()),
        Column::new("created_at", "Since", "С какого времени", |g| {
            g.created_at.into()
        }),
        Column::new("id", "Id", "Id", |g| g.id.into()),
    ];
}

impl Record for Receiver {
    const COLUMNS: &'static [Column<Self>] = &[
        Column::new("personnel_no", "No.", "Таб. №", |r| (&r.personnel_no).into()),
        Column::new("full_name", "Name", "Имя", |r| (&r.full_name).into()),
        Column::new("grant", "By grant", "Доступ", |r| match r.grant.as_str() {
            "everyone" => named("everyone", "everyone", "все"),
            "employee" => named("employee", "his own", "личный"),
            other => other.into(),
        }),
        Column::new("devices", "Devices", "Устройств", |r| r.devices.into()),
    ];
}

pub(super) const RUSSIAN: Help = &[
    (
        "topic add",
        "Добавить тему; пока доступа никому не дали, её никто не получает",
    ),
    ("topic add/slug", "Короткое имя: a–z 0–9 - _ ."),
    ("topic add/name", "Название для людей"),
    ("topic list", "Список тем"),
    ("topic show", "Показать тему"),
    ("topic edit", "Переименовать тему"),
    ("topic edit/name", "Новое название для людей"),
    (
        "topic remove",
        "Отправить тему в архив: отправлять в неё нельзя, история остаётся",
    ),
    ("topic grant", "Дать доступ к теме"),
    ("topic grant/everyone", "Всем сотрудникам клиента"),
    ("topic grant/group", "Членам этой группы"),
    ("topic grant/employee", "Этому сотруднику"),
    ("topic revoke", "Забрать доступ: он сразу перестаёт действовать"),
    ("topic revoke/everyone", "Доступ для всех"),
    ("topic revoke/group", "Доступ этой группы"),
    ("topic revoke/employee", "Доступ этого сотрудника"),
    ("topic revoke/id", "Доступ с этим id"),
    ("topic grants", "Список доступов к теме"),
    ("topic who", "Кто получил бы тему сейчас и по какому доступу"),
    ("topic show/slug", "Короткое имя темы"),
    ("topic edit/slug", "Короткое имя темы, оно не меняется"),
    ("topic remove/slug", "Короткое имя темы"),
    ("topic grant/slug", "Короткое имя темы"),
    ("topic revoke/slug", "Короткое имя темы"),
    ("topic grants/slug", "Короткое имя темы"),
    ("topic who/slug", "Короткое имя темы"),
];
