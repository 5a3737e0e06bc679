//! Which person a number means that the server knows under another name: the command line's `--new-person` and `--same-person`.

use simo_common::api::people::{ImportRow, Person};

use crate::{failure::Failure, session::Session};

/// Means every number.
const ALL: &str = "all";

/// Marks in the rows which person is meant.
///
/// # Errors
/// Every number missing from the file, and every number given to both flags.
pub(super) fn say(
    session: &Session,
    rows: &mut [ImportRow],
    new: &[String],
    same: &[String],
) -> Result<(), Failure> {
    let wrong = mistakes(session, rows, new, same);
    if !wrong.is_empty() {
        return Err(Failure::usage(session.say(
            "--new-person and --same-person do not fit the file.",
            "--new-person и --same-person не соответствуют файлу.",
        ))
        .details(wrong));
    }
    let names = |numbers: &[String], row: &ImportRow| numbers.contains(&row.employee.personnel_no);
    let all = |numbers: &[String]| numbers.iter().any(|no| no == ALL);
    for row in rows {
        // A number named explicitly takes precedence over `all`.
        row.person = if names(new, row) {
            Some(Person::New)
        } else if names(same, row) {
            Some(Person::Same)
        } else if all(new) {
            Some(Person::New)
        } else {
            all(same).then_some(Person::Same)
        };
    }
    Ok(())
}

fn mistakes(session: &Session, rows: &[ImportRow], new: &[String], same: &[String]) -> Vec<String> {
    let has = |no: &String| rows.iter().any(|row| row.employee.personnel_no == *no);
    let given = new.iter().chain(same).filter(|no| *no != ALL);
    let unknown = given.filter(|no| !has(no)).map(|no| {
        session.say(
            format!("{no}: there is no such number in the file"),
            format!("{no}: такого номера нет в файле"),
        )
    });
    let both = new.iter().filter(|no| same.contains(no)).map(|no| {
        session.say(
            format!("{no}: is either a new person or the same one"),
            format!("{no}: либо другой человек, либо тот же"),
        )
    });
    unknown.chain(both).collect()
}
