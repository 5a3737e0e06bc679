//! Reads employees from CSV, and finds what is wrong with the file and its rows.

use std::{collections::HashMap, fmt};

use csv::{ReaderBuilder, StringRecord, Trim};
use jiff::tz::TimeZone;
use simo_common::{
    api::{
        people::{ImportRow, NewEmployee},
        problem::FieldError,
    },
    lang::Lang,
    people::{is_personnel_no, is_slug},
};

/// The columns, by name and in any order.
const COLUMNS: [&str; 7] = [
    "personnel_no",
    "full_name",
    "email",
    "phone",
    "groups",
    "locale",
    "timezone",
];
/// Those that must be there. `groups` are all groups that a person has: without the column, all would leave theirs.
const REQUIRED: [&str; 3] = ["personnel_no", "full_name", "groups"];
/// Characters in a name.
const NAME_CHARS: usize = 200;

/// What stands in a file.
#[derive(Debug)]
pub(super) struct Table {
    /// The rows in which nothing is wrong, as far as can be seen here.
    pub(super) rows: Vec<ImportRow>,
    /// What is wrong with the others, in the order of the lines.
    pub(super) mistakes: Vec<Mistake>,
}

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mistake {
    line: u64,
    text: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.text)
    }
}

impl Mistake {
    fn at(line: u64, text: impl Into<String>) -> Self {
        Self {
            line,
            text: text.into(),
        }
    }

    /// On which line it is.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// What the server says of a row: it names the field `line 7: email`.
    pub(super) fn of_server(error: &FieldError) -> Option<Self> {
        let (line, field) = error.field.strip_prefix("line ")?.split_once(": ")?;
        Some(Self::at(line.parse().ok()?, format!("{field}: {}", error.detail)))
    }

    /// In a person's language.
    pub(super) fn in_words(&self, lang: Lang) -> String {
        match lang {
            Lang::En => self.to_string(),
            Lang::Ru => format!("строка {}: {}", self.line, self.text),
        }
    }
}

/// Reads the whole file. Columns are separated by commas, or by semicolons or tabs when the header has them instead.
///
/// # Errors
/// What is wrong with the encoding or the header, so that no row can be read.
pub(super) fn parse(bytes: &[u8], lang: Lang) -> Result<Table, Vec<Mistake>> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = str::from_utf8(bytes).map_err(|error| {
        let line = bytes[..error.valid_up_to()].split(|byte| *byte == b'\n').count();
        let text = lang.pick(
            "this is not UTF-8; save the file as “CSV UTF-8”",
            "это не UTF-8; сохраните файл как «CSV UTF-8»",
        );
        vec![Mistake::at(line as u64, text)]
    })?;
    let mut reader = ReaderBuilder::new()
        .delimiter(delimiter(text))
        .trim(Trim::All)
        .flexible(true)
        .from_reader(text.as_bytes());
    let header = match reader.headers() {
        Ok(header) => header.clone(),
        Err(error) => return Err(vec![Mistake::at(1, error.to_string())]),
    };
    let places = Places::find(&header, lang)?;
    let mut check = Check {
        lang,
        text,
        places,
        columns: header.len(),
        lines: HashMap::new(),
        mistakes: Vec::new(),
    };
    let mut rows = Vec::new();
    for record in reader.records() {
        match record {
            Ok(record) => rows.extend(check.row(&record)),
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                check.mistakes.push(Mistake::at(line, error.to_string()));
            }
        }
    }
    Ok(Table {
        rows,
        mistakes: check.mistakes,
    })
}

fn delimiter(text: &str) -> u8 {
    let header = text.lines().next().unwrap_or_default();
    let has = |c| header.contains(c);
    match (has(','), has(';'), has('\t')) {
        (false, true, _) => b';',
        (false, false, true) => b'\t',
        _ => b',',
    }
}

/// Where each column stands.
struct Places(HashMap<&'static str, usize>);

impl Places {
    fn find(header: &StringRecord, lang: Lang) -> Result<Self, Vec<Mistake>> {
        let mut places = HashMap::new();
        let mut mistakes = Vec::new();
        let known = COLUMNS.join(", ");
        for (index, name) in header.iter().enumerate() {
            let Some(column) = COLUMNS.into_iter().find(|column| *column == name) else {
                mistakes.push(Mistake::at(
                    1,
                    lang.pick(
                        format!("unknown column “{name}”; known are {known}"),
                        format!("неизвестный столбец «{name}»; известны {known}"),
                    ),
                ));
                continue;
            };
            if places.insert(column, index).is_some() {
                mistakes.push(Mistake::at(
                    1,
                    lang.pick(
                        format!("the column {column} is there twice"),
                        format!("столбец {column} указан дважды"),
                    ),
                ));
            }
        }
        for column in REQUIRED.iter().filter(|column| !places.contains_key(*column)) {
            mistakes.push(Mistake::at(
                1,
                lang.pick(
                    format!("the column {column} is missing"),
                    format!("нет столбца {column}"),
                ),
            ));
        }
        if mistakes.is_empty() {
            Ok(Self(places))
        } else {
            Err(mistakes)
        }
    }

    /// What stands in a column; nothing when the file does not have it, so that the server leaves it as it is.
    fn value<'r>(&self, record: &'r StringRecord, column: &str) -> Option<&'r str> {
        record.get(*self.0.get(column)?)
    }
}

struct Check<'t> {
    lang: Lang,
    text: &'t str,
    places: Places,
    columns: usize,
    /// On which line each personnel number stood first.
    lines: HashMap<String, u64>,
    mistakes: Vec<Mistake>,
}

impl Check<'_> {
    /// The line on which a record begins: the reader counts from the empty lines before it.
    fn line_of(&self, record: &StringRecord) -> u64 {
        let Some(position) = record.position() else {
            return 0;
        };
        let ahead = self
            .text
            .as_bytes()
            .get(position.byte() as usize..)
            .unwrap_or_default();
        let empty = ahead.iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
        position.line() + empty.filter(|byte| **byte == b'\n').count() as u64
    }

    fn row(&mut self, record: &StringRecord) -> Option<ImportRow> {
        let line = self.line_of(record);
        let value = |column| self.places.value(record, column);
        let optional = |column| value(column).map(str::to_owned);
        let employee = NewEmployee {
            personnel_no: value("personnel_no").unwrap_or_default().to_owned(),
            full_name: value("full_name").unwrap_or_default().to_owned(),
            email: optional("email"),
            phone: optional("phone"),
            groups: value("groups")
                .filter(|groups| !groups.is_empty())
                .map(|groups| groups.split('|').map(|group| group.trim().to_owned()).collect())
                .unwrap_or_default(),
            locale: optional("locale"),
            timezone: optional("timezone"),
        };
        let wrong = self.wrong_with(&employee, record.len(), line);
        let is_good = wrong.is_empty();
        self.mistakes
            .extend(wrong.into_iter().map(|text| Mistake::at(line, text)));
        is_good.then_some(ImportRow { line, employee })
    }

    fn wrong_with(&mut self, employee: &NewEmployee, cells: usize, line: u64) -> Vec<String> {
        let lang = self.lang;
        if cells != self.columns {
            let columns = self.columns;
            return vec![lang.pick(
                format!("{cells} values instead of {columns}"),
                format!("значений {cells}, а должно быть {columns}"),
            )];
        }
        let mut wrong = Vec::new();
        let no = &employee.personnel_no;
        if no.is_empty() {
            wrong.push(
                lang.pick("personnel_no: is empty", "personnel_no: не заполнен")
                    .to_owned(),
            );
        } else if !is_personnel_no(no) {
            wrong.push(
                lang.pick(
                    "personnel_no: 1–64 characters, none of them a control character",
                    "personnel_no: 1–64 символа без управляющих",
                )
                .to_owned(),
            );
        } else if let Some(first) = self.lines.get(no) {
            wrong.push(lang.pick(
                format!("personnel_no: {no} stands on line {first} already"),
                format!("personnel_no: {no} уже есть в строке {first}"),
            ));
        } else {
            self.lines.insert(no.clone(), line);
        }
        if employee.full_name.is_empty() {
            wrong.push(
                lang.pick("full_name: is empty", "full_name: не заполнено")
                    .to_owned(),
            );
        } else if employee.full_name.chars().count() > NAME_CHARS {
            wrong.push(lang.pick(
                format!("full_name: longer than {NAME_CHARS} characters"),
                format!("full_name: длиннее {NAME_CHARS} символов"),
            ));
        }
        for group in employee.groups.iter().filter(|group| !is_slug(group)) {
            wrong.push(lang.pick(
                format!("groups: “{group}” is no short name (a–z 0–9 - _ .)"),
                format!("groups: «{group}» не короткое имя (a–z 0–9 - _ .)"),
            ));
        }
        if let Some(locale) = employee
            .locale
            .as_deref()
            .filter(|locale| !matches!(*locale, "" | "ru" | "en"))
        {
            wrong.push(lang.pick(
                format!("locale: “{locale}” is neither ru nor en"),
                format!("locale: «{locale}» не ru и не en"),
            ));
        }
        if let Some(zone) = employee
            .timezone
            .as_deref()
            .filter(|zone| !zone.is_empty() && TimeZone::get(zone).is_err())
        {
            wrong.push(lang.pick(
                format!("timezone: there is no “{zone}”; an example is Asia/Krasnoyarsk"),
                format!("timezone: «{zone}» не бывает; пример: Asia/Krasnoyarsk"),
            ));
        }
        wrong
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(text: &str) -> Vec<String> {
        let wrong = match parse(text.as_bytes(), Lang::En) {
            Ok(table) => table.mistakes,
            Err(mistakes) => mistakes,
        };
        wrong.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn columns_stand_in_any_order_and_groups_are_split() {
        let text = "\u{feff}full_name,groups,personnel_no\nИванов Иван, it | smena-a ,007\n";
        let rows = parse(text.as_bytes(), Lang::En).unwrap().rows;
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].line, 2);
        assert_eq!(rows[0].employee.personnel_no, "007");
        assert_eq!(rows[0].employee.groups, ["it", "smena-a"]);
        assert_eq!(
            rows[0].employee.email, None,
            "a column that is not there changes nothing"
        );
    }

    #[test]
    fn a_file_with_semicolons_is_read_too() {
        let rows = parse(
            "personnel_no;full_name;groups;email\r\n1;Петров, Пётр;;\r\n".as_bytes(),
            Lang::En,
        )
        .unwrap()
        .rows;
        assert_eq!(rows[0].employee.full_name, "Петров, Пётр");
        assert_eq!(
            rows[0].employee.email.as_deref(),
            Some(""),
            "an empty value clears"
        );
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
                "line 4: personnel_no: 1 stands on line 2 already",
                "line 4: groups: “Смена” is no short name (a–z 0–9 - _ .)",
                "line 4: locale: “de” is neither ru nor en",
                "line 4: timezone: there is no “Mars/Base”; an example is Asia/Krasnoyarsk",
                "line 5: personnel_no: is empty",
                "line 5: full_name: is empty",
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
                    "line 7: personnel_no: 1 stands on line 2 already",
                    "line 9: full_name: is empty"
                ]
            );
        }
    }

    #[test]
    fn a_wrong_header_is_told_before_any_line() {
        assert_eq!(
            mistakes("personnel_no,name,personnel_no,groups\n1,А,1,\n"),
            [
                "line 1: unknown column “name”; known are personnel_no, full_name, email, phone, groups, locale, timezone",
                "line 1: the column personnel_no is there twice",
                "line 1: the column full_name is missing",
            ]
        );
        assert_eq!(mistakes("").len(), 3);
    }

    #[test]
    fn another_encoding_is_named_with_its_line() {
        let wrong = parse(b"personnel_no,full_name\n1,\xc8\xe2\xe0\xed\n", Lang::Ru).unwrap_err();
        assert_eq!(
            wrong[0].in_words(Lang::Ru),
            "строка 2: это не UTF-8; сохраните файл как «CSV UTF-8»"
        );
    }
}
