//! `simod vapid`: the key with which browsers subscribe. Subscriptions depend on it, so it moves along with an
//! installation.

use std::{
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use simo_common::lang::Lang;
use simod::{
    channel::webpush::VapidKey,
    clock::Clock,
    store::{NewKey, Store},
};

use super::{ConfigArguments, print, serve::runtime};

#[derive(Debug, Args)]
pub(super) struct VapidArguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Print the public half, in base64url.
    Show {
        /// Print the private half instead: anybody with it can push in this server's name.
        #[arg(long)]
        private: bool,
        #[command(flatten)]
        config: ConfigArguments,
    },
    /// Take the private half from another server; simod must not run on an SQLite file meanwhile.
    Import {
        /// A file with it, in base64url or PEM; - for standard input.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Also where phones have subscribed with another key: none of them is reached until it has opened the app.
        #[arg(long)]
        new_key: bool,
        #[command(flatten)]
        config: ConfigArguments,
    },
}

/// Prints or replaces the key.
pub(super) fn vapid(arguments: VapidArguments, lang: Lang) -> anyhow::Result<()> {
    match arguments.verb {
        Verb::Show { private, config } => show(&config, private, lang),
        Verb::Import { file, new_key, config } => import(&config, &file, new_key, lang),
    }
}

fn show(config: &ConfigArguments, private: bool, lang: Lang) -> anyhow::Result<()> {
    let config = config.load()?;
    let Some(stored) = runtime()?.block_on(Store::vapid_key_at(&config.place()?))? else {
        let database = config.shown_database();
        bail!(lang.pick(
            format!("there is no key yet in {database}: `simod serve` makes it when Web Push is on"),
            format!("в {database} ключа ещё нет: его создаёт `simod serve`, если Web Push включён"),
        ));
    };
    let key = read(&stored, lang)?;
    print(&format!("{}\n", if private { key.private() } else { key.public() }), lang)
}

fn import(config: &ConfigArguments, file: &Path, anyway: bool, lang: Lang) -> anyhow::Result<()> {
    let key = read(&text_of(file)?, lang)?;
    let place = config.load()?.place()?;
    let new = runtime()?.block_on(async {
        let store = Store::open_at(&place, Clock::System).await?;
        let new = store.replace_vapid_key(key.private(), anyway).await;
        store.close().await;
        new
    })?;
    match new {
        NewKey::InTheWay(phones) => bail!(lang.pick(
            format!("{phones} phones have subscribed with another key and would get nothing: --new-key"),
            format!(
                "с другим ключом подписаны телефоны ({phones}), они перестанут получать сообщения: --new-key"
            ),
        )),
        NewKey::Known => {}
        NewKey::Taken => {
            let restart =
                lang.pick("a simod that runs has to be restarted", "работающий simod нужно перезапустить");
            say_aside!("{restart}");
        }
    }
    print(&format!("{}\n", key.public()), lang)
}

fn read(text: &str, lang: Lang) -> anyhow::Result<VapidKey> {
    VapidKey::read(text).context(lang.pick(
        "no private key of the curve P-256, in base64url or PEM",
        "не закрытый ключ кривой P-256 в base64url или PEM",
    ))
}

fn text_of(file: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(file)
    };
    read.with_context(|| file.display().to_string())
}
