//! `simoctl login`: keeps a server and a token as a context, after the server has said that they fit.

use std::io::Read as _;

use clap::Args;
use simo_common::client::{Connection, Origin, Profile, Server};
use url::Url;

use super::whoami;
use crate::{
    ask,
    failure::{Exit, Failure},
    russian::Help,
    session::{Session, environment},
    terminal,
};

const EXAMPLES: &str = "\
Examples:
  simoctl login https://simo.example.org
  simoctl login https://simo.example.org --context prod --client romashka
  pass simo/prod | simoctl login https://simo.example.org";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Login {
    /// The server's address, unless --url says it
    #[arg(value_name = "URL", value_parser = crate::cli::url, conflicts_with_all = ["url", "socket"])]
    address: Option<Url>,
}

pub(crate) async fn run(session: &Session, login: Login) -> Result<(), Failure> {
    let (flags, environment) = (session.flags(), environment()?);
    let Some(url) = login.address.or(flags.url).or(environment.url) else {
        return Err(Failure::usage(session.say("Which server?", "Какой сервер?"))
            .hint("simoctl login https://simo.example.org"));
    };
    let token = match flags.token.or(environment.token) {
        Some(token) => token,
        None => ask_token(session)?,
    };
    if !token.starts_with("simo_") {
        return Err(Failure::new(
            Exit::NotAllowed,
            session.say("This is not a token of SiMO.", "Это не токен SiMO."),
        )
        .hint(session.say(
            "It begins with simo_; copy the whole of it.",
            "Он начинается с simo_; скопируйте его целиком.",
        )));
    }
    let client = flags.client.or(environment.client);
    // Kept for calls from any directory.
    let ca = flags.ca.or(environment.ca);
    let ca = ca.map(|path| std::path::absolute(&path).unwrap_or(path));
    let connection = Connection {
        server: Server::Url(url.clone()),
        origin: Origin::Flag,
        token: Some(token.clone()),
        client: client.clone(),
        ca: ca.clone(),
    };
    let (_, api) = session.connect(connection)?;
    let who = api.whoami().await?;
    if who.kind == "device" {
        return Err(Failure::new(
            Exit::NotAllowed,
            session.say(
                "This is a phone's token; it administers nothing.",
                "Это токен телефона: администрировать с ним нельзя.",
            ),
        )
        .hint(session.say(
            "simoctl token issue --operator NAME makes one for a person.",
            "Токен для человека: simoctl token issue --operator ИМЯ.",
        )));
    }

    let name = match session.context() {
        Some(name) => name.to_owned(),
        None => url.host_str().unwrap_or("default").to_owned(),
    };
    let mut profiles = session.profiles()?;
    if let Some(there) = profiles.contexts.get(&name)
        && (&there.url, &there.client) != (&url, &client)
    {
        session.confirm(&session.say(
            format!("The context `{name}` is for {} so far. Replace it?", there.url),
            format!("Контекст `{name}` сейчас для {}. Заменить его?", there.url),
        ))?;
    }
    profiles.contexts.insert(
        name.clone(),
        Profile {
            url,
            token,
            client,
            ca,
        },
    );
    profiles.current = Some(name.clone());
    session.save(&profiles)?;
    let who = whoami::in_words(session, &who);
    session.done(&session.say(
        format!("You are {who}. Kept as the context `{name}`, which is in use now."),
        format!("Вы {who}. Сохранено как контекст `{name}`, теперь используется он."),
    ));
    Ok(())
}

/// The token: typed unseen on a terminal, or all of standard input.
fn ask_token(session: &Session) -> Result<String, Failure> {
    let token = if terminal::can_ask() {
        ask::secret(session.say("Token:", "Токен:"), session.lang)?
    } else {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map_err(|cause| {
            Failure::failed(session.say(
                format!("Cannot read the token from standard input: {cause}."),
                format!("Не удаётся прочитать токен со стандартного ввода: {cause}."),
            ))
        })?;
        text
    };
    let token = token.trim();
    if token.is_empty() {
        return Err(
            Failure::usage(session.say("No token was given.", "Токен не указан.")).hint(session.say(
                "simoctl token issue --operator NAME makes one.",
                "Выпустить токен: simoctl token issue --operator ИМЯ.",
            )),
        );
    }
    Ok(token.to_owned())
}

pub(super) const RUSSIAN: Help = &[("login/address", "Адрес сервера, если его не указывает --url")];
