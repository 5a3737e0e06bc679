//! The header of a file: the place of each column, under its English or Russian name.

use csv::StringRecord;
use simo_common::{lang::Lang, people::fold_name};

use super::Mistake;

/// A known column.
#[derive(Debug)]
struct KnownColumn {
    /// Its name in the API.
    field: &'static str,
    /// Its usual name in Russian programs.
    russian: &'static str,
    /// Other names, folded.
    others: &'static [&'static str],
}

/// The known columns; a file may have them in any order.
const COLUMNS: [KnownColumn; 7] = [
    KnownColumn {
        field: "personnel_no",
        russian: "Табельный номер",
        others: &[
            "personnel number",
            "employee no",
            "employee number",
            "табельный no",
            "табельный",
            "таб no",
            "таб номер",
            "no таб",
        ],
    },
    KnownColumn {
        field: "full_name",
        russian: "ФИО",
        others: &[
            "employee",
            "employee name",
            "ф и о",
            "фамилия имя отчество",
            "сотрудник",
            "работник",
            "фио сотрудника",
            "фио работника",
        ],
    },
    KnownColumn {
        field: "email",
        russian: "Электронная почта",
        others: &["e mail", "mail", "почта", "эл почта", "адрес электронной почты"],
    },
    KnownColumn {
        field: "phone",
        russian: "Телефон",
        others: &[
            "phone number",
            "mobile",
            "mobile phone",
            "мобильный",
            "мобильный телефон",
            "сотовый",
            "сотовый телефон",
            "номер телефона",
            "тел",
        ],
    },
    KnownColumn {
        field: "groups",
        russian: "Группы",
        others: &["group", "department", "группа", "подразделение", "подразделения", "отдел"],
    },
    KnownColumn { field: "locale", russian: "Язык", others: &["language"] },
    KnownColumn { field: "timezone", russian: "Часовой пояс", others: &["time zone"] },
];
/// Required columns. `groups` lists all groups of a person: without the column, every employee would leave theirs.
const REQUIRED: [&str; 3] = ["personnel_no", "full_name", "groups"];
/// Similarity from which one name is suggested for another.
const ALIKE: f64 = 0.6;

impl KnownColumn {
    fn names(&self) -> impl Iterator<Item = String> {
        let others = self.others.iter().map(|name| (*name).to_owned());
        [folded(self.field), folded(self.russian)].into_iter().chain(others)
    }

    /// The name shown to people, in their language.
    fn shown(&self, lang: Lang) -> &'static str {
        lang.pick(self.field, self.russian)
    }
}

/// A name for comparing: letters, digits, and single spaces in place of anything else.
fn folded(name: &str) -> String {
    let spaced: String = fold_name(name).chars().map(|c| if c.is_alphanumeric() { c } else { ' ' }).collect();
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn known(name: &str) -> Option<&'static KnownColumn> {
    let name = folded(name);
    COLUMNS.iter().find(|column| column.names().any(|known| known == name))
}

/// Number of known columns in a header: highest with the right delimiter.
pub(super) fn count_known(header: &StringRecord) -> usize {
    header.iter().filter(|name| known(name).is_some()).count()
}

fn nearest(name: &str) -> Option<&'static KnownColumn> {
    let name = folded(name);
    let alike = |known: &String| {
        if known.split(' ').any(|word| word == name) {
            return 1.0;
        }
        strsim::normalized_damerau_levenshtein(&name, known)
    };
    let best = |column: &'static KnownColumn| {
        let best = column.names().map(|known| alike(&known)).fold(0.0, f64::max);
        (best, column)
    };
    let (likeness, column) = COLUMNS.iter().map(best).max_by(|a, b| a.0.total_cmp(&b.0))?;
    (likeness >= ALIKE).then_some(column)
}

/// The place of each column, and its name in the file.
#[derive(Debug)]
pub(super) struct Header {
    places: Vec<(&'static str, usize, String)>,
    /// Number of columns.
    pub(super) columns: usize,
}

impl Header {
    /// The header, with mistakes that do not prevent reading the rows.
    ///
    /// # Errors
    /// All mistakes, when a required column is missing.
    pub(super) fn read(header: &StringRecord, lang: Lang) -> Result<(Self, Vec<Mistake>), Vec<Mistake>> {
        let mut places: Vec<(&'static str, usize, String)> = Vec::new();
        let mut mistakes = Vec::new();
        // Excel ends lines with separators if a column beside the table was once used.
        let named = header.iter().enumerate().filter(|(_, name)| !name.is_empty());
        let columns = named.last().map_or(0, |(last, _)| last + 1);
        for (place, name) in header.iter().enumerate().take(columns) {
            let Some(column) = known(name) else {
                mistakes.push(Mistake::of_column(place, unknown(name, lang)));
                continue;
            };
            if let Some((_, first, _)) = places.iter().find(|(field, ..)| *field == column.field) {
                let (shown, first) = (column.shown(lang), first + 1);
                mistakes.push(Mistake::of_column(
                    place,
                    lang.pick(
                        format!("“{name}” means {shown}, as column {first} does"),
                        format!("«{name}» означает «{shown}», как и столбец {first}"),
                    ),
                ));
                continue;
            }
            places.push((column.field, place, name.to_owned()));
        }
        let is_there = |field: &str| places.iter().any(|(known, ..)| *known == field);
        let missing: Vec<_> = COLUMNS
            .iter()
            .filter(|column| REQUIRED.contains(&column.field) && !is_there(column.field))
            .collect();
        let is_readable = missing.is_empty();
        for column in missing {
            let KnownColumn { field, russian, .. } = column;
            mistakes.push(Mistake::of_line(
                1,
                lang.pick(
                    format!("the column {field} (or “{russian}”) is missing"),
                    format!("нет столбца «{russian}» (или {field})"),
                ),
            ));
        }
        if is_readable { Ok((Self { places, columns }, mistakes)) } else { Err(mistakes) }
    }

    /// The place of a field's column, and its name in the file.
    pub(super) fn place(&self, field: &str) -> Option<(usize, &str)> {
        let (_, place, name) = self.places.iter().find(|(known, ..)| *known == field)?;
        Some((*place, name))
    }

    /// The value of a column; `None` if the file lacks it, so that the server leaves the field as it is.
    pub(super) fn value<'r>(&self, record: &'r StringRecord, field: &str) -> Option<&'r str> {
        record.get(self.place(field)?.0)
    }
}

fn unknown(name: &str, lang: Lang) -> String {
    if name.is_empty() {
        return lang.pick("a column without a name", "столбец без названия").to_owned();
    }
    if let Some(column) = nearest(name) {
        let shown = column.shown(lang);
        return lang.pick(
            format!("unknown column “{name}”; did you mean `{shown}`?"),
            format!("неизвестный столбец «{name}»; может быть, «{shown}»?"),
        );
    }
    let all = COLUMNS.iter().map(|column| column.shown(lang));
    let all = all.collect::<Vec<_>>().join(", ");
    lang.pick(
        format!("unknown column “{name}”; known are {all}"),
        format!("неизвестный столбец «{name}»; известны: {all}"),
    )
}
