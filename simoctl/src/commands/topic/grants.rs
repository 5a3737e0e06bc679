//! `simoctl topic grant` and related commands: who may receive a topic, and when.

use clap::Args;
use simo_common::api::access::{Grant, Grantee, NewGrant, Receiver};
use uuid::Uuid;

use super::super::group::{employees_are_there, groups_are_there};
use crate::{
    failure::{Exit, Failure},
    output::{Column, Record, Value, value::named},
    session::Session,
};

#[derive(Debug, Args)]
pub(crate) struct Give {
    /// The topic's short name
    slug: String,
    #[command(flatten)]
    to: To,
    /// Since when it counts: 2027-01-01 or 2027-01-01T08:00, in the client's time zone; at once unless said otherwise
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Until when it counts; for ever unless said otherwise
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// At which hours of the week, in the client's time zone: "mon-fri 08:00-20:00; sat,sun 10:00-14:00"
    #[arg(long, value_name = "HOURS")]
    hours: Option<String>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct To {
    /// Everyone of the client
    #[arg(long)]
    everyone: bool,
    /// The members of this group; may be given several times, or with commas
    #[arg(long, value_name = "SLUG", value_delimiter = ',')]
    group: Vec<String>,
    /// This employee; may be given several times, or with commas
    #[arg(long, value_name = "NO", value_delimiter = ',')]
    employee: Vec<String>,
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
    #[arg(long, value_parser = crate::commands::id)]
    id: Option<Uuid>,
}

impl To {
    fn grantees(self) -> Vec<Grantee> {
        if self.everyone {
            return vec![Grantee::Everyone];
        }
        let groups = self.group.into_iter().map(Grantee::Group);
        groups.chain(self.employee.into_iter().map(Grantee::Employee)).collect()
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

pub(super) async fn give(session: &Session, give: Give) -> Result<(), Failure> {
    let Give { slug, to, from, until, hours } = give;
    groups_are_there(session, &to.group).await?;
    employees_are_there(session, &to.employee).await?;
    for grantee in to.grantees() {
        let new = NewGrant { grantee, from: from.clone(), until: until.clone(), hours: hours.clone() };
        give_one(session, &slug, &new).await?;
    }
    Ok(())
}

async fn give_one(session: &Session, slug: &str, new: &NewGrant) -> Result<(), Failure> {
    let grant = session.client()?.grant(slug, new).await?;
    let whom = whom(session, &grant.grantee);
    let mut text = session
        .say(format!("Topic {slug} is granted to {whom}."), format!("Тема {slug}: доступ есть у {whom}."));
    if !grant.times.active {
        text.push_str(session.say(" It does not count now.", " Сейчас он не действует."));
    }
    session.made(&grant, &text)
}

pub(super) async fn revoke(session: &Session, slug: &str, whose: &Whose) -> Result<(), Failure> {
    let api = session.client()?;
    let grants = api.grants(slug).await?.items;
    let Some(grant) = grants.iter().find(|grant| whose.means(grant)) else {
        let what = session
            .say(format!("Topic {slug} has no such grant."), format!("У темы {slug} нет такого доступа."));
        return Err(Failure::new(Exit::NotFound, what).hint(
            session
                .say(format!("See simoctl topic grants {slug}"), format!("См. simoctl topic grants {slug}")),
        ));
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

/// Formats a grantee: `everyone`, `group:<slug>` or `employee:<no>`.
fn grantee(grantee: &Grantee) -> Value {
    match grantee {
        Grantee::Everyone => named("everyone", "everyone", "все"),
        Grantee::Group(slug) => {
            named(&format!("group:{slug}"), &format!("group {slug}"), &format!("группа {slug}"))
        }
        Grantee::Employee(no) => {
            named(&format!("employee:{no}"), &format!("employee {no}"), &format!("сотрудник {no}"))
        }
    }
}

impl Record for Grant {
    const COLUMNS: &'static [Column<Self>] = &[
        Column::new("grantee", "Granted to", "Кому", |g| grantee(&g.grantee)),
        Column::alone("topic", "Topic", "Тема", |g| (&g.topic).into()),
        Column::new("active", "Counts now", "Действует", |g| g.times.active.into()),
        Column::new("from", "From", "С", |g| g.times.from.into()),
        Column::new("until", "Until", "До", |g| g.times.until.into()),
        Column::new("hours", "Hours", "Часы", |g| g.times.hours.as_deref().into()),
        Column::new("created_at", "Given", "Дан", |g| g.created_at.into()),
        Column::new("id", "Id", "Id", |g| g.id.into()),
    ];
}

impl Record for Receiver {
    const COLUMNS: &'static [Column<Self>] = &[
        Column::new("personnel_no", "No.", "Таб. №", |r| (&r.personnel_no).into()),
        Column::new("full_name", "Name", "Имя", |r| (&r.full_name).into()),
        Column::new("grant", "By grant", "Доступ", |r| match r.grant.as_str() {
            "everyone" => named("everyone", "everyone", "все"),
            "employee" => named("employee", "their own", "личный"),
            other => other.into(),
        }),
        Column::new("devices", "Devices", "Устройств", |r| r.devices.into()),
    ];
}
