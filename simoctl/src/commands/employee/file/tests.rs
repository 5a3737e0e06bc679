//! Files as users send them.

use super::*;

fn read(text: &str) -> Table {
    parse(text.as_bytes(), &GroupNames::new(), Lang::En).unwrap()
}

fn mistakes(text: &str) -> Vec<String> {
    let wrong = match parse(text.as_bytes(), &GroupNames::new(), Lang::En) {
        Ok(table) => table.mistakes,
        Err(mistakes) => mistakes,
    };
    wrong.iter().map(|mistake| mistake.in_words(Lang::En)).collect()
}

#[test]
fn columns_stand_in_any_order_and_groups_are_split() {
    let text = "\u{feff}full_name,groups,personnel_no\nИванов Иван, it | smena-a ,007\n";
    let rows = read(text).rows;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].line, 2);
    assert_eq!(rows[0].employee.personnel_no, "007");
    assert_eq!(rows[0].employee.groups, ["it", "smena-a"]);
    assert_eq!(rows[0].employee.email, None, "a column that is not there changes nothing");
}

#[test]
fn a_file_with_semicolons_is_read_too() {
    let rows = read("personnel_no;full_name;groups;email\r\n1;Петров, Пётр;;\r\n").rows;
    assert_eq!(rows[0].employee.full_name, "Петров, Пётр");
    assert_eq!(rows[0].employee.email.as_deref(), Some(""), "an empty value clears");
}

#[test]
fn every_mistake_is_listed_with_its_line() {
    let text = "personnel_no,full_name,groups,locale,timezone\n\
                1,А,,ru,\n\
                \n\
                1,Б,Смена,de,Mars/Base\n\
                ,,,,\n\
                2,В\n";
    assert_eq!(
        mistakes(text),
        [
            "line 4, column 1 (personnel_no): 1 is on line 2 already",
            "line 4, column 3 (groups): “Смена” is neither a short name (a–z 0–9 - _ .) nor a group's name; make one with \
             `simoctl group add`",
            "line 4, column 4 (locale): “de” is neither ru nor en",
            "line 4, column 5 (timezone): there is no “Mars/Base”; an example is Asia/Krasnoyarsk",
            "line 5, column 1 (personnel_no): is empty",
            "line 5, column 2 (full_name): is empty",
            "line 6: 2 values instead of 5",
        ]
    );
}

#[test]
fn lines_are_counted_alike_whatever_ends_them() {
    let text = "personnel_no,full_name,groups\n1,А,\n\n2,Б,\n\n\n1,\"В\nГ\",\n4,,\n";
    for text in [text.to_owned(), text.replace('\n', "\r\n")] {
        assert_eq!(
            mistakes(&text),
            [
                "line 7, column 1 (personnel_no): 1 is on line 2 already",
                "line 9, column 2 (full_name): is empty"
            ]
        );
    }
}

#[test]
fn a_wrong_header_is_told_before_any_line() {
    assert_eq!(
        mistakes("personnel_no,name,Таб. №,groups,colour\n1,А,1,\n"),
        [
            "line 1, column 2: unknown column “name”; did you mean `full_name`?",
            "line 1, column 3: “Таб. №” means personnel_no, as column 1 does",
            "line 1, column 5: unknown column “colour”; known are personnel_no, full_name, email, phone, groups, \
             locale, timezone",
            "line 1: the column full_name (or “ФИО”) is missing",
        ]
    );
    assert_eq!(mistakes("").len(), 3);
}

#[test]
fn a_file_of_a_russian_program_is_read_as_it_is() {
    let text = "Подразделение;Таб. №;Сотрудник;Мобильный телефон;E-mail\r\n\
                \"Цех 1, участок 2|it\";0042;\"Иванов \"\"Сокол\"\"; Иван\";+7 900;\r\n";
    let (bytes, ..) = encoding_rs::WINDOWS_1251.encode(text);
    let groups = GroupNames::from([("цех 1, участок 2".to_owned(), vec!["ceh-1-2".to_owned()])]);
    let table = parse(&bytes, &groups, Lang::Ru).unwrap();
    assert_eq!(table.mistakes, []);
    assert_eq!((table.encoding, table.delimiter), ("windows-1251", "точка с запятой"));
    let employee = &table.rows[0].employee;
    assert_eq!(employee.personnel_no, "0042");
    assert_eq!(employee.full_name, "Иванов \"Сокол\"; Иван");
    assert_eq!(employee.groups, ["ceh-1-2", "it"]);
    assert_eq!(employee.phone.as_deref(), Some("+7 900"));
}

#[test]
fn a_group_is_named_as_people_call_it_or_nothing_is_read() {
    let text = "personnel_no,full_name,groups\n1,А,Котельня\n";
    let groups = GroupNames::from([("котельная".to_owned(), vec!["boiler".to_owned()])]);
    let table = parse(text.as_bytes(), &groups, Lang::En).unwrap();
    assert!(table.lacks_groups && table.rows.is_empty());
    assert_eq!(
        table.mistakes[0].in_words(Lang::En),
        "line 2, column 3 (groups): no group has the name “Котельня”; did you mean `boiler`?"
    );
}

#[test]
fn a_group_that_may_be_several_or_is_written_otherwise_is_told_by_its_short_names() {
    let text = "personnel_no,full_name,groups\n1,А,Смена\n2,Б,CEH-1\n";
    let slugs = |slugs: &[&str]| slugs.iter().map(|&slug| slug.to_owned()).collect::<Vec<_>>();
    let groups = GroupNames::from([
        ("смена".to_owned(), slugs(&["g", "h"])),
        ("цех № 1".to_owned(), slugs(&["ceh-1"])),
    ]);
    let table = parse(text.as_bytes(), &groups, Lang::En).unwrap();
    let told: Vec<_> = table.mistakes.iter().map(|mistake| mistake.in_words(Lang::En)).collect();
    assert!(told[0].contains("several groups have the name “Смена”: g, h"), "{told:?}");
    assert!(told[1].contains("did you mean `ceh-1`?"), "{told:?}");
}

#[test]
fn what_excel_adds_to_a_file_is_no_mistake() {
    let rows = read("sep=;\npersonnel_no;full_name;groups;\n1;А;it;\n2;Б;it\n").rows;
    let lines: Vec<_> = rows.iter().map(|row| row.line).collect();
    assert_eq!(lines, [3, 4]);
    assert_eq!(read("personnel_no,full_name,groups\r1,А,it\r2,Б,it\r").rows[1].line, 3);
    assert_eq!(mistakes("personnel_no,full_name,groups,,\n1,А,it,,?\n"), ["line 2: 5 values instead of 3"]);
}

#[test]
fn an_unknown_column_and_the_mistakes_of_rows_are_told_at_once() {
    assert_eq!(mistakes("personnel_no,full_name,groups,colour\n1,,it,red\n").len(), 2);
}

#[test]
fn a_mistake_that_the_server_finds_is_told_with_its_column() {
    let table = read("groups,full_name,personnel_no\n,А,1\n");
    let error = FieldError { field: "line 2: groups[3]".to_owned(), detail: "no".to_owned() };
    let mistake = table.mistake_of_server(&error).unwrap();
    assert_eq!(mistake.in_words(Lang::En), "line 2, column 1 (groups): no");
}
