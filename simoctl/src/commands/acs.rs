//! `simoctl acs`: systems that post messages.

use clap::Subcommand;
use simo_common::api::access::{Acs, EditAcs, Named};

use super::ListArgs;
use crate::{
    failure::Failure,
    output::{Column, Record},
    session::Session,
};

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Add an ACS (`token issue --acs NAME` makes a new one, too)
    Add {
        /// Its short name: a–z 0–9 - _ .
        name: String,
    },
    /// List ACS
    List(ListArgs),
    /// Show an ACS
    Show {
        /// Its short name
        name: String,
    },
    /// Give an ACS another short name: its tokens go on working
    Edit {
        /// Its short name
        name: String,
        /// Its new short name: a–z 0–9 - _ .
        #[arg(long = "name", value_name = "NEW")]
        new: String,
    },
    /// Archive an ACS: its tokens stop working at once, its messages stay in history
    Remove {
        /// Its short name
        name: String,
    },
}

pub(crate) async fn run(session: &Session, verb: Verb) -> Result<(), Failure> {
    let api = session.client()?;
    match verb {
        Verb::Add { name } => {
            let named = Named { slug: name, name: None };
            let acs = api.add_acs(&named).await?;
            let name = &acs.name;
            let text = session.say(
                format!("ACS {name} added. Next: simoctl token issue --acs {name}"),
                format!("АСУ {name} добавлена. Дальше: simoctl token issue --acs {name}"),
            );
            session.made(&acs, &text)
        }
        Verb::List(list) => {
            let key = |acs: &Acs| acs.name.clone();
            let fetch = async |query: &_| api.acs_list(query).await;
            session.list(list.query(), list.limit, key, fetch).await
        }
        Verb::Show { name } => Ok(session.out.record(&api.acs(&name).await?)?),
        Verb::Edit { name, new } => {
            let acs = api.edit_acs(&name, &EditAcs { name: new }).await?;
            let new = &acs.name;
            let text = session.say(
                format!("ACS {name} is called {new} now."),
                format!("АСУ {name} теперь называется {new}."),
            );
            session.made(&acs, &text)
        }
        Verb::Remove { name } => {
            let tokens = api.acs(&name).await?.tokens;
            session.confirm(&session.say(
                format!("Archive ACS {name}? Its tokens ({tokens}) stop working at once."),
                format!("Отправить в архив АСУ {name}? Её токены ({tokens}) сразу перестанут работать."),
            ))?;
            api.remove_acs(&name).await?;
            session.done(
                &session.say(format!("ACS {name} archived."), format!("АСУ {name} отправлена в архив.")),
            );
            Ok(())
        }
    }
}

impl Record for Acs {
    const COLUMNS: &'static [Column<Self>] = &[
        Column::new("name", "ACS", "АСУ", |a| (&a.name).into()),
        Column::new("tokens", "Tokens", "Токенов", |a| a.tokens.into()),
        Column::new("created_at", "Created", "Создана", |a| a.created_at.into()),
        Column::new("archived_at", "Archived", "В архиве с", |a| a.archived_at.into()),
    ];
}
