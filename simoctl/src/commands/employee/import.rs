//! `simoctl employee import`: reads the file, has the server import all of it or nothing, and reports the changes.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use simo_common::{
    api::people::{ImportChange, ImportReport, ImportRow},
    client::{Client, Error, ListQuery},
    people::fold_name,
};

use super::{
    file::{self, GroupNames, Mistake, Table},
    persons,
};
use crate::{
    commands::{called, read_bytes, unreadable},
    failure::Failure,
    output::{Column, Record, Value, value::named},
    session::Session,
};

pub(super) const EXAMPLES: &str = "\
Examples:
  simoctl --client romashka employee import employees.csv --dry-run
  simoctl --client romashka employee import employees.csv
  simoctl --client romashka employee import сотрудники.csv   # as Excel and 1C save it
  psql -c 'copy (select …) to stdout csv header' | simoctl employee import -

employees.csv:
  personnel_no,full_name,email,phone,groups,locale,timezone
  100001,Исаева Прасковья Егоровна,isaeva@example.org,+79001234567,it|smena-a,ru,Asia/Krasnoyarsk";

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// A file with a header, in UTF-8 or Windows-1251; - is standard input
    file: PathBuf,
    /// Only show what would change
    #[arg(long)]
    dry_run: bool,
    /// These numbers, or all that come under another name, pass to other people: their predecessors are archived
    #[arg(long, value_name = "NO", value_delimiter = ',')]
    new_person: Vec<String>,
    /// These numbers, or all that come under another name, are the same people renamed
    #[arg(long, value_name = "NO", value_delimiter = ',')]
    same_person: Vec<String>,
}

pub(super) async fn run(session: &Session, api: &Client, args: &Import) -> Result<(), Failure> {
    let mut table = read(session, api, args).await?;
    if !table.mistakes.is_empty() {
        // The server's check needs the flags applied. A number not found here may be on an unreadable row: no error.
        let _all_fit = persons::say(session, &mut table.rows, &args.new_person, &args.same_person);
        let all = [table.mistakes.clone(), more_mistakes(api, &table).await].concat();
        return Err(refusal(session, args, all));
    }
    persons::say(session, &mut table.rows, &args.new_person, &args.same_person)?;
    let rows = &table.rows;
    if !args.new_person.is_empty() && !args.dry_run && !session.agreed() {
        let count = sent(session, args, &table, upload(session, api, rows, true).await)?.succeeded;
        if count > 0 {
            session.confirm(&session.say(
                format!("Pass {count} numbers on to other people? Their predecessors are archived, with their phones let go."),
                format!(
                    "Передать номера другим людям ({count})? Прежние сотрудники уйдут в архив, их телефоны будут отключены."
                ),
            ))?;
        }
    }
    let report = sent(session, args, &table, upload(session, api, rows, args.dry_run).await)?;
    if session.out.is_json() {
        session.out.json(&report)?;
    } else if args.dry_run && (session.out.is_structured() || !report.changes.is_empty()) {
        let changes: Vec<_> = report.changes.iter().cloned().map(ShownChange).collect();
        session.out.list(&changes)?;
    }
    session.done(&summary(session, &report));
    Ok(())
}

/// Turns the server's errors about rows into mistakes in the file.
fn sent(
    session: &Session,
    args: &Import,
    table: &Table,
    answer: Result<ImportReport, Failure>,
) -> Result<ImportReport, Failure> {
    let problem = match answer {
        Err(Failure::Call(Error::Problem(problem))) if problem.status == 422 => problem,
        answer => return answer,
    };
    let errors = problem.errors.iter();
    let mistakes: Vec<_> = errors.filter_map(|error| table.mistake_of_server(error)).collect();
    if mistakes.is_empty() {
        return Err(Error::Problem(problem).into());
    }
    let numbers: Vec<_> = table
        .rows
        .iter()
        .filter(|row| mistakes.iter().any(|mistake| mistake.doubts(row.line)))
        .map(|row| &*row.employee.personnel_no)
        .collect();
    let refusal = refusal(session, args, mistakes);
    if numbers.is_empty() {
        return Err(refusal);
    }
    let numbers = numbers.join(",");
    Err(refusal.hint(session.say(
        format!(
            "Successors: --new-person {numbers} (or all), so that they read nothing of their predecessors'; the same \
             people renamed: --same-person NO,…"
        ),
        format!(
            "Если номера перешли к другим людям: --new-person {numbers} (или all), тогда чужой истории они не увидят; \
             если это те же люди с новыми именами: --same-person НОМЕР,…"
        ),
    )))
}

async fn read(session: &Session, api: &Client, args: &Import) -> Result<Table, Failure> {
    let path = &args.file;
    let bytes = read_bytes(path).map_err(|cause| unreadable(session, path, cause))?;
    let parse = |groups: &GroupNames| {
        file::parse(&bytes, groups, session.lang).map_err(|mistakes| refusal(session, args, mistakes))
    };
    let mut table = parse(&GroupNames::new())?;
    if table.lacks_groups {
        table = parse(&group_names(api).await?)?;
    }
    let Table { encoding, delimiter, .. } = table;
    session.talk(&session.say(
        format!("Read as {encoding}, columns separated by {delimiter}."),
        format!("Кодировка файла: {encoding}, разделитель: {delimiter}."),
    ));
    Ok(table)
}

/// The groups' short names by their names for people.
async fn group_names(api: &Client) -> Result<GroupNames, Failure> {
    let mut names = GroupNames::new();
    let mut query = ListQuery { limit: Some(1_000), ..ListQuery::default() };
    loop {
        let page = api.groups(&query).await?;
        for group in page.items {
            names.entry(fold_name(&group.name)).or_default().push(group.slug);
        }
        query.cursor = page.next;
        if query.cursor.is_none() {
            return Ok(names);
        }
    }
}

/// The server's errors about the rows that look good here, so that all mistakes are listed at once. If the server cannot be
/// asked, the known ones are enough.
async fn more_mistakes(api: &Client, table: &Table) -> Vec<Mistake> {
    match api.import_employees(&table.rows, true, |_, _| {}).await {
        Err(Error::Problem(problem)) => {
            let errors = problem.errors.iter();
            errors.filter_map(|error| table.mistake_of_server(error)).collect()
        }
        _ => Vec::new(),
    }
}

fn refusal(session: &Session, args: &Import, mut mistakes: Vec<Mistake>) -> Failure {
    // Within a line, in the order of its columns.
    mistakes.sort_by_key(Mistake::place);
    let (path, count) = (called(&args.file, session.lang), mistakes.len());
    Failure::failed(session.say(
        format!("Nothing was imported: {path} has mistakes ({count})."),
        format!("Ничего не загружено, {path}: ошибок {count}."),
    ))
    .details(mistakes.iter().map(|mistake| mistake.in_words(session.lang)).collect())
}

async fn upload(
    session: &Session,
    api: &Client,
    rows: &[ImportRow],
    dry_run: bool,
) -> Result<ImportReport, Failure> {
    let bar = ProgressBar::with_draw_target(
        None,
        if session.is_quiet() { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() },
    );
    let style = "{msg} {bar:40} {bytes}/{total_bytes}";
    bar.set_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_message(session.say("Sending", "Отправка"));
    let waits = session.say("The server is at work", "Сервер обрабатывает");
    let shown = bar.clone();
    let follow = move |sent: usize, total: usize| {
        shown.set_length(total as u64);
        shown.set_position(sent as u64);
        if sent == total {
            shown.set_style(ProgressStyle::default_spinner());
            shown.set_message(waits);
            shown.enable_steady_tick(Duration::from_millis(100));
        }
    };
    let report = api.import_employees(rows, dry_run, follow).await;
    bar.finish_and_clear();
    Ok(report?)
}

fn summary(session: &Session, report: &ImportReport) -> String {
    let ImportReport { created, updated, unchanged, groups_created: groups, succeeded, .. } = report;
    let successors = if *succeeded == 0 {
        String::new()
    } else {
        session
            .say(format!(" (of them successors: {succeeded})"), format!(" (из них преемников: {succeeded})"))
    };
    if report.dry_run {
        session.say(
            format!(
                "A rehearsal, nothing was changed. Would add {created}{successors}, change {updated}, leave {unchanged}; \
                 new groups: {groups}."
            ),
            format!(
                "Проверка, ничего не изменено. Добавилось бы: {created}{successors}, изменилось бы: {updated}, \
                 без изменений: {unchanged}; новых групп: {groups}."
            ),
        )
    } else {
        session.say(
            format!("Employees added: {created}{successors}, changed: {updated}, unchanged: {unchanged}; new groups: {groups}."),
            format!(
                "Сотрудников добавлено: {created}{successors}, изменено: {updated}, без изменений: {unchanged}; \
                 новых групп: {groups}."
            ),
        )
    }
}

/// A change, as a table row.
#[derive(Serialize)]
#[serde(transparent)]
struct ShownChange(ImportChange);

impl Record for ShownChange {
    const COLUMNS: &'static [Column<Self>] = &[
        Column::new("line", "Line", "Строка", |c| match c.0.line {
            0 => Value::Nothing,
            line => line.into(),
        }),
        Column::new("action", "Change", "Действие", |c| match c.0.action.as_str() {
            "create" => named("create", "add", "добавить"),
            "update" => named("update", "change", "изменить"),
            "succeed" => named("succeed", "new person", "другой человек"),
            "create_group" => named("create_group", "new group", "новая группа"),
            other => other.into(),
        }),
        Column::new("name", "Whom", "Кого", |c| (&c.0.name).into()),
        Column::new("fields", "What", "Что", |c| {
            let fields = c.0.fields.iter();
            let told = fields.map(|(field, before, after)| format!("{field}: {before} → {after}"));
            told.collect::<Vec<_>>().join("; ").as_str().into()
        }),
    ];
}
