//! `simoctl employee`: people who receive messages.

mod access;
mod file;
mod import;
mod persons;

use clap::{ArgGroup, Args, Subcommand};
use simo_common::{
    api::people::{EditEmployee, Employee, NewEmployee, Waiting},
    client::{Client, Error},
};

use super::ListArgs;
use crate::{
    failure::Failure,
    output::{Column, Record},
    session::Session,
};

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Add an employee
    Add {
        /// How the client knows them; leading zeros and Cyrillic are fine
        personnel_no: String,
        /// Their name
        full_name: String,
        #[command(flatten)]
        about: About,
        /// The number passes to them: the present holder is archived, their phones are let go, their history stays their own
        #[arg(long)]
        new_person: bool,
    },
    /// List employees
    List {
        #[command(flatten)]
        list: ListArgs,
        /// Only those in this group or in a group within
        #[arg(long, value_name = "SLUG")]
        group: Option<String>,
    },
    /// Show an employee
    Show {
        /// Their personnel number
        personnel_no: String,
    },
    /// Change an employee; an empty value clears
    Edit(Edit),
    /// Archive an employee: their phones are let go, their own grants end, their history stays
    Remove {
        /// Their personnel number
        personnel_no: String,
    },
    /// Block an employee: they receive nothing, and what waits for them is withheld until they are unblocked
    Block {
        /// Their personnel number
        personnel_no: String,
    },
    /// Let a blocked employee receive again, also what was withheld
    Unblock {
        /// Their personnel number
        personnel_no: String,
    },
    /// List all topics that an employee may receive, and why
    Access {
        /// Their personnel number
        personnel_no: String,
    },
    /// Add and change employees from a CSV file: all of it, or nothing
    #[command(after_help = import::EXAMPLES)]
    Import(import::Import),
}

/// What may be known of an employee.
#[derive(Debug, Args)]
pub(crate) struct About {
    /// Their e-mail address
    #[arg(long)]
    email: Option<String>,
    /// Their phone number, for people to call
    #[arg(long)]
    phone: Option<String>,
    /// A group of theirs; may be given several times, or with commas
    #[arg(long = "group", value_name = "SLUG", value_delimiter = ',')]
    groups: Vec<String>,
    /// The language of their messages' frame: ru or en
    #[arg(long)]
    locale: Option<String>,
    /// Their IANA time zone
    #[arg(long, value_name = "ZONE")]
    timezone: Option<String>,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("changes").required(true).multiple(true)
    .args(["full_name", "email", "phone", "groups", "locale", "timezone", "no_groups"]))]
pub(crate) struct Edit {
    /// Their personnel number
    personnel_no: String,
    /// Their new name
    #[arg(long, visible_alias = "name", value_name = "NAME")]
    full_name: Option<String>,
    #[command(flatten)]
    about: About,
    /// Take them out of all groups
    #[arg(long, conflicts_with = "groups")]
    no_groups: bool,
}

/// The hint for a personnel number that is taken, with simoctl's own flag.
fn in_our_words(session: &Session, mut error: Error) -> Error {
    if let Error::Problem(problem) = &mut error
        && problem.code == "conflict"
    {
        let hint = session.say(
            "If the number passes to somebody else: --new-person",
            "Если номер переходит к другому человеку: --new-person",
        );
        problem.hint = Some(hint.to_owned());
    }
    error
}

pub(crate) async fn run(session: &Session, verb: Verb) -> Result<(), Failure> {
    let api = session.client()?;
    match verb {
        Verb::Add { personnel_no, full_name, about, new_person } => {
            let new = NewEmployee {
                personnel_no,
                full_name,
                email: about.email,
                phone: about.phone,
                groups: about.groups,
                locale: about.locale,
                timezone: about.timezone,
            };
            let employee = if new_person {
                ask_to_succeed(session, api, &new).await?;
                api.succeed_employee(&new).await?
            } else {
                api.add_employee(&new).await.map_err(|error| in_our_words(session, error))?
            };
            let person = person(&employee);
            let text = session.say(format!("Added {person}."), format!("Добавлен сотрудник {person}."));
            session.made(&employee, &text)
        }
        Verb::List { list, group } => {
            let key = |employee: &Employee| employee.personnel_no.clone();
            let fetch = async |query: &_| api.employees(query, group.as_deref()).await;
            session.list(list.query(), list.limit, key, fetch).await
        }
        Verb::Access { personnel_no } => access::run(session, &personnel_no).await,
        Verb::Show { personnel_no } => Ok(session.out.record(&api.employee(&personnel_no).await?)?),
        Verb::Edit(edit) => {
            let groups = (edit.no_groups || !edit.about.groups.is_empty()).then_some(edit.about.groups);
            let changes = EditEmployee {
                full_name: edit.full_name,
                email: edit.about.email,
                phone: edit.about.phone,
                groups,
                locale: edit.about.locale,
                timezone: edit.about.timezone,
            };
            let employee = api.edit_employee(&edit.personnel_no, &changes).await?;
            let person = person(&employee);
            let text = session.say(format!("Changed {person}."), format!("Изменён сотрудник {person}."));
            session.made(&employee, &text)
        }
        Verb::Remove { personnel_no } => {
            let person = person(&api.employee(&personnel_no).await?);
            session.confirm(&session.say(
                format!("Archive {person}? Their phones are let go at once."),
                format!("Отправить в архив сотрудника {person}? Его телефоны сразу будут отключены."),
            ))?;
            api.remove_employee(&personnel_no).await?;
            session.done(
                &session.say(format!("Archived {person}."), format!("Сотрудник {person} отправлен в архив.")),
            );
            Ok(())
        }
        Verb::Block { personnel_no } => {
            ask_to_withhold(session, api, &personnel_no).await?;
            let employee = api.block_employee(&personnel_no).await?;
            let person = person(&employee);
            let text = session.say(format!("Blocked {person}."), format!("Сотрудник {person} заблокирован."));
            session.made(&employee, &text)
        }
        Verb::Unblock { personnel_no } => {
            let employee = api.unblock_employee(&personnel_no).await?;
            let person = person(&employee);
            let text =
                session.say(format!("Unblocked {person}."), format!("Сотрудник {person} разблокирован."));
            session.made(&employee, &text)
        }
        Verb::Import(args) => import::run(session, api, &args).await,
    }
}

/// Asks only if messages are waiting.
async fn ask_to_withhold(session: &Session, api: &Client, personnel_no: &str) -> Result<(), Failure> {
    let Waiting { deliveries, critical } = api.waiting_for(personnel_no).await?;
    if deliveries == 0 {
        return Ok(());
    }
    session.confirm(&session.say(
        format!(
            "Messages waiting for {personnel_no}: {deliveries}, critical ones among them: {critical}. They are withheld until \
             he is unblocked, and expire at the same time as before. Block him?"
        ),
        format!(
            "В очереди для сотрудника {personnel_no} сообщений: {deliveries}, из них критических: {critical}. Они будут \
             придержаны до разблокировки, но срок их не продлится. Заблокировать?"
        ),
    ))
}

async fn ask_to_succeed(session: &Session, api: &Client, new: &NewEmployee) -> Result<(), Failure> {
    let before = match api.employee(&new.personnel_no).await {
        Ok(before) => person(&before),
        Err(Error::Problem(problem)) if problem.status == 404 => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let name = &new.full_name;
    session.confirm(&session.say(
        format!("Archive {before}, let their phones go, and give their number to {name}?"),
        format!("Отправить в архив сотрудника {before}, отключить его телефоны и передать номер: {name}?"),
    ))
}

fn person(employee: &Employee) -> String {
    format!("{} {}", employee.personnel_no, employee.full_name)
}

impl Record for Employee {
    const COLUMNS: &'static [Column<Self>] = &[
        Column::new("personnel_no", "No.", "Таб. №", |e| (&e.personnel_no).into()),
        Column::new("full_name", "Name", "Имя", |e| (&e.full_name).into()),
        Column::alone("email", "E-mail", "Почта", |e| e.email.as_deref().into()),
        Column::wide("phone", "Phone", "Телефон", |e| e.phone.as_deref().into()),
        Column::new("groups", "Groups", "Группы", |e| (&e.groups).into()),
        Column::alone("locale", "Language", "Язык", |e| e.locale.as_deref().into()),
        Column::alone("timezone", "Time zone", "Часовой пояс", |e| e.timezone.as_deref().into()),
        Column::new("devices", "Devices", "Устройств", |e| e.devices.into()),
        Column::new("blocked_at", "Blocked", "Заблокирован", |e| e.blocked_at.into()),
        Column::wide("archived_at", "Archived", "В архиве с", |e| e.archived_at.into()),
        Column::alone("former_no", "Former no.", "Прежний №", |e| e.former_no.as_deref().into()),
    ];
}
