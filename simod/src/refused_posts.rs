//! Refused posts, gathered in memory until they are written ([`crate::store::RefusedPosts`]), so that no request waits for
//! that. The memory is limited; posts beyond it are only counted.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use simo_common::{
    api::audit::RefusedPost,
    time::{HOUR, from_us},
};

use crate::{
    guard::TokenHash,
    store::{NEWEST_REFUSED, RefusedPosts},
};

/// The most kinds of refused posts gathered at once, of all tokens and of one, so that no client uses up the others' room.
/// With the newest posts of each kind that is some ten megabytes at worst.
const KINDS: usize = 512;
const KINDS_OF_A_TOKEN: usize = 32;

/// Characters of a title, and of an external id, that are stored.
const TITLE_CHARS: usize = 80;
const EXTERNAL_ID_CHARS: usize = 200;

/// The parts by which a person recognises a post.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Head {
    title: String,
    external_id: Option<String>,
}

/// The key of refused posts that are stored as one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct PostKind {
    token: TokenHash,
    hour: i64,
    code: &'static str,
    field: &'static str,
}

#[derive(Debug)]
struct Seen {
    count: u64,
    first_at: i64,
    last_at: i64,
    /// The newest comes last.
    newest: VecDeque<RefusedPost>,
}

/// Refused posts that are not written yet.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    kinds: Mutex<HashMap<PostKind, Seen>>,
}

impl Head {
    /// The beginning of the title and of the id, without control characters.
    pub(crate) fn new(title: &str, external_id: Option<&str>) -> Self {
        Self {
            title: head(title, TITLE_CHARS),
            external_id: external_id.map(|id| head(id, EXTERNAL_ID_CHARS)),
        }
    }
}

fn head(text: &str, most: usize) -> String {
    text.chars().take(most).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

impl Gathered {
    /// Records a refused post of this token. Returns whether there was room.
    pub(crate) fn note(
        &self,
        token: TokenHash,
        code: &'static str,
        field: Option<&str>,
        head: Option<Head>,
        now: i64,
    ) -> bool {
        let kind = PostKind { token, hour: now / HOUR, code, field: field.map_or("", known) };
        let newest = head.map(|head| RefusedPost {
            at: from_us(now),
            title: head.title,
            external_id: head.external_id,
        });
        let seen = Seen { count: 1, first_at: now, last_at: now, newest: newest.into_iter().collect() };
        add(&mut self.kinds(), kind, seen)
    }

    /// Takes the gathered posts, to be written.
    pub(crate) fn take(&self) -> Vec<RefusedPosts> {
        let kinds = std::mem::take(&mut *self.kinds());
        let posts = kinds.into_iter().map(|(kind, seen)| RefusedPosts {
            token: kind.token,
            hour: kind.hour,
            code: kind.code,
            field: kind.field,
            count: seen.count,
            first_at: seen.first_at,
            last_at: seen.last_at,
            newest: seen.newest.into(),
        });
        posts.collect()
    }

    /// Puts back posts that could not be written, to be tried again. Returns how many no longer had room.
    pub(crate) fn give_back(&self, posts: Vec<RefusedPosts>) -> u64 {
        let mut kinds = self.kinds();
        let mut dropped = 0;
        for posts in posts {
            let kind =
                PostKind { token: posts.token, hour: posts.hour, code: posts.code, field: posts.field };
            let count = posts.count;
            let seen =
                Seen { count, first_at: posts.first_at, last_at: posts.last_at, newest: posts.newest.into() };
            if !add(&mut kinds, kind, seen) {
                dropped += count;
            }
        }
        dropped
    }

    fn kinds(&self) -> MutexGuard<'_, HashMap<PostKind, Seen>> {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds to the gathered posts. Returns whether there was room.
fn add(kinds: &mut HashMap<PostKind, Seen>, kind: PostKind, more: Seen) -> bool {
    if let Some(seen) = kinds.get_mut(&kind) {
        seen.count += more.count;
        seen.first_at = seen.first_at.min(more.first_at);
        seen.last_at = seen.last_at.max(more.last_at);
        seen.newest.extend(more.newest);
        if seen.newest.len() > NEWEST_REFUSED {
            seen.newest.make_contiguous().sort_by_key(|post| post.at);
            let old = seen.newest.len() - NEWEST_REFUSED;
            seen.newest.drain(..old);
        }
        return true;
    }
    let of_token = || kinds.keys().filter(|other| other.token == kind.token).count();
    if kinds.len() >= KINDS || of_token() >= KINDS_OF_A_TOKEN {
        return false;
    }
    kinds.insert(kind, more);
    true
}

/// The name if it is a message's field; all other names, of which there is no end, become one.
fn known(field: &str) -> &'static str {
    const FIELDS: [&str; 16] = [
        "title",
        "body",
        "topic",
        "priority",
        "recipients.employees",
        "recipients.groups",
        "recipients",
        "data",
        "send_at",
        "expires_at",
        "ttl",
        "require_ack",
        "external_id",
        "allow_empty",
        "Idempotency-Key",
        "(request)",
    ];
    let is_within = |outer: &&&str| {
        let rest = field.strip_prefix(**outer);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    FIELDS.iter().find(is_within).copied().unwrap_or("(other)")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 500_000 * HOUR;

    fn titled(number: usize) -> Head {
        Head::new(&format!("title {number}"), None)
    }

    #[test]
    fn posts_of_a_kind_are_one_and_the_newest_of_them_are_kept() {
        let gathered = Gathered::default();
        for number in 0..1_000 {
            let field = format!("recipients.employees[{number}]");
            assert!(gathered.note(
                [1; 32],
                "invalid",
                Some(&field),
                Some(titled(number)),
                NOW + number as i64
            ));
        }
        gathered.note([1; 32], "rate_limited", None, None, NOW);
        let mut posts = gathered.take();
        posts.sort_by_key(|posts| posts.code);
        let [invalid, limited] = &posts[..] else { panic!("{posts:?}") };
        assert_eq!((invalid.count, invalid.first_at, invalid.last_at), (1_000, NOW, NOW + 999));
        assert_eq!(invalid.field, "recipients.employees");
        let titles: Vec<&str> = invalid.newest.iter().map(|post| post.title.as_str()).collect();
        assert_eq!((titles.len(), titles[0], titles[19]), (NEWEST_REFUSED, "title 980", "title 999"));
        assert_eq!((limited.field, limited.newest.len()), ("", 0));
        assert!(gathered.take().is_empty());
    }

    #[test]
    fn a_flood_of_kinds_has_an_end_and_leaves_room_for_others() {
        const CODES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
        let gathered = Gathered::default();
        let fields = ["title", "body", "topic", "data", "ttl", "send_at", "priority", "x", "y"];
        let mut kept = 0;
        for token in 0..100 {
            for code in CODES {
                for field in fields {
                    kept += usize::from(gathered.note([token; 32], code, Some(field), None, NOW));
                }
            }
            if token == 0 {
                // Two of these fields count as one: no message has them.
                assert_eq!(kept, KINDS_OF_A_TOKEN + KINDS_OF_A_TOKEN / 8);
            }
        }
        assert_eq!(gathered.take().len(), KINDS);
    }

    #[test]
    fn what_could_not_be_written_is_written_later_with_what_came_since() {
        let gathered = Gathered::default();
        for number in 0..15 {
            gathered.note([1; 32], "invalid", Some("title"), Some(titled(number)), NOW + number as i64);
        }
        let taken = gathered.take();
        for number in 15..30 {
            gathered.note([1; 32], "invalid", Some("title"), Some(titled(number)), NOW + number as i64);
        }
        assert_eq!(gathered.give_back(taken), 0);
        let posts = gathered.take().remove(0);
        assert_eq!((posts.count, posts.first_at, posts.last_at), (30, NOW, NOW + 29));
        let times: Vec<i64> = posts.newest.iter().map(|post| post.at.as_microsecond() - NOW).collect();
        assert_eq!(times, (10..30).collect::<Vec<_>>());
    }

    #[test]
    fn a_head_is_short_and_text() {
        let head = Head::new(&format!("a\0b\n{}", "ж".repeat(100)), Some("id\u{1}"));
        assert_eq!(head.title.chars().count(), TITLE_CHARS);
        assert!(head.title.starts_with("a b ж"));
        assert_eq!(head.external_id.as_deref(), Some("id "));
    }
}
