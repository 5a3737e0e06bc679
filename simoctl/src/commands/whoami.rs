//! `simoctl whoami`: which caller the server sees.

use simo_common::api::service::WhoAmI;

use crate::{
    failure::Failure,
    output::{Column, Record, Value, value::named},
    session::Session,
};

pub(super) async fn run(session: &Session) -> Result<(), Failure> {
    let who = session.client()?.whoami().await?;
    session.out.record(&who)?;
    Ok(())
}

/// The caller in a few words: `anna (operator, admin, romashka)`.
pub(super) fn in_words(session: &Session, who: &WhoAmI) -> String {
    let words = [Some(kind(&who.kind)), who.role.map(Into::into), who.client.as_deref().map(Into::into)];
    let words: Vec<_> = words.iter().flatten().map(|value| session.out.painted(value)).collect();
    format!("{} ({})", who.name, words.join(", "))
}

fn kind(code: &str) -> Value {
    match code {
        "operator" => named(code, "operator", "оператор"),
        "acs" => named(code, "ACS", "АСУ"),
        "device" => named(code, "device", "устройство"),
        "local" => named(code, "on the server itself", "на самом сервере"),
        other => other.into(),
    }
}

impl Record for WhoAmI {
    const COLUMNS: &'static [Column<Self>] = &[
        Column::new("kind", "Kind", "Вид", |w| kind(&w.kind)),
        Column::new("name", "Name", "Имя", |w| (&w.name).into()),
        Column::new("role", "Role", "Роль", |w| w.role.into()),
        Column::new("client", "Client", "Клиент", |w| w.client.as_deref().into()),
        Column::new("version", "Server's version", "Версия сервера", |w| (&w.version).into()),
    ];
}
