//! `simoctl apply`: shows what the files would change, asks, and has the server apply all of it or nothing.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use simo_common::{
    api::{
        problem::Problem,
        site::{ApplySite, PlanSite, SiteAction, SiteChange, SiteKind, SitePlan, SiteToken},
    },
    client::Error,
    lang::Lang,
};

use super::{
    audit::difference,
    operator,
    secret_file::Paper,
    site::files::{self, Files},
    unreadable,
};
use crate::{
    failure::{Exit, Failure},
    output::{Column, Record, Value, value::named},
    session::Session,
};

/// Changes shown on a terminal without `--all`.
const SHOWN: usize = 40;

const EXAMPLES: &str = "\
Examples:
  simoctl apply -f site.yaml --dry-run
  simoctl apply -f site.yaml
  simoctl apply -f sites/ --prune --yes --tokens-to tokens.txt
  simoctl export -f site.yaml";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
#[allow(clippy::struct_excessive_bools, reason = "flags of a command line are independent of each other")]
pub(crate) struct Apply {
    /// A file, or a directory of *.yaml files, which are one site together; - is standard input
    #[arg(short, long, required = true, value_name = "PATH")]
    file: Vec<PathBuf>,
    /// Archive what a list leaves out: of a client's employees, if the files list its employees, and so on
    #[arg(long)]
    prune: bool,
    /// Archive clients that the files do not name, too
    #[arg(long, requires = "prune")]
    prune_clients: bool,
    /// Only show what would change
    #[arg(long)]
    dry_run: bool,
    /// Show all changes, however many there are
    #[arg(long)]
    all: bool,
    /// Write the secrets of new tokens to this new file, which only you may read; to standard output unless given
    #[arg(long, value_name = "FILE")]
    tokens_to: Option<PathBuf>,
}

pub(crate) async fn run(session: &Session, args: Apply) -> Result<(), Failure> {
    let mut files = files::read(&args.file, session.lang).map_err(|(path, cause)| {
        let is_empty = cause.kind() == std::io::ErrorKind::NotFound && path.is_dir();
        if is_empty {
            let path = path.display();
            return Failure::failed(session.say(
                format!("There is no *.yaml file in {path}."),
                format!("В {path} нет ни одного файла *.yaml."),
            ));
        }
        unreadable(session, &path, cause)
    })?;
    // The files name their clients themselves.
    let api = session.client()?.clone().for_client(None);
    let asked = PlanSite {
        site: std::mem::take(&mut files.site),
        prune: args.prune,
        prune_clients: args.prune_clients,
    };
    let busy = busy(session);
    let planned = api.plan_site(&asked).await;
    busy.finish_and_clear();
    let plan = understood(session, files, planned)?;
    let tokens = plan.changes.iter().any(is_new_token);
    if plan.changes.is_empty() {
        if session.out.is_structured() {
            session.out.json(&plan)?;
        }
        session.done(session.say(
            "Nothing to change: everything is as the files say.",
            "Менять нечего: всё так, как сказано в файлах.",
        ));
        return Ok(());
    }
    show(session, &args, &plan)?;
    if args.dry_run {
        return Ok(());
    }
    operator::warn_of_self(session, |name| is_demoted(&plan, name)).await?;
    session.confirm(&session.say(
        format!("Make these changes ({})?", plan.changes.len()),
        format!("Внести эти изменения ({})?", plan.changes.len()),
    ))?;
    let mut paper = None;
    if let Some(path) = args.tokens_to.as_ref().filter(|_| tokens) {
        // Opened first: secrets that cannot be written would be lost.
        paper = Some(Paper::open_new(session, path)?);
    }
    let wanted = ApplySite {
        site: asked.site,
        prune: asked.prune,
        prune_clients: asked.prune_clients,
        revision: plan.revision,
    };
    let busy = self::busy(session);
    let applied = api.apply_site(&wanted).await;
    busy.finish_and_clear();
    let mut applied = applied.map_err(|error| match error {
        Error::Problem(problem) if problem.code == "changed_meanwhile" => {
            Failure::new(Exit::Conflict, problem.detail).hint(session.say(
                "Run the same command again: it plans anew.",
                "Повторите ту же команду: она составит план заново.",
            ))
        }
        error => error.into(),
    })?;
    let mut issued = std::mem::take(&mut applied.tokens);
    if let Some(paper) = paper {
        let lines = issued.iter().map(|token| {
            let SiteToken { client, name, issued } = token;
            format!("{client}\t{}\t{name}\t{}\n", issued.holder, issued.token)
        });
        match paper.write(session, lines.collect::<String>().as_bytes()) {
            Ok(()) => issued.clear(),
            Err(_) => session.talk(session.say(
                "The file of the tokens cannot be written. They follow here.",
                "Файл токенов не удалось записать. Токены выведены здесь.",
            )),
        }
    }
    if session.out.is_json() {
        applied.tokens = issued;
        session.out.json(&applied)?;
    } else if !issued.is_empty() {
        let issued: Vec<_> = issued.into_iter().map(Issued).collect();
        session.out.list(&issued)?;
    }
    let count = applied.changes.len();
    session.done(&session.say(format!("Changes made: {count}."), format!("Внесено изменений: {count}.")));
    Ok(())
}

/// The plan, or all mistakes in the files.
fn understood(
    session: &Session,
    mut files: Files,
    planned: Result<SitePlan, Error>,
) -> Result<SitePlan, Failure> {
    match planned {
        Ok(plan) if files.are_sound() => return Ok(plan),
        Err(Error::Problem(problem)) if is_about_the_site(&problem) => files.take(&problem.errors),
        Err(error) if files.are_sound() => return Err(error.into()),
        // The mistakes already known are enough.
        Ok(_) | Err(_) => {}
    }
    let told = files.told(session.lang);
    let count = told.len();
    Err(Failure::failed(session.say(
        format!("Nothing was applied: the files have mistakes ({count})."),
        format!("Ничего не применено: в файлах есть ошибки ({count})."),
    ))
    .details(told))
}

fn is_about_the_site(problem: &Problem) -> bool {
    problem.status == 422 && !problem.errors.is_empty()
}

fn is_new_token(change: &SiteChange) -> bool {
    change.kind == SiteKind::Token && change.action == SiteAction::Create
}

/// Whether the plan archives or changes this operator.
fn is_demoted(plan: &SitePlan, name: &str) -> bool {
    plan.changes.iter().any(|change| {
        change.kind == SiteKind::Operator
            && change.name == name
            && matches!(change.action, SiteAction::Archive | SiteAction::Change)
    })
}

/// Shows a spinner.
fn busy(session: &Session) -> ProgressBar {
    let target = if session.is_quiet() { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let bar = ProgressBar::with_draw_target(None, target);
    bar.set_style(ProgressStyle::default_spinner());
    bar.set_message(session.say("The server is at work", "Сервер обрабатывает"));
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// Prints the counts, then the changes, up to `SHOWN` on a terminal.
fn show(session: &Session, args: &Apply, plan: &SitePlan) -> Result<(), Failure> {
    session.talk(&summary(plan, session.lang));
    if session.out.is_json() {
        if args.dry_run {
            session.out.json(plan)?;
        }
        return Ok(());
    }
    // With `apply`, scripts get only the new tokens on stdout.
    if !session.out.is_for_people() && !args.dry_run {
        return Ok(());
    }
    let most = if args.all || !session.out.is_for_people() { usize::MAX } else { SHOWN };
    let rows: Vec<_> = plan.changes.iter().take(most).cloned().map(Row).collect();
    session.out.list(&rows)?;
    let left = plan.changes.len() - rows.len();
    if left > 0 {
        session
            .talk(&session.say(format!("And {left} more: see --all."), format!("И ещё {left}: см. --all.")));
    }
    Ok(())
}

/// `create: 2 groups …`, one line per action.
fn summary(plan: &SitePlan, lang: Lang) -> String {
    let mut counts: BTreeMap<SiteAction, BTreeMap<SiteKind, usize>> = BTreeMap::new();
    for change in &plan.changes {
        let kinds = counts.entry(change.action).or_default();
        *kinds.entry(change.kind).or_default() += 1;
    }
    let lines = counts.into_iter().map(|(action, kinds)| {
        let kinds = kinds.into_iter().map(|(kind, count)| {
            let (_, en, ru) = kind_words(kind);
            format!("{} {count}", lang.pick(en, ru))
        });
        let (_, en, ru) = action_words(action);
        format!("{}: {}", lang.pick(en, ru), kinds.collect::<Vec<_>>().join(", "))
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn kind_words(kind: SiteKind) -> (&'static str, &'static str, &'static str) {
    match kind {
        SiteKind::Client => ("client", "client", "клиент"),
        SiteKind::Operator => ("operator", "operator", "оператор"),
        SiteKind::Acs => ("acs", "ACS", "АСУ"),
        SiteKind::Token => ("token", "token", "токен"),
        SiteKind::Group => ("group", "group", "группа"),
        SiteKind::Employee => ("employee", "employee", "сотрудник"),
        SiteKind::Topic => ("topic", "topic", "тема"),
        SiteKind::Grant => ("grant", "grant", "доступ"),
    }
}

fn action_words(action: SiteAction) -> (&'static str, &'static str, &'static str) {
    match action {
        SiteAction::Create => ("create", "create", "создать"),
        SiteAction::Restore => ("restore", "restore", "вернуть из архива"),
        SiteAction::Change => ("change", "change", "изменить"),
        SiteAction::Succeed => ("succeed", "new person", "другой человек"),
        SiteAction::Archive => ("archive", "archive", "в архив"),
        SiteAction::Revoke => ("revoke", "revoke", "отозвать"),
    }
}

/// A change, as a table row.
#[derive(Serialize)]
#[serde(transparent)]
struct Row(SiteChange);

impl Record for Row {
    const COLUMNS: &'static [Column<Self>] = &[
        Column::new("action", "Change", "Действие", |c| {
            let (exact, en, ru) = action_words(c.0.action);
            named(exact, en, ru)
        }),
        Column::new("kind", "Kind", "Вид", |c| {
            let (exact, en, ru) = kind_words(c.0.kind);
            named(exact, en, ru)
        }),
        Column::new("client", "Client", "Клиент", |c| c.0.client.as_deref().unwrap_or_default().into()),
        Column::new("name", "Name", "Имя", |c| (&c.0.name).into()),
        Column::new("fields", "What", "Что", |c| {
            Value::Text(difference(c.0.before.as_ref(), c.0.after.as_ref()))
        }),
    ];
}

/// A token with its secret, as a table row.
#[derive(Serialize)]
#[serde(transparent)]
struct Issued(SiteToken);

impl Record for Issued {
    const COLUMNS: &'static [Column<Self>] = &[
        Column::new("client", "Client", "Клиент", |t| (&t.0.client).into()),
        Column::new("acs", "ACS", "АСУ", |t| (&t.0.issued.holder).into()),
        Column::new("name", "Name", "Имя", |t| (&t.0.name).into()),
        Column::new("token", "Token", "Токен", |t| (&t.0.issued.token).into()),
    ];
}
