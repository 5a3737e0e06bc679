//! Completion in the query line: keys and their values.

use simo_common::{delivery::DeliveryState, lang::Lang, message::Priority, query::Key};

use crate::text;

/// Names to complete, besides those of the query language.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Names {
    /// Slugs of topics.
    pub(crate) topics: Vec<String>,
    /// Slugs of groups.
    pub(crate) groups: Vec<String>,
    /// Names of ACS.
    pub(crate) acs: Vec<String>,
    /// Names of people.
    pub(crate) employees: Vec<String>,
}

/// The completion candidates at the cursor.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Completion {
    /// Where the completed part begins, in characters.
    pub(crate) start: usize,
    /// The candidates.
    pub(crate) items: Vec<String>,
    /// The one inserted now.
    pub(crate) chosen: Option<usize>,
}

/// Maximum number of candidates.
const MOST: usize = 200;

impl Completion {
    /// The candidates at a position in the line; `cursor` counts characters.
    pub(crate) fn at(line: &str, cursor: usize, names: &Names, lang: Lang) -> Self {
        let before: Vec<char> = line.chars().take(cursor).collect();
        let word_start = word_start(&before);
        let word: String = before[word_start..].iter().collect();
        let bare = word.trim_start_matches('-');
        let dashes = word.chars().count() - bare.chars().count();
        let Some((name, values)) = bare.split_once(':') else {
            return Self::of(word_start + dashes, keys(script(bare).unwrap_or(lang)), bare);
        };
        let listed = values.rfind(',').map_or(0, |comma| comma + 1);
        let typed = &values[listed..];
        let start = before.len() - typed.chars().count();
        let operator = typed.len() - typed.trim_start_matches(['>', '<', '=']).len();
        let typed = &typed[operator..];
        let lang = script(typed).or(script(name)).unwrap_or(lang);
        let candidates = key(name).map_or_else(Vec::new, |key| self::values(key, names, lang));
        Self::of(start + operator, candidates, typed)
    }

    fn of(start: usize, candidates: Vec<String>, typed: &str) -> Self {
        let typed = typed.trim_start_matches('"').to_lowercase();
        let items: Vec<String> = candidates
            .into_iter()
            .filter(|item| {
                let item = item.trim_start_matches('"').to_lowercase();
                item.starts_with(&typed) && item != typed
            })
            .take(MOST)
            .collect();
        Self { start, items, chosen: None }
    }

    /// Selects the next or the previous candidate.
    pub(crate) fn step(&mut self, back: bool) -> Option<&str> {
        let count = self.items.len();
        if count == 0 {
            return None;
        }
        let chosen = match (self.chosen, back) {
            (None, false) => 0,
            (None, true) => count - 1,
            (Some(at), false) => (at + 1) % count,
            (Some(at), true) => (at + count - 1) % count,
        };
        self.chosen = Some(chosen);
        self.items.get(chosen).map(String::as_str)
    }
}

/// The start of the word at the end of `before`; a quoted space does not end a word.
fn word_start(before: &[char]) -> usize {
    let mut start = 0;
    let mut quoted = false;
    for (at, c) in before.iter().enumerate() {
        match c {
            '"' => quoted = !quoted,
            ' ' if !quoted => start = at + 1,
            _ => {}
        }
    }
    start
}

/// The language of a word, judged by its script.
fn script(word: &str) -> Option<Lang> {
    let letter = word.chars().find(|c| c.is_alphabetic())?;
    Some(if letter.is_ascii() { Lang::En } else { Lang::Ru })
}

fn keys(lang: Lang) -> Vec<String> {
    Key::ALL.map(|key| format!("{}:", lang.pick(key.as_str(), key.as_russian()))).to_vec()
}

fn key(name: &str) -> Option<Key> {
    let name = name.to_lowercase();
    Key::ALL.into_iter().find(|key| key.names().contains(&name.as_str()))
}

fn values(key: Key, names: &Names, lang: Lang) -> Vec<String> {
    let known = match key {
        Key::State => DeliveryState::ALL.map(|state| text::state_name(state, lang).to_owned()).to_vec(),
        Key::Priority => Priority::ALL.map(|p| text::priority(p, lang).to_owned()).to_vec(),
        Key::After | Key::Before => lang
            .pick(["today", "yesterday", "-1h", "-24h", "-7d"], ["сегодня", "вчера", "-1ч", "-24ч", "-7д"])
            .map(str::to_owned)
            .to_vec(),
        Key::Date => lang.pick(["today", "yesterday"], ["сегодня", "вчера"]).map(str::to_owned).to_vec(),
        Key::Ack => lang.pick(["yes", "no"], ["да", "нет"]).map(str::to_owned).to_vec(),
        Key::Topic => names.topics.clone(),
        Key::Group | Key::GroupNow => names.groups.clone(),
        Key::Acs => names.acs.clone(),
        Key::Employee => names.employees.clone(),
        Key::Device | Key::Message | Key::External | Key::Reason => Vec::new(),
    };
    known.iter().map(|value| quoted(value)).collect()
}

/// A value as written in a query: quoted if it contains spaces.
fn quoted(value: &str) -> String {
    if value.contains(' ') { format!("\"{value}\"") } else { value.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(line: &str) -> Completion {
        let names = Names {
            topics: vec!["boiler".into(), "payroll".into()],
            employees: vec!["Иванов Иван".into()],
            ..Names::default()
        };
        Completion::at(line, line.chars().count(), &names, Lang::En)
    }

    #[test]
    fn keys_come_first_then_their_values() {
        assert_eq!(at("").items.len(), Key::ALL.len());
        assert_eq!(at("pr").items, ["priority:"]);
        assert_eq!(at("котёл -st").items, ["state:"]);
        assert_eq!(at("котёл -st").start, 7);
        assert_eq!(at("state:fa").items, ["failed"]);
        assert_eq!(at("topic:").items, ["boiler", "payroll"]);
        assert_eq!(at("priority:>=h").items, ["high"]);
    }

    #[test]
    fn one_completes_in_the_alphabet_that_one_types() {
        assert_eq!(at("сос").items, ["состояние:"]);
        assert_eq!(at("состояние:в").items, ["\"в очереди\""]);
        assert_eq!(at("priority:в").items, ["высокий"]);
    }

    #[test]
    fn what_completion_offers_the_language_understands() {
        for lang in [Lang::En, Lang::Ru] {
            for key in Key::ALL {
                for value in values(key, &Names::default(), lang) {
                    let query = format!("{}:{value}", key.as_str());
                    assert!(simo_common::query::parse(&query).is_ok(), "{query}");
                }
            }
        }
    }

    #[test]
    fn lists_complete_their_last_value() {
        let completion = at("state:failed,ex");
        assert_eq!((completion.start, completion.items), (13, vec!["expired".to_owned()]));
    }

    #[test]
    fn names_with_spaces_are_quoted() {
        assert_eq!(at("employee:ив").items, ["\"Иванов Иван\""]);
        assert_eq!(at("employee:\"Иванов И").items, ["\"Иванов Иван\""]);
    }

    #[test]
    fn stepping_goes_round() {
        let mut completion = at("topic:");
        assert_eq!(completion.step(false), Some("boiler"));
        assert_eq!(completion.step(false), Some("payroll"));
        assert_eq!(completion.step(false), Some("boiler"));
        assert_eq!(completion.step(true), Some("payroll"));
        assert_eq!(at("zzz").step(false), None);
    }
}
