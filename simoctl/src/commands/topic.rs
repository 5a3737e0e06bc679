//! `simoctl topic`: kinds of information, and who may receive them.

mod grants;

use clap::{ArgGroup, Args, Subcommand};
use simo_common::{
    api::{
        access::{EditTopic, NewTopic, Receiver, Topic},
        change::Change,
        message::Recipients,
    },
    client::ListQuery,
};

use super::{ListArgs, priority::PriorityName};
use crate::{
    failure::Failure,
    output::{Column, Record, Value},
    session::Session,
};

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Add a topic; nobody may receive it until it is granted, nor one that comes back from the archive
    #[command(group = ArgGroup::new("changes").multiple(true))]
    Add {
        /// Its short name: a–z 0–9 - _ .
        slug: String,
        /// Its name for people
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        usual: Usual,
    },
    /// List topics
    List(ListArgs),
    /// Show a topic
    Show {
        /// Its short name
        slug: String,
    },
    /// Change a topic's name, and what is usual for its messages
    #[command(group = ArgGroup::new("changes").required(true).multiple(true))]
    Edit {
        /// Its short name, which stays
        slug: String,
        /// Its new name for people
        #[arg(long, group = "changes")]
        name: Option<String>,
        #[command(flatten)]
        usual: Usual,
        /// Messages are normal again unless they say otherwise
        #[arg(long, group = "changes", conflicts_with = "priority")]
        no_priority: bool,
        /// Messages are for all who hold a grant again unless they say otherwise
        #[arg(long, group = "changes", conflicts_with_all = ["to_employees", "to_groups", "to_everyone"])]
        no_recipients: bool,
    },
    /// Archive a topic: nothing can be sent to it any more, its grants end, its history stays
    Remove {
        /// Its short name
        slug: String,
    },
    /// Let someone receive a topic; who may already does so at these times from now on
    Grant(grants::Give),
    /// Take a grant back: it counts no more at once
    Revoke {
        /// The topic's short name
        slug: String,
        #[command(flatten)]
        whose: grants::Whose,
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

/// What is usual for a topic's messages.
#[derive(Debug, Args)]
pub(crate) struct Usual {
    /// How urgent a message is that does not say it
    #[arg(long, group = "changes", value_name = "PRIORITY")]
    priority: Option<PriorityName>,
    /// A message that names nobody is for this employee; may be given several times, or with commas
    #[arg(long = "to-employee", group = "changes", value_name = "NO", value_delimiter = ',')]
    to_employees: Vec<String>,
    /// A message that names nobody is for this group; may be given several times, or with commas
    #[arg(long = "to-group", group = "changes", value_name = "SLUG", value_delimiter = ',')]
    to_groups: Vec<String>,
    /// A message that names nobody is for everyone who holds a grant
    #[arg(long, group = "changes")]
    to_everyone: bool,
}

impl Usual {
    fn recipients(&self) -> Option<Recipients> {
        let recipients = Recipients {
            employees: self.to_employees.clone(),
            groups: self.to_groups.clone(),
            everyone: self.to_everyone,
        };
        (!recipients.is_empty()).then_some(recipients)
    }
}

pub(crate) async fn run(session: &Session, verb: Verb) -> Result<(), Failure> {
    let api = session.client()?;
    match verb {
        Verb::Add { slug, name, usual } => {
            let new = NewTopic {
                slug,
                name,
                default_recipients: usual.recipients(),
                default_priority: usual.priority.map(Into::into),
            };
            let topic = api.add_topic(&new).await?;
            let slug = &topic.slug;
            let text = if topic.restored {
                session.say(
                    format!("Topic {slug} was there before, and is back without grants. Next: simoctl topic grant {slug} --everyone (or --group, --employee)"),
                    format!("Тема {slug} уже была и возвращена без доступов. Дальше: simoctl topic grant {slug} --everyone (или --group, --employee)"),
                )
            } else {
                session.say(
                format!("Topic {slug} added. Next: simoctl topic grant {slug} --everyone (or --group, --employee)"),
                format!("Тема {slug} добавлена. Дальше: simoctl topic grant {slug} --everyone (или --group, --employee)"),
                )
            };
            session.made(&topic, &text)
        }
        Verb::List(list) => {
            let key = |topic: &Topic| topic.slug.clone();
            let fetch = async |query: &_| api.topics(query).await;
            session.list(list.query(), list.limit, key, fetch).await
        }
        Verb::Show { slug } => Ok(session.out.record(&api.topic(&slug).await?)?),
        Verb::Edit { slug, name, usual, no_priority, no_recipients } => {
            let changes = EditTopic {
                name,
                default_recipients: change(usual.recipients(), no_recipients),
                default_priority: change(usual.priority.map(Into::into), no_priority),
            };
            let topic = api.edit_topic(&slug, &changes).await?;
            let text = session.say(format!("Topic {slug} changed."), format!("Тема {slug} изменена."));
            session.made(&topic, &text)
        }
        Verb::Remove { slug } => {
            api.topic(&slug).await?;
            session.confirm(&session.say(
                format!("Archive topic {slug}? Nothing can be sent to it any more, and its grants end."),
                format!("Отправить в архив тему {slug}? В неё больше нельзя будет отправлять, доступы к ней прекратятся."),
            ))?;
            api.remove_topic(&slug).await?;
            session.done(
                &session.say(format!("Topic {slug} archived."), format!("Тема {slug} отправлена в архив.")),
            );
            Ok(())
        }
        Verb::Grant(give) => grants::give(session, give).await,
        Verb::Revoke { slug, whose } => grants::revoke(session, &slug, &whose).await,
        Verb::Grants { slug } => Ok(session.out.list(&api.grants(&slug).await?.items)?),
        Verb::Who { slug, list } => {
            let key = |receiver: &Receiver| receiver.personnel_no.clone();
            let fetch = async |query: &_| api.who_receives(&slug, query).await;
            // All receivers in one page if possible: the server decides anew for each page.
            let query = ListQuery { limit: Some(100_000), ..list.query() };
            session.list(query, list.limit, key, fetch).await
        }
    }
}

fn change<T>(value: Option<T>, clear: bool) -> Change<T> {
    match value {
        Some(value) => Change::Set(value),
        None if clear => Change::Clear,
        None => Change::Stay,
    }
}

/// Formats recipients: `everyone, group:<slug>, <no>`.
fn recipients(recipients: &Recipients) -> Value {
    let everyone = recipients.everyone.then(|| "everyone".to_owned());
    let groups = recipients.groups.iter().map(|slug| format!("group:{slug}"));
    let all: Vec<String> =
        everyone.into_iter().chain(groups).chain(recipients.employees.iter().cloned()).collect();
    (&all).into()
}

impl Record for Topic {
    const COLUMNS: &'static [Column<Self>] = &[
        Column::new("slug", "Topic", "Тема", |t| (&t.slug).into()),
        Column::new("name", "Name", "Название", |t| (&t.name).into()),
        Column::new("grants", "Grants", "Доступов", |t| t.grants.into()),
        Column::new("default_priority", "Priority", "Приоритет", |t| t.default_priority.into()),
        Column::new("default_recipients", "Recipients", "Получатели", |t| {
            t.default_recipients.as_ref().map(recipients).into()
        }),
        Column::new("archived_at", "Archived", "В архиве с", |t| t.archived_at.into()),
    ];
}
