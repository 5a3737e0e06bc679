//! `simoctl context`: the servers that a person works with. Tokens are never shown.

use clap::Subcommand;
use serde::Serialize;
use simo_common::client::{Profile, Profiles};
use url::Url;

use crate::{
    failure::{Exit, Failure},
    output::{Column, Record},
    session::Session,
};

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// List contexts
    List,
    /// Use a context from now on
    Use {
        /// Its name
        name: String,
    },
    /// Show a context; the one in use unless named
    Show {
        /// Its name
        name: Option<String>,
    },
    /// Forget a context and its token
    Remove {
        /// Its name
        name: String,
    },
}

/// A context as shown: without its token.
#[derive(Debug, Serialize)]
struct Context {
    name: String,
    current: bool,
    url: Url,
    client: Option<String>,
}

impl Context {
    fn new(name: &str, profile: &Profile, profiles: &Profiles) -> Self {
        Self {
            name: name.to_owned(),
            current: profiles.current.as_deref() == Some(name),
            url: profile.url.clone(),
            client: profile.client.clone(),
        }
    }
}

pub(crate) fn run(session: &Session, verb: Verb) -> Result<(), Failure> {
    let mut profiles = session.profiles()?;
    match verb {
        Verb::List => {
            let all = profiles.contexts.iter();
            let contexts: Vec<_> =
                all.map(|(name, profile)| Context::new(name, profile, &profiles)).collect();
            Ok(session.out.list(&contexts)?)
        }
        Verb::Use { name } => {
            profiles.named(&name)?;
            profiles.current = Some(name.clone());
            session.save(&profiles)?;
            session.done(&session.say(
                format!("The context `{name}` is in use now."),
                format!("Теперь используется контекст `{name}`."),
            ));
            Ok(())
        }
        Verb::Show { name } => {
            let name = name.or_else(|| session.context().map(str::to_owned)).or(profiles.current.clone());
            let Some(name) = name else {
                let what = session.say("No context is in use.", "Контекст не выбран.");
                return Err(Failure::new(Exit::NotFound, what).hint(session.say(
                    "`simoctl login` makes one, `simoctl context use NAME` takes one up.",
                    "Создать: `simoctl login`, выбрать: `simoctl context use ИМЯ`.",
                )));
            };
            Ok(session.out.record(&Context::new(&name, profiles.named(&name)?, &profiles))?)
        }
        Verb::Remove { name } => {
            let url = profiles.named(&name)?.url.clone();
            session.confirm(&session.say(
                format!("Forget the context `{name}` ({url}) and its token?"),
                format!("Забыть контекст `{name}` ({url}) и его токен?"),
            ))?;
            profiles.contexts.remove(&name);
            profiles.current.take_if(|current| *current == name);
            session.save(&profiles)?;
            session.done(&session.say(
                format!("The context `{name}` is forgotten; its token works on until it is revoked."),
                format!("Контекст `{name}` забыт; его токен действует, пока не отозван."),
            ));
            Ok(())
        }
    }
}

impl Record for Context {
    const COLUMNS: &'static [Column<Self>] = &[
        Column::new("name", "Context", "Контекст", |c| (&c.name).into()),
        Column::new("current", "In use", "Используется", |c| c.current.into()),
        Column::new("url", "Server", "Сервер", |c| c.url.as_str().into()),
        Column::new("client", "Client", "Клиент", |c| c.client.as_deref().into()),
    ];
}
