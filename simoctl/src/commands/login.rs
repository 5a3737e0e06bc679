//! `simoctl login`: keeps a server and a token as a context, after checking them against the server. The token comes from a
//! one-time code, or is one issued before. `simoctl logout` ends the session and forgets the context.

use std::path::Path;

use clap::Args;
use simo_common::{
    api::login::LogIn,
    client::{Connection, Origin, Profile, Profiles, Server, parse_url},
    token,
};
use url::Url;
use uuid::Uuid;

use super::{STDIO, read_text, unreadable, whoami};
use crate::{
    ask,
    failure::{Exit, Failure},
    session::{Session, environment},
    terminal,
};

const EXAMPLES: &str = "\
Examples:
  simoctl login https://simo.example.org
  simoctl login https://simo.example.org --code K7QD-M2XA-9F
  simoctl login https://simo.example.org --context prod --client romashka
  pass simo/prod | simoctl login https://simo.example.org";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Login {
    /// The server's address, unless --url says it
    #[arg(value_name = "URL", value_parser = parse_url, conflicts_with_all = ["url", "socket"])]
    address: Option<Url>,
    /// The one-time code that an administrator gave you; asked for when left out
    #[arg(long, value_name = "CODE", conflicts_with = "token")]
    code: Option<String>,
    /// What the session is called in lists; this machine's name unless given
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// How long the session lasts: 8h, 30d; 90 days unless given
    #[arg(long, value_name = "TIME", value_parser = super::message::seconds)]
    valid_for: Option<i64>,
}

#[derive(Debug, Args)]
pub(crate) struct Logout {
    /// End this other session of yours, see `simoctl operator sessions`
    #[arg(value_parser = super::id)]
    id: Option<Uuid>,
    /// End all sessions of yours, on all machines
    #[arg(long, conflicts_with = "id")]
    everywhere: bool,
}

/// A credential to log in with.
enum Pass {
    /// A one-time code, exchanged for a token.
    Code(String),
    /// A token, used as it is.
    Token(String),
}

pub(crate) async fn run(session: &Session, login: Login) -> Result<(), Failure> {
    let (flags, environment) = (session.flags(), environment()?);
    let Some(url) = login.address.or(flags.url).or(environment.url) else {
        return Err(Failure::usage(session.say("Which server?", "Какой сервер?"))
            .hint("simoctl login https://simo.example.org"));
    };
    let client = flags.client.or(environment.client);
    let name = match session.context() {
        Some(name) => name.to_owned(),
        None => url.host_str().unwrap_or("default").to_owned(),
    };
    let mut profiles = session.profiles()?;
    // Before the one-time code is spent.
    confirm_replacing(session, &profiles, &name, &url, client.as_ref())?;
    let pass = match (login.code, flags.token, environment.token) {
        (Some(code), ..) => pass(session, &code)?,
        (None, Some(token), _) | (None, None, Some(token)) => pass(session, &token)?,
        (None, None, None) => pass(session, &ask_pass(session)?)?,
    };
    // Absolute, so that the context works from any directory.
    let ca = flags.ca.or(environment.ca);
    let ca = ca.map(|path| std::path::absolute(&path).unwrap_or(path));
    let connection = |token| Connection {
        server: Server::Url(url.clone()),
        origin: Origin::Flag,
        token,
        client: client.clone(),
        ca: ca.clone(),
    };
    let token = match pass {
        Pass::Token(token) => token,
        Pass::Code(code) => {
            let login =
                LogIn { code, name: login.name.unwrap_or_else(host_name), valid_for: login.valid_for };
            let api = connection(None).open(session.lang)?;
            api.log_in(&login).await?.token
        }
    };
    let (_, api) = session.connect(connection(Some(token.clone())))?;
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
            "simoctl operator code NAME makes a code for a person.",
            "Код для человека: simoctl operator code ИМЯ.",
        )));
    }
    profiles.contexts.insert(name.clone(), Profile { url, token, client, ca });
    profiles.current = Some(name.clone());
    session.save(&profiles)?;
    let who = whoami::in_words(session, &who);
    session.done(&session.say(
        format!("You are {who}. Kept as the context `{name}`, which is in use now."),
        format!("Вы {who}. Сохранено как контекст `{name}`, теперь используется он."),
    ));
    Ok(())
}

pub(crate) async fn log_out(session: &Session, logout: Logout) -> Result<(), Failure> {
    let connection = session.connection()?;
    if connection.token.is_none() {
        return Err(Failure::usage(session.say(
            "There is no session to end: you call without a token.",
            "Завершать нечего: вы обращаетесь без токена.",
        ))
        .hint(session.say(
            "`simoctl operator logout NAME` ends the sessions of others.",
            "Сеансы других завершает `simoctl operator logout ИМЯ`.",
        )));
    }
    let api = session.client()?;
    if let Some(id) = logout.id {
        api.end_session(id).await?;
        session.done(session.say("Session ended.", "Сеанс завершён."));
        return Ok(());
    }
    let mut others = 0;
    if logout.everywhere {
        session.confirm(
            session
                .say("End all your sessions, on all machines?", "Завершить все ваши сеансы на всех машинах?"),
        )?;
        others = api.end_other_sessions().await?.sessions;
    }
    match api.log_out().await {
        Ok(()) => {}
        // The session has ended already: only forget it.
        Err(error) if error.status() == Some(401) => {}
        Err(error) => return Err(error.into()),
    }
    if let Origin::Context(name) = &connection.origin {
        let mut profiles = session.profiles()?;
        profiles.contexts.remove(name);
        profiles.current.take_if(|current| current == name);
        session.save(&profiles)?;
        session.done(&session.say(
            format!("Logged out; the context `{name}` is forgotten."),
            format!("Сеанс завершён; контекст `{name}` забыт."),
        ));
    } else {
        session.done(session.say("Logged out.", "Сеанс завершён."));
    }
    if others > 0 {
        session.talk(&session.say(
            format!("Other sessions that were ended: {others}."),
            format!("Завершено других сеансов: {others}."),
        ));
    }
    Ok(())
}

/// Asks before replacing a context for another server or client.
fn confirm_replacing(
    session: &Session,
    profiles: &Profiles,
    name: &str,
    url: &Url,
    client: Option<&String>,
) -> Result<(), Failure> {
    match profiles.contexts.get(name) {
        Some(there) if (&there.url, there.client.as_ref()) != (url, client) => session.confirm(&session.say(
            format!("The context `{name}` is for {} so far. Replace it?", there.url),
            format!("Контекст `{name}` сейчас для {}. Заменить его?", there.url),
        )),
        _ => Ok(()),
    }
}

/// A code or a token, as typed. Other input is refused here, so that it does not count as a guess.
fn pass(session: &Session, text: &str) -> Result<Pass, Failure> {
    let text = text.trim();
    if text.starts_with("simo_") {
        return Ok(Pass::Token(text.to_owned()));
    }
    if token::is_code(text) {
        return Ok(Pass::Code(text.to_owned()));
    }
    Err(Failure::new(
        Exit::NotAllowed,
        session.say("This is neither a login code nor a token of SiMO.", "Это не код входа и не токен SiMO."),
    )
    .hint(session.say(
        "A code looks like K7QD-M2XA-9F; a token begins with simo_.",
        "Код выглядит так: K7QD-M2XA-9F; токен начинается с simo_.",
    )))
}

/// Reads the code or token: typed without echo on a terminal, or all of standard input.
fn ask_pass(session: &Session) -> Result<String, Failure> {
    let text = if terminal::can_ask() {
        ask::secret(session.say("Login code (or token):", "Код входа (или токен):"), session.lang)?
    } else {
        let input = Path::new(STDIO);
        read_text(input).map_err(|cause| unreadable(session, input, cause))?
    };
    if text.trim().is_empty() {
        return Err(Failure::usage(
            session.say("No code and no token was given.", "Не указан ни код, ни токен."),
        )
        .hint(
            session
                .say("simoctl operator code NAME makes a code.", "Сделать код: simoctl operator code ИМЯ."),
        ));
    }
    Ok(text)
}

/// This machine's name, by which operators recognise the session.
fn host_name() -> String {
    let names = ["/proc/sys/kernel/hostname", "/etc/hostname"];
    let mut names = names.iter().filter_map(|file| std::fs::read_to_string(file).ok());
    let name = names.find(|name| !name.trim().is_empty());
    name.map_or_else(|| "simoctl".to_owned(), |name| name.trim().to_owned())
}
