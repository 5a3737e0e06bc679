//! `simoctl employee access`: what an employee may receive, and why.

use simo_common::api::access::HeldGrant;

use super::person;
use crate::{
    failure::Failure,
    output::{Column, Record, value::named},
    session::Session,
};

pub(super) async fn run(session: &Session, personnel_no: &str) -> Result<(), Failure> {
    let api = session.client()?;
    let employee = api.employee(personnel_no).await?;
    let held = api.access_of(personnel_no).await?.items;
    session.out.list(&held)?;
    let person = person(&employee);
    if employee.blocked_at.is_some() {
        session.talk(&session.say(
            format!("{person} is blocked and receives nothing until unblocked."),
            format!("Сотрудник {person} заблокирован и ничего не получает, пока его не разблокируют."),
        ));
    } else if employee.devices == 0 {
        session.talk(&session.say(
            format!("{person} has no device: messages wait for the first one until they expire."),
            format!("У сотрудника {person} нет устройств: сообщения ждут первого, пока не истекут."),
        ));
    }
    Ok(())
}

impl Record for HeldGrant {
    const COLUMNS: &'static [Column<Self>] = &[
        Column::new("topic", "Topic", "Тема", |h| (&h.topic).into()),
        Column::new("topic_name", "Name", "Название", |h| (&h.topic_name).into()),
        Column::new("grant", "By grant", "Доступ", |h| match h.grant.as_str() {
            "everyone" => named("everyone", "everyone", "все"),
            "employee" => named("employee", "their own", "личный"),
            other => other.into(),
        }),
        Column::new("path", "Through", "Через", |h| (&h.path).into()),
        Column::new("active", "Counts now", "Действует", |h| h.times.active.into()),
        Column::new("from", "From", "С", |h| h.times.from.into()),
        Column::new("until", "Until", "До", |h| h.times.until.into()),
        Column::new("hours", "Hours", "Часы", |h| h.times.hours.as_deref().into()),
        Column::new("created_at", "Given", "Дан", |h| h.created_at.into()),
    ];
}
