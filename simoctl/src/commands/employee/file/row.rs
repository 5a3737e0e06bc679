//! Checks the rows one after another.

use std::collections::HashMap;

use csv::StringRecord;
use jiff::tz::TimeZone;
use simo_common::{
    api::people::{ImportRow, NewEmployee},
    lang::Lang,
    people::{fold_name, is_personnel_no, is_slug},
};

use super::{GroupNames, Mistake, header::Header};

/// Maximum length of a name, in characters.
const NAME_CHARS: usize = 200;

/// Parses rows and collects mistakes.
pub(super) struct Check<'t> {
    lang: Lang,
    text: &'t str,
    header: &'t Header,
    groups: &'t GroupNames,
    /// The line where each personnel number first appeared.
    lines: HashMap<String, u64>,
    pub(super) mistakes: Vec<Mistake>,
    /// Whether a group's name is neither a short name nor known.
    pub(super) lacks_groups: bool,
}

impl<'t> Check<'t> {
    pub(super) fn new(lang: Lang, text: &'t str, header: &'t Header, groups: &'t GroupNames) -> Self {
        Self { lang, text, header, groups, lines: HashMap::new(), mistakes: Vec::new(), lacks_groups: false }
    }

    /// The line on which a record begins: the reader's position precedes any empty lines before it.
    fn line_of(&self, record: &StringRecord) -> u64 {
        let Some(position) = record.position() else {
            return 0;
        };
        let ahead = self.text.as_bytes().get(position.byte() as usize..).unwrap_or_default();
        let empty = ahead.iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
        position.line() + empty.filter(|byte| **byte == b'\n').count() as u64
    }

    /// The row, if it has no mistakes.
    pub(super) fn row(&mut self, record: &StringRecord) -> Option<ImportRow> {
        let line = self.line_of(record);
        let (cells, columns) = (record.len(), self.header.columns);
        let before = self.mistakes.len();
        let is_longer = record.iter().skip(columns).any(|cell| !cell.is_empty());
        if cells < columns || is_longer {
            let text = self.lang.pick(
                format!("{cells} values instead of {columns}"),
                format!("значений {cells}, а должно быть {columns}"),
            );
            self.mistakes.push(Mistake::of_line(line, text));
            return None;
        }
        let header = self.header;
        let value = |field| header.value(record, field);
        let optional = |field| value(field).map(str::to_owned);
        let mut employee = NewEmployee {
            personnel_no: value("personnel_no").unwrap_or_default().to_owned(),
            full_name: value("full_name").unwrap_or_default().to_owned(),
            email: optional("email"),
            phone: optional("phone"),
            groups: Vec::new(),
            locale: optional("locale"),
            timezone: optional("timezone"),
        };
        self.personnel_no(line, &employee.personnel_no);
        self.name(line, &employee.full_name);
        employee.groups = self.groups(line, value("groups").unwrap_or_default());
        self.rest(line, &employee);
        (self.mistakes.len() == before).then_some(ImportRow { line, employee, person: None })
    }

    fn wrong(&mut self, line: u64, field: &str, english: impl Into<String>, russian: impl Into<String>) {
        let text = self.lang.pick(english.into(), russian.into());
        self.mistakes.push(Mistake::of_field(line, self.header, field, text));
    }

    fn personnel_no(&mut self, line: u64, no: &str) {
        if no.is_empty() {
            self.wrong(line, "personnel_no", "is empty", "не заполнено");
        } else if !is_personnel_no(no) {
            self.wrong(
                line,
                "personnel_no",
                "1–64 characters, none of them a control character",
                "1–64 символа без управляющих",
            );
        } else if let Some(first) = self.lines.get(no).copied() {
            self.wrong(
                line,
                "personnel_no",
                format!("{no} is on line {first} already"),
                format!("{no} уже есть в строке {first}"),
            );
        } else {
            self.lines.insert(no.to_owned(), line);
        }
    }

    fn name(&mut self, line: u64, name: &str) {
        if name.is_empty() {
            self.wrong(line, "full_name", "is empty", "не заполнено");
        } else if name.chars().count() > NAME_CHARS {
            self.wrong(
                line,
                "full_name",
                format!("longer than {NAME_CHARS} characters"),
                format!("длиннее {NAME_CHARS} символов"),
            );
        }
    }

    fn rest(&mut self, line: u64, employee: &NewEmployee) {
        let given = |value: &Option<String>| value.clone().filter(|value| !value.is_empty());
        if let Some(locale) = given(&employee.locale).filter(|locale| !matches!(&**locale, "ru" | "en")) {
            self.wrong(
                line,
                "locale",
                format!("“{locale}” is neither ru nor en"),
                format!("«{locale}» не ru и не en"),
            );
        }
        if let Some(zone) = given(&employee.timezone).filter(|zone| TimeZone::get(zone).is_err()) {
            self.wrong(
                line,
                "timezone",
                format!("there is no “{zone}”; an example is Asia/Krasnoyarsk"),
                format!("«{zone}» не бывает; пример: Asia/Krasnoyarsk"),
            );
        }
    }

    /// The groups of a cell: short names, or existing groups' names for people.
    fn groups(&mut self, line: u64, cell: &str) -> Vec<String> {
        let mut groups = Vec::new();
        for part in cell.split('|').map(str::trim).filter(|_| !cell.is_empty()) {
            if let Some(slug) = self.group(part) {
                groups.push(slug);
                continue;
            }
            // A name may contain a comma, a short name cannot.
            let pieces = part.split([',', ';']).map(str::trim);
            for piece in pieces {
                match self.group(piece) {
                    Some(slug) => groups.push(slug),
                    None => self.unknown_group(line, piece),
                }
            }
        }
        groups
    }

    fn group(&self, name: &str) -> Option<String> {
        if is_slug(name) {
            return Some(name.to_owned());
        }
        match self.groups.get(&fold_name(name)).map(Vec::as_slice) {
            Some([slug]) => Some(slug.clone()),
            _ => None,
        }
    }

    /// The short name probably meant: one that differs in case, or that of a group with a similar name.
    fn near(&self, name: &str) -> Option<String> {
        let small = name.to_lowercase();
        let mut slugs = self.groups.values().flatten();
        if let Some(slug) = slugs.find(|slug| **slug == small) {
            return Some(slug.clone());
        }
        let named = self.groups.iter().filter_map(|(known, slugs)| Some((known, slugs.first()?)));
        named
            .map(|(known, slug)| (strsim::jaro_winkler(&fold_name(name), known), slug))
            .filter(|(likeness, _)| *likeness > 0.85)
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, slug)| slug.clone())
    }

    fn unknown_group(&mut self, line: u64, name: &str) {
        self.lacks_groups = true;
        if let Some(several) = self.groups.get(&fold_name(name)).filter(|slugs| slugs.len() > 1) {
            let several = several.join(", ");
            return self.wrong(
                line,
                "groups",
                format!("several groups have the name “{name}”: {several}; write the short name"),
                format!("группы с названием «{name}» — несколько: {several}; пишите короткое имя"),
            );
        }
        match self.near(name) {
            Some(slug) => self.wrong(
                line,
                "groups",
                format!("no group has the name “{name}”; did you mean `{slug}`?"),
                format!("нет группы с названием «{name}»; может быть, «{slug}»?"),
            ),
            None => self.wrong(
                line,
                "groups",
                format!(
                    "“{name}” is neither a short name (a–z 0–9 - _ .) nor a group's name; make one with `simoctl group add`"
                ),
                format!(
                    "«{name}» не короткое имя (a–z 0–9 - _ .) и не название группы; заведите её: `simoctl group add`"
                ),
            ),
        }
    }
}
