//! The keys of the query language and the values with fixed names, in both languages, and suggestions for mistyped ones.

use crate::{delivery::DeliveryState, message::Priority, people::fold_name, spelling::nearest};

/// The key of a `key:value` term.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Key {
    /// The delivery's state.
    State,
    /// The recipient: a personnel number, or the beginning of a word of the name.
    Employee,
    /// A group the employee belonged to when the message was accepted, by slug.
    Group,
    /// A group the employee belongs to today, by slug.
    GroupNow,
    /// The ACS that posted it.
    Acs,
    /// The topic, by slug.
    Topic,
    /// A device it was pushed to: its id, or the beginning of a word of its name.
    Device,
    /// Its priority.
    Priority,
    /// Accepted at this time or later.
    After,
    /// Accepted before this time.
    Before,
    /// Accepted on this day.
    Date,
    /// The message's id.
    Message,
    /// The ACS's own id of the message.
    External,
    /// The reason code of its end.
    Reason,
    /// Whether it must be acknowledged.
    Ack,
}

impl Key {
    /// All keys, in the order of the manual.
    pub const ALL: [Self; 15] = [
        Self::State,
        Self::Employee,
        Self::Group,
        Self::GroupNow,
        Self::Acs,
        Self::Topic,
        Self::Device,
        Self::Priority,
        Self::After,
        Self::Before,
        Self::Date,
        Self::Message,
        Self::External,
        Self::Reason,
        Self::Ack,
    ];

    /// Its names: the canonical one, the Russian one, then accepted aliases.
    pub fn names(self) -> &'static [&'static str] {
        match self {
            Self::State => &["state", "состояние", "status", "статус"],
            Self::Employee => &["employee", "сотрудник"],
            Self::Group => &["group", "группа"],
            Self::GroupNow => &["group-now", "группа-сейчас"],
            Self::Acs => &["acs", "асу"],
            Self::Topic => &["topic", "тема"],
            Self::Device => &["device", "устройство"],
            Self::Priority => &["priority", "приоритет"],
            Self::After => &["after", "после", "since"],
            Self::Before => &["before", "до", "until"],
            Self::Date => &["date", "дата"],
            Self::Message => &["message", "сообщение", "id"],
            Self::External => &["external", "внешний", "external_id"],
            Self::Reason => &["reason", "причина"],
            Self::Ack => &["ack", "подтверждение"],
        }
    }

    /// Its canonical name.
    pub fn as_str(self) -> &'static str {
        self.names()[0]
    }

    /// Its Russian name.
    pub fn as_russian(self) -> &'static str {
        self.names()[1]
    }

    /// The canonical names of its values, if they are fixed.
    pub fn values(self) -> Vec<&'static str> {
        match self {
            Self::State => DeliveryState::ALL.map(DeliveryState::as_str).to_vec(),
            Self::Priority => Priority::ALL.map(Priority::as_str).to_vec(),
            Self::After | Self::Before | Self::Date => vec!["today", "yesterday"],
            Self::Ack => vec!["yes", "no"],
            _ => Vec::new(),
        }
    }

    /// The key with this name, in any case.
    pub(super) fn find(name: &str) -> Option<Self> {
        let name = fold_name(name);
        Self::ALL.into_iter().find(|key| key.names().contains(&name.as_str()))
    }

    /// The known name nearest to a mistyped one.
    pub(super) fn nearest(name: &str) -> Option<&'static str> {
        nearest(&fold_name(name), Self::ALL.into_iter().flat_map(Self::names).copied())
    }
}

/// The state with this name in either language; an unambiguous beginning is enough.
///
/// # Errors
/// The nearest existing name, if any is near.
pub(super) fn state(value: &str) -> Result<DeliveryState, Option<&'static str>> {
    let own = DeliveryState::ALL.into_iter().flat_map(|s| {
        let (english, russian) = (s.as_str(), s.as_russian());
        [(english, s), (russian, s)]
    });
    let others = [
        ("очередь", DeliveryState::Queued),
        ("ошибка", DeliveryState::Failed),
        ("просрочено", DeliveryState::Expired),
        ("запрещено", DeliveryState::Denied),
        ("отказано", DeliveryState::Denied),
        ("cancelled", DeliveryState::Canceled),
    ];
    named(value, &own.chain(others).collect::<Vec<_>>())
}

/// The priority with this name in either language.
pub(super) fn priority(value: &str) -> Result<Priority, Option<&'static str>> {
    named(
        value,
        &[
            ("low", Priority::Low),
            ("normal", Priority::Normal),
            ("high", Priority::High),
            ("critical", Priority::Critical),
            ("низкий", Priority::Low),
            ("обычный", Priority::Normal),
            ("высокий", Priority::High),
            ("критический", Priority::Critical),
            // The names that the app shows.
            ("важно", Priority::High),
            ("критично", Priority::Critical),
        ],
    )
}

/// Yes or no in either language.
pub(super) fn yes_or_no(value: &str) -> Result<bool, Option<&'static str>> {
    named(
        value,
        &[
            ("yes", true),
            ("no", false),
            ("true", true),
            ("false", false),
            ("required", true),
            ("да", true),
            ("нет", false),
        ],
    )
}

fn named<T: Copy + PartialEq>(value: &str, names: &[(&'static str, T)]) -> Result<T, Option<&'static str>> {
    let plain = |text: &str| fold_name(text).replace([' ', '_', '-'], "");
    if value.starts_with('-') {
        // `named` ignores `-`: the term would find what it was meant to exclude.
        return Err(None);
    }
    let value = plain(value);
    if value.is_empty() {
        return Err(None);
    }
    if let Some((_, exact)) = names.iter().find(|(name, _)| plain(name) == value) {
        return Ok(*exact);
    }
    let mut begun = names.iter().filter(|(name, _)| plain(name).starts_with(&value));
    match begun.next() {
        Some((_, first)) if begun.all(|(_, other)| other == first) => Ok(*first),
        Some((name, _)) => Err(Some(name)),
        None => Err(nearest(&value, names.iter().map(|(name, _)| *name))),
    }
}
