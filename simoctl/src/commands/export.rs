//! `simoctl export`: writes the current site as files that `apply` takes. They never contain secrets.

use std::{fs, path::PathBuf};

use clap::Args;
use simo_common::api::site::Site;

use super::{
    is_stdio,
    site::{files::within, write::yaml},
    unreadable, unwritable,
};
use crate::{failure::Failure, output::write_text, session::Session};

/// The owners' file in a directory; no slug begins with `_`.
const OWNERS: &str = "_owners.yaml";

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The file to write; - or nothing is standard output
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// A directory to write instead: a file for each client, and one for the owners
    #[arg(long, value_name = "DIR", conflicts_with = "file")]
    dir: Option<PathBuf>,
}

pub(crate) async fn run(session: &Session, args: Export) -> Result<(), Failure> {
    let file = args.file.filter(|path| !is_stdio(path));
    let site = session.client()?.site().await?;
    if session.out.is_structured() && file.is_none() && args.dir.is_none() {
        return Ok(session.out.json(&site)?);
    }
    let comment = session.say(
        "What SiMO has, for `simoctl apply -f`. Secrets and the archive are left out.",
        "То, что есть в SiMO, для `simoctl apply -f`. Секретов и архива здесь нет.",
    );
    if let Some(path) = &file {
        fs::write(path, yaml(&site, comment)).map_err(|cause| unwritable(session, path, cause))?;
    } else if let Some(directory) = &args.dir {
        fs::create_dir_all(directory).map_err(|cause| unwritable(session, directory, cause))?;
        let mut written = Vec::new();
        for (name, part) in parts(site) {
            let path = directory.join(name);
            fs::write(&path, yaml(&part, comment)).map_err(|cause| unwritable(session, &path, cause))?;
            written.push(path);
        }
        let all = within(directory).map_err(|cause| unreadable(session, directory, cause))?;
        for path in all.iter().filter(|path| !written.contains(path)) {
            let path = path.display();
            session.talk(&session.say(
                format!("{path} is not of this export, and `apply -f` would read it too."),
                format!("{path} не из этой выгрузки, но `apply -f` прочтёт и его."),
            ));
        }
    } else {
        return Ok(write_text(&yaml(&site, comment))?);
    }
    session.done(session.say("Written.", "Записано."));
    Ok(())
}

/// The parts of a site, each with its file name.
fn parts(site: Site) -> Vec<(String, Site)> {
    let owners = site.owners.map(|owners| Site { owners: Some(owners), ..Site::default() });
    let mut parts: Vec<_> = owners.map(|part| (OWNERS.to_owned(), part)).into_iter().collect();
    for (slug, client) in site.clients {
        let name = format!("{slug}.yaml");
        let part = Site { clients: [(slug, client)].into(), ..Site::default() };
        parts.push((name, part));
    }
    parts
}
