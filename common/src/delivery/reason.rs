//! Why a delivery was denied or ended, why a push failed, why a device is out of use.

use crate::lang::Lang;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $code:literal, $english:literal, $russian:literal;)*) => {
        /// A reason. The database stores the number; history, `explain` and queries show the code. Neither may change.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i64)]
        pub enum Reason {
            $($(#[$doc])* $name = $number,)*
        }

        impl Reason {
            /// All reasons.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Its code.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)*
                }
            }

            /// The reason as text.
            pub fn in_words(self, lang: Lang) -> &'static str {
                match self {
                    $(Self::$name => lang.pick($english, $russian),)*
                }
            }
        }
    };
}

reasons! {
    /// The employee holds no grant for the topic.
    NoGrant = 1, "no_grant", "holds no grant for the topic", "нет доступа к теме";
    /// The employee's grant for the topic does not count at this time (its dates or hours).
    NotNow = 2, "not_now", "the grant for the topic does not count at this time",
        "доступ к теме в это время не действует";
    /// The employee is blocked.
    Blocked = 3, "blocked", "is blocked", "сотрудник заблокирован";
    /// The employee was archived.
    Archived = 4, "archived", "is archived", "сотрудник в архиве";
    /// The employee has no device, or had none until the message expired.
    NoDevice = 5, "no_device", "has no device", "нет устройства";
    /// The message expired before a provider accepted a push.
    Expired = 6, "expired", "its time ran out", "истёк срок";
    /// The message was canceled.
    Canceled = 7, "canceled", "the message was canceled", "сообщение отменено";
    /// The topic was archived before the message came due (why the server canceled it).
    TopicArchived = 8, "topic_archived", "the topic was archived before it came due",
        "тема отправлена в архив раньше, чем подошёл срок";
    /// The client was archived before the message came due (why the server canceled it).
    ClientArchived = 9, "client_archived", "the client was archived before it came due",
        "клиент отправлен в архив раньше, чем подошёл срок";
    /// The provider reports that the address is dead.
    DeadAddress = 10, "dead_address", "the provider says the address is dead", "провайдер: адрес больше не действует";
    /// The device is quarantined because its address was reported dead.
    Quarantined = 11, "quarantined", "the device is quarantined (dead address)",
        "устройство в карантине (адрес недействителен)";
    /// The device was removed or unpaired itself.
    DeviceGone = 12, "device_gone", "the device was removed", "устройство удалено";
    /// The phone unpaired itself (why a device was retired).
    Left = 13, "left", "the phone left", "телефон отключился сам";
    /// Another device has this address now (why a device was retired).
    Replaced = 14, "replaced", "another device has its address now", "адрес перешёл к другому устройству";
    /// The provider rejects the payload.
    Rejected = 15, "rejected", "the provider refused the payload", "провайдер отклонил содержимое";
    /// The provider's configuration is wrong (project, sender, credential).
    Misconfigured = 16, "misconfigured", "the channel is misconfigured", "канал настроен неверно";
    /// The channel is not configured on this server.
    NoChannel = 17, "no_channel", "the channel is not configured", "канал не настроен";
}

impl Reason {
    /// The number that the database stores.
    pub fn number(self) -> i64 {
        self as i64
    }

    /// The reason stored as `number`.
    pub fn from_number(number: i64) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.number() == number)
    }

    /// The reason with this code.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.as_str() == code)
    }

    /// A code as text; a code of a later version is returned unchanged.
    pub fn code_in_words(code: &str, lang: Lang) -> &str {
        Self::from_code(code).map_or(code, |reason| reason.in_words(lang))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_has_a_number_and_a_code_of_its_own() {
        for reason in Reason::ALL {
            assert_eq!(Reason::from_number(reason.number()), Some(*reason));
            assert_eq!(Reason::from_code(reason.as_str()), Some(*reason));
        }
        let codes: BTreeSet<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(codes.len(), Reason::ALL.len());
        assert_eq!(Reason::code_in_words("new_one", Lang::En), "new_one");
    }
}
