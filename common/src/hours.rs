//! Weekly hours: when a grant counts, by the wall clock of a time zone. `mon-fri 08:00-20:00; sat,sun 10:00-14:00`.

use std::{fmt, str::FromStr};

use jiff::civil::DateTime;

use crate::{
    lang::{Lang, Text},
    spelling::{meant, nearest},
    text,
};

/// Minutes of a day.
const DAY: u16 = 24 * 60;

/// The names of the days, Monday first.
const DAYS: [(&str, &str); 7] =
    [("mon", "пн"), ("tue", "вт"), ("wed", "ср"), ("thu", "чт"), ("fri", "пт"), ("sat", "сб"), ("sun", "вс")];

/// The name of all days together.
const DAILY: (&str, &str) = ("daily", "ежедневно");

/// Parts of a week. `Display` is the canonical form; it parses back to an equal value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeeklyHours(Vec<Window>);

/// Days, and the same hours on each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Window {
    /// Bit 0: Monday.
    days: u8,
    /// In minutes, less than `DAY`.
    from: u16,
    /// In minutes. If not after `from`: on the next day.
    until: u16,
}

impl WeeklyHours {
    /// Whether a moment is within these hours.
    pub fn contain(&self, at: DateTime) -> bool {
        let day = at.weekday().to_monday_zero_offset() as u8;
        let minute = at.hour() as u16 * 60 + at.minute() as u16;
        self.0.iter().any(|window| window.contains(day, minute))
    }
}

impl Window {
    fn contains(self, day: u8, minute: u16) -> bool {
        let is_on = |day: u8| self.days & (1 << day) != 0;
        if self.from < self.until {
            return is_on(day) && (self.from..self.until).contains(&minute);
        }
        let yesterday = (day + 6) % 7;
        (is_on(day) && minute >= self.from) || (is_on(yesterday) && minute < self.until)
    }
}

impl FromStr for WeeklyHours {
    type Err = Text;

    fn from_str(text: &str) -> Result<Self, Text> {
        let parts = text.split(';').map(str::trim);
        let (mut windows, mut wrong) = (Vec::new(), Vec::new());
        for part in parts.filter(|part| !part.is_empty()) {
            match window(part) {
                Ok(window) => windows.push(window),
                Err(text) => wrong.push(text),
            }
        }
        if !wrong.is_empty() {
            let all = |lang| wrong.iter().map(|text| text.get(lang)).collect::<Vec<_>>().join("; ");
            return Err(Text::new(all(Lang::En), all(Lang::Ru)));
        }
        if windows.is_empty() {
            return Err(text!(
                "no hours; write them like `mon-fri 08:00-20:00; sat,sun 10:00-14:00`",
                "часы не указаны; пишите так: «пн-пт 08:00-20:00; сб,вс 10:00-14:00»"
            ));
        }
        Ok(Self(windows))
    }
}

fn window(text: &str) -> Result<Window, Text> {
    let (days, times) = match text.find(|c: char| c.is_ascii_digit()) {
        Some(at) => (text[..at].trim(), text[at..].trim()),
        None => (text, ""),
    };
    let days = if days.is_empty() { 0x7f } else { days_of(days)? };
    if times.is_empty() {
        let (from, until) = (0, DAY);
        return Ok(Window { days, from, until });
    }
    let wrong = || {
        text!(
            "`{times}` are no times of a day; write them like 08:00-20:00",
            "«{times}» — не время суток; пишите так: 08:00-20:00"
        )
    };
    let (from, until) = times.split_once(['-', '–']).ok_or_else(wrong)?;
    let from = minutes(from).filter(|from| *from < DAY).ok_or_else(wrong)?;
    let until = minutes(until).ok_or_else(wrong)?;
    Ok(Window { days, from, until })
}

/// Parses `08:00` or `8`, up to `24:00`.
fn minutes(text: &str) -> Option<u16> {
    let (hours, minutes) = text.trim().split_once(':').unwrap_or((text.trim(), "00"));
    let part = |part: &str, digits: usize| -> Option<u16> {
        let fits = (1..=2).contains(&part.len()) && part.len() >= digits;
        (fits && part.bytes().all(|b| b.is_ascii_digit())).then(|| part.parse().ok())?
    };
    let (hours, minutes) = (part(hours, 1)?, part(minutes, 2)?);
    let total = hours * 60 + minutes;
    (minutes < 60 && total <= DAY).then_some(total)
}

/// Parses `mon-fri`, `sat,sun`, `fri-mon`, `daily`.
fn days_of(text: &str) -> Result<u8, Text> {
    let text = text.to_lowercase();
    if text == DAILY.0 || text == DAILY.1 {
        return Ok(0x7f);
    }
    let mut days = 0;
    for part in text.split(',').map(str::trim) {
        let (first, last) = part.split_once(['-', '–']).unwrap_or((part, part));
        let (first, last) = (day(first.trim())?, day(last.trim())?);
        let mut day = first;
        loop {
            days |= 1 << day;
            if day == last {
                break;
            }
            day = (day + 1) % 7;
        }
    }
    Ok(days)
}

fn day(name: &str) -> Result<u8, Text> {
    let is_named = |(english, russian): &(&str, &str)| *english == name || *russian == name;
    if let Some(day) = DAYS.iter().position(is_named) {
        return Ok(day as u8);
    }
    let known = DAYS.iter().chain([&DAILY]).flat_map(|(english, russian)| [*english, *russian]);
    Err(match nearest(name, known) {
        Some(near) => meant(text!("`{name}` is not a day", "«{name}» — не день недели"), Some(near)),
        None => text!(
            "`{name}` is not a day; days are mon tue wed thu fri sat sun, or daily",
            "«{name}» — не день недели; дни: пн вт ср чт пт сб вс или ежедневно"
        ),
    })
}

impl fmt::Display for WeeklyHours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.in_words(Lang::En))
    }
}

impl WeeklyHours {
    /// With the names of the days in a language; both languages parse back to the same hours.
    pub fn in_words(&self, lang: Lang) -> String {
        let clock = |minutes: u16| format!("{:02}:{:02}", minutes / 60, minutes % 60);
        let windows: Vec<String> = self
            .0
            .iter()
            .map(|window| {
                let days = days_in_words(window.days, lang);
                format!("{days} {}-{}", clock(window.from), clock(window.until))
            })
            .collect();
        windows.join("; ")
    }
}

fn days_in_words(days: u8, lang: Lang) -> String {
    if days == 0x7f {
        return lang.pick(DAILY.0, DAILY.1).to_owned();
    }
    let name = |day: usize| lang.pick(DAYS[day].0, DAYS[day].1);
    let mut parts = Vec::new();
    let mut day = 0;
    while day < 7 {
        let run = (day..7).take_while(|day| days & (1 << day) != 0).count();
        match run {
            0 => {}
            1 => parts.push(name(day).to_owned()),
            2 => parts.extend([name(day).to_owned(), name(day + 1).to_owned()]),
            _ => parts.push(format!("{}-{}", name(day), name(day + run - 1))),
        }
        day += run.max(1);
    }
    parts.join(",")
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn all_that_is_wrong_is_told() {
        let error = "mon-fri 08:00-25:00; zzz 10:00-14:00".parse::<WeeklyHours>().unwrap_err();
        assert!(error.en.contains("08:00-25:00") && error.en.contains("zzz"), "{}", error.en);
    }

    fn hours(text: &str) -> WeeklyHours {
        text.parse().unwrap_or_else(|error: Text| panic!("{text}: {}", error.get(Lang::En)))
    }

    #[test]
    fn a_night_shift_belongs_to_the_day_that_it_begins_on() {
        let nights = hours("fri 20:00-08:00");
        // The 27th of November 2026 is a Friday.
        for (day, hour, within) in
            [(27, 19, false), (27, 20, true), (28, 7, true), (28, 8, false), (28, 21, false), (27, 7, false)]
        {
            assert_eq!(nights.contain(date(2026, 11, day).at(hour, 0, 0, 0)), within, "{day} at {hour}");
        }
    }

    #[test]
    fn both_languages_mean_the_same() {
        assert_eq!(hours("ПН-ПТ 8-20; сб,вс 10:00–14:00"), hours("mon-fri 08:00-20:00; sat,sun 10:00-14:00"));
        assert_eq!(hours("ежедневно"), hours("00:00-24:00"));
        assert_eq!(hours("fri-mon 10:00-11:00").to_string(), "mon,fri-sun 10:00-11:00");
    }

    #[test]
    fn mistakes_name_what_is_meant() {
        for (text, part) in [
            ("", "no hours"),
            ("mno 08:00-20:00", "`mon`"),
            ("mon 8.00-20.00", "08:00-20:00"),
            ("mon 08:00", "08:00-20:00"),
            ("mon 25:00-26:00", "08:00-20:00"),
            ("mon 24:00-08:00", "08:00-20:00"),
            ("someday 08:00-20:00", "mon tue"),
        ] {
            let error = text.parse::<WeeklyHours>().unwrap_err();
            assert!(error.get(Lang::En).contains(part), "{text}: {}", error.get(Lang::En));
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back_equal(windows in prop::collection::vec((1..128_u8, 0..1440_u16, 0..=1440_u16), 1..4)) {
            let written = WeeklyHours(
                windows.into_iter().map(|(days, from, until)| Window { days, from, until }).collect(),
            );
            prop_assert_eq!(&hours(&written.to_string()), &written);
            prop_assert_eq!(&hours(&written.in_words(Lang::Ru)), &written);
        }

        #[test]
        fn no_text_panics(text in "[a-zа-я0-9:;, -]{0,30}") {
            let _ = text.parse::<WeeklyHours>();
        }
    }
}
