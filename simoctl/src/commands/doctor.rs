//! `simoctl doctor`: which server is used and why, whether it answers, which caller it sees, and problems that would keep alarms
//! from people.

mod judge;

use anstyle::AnsiColor;
use serde::Serialize;
use simo_common::client::{self, Connection, Origin};

use self::judge::{Asked, judge};
use super::{
    public_address::{is_only_here, others_reach},
    whoami,
};
use crate::{
    clock,
    failure::{Failure, place},
    output::{Column, Record, Value, value::named},
    session::Session,
};

/// One check and its result.
#[derive(Debug, Serialize)]
struct Check {
    #[serde(rename = "check")]
    what: &'static str,
    ok: bool,
    detail: String,
}

pub(super) async fn run(session: &Session) -> Result<(), Failure> {
    let connection = session.connection()?;
    let origin = match &connection.origin {
        Origin::Flag => session.say("from a flag", "из параметра").to_owned(),
        Origin::Environment => session.say("from the environment", "из переменной окружения").to_owned(),
        Origin::Context(name) => {
            session.say(format!("from the context {name}"), format!("из контекста {name}"))
        }
        Origin::Default => session.say("local", "локальный").to_owned(),
    };
    let mut checks =
        vec![Check { what: "server", ok: true, detail: format!("{} ({origin})", place(&connection.server)) }];
    let failure = look(session, connection, &mut checks).await.err();
    session.out.list(&checks)?;
    match failure {
        Some(error) => Err(error.into()),
        None if checks.iter().all(|check| check.ok) => Ok(()),
        None => Err(Failure::failed(session.say("Not everything is well.", "Не всё в порядке."))),
    }
}

async fn look(session: &Session, connection: &Connection, checks: &mut Vec<Check>) -> client::Result<()> {
    let Ok(api) = session.client() else {
        return Ok(());
    };
    let ready = api.readiness().await?;
    let fine = session.say("serves", "обслуживает").to_owned();
    checks.push(Check { what: "ready", ok: ready.ready, detail: ready.reason.unwrap_or(fine) });
    if let Some(jump) = &ready.clock {
        checks.push(Check { what: "clock", ok: true, detail: jump.text().get(session.lang).to_owned() });
    }
    checks.extend(ready.channels.iter().map(|channel| Check {
        what: "channel",
        ok: matches!(channel.state.as_str(), "ok" | "off"),
        detail: match (channel.state.as_str(), &channel.detail) {
            ("off", Some(why)) if why != "not configured" => {
                format!("{}: {} ({why})", channel.channel, session.say("off", "выключен"))
            }
            ("off", _) => {
                let off = session.say("off (not configured)", "выключен (не настроен)");
                format!("{}: {off}", channel.channel)
            }
            (state, Some(detail)) => format!("{}: {state} ({detail})", channel.channel),
            (state, None) => format!("{}: {state}", channel.channel),
        },
    }));
    let who = api.whoami().await?;
    checks.push(Check { what: "caller", ok: true, detail: whoami::in_words(session, &who) });
    if !who.server.is_empty() {
        let server = others_reach(connection, &who.server);
        checks.push(Check {
            what: "address",
            ok: !is_only_here(&server),
            detail: if is_only_here(&server) {
                session.say(
                    format!("{server}: other machines do not find it; set `public_url` to an address that they find"),
                    format!("{server}: другие машины его не найдут; задайте в `public_url` адрес, который им доступен"),
                )
            } else {
                server
            },
        });
    }
    checks.push(Check {
        what: "version",
        ok: who.version == env!("CARGO_PKG_VERSION"),
        detail: format!("simod {}, simoctl {}", who.version, env!("CARGO_PKG_VERSION")),
    });
    let at = clock::now();
    match api.health().await {
        Ok(health) => {
            let asked = Asked { at, answered_at: clock::now() };
            checks.extend(judge(&health, &ready.channels, asked, session.out.zone(), session.lang));
        }
        // Health is for administrators; other callers get only the checks above.
        Err(error) if error.status() == Some(403) => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

impl Record for Check {
    const COLUMNS: &'static [Column<Self>] = &[
        Column::new("ok", "", "", |c| {
            let (code, sign, color) =
                if c.ok { ("true", "✓", AnsiColor::Green) } else { ("false", "✗", AnsiColor::Red) };
            Value::Code(code.into(), (sign.into(), sign.into()), Some(color))
        }),
        Column::new("check", "Check", "Проверка", |c| match c.what {
            "server" => named("server", "server", "сервер"),
            "ready" => named("ready", "ready", "готовность"),
            "channel" => named("channel", "channel", "канал"),
            "clock" => named("clock", "clock", "часы"),
            "caller" => named("caller", "you are", "вы"),
            "address" => named("address", "for phones", "для телефонов"),
            "ways" => named("ways", "ways to phones", "пути к телефонам"),
            "people" => named("people", "people", "люди"),
            "certificate" => named("certificate", "certificate", "сертификат"),
            "disk" => named("disk", "disk", "диск"),
            "database" => named("database", "database", "база данных"),
            other => named(other, other, "версия"),
        }),
        Column::new("detail", "Detail", "Подробности", |c| (&c.detail).into()),
    ];
}
