//! Employees, groups, and the import that makes both.

use simo_common::{
    api::{
        access::{Named, Rename},
        people::{EditEmployee, Employee, Group, ImportChange, ImportReport, ImportRow, NewEmployee, Person},
    },
    time::from_us,
};

use super::{super::fixture::NOON, Fixture, invalid, is_conflict, is_missing, listed};

fn new(personnel_no: &str, full_name: &str, groups: &[&str]) -> NewEmployee {
    NewEmployee {
        personnel_no: personnel_no.to_owned(),
        full_name: full_name.to_owned(),
        groups: groups.iter().map(|&slug| slug.to_owned()).collect(),
        ..NewEmployee::default()
    }
}

#[tokio::test]
async fn groups_come_back_from_the_archive_without_their_members() {
    let f = Fixture::new().await;
    let client = f.client_no;
    let named = Named { slug: "smena-b".to_owned(), name: None };
    let group = |name: &str, members| Group {
        slug: "smena-b".to_owned(),
        name: name.to_owned(),
        members,
        people: members,
        includes: Vec::new(),
        archived_at: None,
        restored: false,
    };
    assert_eq!(f.store.add_group(client, &named).await.unwrap(), group("smena-b", 0));
    assert!(is_conflict(&f.store.add_group(client, &named).await));
    for _ in 0..2 {
        f.store.set_member(client, "smena-b", "2", true).await.unwrap();
    }
    f.store.set_member(client, "smena-b", "3", true).await.unwrap();
    f.store.set_member(client, "smena-b", "3", false).await.unwrap();
    let rename = Rename { name: "Смена Б".to_owned() };
    let edited = f.store.edit_group(client, "smena-b", &rename).await.unwrap();
    assert_eq!(edited, group("Смена Б", 1));

    f.store.remove_group(client, "smena-b").await.unwrap();
    let archived = f.store.group(client, "smena-b").await.unwrap();
    assert_eq!(archived.archived_at, Some(from_us(NOON)));
    assert!(f.store.employee(client, "2").await.unwrap().groups.is_empty());
    let lists =
        listed(async |listing| f.store.groups(client, &listing).await, |group| group.slug.clone(), "б смена");
    assert_eq!(lists.await, ["smena-a", "smena-a smena-b", "smena-b"]);
    let into_archived = f.store.set_member(client, "smena-b", "3", true).await;
    assert!(is_missing(&into_archived, "group"));
    let back = Group { restored: true, ..group("smena-b", 0) };
    assert_eq!(f.store.add_group(client, &named).await.unwrap(), back);

    f.store.set_member(client, "smena-b", "2", true).await.unwrap();
    f.store.remove_employee(client, "2").await.unwrap();
    assert_eq!(f.store.group(client, "smena-b").await.unwrap().members, 0);

    let stranger = f.store.set_member(client, "smena-b", "404", true).await;
    assert!(is_missing(&stranger, "employee"));
    assert!(is_missing(&f.store.group(client, "x").await, "group"));
    assert!(is_missing(&f.store.edit_group(client, "x", &rename).await, "group"));
    assert!(is_missing(&f.store.remove_group(client, "x").await, "group"));
}

#[tokio::test]
async fn employees_are_added_changed_listed_by_name_and_come_back_under_their_own() {
    let f = Fixture::new().await;
    let client = f.client_no;
    let peter = NewEmployee {
        email: Some("elkin@example.org".to_owned()),
        locale: Some("ru".to_owned()),
        timezone: Some("Asia/Omsk".to_owned()),
        ..new("0042", "Ёлкин Пётр", &["smena-a"])
    };
    let known = Employee {
        personnel_no: "0042".to_owned(),
        former_no: None,
        full_name: "Ёлкин Пётр".to_owned(),
        email: Some("elkin@example.org".to_owned()),
        phone: None,
        groups: vec!["smena-a".to_owned()],
        locale: Some("ru".to_owned()),
        timezone: Some("Asia/Omsk".to_owned()),
        devices: 0,
        blocked_at: None,
        archived_at: None,
    };
    assert_eq!(f.store.add_employee(client, &peter).await.unwrap(), known);
    assert!(is_conflict(&f.store.add_employee(client, &peter).await));
    let lost = f.store.add_employee(client, &new("7", "Я", &["smena-a", "x"])).await;
    assert_eq!(invalid(lost), ["groups[1]"]);

    let by_name = async |group| {
        listed(
            async |listing| f.store.employees(client, group, &listing).await,
            |employee| employee.personnel_no.clone(),
            "ПЕТР елкин",
        )
        .await
    };
    assert_eq!(by_name(None).await, ["0042 1 2 3", "0042 1 2 3", "0042"]);
    assert_eq!(by_name(Some("smena-a")).await, ["0042 1", "0042 1", "0042"]);
    let edit = EditEmployee {
        full_name: Some("Яшин Пётр".to_owned()),
        email: Some(String::new()),
        phone: Some("+7".to_owned()),
        groups: Some(Vec::new()),
        ..EditEmployee::default()
    };
    let edited = Employee {
        full_name: "Яшин Пётр".to_owned(),
        email: None,
        phone: Some("+7".to_owned()),
        groups: Vec::new(),
        ..known
    };
    assert_eq!(f.store.edit_employee(client, "0042", &edit).await.unwrap(), edited);
    assert_eq!(f.store.employee(client, "0042").await.unwrap(), edited);
    f.store.remove_employee(client, "0042").await.unwrap();
    assert_eq!(by_name(None).await, ["1 2 3", "1 2 3 0042", ""]);
    assert!(is_conflict(&f.store.edit_employee(client, "0042", &edit).await));

    // A successor must not read their predecessor's messages.
    assert!(is_conflict(&f.store.add_employee(client, &peter).await));
    let back = f.store.add_employee(client, &new("0042", "яшин петр", &[])).await;
    assert_eq!(back.unwrap().archived_at, None);
    assert!(is_missing(&f.store.employee(client, "404").await, "employee"));
    assert!(is_missing(&f.store.edit_employee(client, "404", &edit).await, "employee"));
    assert!(is_missing(&f.store.remove_employee(client, "404").await, "employee"));
}

#[tokio::test]
async fn an_import_changes_only_what_differs_and_says_what() {
    let f = Fixture::new().await;
    let client = f.client_no;
    let row = |line, employee| ImportRow { line, employee, person: Some(Person::Same) };
    let rows = vec![
        row(2, new("1", "Сотрудник 1", &["smena-a"])),
        row(3, new("2", "Петрова Анна", &["smena-a", "noch"])),
        row(4, new("9", "Новиков", &["noch"])),
    ];
    let change = |line, name: &str, action: &str, fields: &[(&str, &str, &str)]| ImportChange {
        line,
        name: name.to_owned(),
        action: action.to_owned(),
        fields: fields
            .iter()
            .map(|(field, before, after)| ((*field).to_owned(), (*before).to_owned(), (*after).to_owned()))
            .collect(),
    };
    let report = |dry_run| ImportReport {
        created: 1,
        succeeded: 0,
        updated: 1,
        unchanged: 1,
        groups_created: 1,
        changes: vec![
            change(0, "noch", "create_group", &[]),
            change(
                3,
                "2",
                "update",
                &[("full_name", "Сотрудник 2", "Петрова Анна"), ("groups", "", "noch, smena-a")],
            ),
            change(4, "9", "create", &[]),
        ],
        dry_run,
    };
    let import = async |dry_run| {
        let imported = f.store.import_employees(client, rows.clone(), dry_run).await;
        imported.unwrap()
    };
    assert_eq!(import(true).await, report(true));
    assert!(is_missing(&f.store.employee(client, "9").await, "employee"));
    assert_eq!(import(false).await, report(false));
    assert_eq!(f.store.employee(client, "9").await.unwrap().groups, ["noch"]);
    let anna = f.store.employee(client, "2").await.unwrap();
    assert_eq!(
        (&*anna.full_name, anna.groups.join(" "), anna.devices),
        ("Петрова Анна", "noch smena-a".to_owned(), 1)
    );
    let again = import(false).await;
    assert_eq!((again.unchanged, again.changes), (3, vec![]));

    f.store.remove_employee(client, "9").await.unwrap();
    let back = import(false).await;
    assert_eq!(back.changes, [change(4, "9", "update", &[("archived", "true", "false")])]);
    assert_eq!(f.store.employee(client, "9").await.unwrap().archived_at, None);
    // The next new employee has no part in any earlier message.
    f.store.add_employee(client, &new("10", "Последний", &[])).await.unwrap();
    assert_eq!(f.rows("select count(distinct no) from employee").await, ["5"]);
}
