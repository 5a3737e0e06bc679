//! The meaning of each key, and the help that lists them.

use crossterm::event::{
    Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
};
use simo_common::api::history::SortKey;
use tui_input::backend::crossterm::to_input_request;

use crate::{
    action::{Action, Command},
    model::Focus,
};

/// Lines scrolled per notch of the wheel.
const NOTCH: isize = 3;

/// The action of a terminal event, if it has one.
pub(crate) fn action(focus: Focus, event: &Event) -> Option<Action> {
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => command(focus, *key).map(Action::Command),
        Event::Mouse(mouse) => mouse_action(*mouse),
        Event::Paste(text) => Some(Action::Paste(text.clone())),
        Event::Resize(columns, lines) => Some(Action::Resize(*columns, *lines)),
        _ => None,
    }
}

fn mouse_action(mouse: MouseEvent) -> Option<Action> {
    let MouseEvent { column, row, .. } = mouse;
    match mouse.kind {
        MouseEventKind::Down(MouseButton::Left) => Some(Action::Click { column, row }),
        MouseEventKind::ScrollDown => Some(Action::Wheel { column, row, lines: NOTCH }),
        MouseEventKind::ScrollUp => Some(Action::Wheel { column, row, lines: -NOTCH }),
        _ => None,
    }
}

fn command(focus: Focus, key: KeyEvent) -> Option<Command> {
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        match key.code {
            KeyCode::Char('c' | 'с') => return Some(Command::Quit),
            KeyCode::Char('l' | 'д') => return Some(Command::Repaint),
            _ => {}
        }
    }
    if focus == Focus::Query {
        return in_query(key);
    }
    if let KeyCode::Char(c) = key.code {
        return match (latin(c), key.modifiers.contains(KeyModifiers::CONTROL)) {
            ('f', true) => Some(Command::PageDown),
            ('b', true) => Some(Command::PageUp),
            (c, false) => letter(focus, c),
            _ => None,
        };
    }
    Some(match key.code {
        KeyCode::Up => Command::Up,
        KeyCode::Down => Command::Down,
        KeyCode::PageUp => Command::PageUp,
        KeyCode::PageDown => Command::PageDown,
        KeyCode::Home => Command::Home,
        KeyCode::End => Command::End,
        KeyCode::Left => Command::Previous,
        KeyCode::Right => Command::Next,
        KeyCode::Enter => Command::Enter,
        KeyCode::Esc => Command::Escape,
        KeyCode::Tab | KeyCode::BackTab if focus == Focus::Detail => Command::Escape,
        KeyCode::F(1) => Command::Help,
        KeyCode::F(5) => Command::Reload,
        _ => return None,
    })
}

fn letter(focus: Focus, c: char) -> Option<Command> {
    if focus == Focus::Sort {
        match c {
            'd' => return Some(Command::SortBy(SortKey::Date)),
            'e' => return Some(Command::SortBy(SortKey::Employee)),
            't' => return Some(Command::SortBy(SortKey::State)),
            _ => {}
        }
    }
    Some(match c {
        'q' => Command::Quit,
        'k' => Command::Up,
        'j' => Command::Down,
        'g' => Command::Home,
        'G' => Command::End,
        ' ' => Command::PageDown,
        'p' => Command::Previous,
        'n' => Command::Next,
        'w' => Command::Receivers,
        'a' => Command::Access,
        '/' => Command::EditQuery,
        's' => Command::ChooseSort,
        'S' => Command::FlipSort,
        'c' => Command::ChooseClient,
        'r' => Command::Reload,
        'l' => Command::Language,
        '?' => Command::Help,
        _ => return None,
    })
}

fn in_query(key: KeyEvent) -> Option<Command> {
    Some(match key.code {
        KeyCode::Enter => Command::Enter,
        KeyCode::Esc => Command::Escape,
        KeyCode::Tab => Command::Complete,
        KeyCode::BackTab => Command::CompleteBack,
        KeyCode::Up => Command::Up,
        KeyCode::Down => Command::Down,
        _ => Command::Edit(to_input_request(&Event::Key(key))?),
    })
}

/// The Latin key in the place of a Russian one: commands work in either layout.
fn latin(c: char) -> char {
    match c {
        'й' => 'q',
        'л' => 'k',
        'о' => 'j',
        'п' => 'g',
        'П' => 'G',
        'з' => 'p',
        'т' => 'n',
        'ц' => 'w',
        'ф' => 'a',
        '.' => '/',
        'ы' => 's',
        'Ы' => 'S',
        'с' => 'c',
        'к' => 'r',
        'д' => 'l',
        ',' => '?',
        'в' => 'd',
        'у' => 'e',
        'е' => 't',
        'а' => 'f',
        'и' => 'b',
        other => other,
    }
}

/// The help: keys, and their meaning in English and Russian; a line without keys is a heading.
pub(crate) const HELP: &[(&str, &str, &str)] = &[
    ("", "Table", "Таблица"),
    ("↑ ↓  k j", "one row up, down", "на строку вверх, вниз"),
    ("PgUp PgDn", "one screen up, down (also Space)", "на экран вверх, вниз (и пробел)"),
    ("Home g", "to the top, and follow what comes in", "в начало и следить за новыми"),
    ("End G", "to the last row that is loaded", "к последней загруженной строке"),
    ("Enter", "the delivery's whole story", "вся история доставки"),
    ("/", "edit the query", "изменить запрос"),
    ("Esc", "show everything again", "снова показать всё"),
    (
        "s",
        "choose the order (d e t: date, employee, state)",
        "выбрать порядок (d e t: дата, сотрудник, состояние)",
    ),
    ("S", "the order the other way round", "обратный порядок"),
    ("r F5", "read anew, reconnect at once", "перечитать, соединиться сразу"),
    ("c", "another client (owners)", "другой клиент (владельцам)"),
    ("", "Delivery", "Доставка"),
    ("↑ ↓ PgUp PgDn", "scroll", "прокрутка"),
    ("← →  p n", "the delivery above, below", "доставка выше, ниже"),
    (
        "w",
        "who would receive the topic now, and by which grant",
        "кто получил бы тему сейчас и по какому доступу",
    ),
    ("a", "what the employee may receive, and why", "что может получать сотрудник и почему"),
    ("Tab Esc Enter", "back to the story; close", "назад к истории; закрыть"),
    ("", "Query line", "Строка запроса"),
    ("Tab Shift-Tab", "complete: keys and values", "дополнить: ключи и значения"),
    ("↑ ↓", "queries asked before", "прежние запросы"),
    ("Enter  Esc", "apply, cancel", "применить, отменить"),
    (
        "Ctrl-A E U W K",
        "start, end, erase: line, word, to the end",
        "начало, конец, стереть: строку, слово, до конца",
    ),
    ("", "Everywhere", "Везде"),
    ("? F1", "this list", "этот список"),
    ("l", "русский / English", "русский / English"),
    ("Ctrl-L", "paint the screen anew", "перерисовать экран"),
    ("q Ctrl-C", "quit (q: not while typing)", "выход (q: не при вводе)"),
    ("", "Mouse", "Мышь"),
    ("click", "select; again: open; header: sort", "выбрать; ещё раз: открыть; заголовок: порядок"),
    ("wheel", "scroll", "прокрутка"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn press(focus: Focus, code: KeyCode) -> Option<Command> {
        command(focus, KeyEvent::new(code, KeyModifiers::NONE))
    }

    #[test]
    fn commands_answer_in_the_russian_layout_too() {
        for (latin, russian) in "qkjgGpnwa/sScrl?".chars().zip("йлопПзтцф.ыЫскд,".chars()) {
            assert_eq!(
                press(Focus::Table, KeyCode::Char(russian)),
                press(Focus::Table, KeyCode::Char(latin)),
                "{latin}"
            );
        }
    }

    #[test]
    fn while_typing_letters_are_letters_and_only_ctrl_c_quits() {
        assert_eq!(
            press(Focus::Query, KeyCode::Char('q')),
            Some(Command::Edit(tui_input::InputRequest::InsertChar('q')))
        );
        let ctrl_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(command(Focus::Query, ctrl_c), Some(Command::Quit));
    }

    #[test]
    fn tab_closes_the_detail_pane_and_completes_the_query() {
        assert_eq!(press(Focus::Detail, KeyCode::Tab), Some(Command::Escape));
        assert_eq!(press(Focus::Query, KeyCode::Tab), Some(Command::Complete));
        assert_eq!(press(Focus::Table, KeyCode::Tab), None);
    }
}
