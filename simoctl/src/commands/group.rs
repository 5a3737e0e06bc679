//! `simoctl group`: groups of employees.

use clap::Subcommand;
use simo_common::{
    api::{
        access::{Named, Rename},
        people::Group,
    },
    client::Error,
};

use super::ListArgs;
use crate::{
    failure::{Exit, Failure},
    output::{Column, Record},
    session::Session,
};

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Add a group
    Add {
        /// Its short name: a–z 0–9 - _ .
        slug: String,
        /// Its name for people
        #[arg(long)]
        name: Option<String>,
    },
    /// List groups
    List(ListArgs),
    /// Show a group; who is in it: `employee list --group SLUG`
    Show {
        /// Its short name
        slug: String,
    },
    /// Rename a group
    Edit {
        /// Its short name, which stays
        slug: String,
        /// Its new name for people
        #[arg(long)]
        name: String,
    },
    /// Archive a group: nobody is in it any more, its grants end, history goes on naming it
    Remove {
        /// Its short name
        slug: String,
    },
    /// Put employees into a group
    AddMember {
        /// The group's short name
        slug: String,
        /// Their personnel numbers
        #[arg(required = true)]
        employees: Vec<String>,
    },
    /// Put groups into a group: their members are in it too
    Include {
        /// The group's short name
        slug: String,
        /// The short names of those that go into it
        #[arg(required = true)]
        groups: Vec<String>,
    },
    /// Take groups out of a group
    Exclude {
        /// The group's short name
        slug: String,
        /// The short names of those that it includes
        #[arg(required = true)]
        groups: Vec<String>,
    },
    /// Take employees out of a group
    RemoveMember {
        /// The group's short name
        slug: String,
        /// Their personnel numbers
        #[arg(required = true)]
        employees: Vec<String>,
    },
}

pub(crate) async fn run(session: &Session, verb: Verb) -> Result<(), Failure> {
    let api = session.client()?;
    match verb {
        Verb::Add { slug, name } => {
            let group = api.add_group(&Named { slug, name }).await?;
            let slug = &group.slug;
            let text = if group.restored {
                session.say(
                    format!("Group {slug} was there before, and is back without members and grants."),
                    format!("Группа {slug} уже была и возвращена без участников и доступов."),
                )
            } else {
                session.say(format!("Group {slug} added."), format!("Группа {slug} добавлена."))
            };
            session.made(&group, &text)
        }
        Verb::List(list) => {
            let key = |group: &Group| group.slug.clone();
            let fetch = async |query: &_| api.groups(query).await;
            session.list(list.query(), list.limit, key, fetch).await
        }
        Verb::Show { slug } => Ok(session.out.record(&api.group(&slug).await?)?),
        Verb::Edit { slug, name } => {
            let group = api.edit_group(&slug, &Rename { name }).await?;
            let text = session.say(format!("Group {slug} changed."), format!("Группа {slug} изменена."));
            session.made(&group, &text)
        }
        Verb::Remove { slug } => {
            let people = api.group(&slug).await?.people;
            session.confirm(&session.say(
                format!("Archive group {slug}? It loses its members ({people}) and what it was granted."),
                format!(
                    "Отправить в архив группу {slug}? Она потеряет участников ({people}) и данный ей доступ."
                ),
            ))?;
            api.remove_group(&slug).await?;
            session.done(
                &session.say(format!("Group {slug} archived."), format!("Группа {slug} отправлена в архив.")),
            );
            Ok(())
        }
        Verb::AddMember { slug, employees } => {
            employees_are_there(session, &employees).await?;
            for no in &employees {
                api.add_member(&slug, no).await?;
                session.done(
                    &session.say(format!("{no} is in group {slug}."), format!("{no} в группе {slug}.")),
                );
            }
            Ok(())
        }
        Verb::Include { slug, groups } => {
            groups_are_there(session, &groups).await?;
            for included in &groups {
                api.include_group(&slug, included).await?;
                session.done(&session.say(
                    format!("Group {included} is in group {slug}."),
                    format!("Группа {included} входит в группу {slug}."),
                ));
            }
            Ok(())
        }
        Verb::Exclude { slug, groups } => {
            groups_are_there(session, &groups).await?;
            for included in &groups {
                api.exclude_group(&slug, included).await?;
                session.done(&session.say(
                    format!("Group {included} is no longer in group {slug}."),
                    format!("Группа {included} больше не входит в группу {slug}."),
                ));
            }
            Ok(())
        }
        Verb::RemoveMember { slug, employees } => {
            employees_are_there(session, &employees).await?;
            for no in &employees {
                api.remove_member(&slug, no).await?;
                session.done(&session.say(
                    format!("{no} is no longer in group {slug}."),
                    format!("{no} больше не в группе {slug}."),
                ));
            }
            Ok(())
        }
    }
}

/// # Errors
/// All missing groups, before anything is changed.
pub(super) async fn groups_are_there(session: &Session, slugs: &[String]) -> Result<(), Failure> {
    let api = session.client()?;
    let found = async |slug: &str| api.group(slug).await.map(|group| group.archived_at.is_some());
    all_are_there(session, slugs, found).await
}

/// # Errors
/// All missing employees, before anything is changed.
pub(super) async fn employees_are_there(session: &Session, numbers: &[String]) -> Result<(), Failure> {
    let api = session.client()?;
    let found = async |no: &str| api.employee(no).await.map(|one| one.archived_at.is_some());
    all_are_there(session, numbers, found).await
}

async fn all_are_there(
    session: &Session,
    names: &[String],
    is_archived: impl AsyncFn(&str) -> Result<bool, Error>,
) -> Result<(), Failure> {
    let mut missing = Vec::new();
    // For a single name, the server itself reports the error.
    for name in names.iter().filter(|_| names.len() > 1) {
        match is_archived(name).await {
            Ok(false) => {}
            Ok(true) => missing.push(session.say(format!("{name} is archived"), format!("{name}: в архиве"))),
            Err(Error::Problem(problem)) if problem.status == 404 => missing.push(problem.detail),
            Err(error) => return Err(error.into()),
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    Err(Failure::new(
        Exit::NotFound,
        session.say("Nothing was changed: not all are there.", "Ничего не изменено: не все есть."),
    )
    .details(missing))
}

impl Record for Group {
    const COLUMNS: &'static [Column<Self>] = &[
        Column::new("slug", "Group", "Группа", |g| (&g.slug).into()),
        Column::new("name", "Name", "Название", |g| (&g.name).into()),
        Column::new("members", "Members", "Своих", |g| g.members.into()),
        Column::new("people", "People", "Человек", |g| g.people.into()),
        Column::new("includes", "Includes", "Включает", |g| (&g.includes).into()),
        Column::new("archived_at", "Archived", "В архиве с", |g| g.archived_at.into()),
    ];
}
