//! `simoctl audit verify`: verifies the chain here, entry by entry, without trusting the server. The server's head must still
//! fit: new entries may appear meanwhile, but none may be missing.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
};

use clap::Args;
use serde::Serialize;
use simo_common::{
    api::audit::{AuditEntry, AuditHead},
    audit::{Verifier, hex},
    lang::Text,
};

use super::{Chain, each, is_stdio};
use crate::{
    commands::{only_one_input, read_text, unreadable},
    failure::Failure,
    output::{Column, Record},
    session::Session,
};

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// A file that `audit export` wrote, - is standard input; the server is asked unless given
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// What `audit head -o json` said earlier, in a file or, with -, on standard input: shows that the chain was not cut
    /// or written anew
    #[arg(long, value_name = "FILE")]
    head: Option<PathBuf>,
    #[command(flatten)]
    chain: Chain,
}

/// The result of a verification.
#[derive(Debug, Serialize)]
struct Verified {
    entries: u64,
    erased: u64,
    hash: String,
}

pub(super) async fn run(session: &Session, args: Verify) -> Result<(), Failure> {
    let is_input = |path: &Option<PathBuf>| path.as_deref().is_some_and(is_stdio);
    if is_input(&args.head) && is_input(&args.file) {
        return Err(only_one_input(session, "--head", "--file"));
    }
    let head = args.head.as_deref().map(|path| head(session, path)).transpose()?;
    let server = args.chain.server;
    let of_server = async || match &args.file {
        None => Ok::<_, Failure>(Some(session.client()?.audit_head(server).await?)),
        Some(_) => Ok(None),
    };
    let before = of_server().await?;
    let heads = [head.as_ref(), before.as_ref()];
    let mut verifier = Verifier::default();
    let mut take = |entry: &AuditEntry| {
        verifier
            .take(entry)
            .and_then(|()| heads.iter().flatten().try_for_each(|head| verifier.meets(head)))
            .map_err(|why| broken(session, &why))
    };
    match &args.file {
        Some(path) => each_line(session, path, take)?,
        None => each(session, server, |entry| take(&entry)).await?,
    }
    let after = of_server().await?;
    heads
        .iter()
        .try_for_each(|head| verifier.finish(*head))
        .and_then(|()| after.iter().try_for_each(|head| verifier.ends_by(head)))
        .map_err(|why| broken(session, &why))?;
    let verified =
        Verified { entries: verifier.end().seq, erased: verifier.erased(), hash: hex(&verifier.end().hash) };
    let (entries, erased) = (verified.entries, verified.erased);
    let said = if entries > 0 {
        session.say(
            format!("The audit is whole: entries {entries}, of them erased {erased}."),
            format!("Аудит цел: записей {entries}, из них стёрто {erased}."),
        )
    } else if args.file.is_some() {
        // Does not claim that nothing was recorded: the file may be truncated.
        session.say("There is no entry in the file.", "В файле нет ни одной записи.").to_owned()
    } else {
        session.say("No change was recorded yet.", "Пока не записано ни одного изменения.").to_owned()
    };
    session.made(&verified, &said)
}

fn broken(session: &Session, why: &Text) -> Failure {
    Failure::failed(session.say(
        format!("The audit is not what was recorded: {}.", why.get(session.lang)),
        format!("Аудит не тот, что был записан: {}.", why.get(session.lang)),
    ))
    .hint(session.say(
        "compare it with an earlier `audit export`, and with the backups of the database",
        "сравните его с прежним `audit export` и с резервными копиями базы",
    ))
}

fn each_line(
    session: &Session,
    path: &Path,
    mut take: impl FnMut(&AuditEntry) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let input: Box<dyn BufRead> = if is_stdio(path) {
        Box::new(io::stdin().lock())
    } else {
        let file = File::open(path).map_err(|cause| unreadable(session, path, cause))?;
        Box::new(BufReader::new(file))
    };
    for (number, line) in (1..).zip(input.lines()) {
        let entry = line
            .map_err(|cause| cause.to_string())
            .and_then(|line| serde_json::from_str(&line).map_err(|cause| cause.to_string()))
            .map_err(|cause| unreadable(session, path, format!("{number}: {cause}")))?;
        take(&entry)?;
    }
    Ok(())
}

fn head(session: &Session, path: &Path) -> Result<AuditHead, Failure> {
    read_text(path)
        .map_err(|cause| cause.to_string())
        .and_then(|text| serde_json::from_str(&text).map_err(|cause| cause.to_string()))
        .map_err(|cause| unreadable(session, path, cause))
}

impl Record for Verified {
    const COLUMNS: &'static [Column<Self>] = &[
        Column::new("entries", "Entries", "Записей", |v| v.entries.into()),
        Column::new("erased", "Erased", "Стёрто", |v| v.erased.into()),
        Column::new("hash", "Last hash", "Последний хеш", |v| (&v.hash).into()),
    ];
}
