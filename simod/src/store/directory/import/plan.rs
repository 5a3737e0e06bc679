//! Computes the changes of an import from the stored state: pure.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use simo_common::{
    api::people::{ImportChange, ImportReport, ImportRow, NewEmployee, Person as Who},
    lang::Text,
    people::may_be_one_person,
    text,
};

use crate::store::{
    EmployeeNo,
    audit::AuditChange,
    db::engine::{Kind::Text as Words, RowSet, Value},
    directory::employees::{self, PERSON},
};

/// The most changes that a report shows.
const CHANGES_SHOWN: usize = 1_000;

/// The stored state.
#[derive(Debug, Default)]
pub(super) struct KnownPeople {
    /// The number of the next new employee: it grows with every one created.
    pub(super) next_employee_no: EmployeeNo,
    /// Groups that are not archived.
    pub(super) groups: HashSet<String>,
    /// The people that rows name, by the row's index.
    pub(super) people: HashMap<usize, PlannedPerson>,
}

/// A stored person.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct PlannedPerson {
    pub(super) full_name: String,
    pub(super) email: Option<String>,
    pub(super) phone: Option<String>,
    pub(super) locale: Option<String>,
    pub(super) timezone: Option<String>,
    pub(super) groups: BTreeSet<String>,
    pub(super) archived: bool,
}

/// The changes to make, ready for their statements.
#[derive(Debug)]
pub(super) struct ImportPlan {
    /// The slugs of groups to create or restore.
    pub(super) groups: RowSet,
    /// Employees to create, then those to change.
    pub(super) people: RowSet,
    /// The personnel numbers of employees whose groups change.
    pub(super) regrouped: RowSet,
    /// Their new groups.
    pub(super) members: RowSet,
    /// The numbers that pass to other people.
    pub(super) succeeded: Vec<String>,
    /// The numbers whose rows must say whether they pass to another person.
    pub(super) doubts: Vec<(String, Text)>,
    pub(super) audit: Vec<AuditChange>,
    pub(super) report: ImportReport,
}

impl ImportPlan {
    /// Compares the rows with the stored state.
    pub(super) fn new(rows: &[ImportRow], known: &KnownPeople) -> Self {
        let mut report = ImportReport::default();
        let (mut changes, mut audit) = (Vec::new(), Vec::new());
        let wanted: BTreeSet<&String> = rows.iter().flat_map(|row| &row.employee.groups).collect();
        let missing: Vec<&String> = wanted.into_iter().filter(|slug| !known.groups.contains(*slug)).collect();
        for slug in &missing {
            report.groups_created += 1;
            changes.push(change(0, slug, "create_group", Vec::new()));
            audit.push(AuditChange::new("group.add", slug.as_str()));
        }
        let nobody = PlannedPerson::default();
        let (mut created, mut updated, mut members) = (Vec::new(), Vec::new(), Vec::new());
        let (mut succeeded, mut doubts) = (Vec::new(), Vec::new());
        for (place, row) in rows.iter().enumerate() {
            let employee = &row.employee;
            let groups: BTreeSet<String> = employee.groups.iter().cloned().collect();
            let Some(before) = known.people.get(&place) else {
                report.created += 1;
                created.push(person_row(employee, &nobody));
                members.push((&*employee.personnel_no, groups));
                changes.push(change(row.line, &employee.personnel_no, "create", Vec::new()));
                audit.push(made(employee));
                continue;
            };
            if !may_be_one_person(&before.full_name, &employee.full_name) {
                match row.person {
                    Some(Who::Same) => {}
                    None => doubts.push((
                        format!("line {}: person", row.line),
                        doubt(&employee.personnel_no, &before.full_name, &employee.full_name),
                    )),
                    Some(Who::New) => {
                        report.created += 1;
                        report.succeeded += 1;
                        succeeded.push(employee.personnel_no.clone());
                        created.push(person_row(employee, &nobody));
                        members.push((&*employee.personnel_no, groups));
                        let name =
                            ("full_name".to_owned(), before.full_name.clone(), employee.full_name.clone());
                        changes.push(change(row.line, &employee.personnel_no, "succeed", vec![name]));
                        audit.push(made(employee));
                        continue;
                    }
                }
            }
            let fields = differences(before, employee, &groups);
            if fields.is_empty() {
                report.unchanged += 1;
                continue;
            }
            report.updated += 1;
            if fields.iter().any(|(field, ..)| field != "groups") {
                updated.push(person_row(employee, before));
            }
            if before.groups != groups {
                members.push((&*employee.personnel_no, groups));
            }
            audit.push(edited(employee, &fields));
            changes.push(change(row.line, &employee.personnel_no, "update", fields));
        }
        created.append(&mut updated);
        changes.truncate(CHANGES_SHOWN);
        report.changes = changes;
        Self {
            groups: RowSet::of(("slug", Words), missing),
            people: RowSet::new(PERSON, created),
            regrouped: RowSet::of(("no", Words), members.iter().map(|(no, _)| *no)),
            members: RowSet::new(
                [("no", Words), ("group", Words)],
                members.iter().flat_map(|(no, groups)| groups.iter().map(|slug| [(*no).into(), slug.into()])),
            ),
            succeeded,
            doubts,
            audit,
            report,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.report.created + self.report.updated + self.report.groups_created == 0
    }
}

fn made(employee: &NewEmployee) -> AuditChange {
    let no = &*employee.personnel_no;
    AuditChange::new("employee.add", no).about(no).after(employee)
}

fn edited(employee: &NewEmployee, fields: &[(String, String, String)]) -> AuditChange {
    let no = &*employee.personnel_no;
    let before: BTreeMap<_, _> = fields.iter().map(|(field, before, _)| (field, before)).collect();
    let after: BTreeMap<_, _> = fields.iter().map(|(field, _, after)| (field, after)).collect();
    AuditChange::new("employee.edit", no).about(no).before(&before).after(&after)
}

/// The text for a number that returns under quite another name.
pub(in crate::store) fn doubt(no: &str, before: &str, after: &str) -> Text {
    text!(
        "`{no}` is {before} here and {after} in the file: another person, or the same one renamed?",
        "«{no}» здесь {before}, а в файле {after}: это другой человек или тот же, переименованный?"
    )
}

fn change(line: u64, name: &str, action: &str, fields: Vec<(String, String, String)>) -> ImportChange {
    ImportChange { line, name: name.to_owned(), action: action.to_owned(), fields }
}

/// An optional field after the import: absent keeps it, empty clears it.
fn after<'a>(row: Option<&'a String>, before: Option<&'a String>) -> Option<&'a str> {
    row.or(before).map(String::as_str).filter(|text| !text.is_empty())
}

fn optional_fields<'a>(
    row: &'a NewEmployee,
    before: &'a PlannedPerson,
) -> [(&'static str, Option<&'a str>, Option<&'a str>); 4] {
    [
        ("email", &row.email, &before.email),
        ("phone", &row.phone, &before.phone),
        ("locale", &row.locale, &before.locale),
        ("timezone", &row.timezone, &before.timezone),
    ]
    .map(|(field, row, before)| (field, before.as_deref(), after(row.as_ref(), before.as_ref())))
}

fn differences(
    before: &PlannedPerson,
    row: &NewEmployee,
    groups: &BTreeSet<String>,
) -> Vec<(String, String, String)> {
    let mut fields = Vec::new();
    let mut differ = |field: &str, before: &str, after: &str| {
        if before != after {
            fields.push((field.to_owned(), before.to_owned(), after.to_owned()));
        }
    };
    if before.archived {
        differ("archived", "true", "false");
    }
    differ("full_name", &before.full_name, &row.full_name);
    for (field, before, after) in optional_fields(row, before) {
        differ(field, before.unwrap_or(""), after.unwrap_or(""));
    }
    differ("groups", &joined(&before.groups), &joined(groups));
    fields
}

fn joined(groups: &BTreeSet<String>) -> String {
    groups.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

fn person_row<'a>(row: &'a NewEmployee, before: &'a PlannedPerson) -> [Value<'a>; 9] {
    let contacts = optional_fields(row, before).map(|(.., after)| after);
    employees::person_row(&row.personnel_no, &row.full_name, contacts, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(line: u64, no: &str, name: &str, groups: &[&str]) -> ImportRow {
        ImportRow {
            line,
            employee: NewEmployee {
                personnel_no: no.to_owned(),
                full_name: name.to_owned(),
                groups: groups.iter().map(|&slug| slug.to_owned()).collect(),
                ..NewEmployee::default()
            },
            person: None,
        }
    }

    fn known(people: Vec<(usize, PlannedPerson)>) -> KnownPeople {
        KnownPeople {
            next_employee_no: EmployeeNo(1),
            groups: HashSet::from(["a".to_owned()]),
            people: people.into_iter().collect(),
        }
    }

    #[test]
    fn only_what_differs_is_changed_and_every_difference_is_said() {
        let anna = PlannedPerson {
            full_name: "Анна".to_owned(),
            email: Some("anna@example.org".to_owned()),
            phone: Some("+7".to_owned()),
            groups: BTreeSet::from(["a".to_owned()]),
            ..PlannedPerson::default()
        };
        let boris =
            PlannedPerson { full_name: "Борис".to_owned(), archived: true, ..PlannedPerson::default() };
        let mut second = row(3, "2", "Анна", &["b"]);
        second.employee.email = Some(String::new());
        let rows =
            [row(2, "1", "Анна", &["a"]), second, row(4, "3", "Борис", &[]), row(5, "4", "Вера", &["b"])];
        let plan = ImportPlan::new(&rows, &known(vec![(0, anna.clone()), (1, anna), (2, boris)]));
        let report = &plan.report;
        assert_eq!((report.created, report.updated, report.unchanged, report.groups_created), (1, 2, 1, 1));
        let said: Vec<_> = report
            .changes
            .iter()
            .map(|c| {
                let fields: Vec<_> = c.fields.iter().map(|(f, b, a)| format!("{f}: {b} → {a}")).collect();
                format!("{} {} {} {}", c.line, c.action, c.name, fields.join("; "))
            })
            .collect();
        assert_eq!(
            said,
            [
                "0 create_group b ",
                "3 update 2 email: anna@example.org → ; groups: a → b",
                "4 update 3 archived: true → false",
                "5 create 4 ",
            ]
        );
        // The new one comes first, with its number; the absent phone stays.
        let people = plan.people.read();
        assert_eq!(people[0][0], "4");
        assert_eq!(people[1][5], "+7");
        assert_eq!(people[1][4], serde_json::Value::Null);
    }

    #[test]
    fn a_number_under_another_name_is_doubted_until_it_is_said_who_it_is() {
        let anna = PlannedPerson {
            full_name: "Исаева Анна Ильинична".to_owned(),
            phone: Some("+7".to_owned()),
            ..PlannedPerson::default()
        };
        let plan_of = |name: &str, person| {
            let rows = [ImportRow { person, ..row(2, "1", name, &[]) }];
            ImportPlan::new(&rows, &known(vec![(0, anna.clone())]))
        };
        let married = plan_of("Котова Анна Ильинична", None);
        assert_eq!((married.doubts.len(), married.report.updated), (0, 1));
        let doubted = plan_of("Котова Вера Ильинична", None);
        assert_eq!(doubted.doubts[0].0, "line 2: person");
        let renamed = plan_of("Котова Вера Ильинична", Some(Who::Same));
        assert_eq!((renamed.doubts.len(), renamed.report.updated), (0, 1));
        let successor = plan_of("Котова Вера Ильинична", Some(Who::New));
        assert_eq!(successor.succeeded, ["1"]);
        assert_eq!((successor.report.created, successor.report.succeeded), (1, 1));
        let people = successor.people.read();
        assert_eq!(people[0][5], serde_json::Value::Null, "the phone was his predecessor's");
        // Two equal rows are applied once.
        let again = plan_of("Исаева Анна Ильинична", Some(Who::New));
        assert_eq!((again.succeeded.len(), again.report.unchanged), (0, 1));
    }
}
