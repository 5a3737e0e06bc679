//! Rate limits: requests of a token, and failures of a network address, counted by the minute.
//!
//! The counts are in memory, so that checking them costs nothing. A periodic duty combines the counts of all instances on
//! one server ([`Guard::counted`], [`Guard::learn`]): N instances do not allow N limits, except within the second until
//! then.

mod code_line;
pub(crate) mod per_phone;

use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
};

use simo_common::{hex::hex, time::SECOND};
use tokio::sync::Semaphore;

use self::code_line::CodeLine;
use crate::store::{ClientNo, Counted, OnSight, Refused};

const MINUTE: i64 = 60 * SECOND;

/// A token not used for this many minutes is forgotten, and no longer counts as known to be good.
const REMEMBERED: i64 = 60;

/// A token's count is shared with other instances once it reaches this fraction of its limit: tokens far below it, which
/// are nearly all, cost no statement.
const TOGETHER: u64 = 32;

/// The most kinds of refused attempts kept until they are written; beyond that within a second, attempts are recorded
/// without their address.
const REFUSED: usize = 4_096;

/// Lookups at once of tokens from addresses that are over their limit: a guesser gets no more of the database than that.
const STRANGERS: usize = 2;

/// The most addresses remembered for sending an `X-Forwarded-For` that is not trusted.
const UNBELIEVED: usize = 64;

/// A token's SHA-256. Lookups by value take no constant time, but learning how a hash begins does not help: a matching
/// token would still have to be found.
pub(crate) type TokenHash = [u8; 32];

/// Counts and limits.
#[derive(Debug)]
pub struct Guard {
    per_token: u64,
    failures: u64,
    tokens: Mutex<HashMap<TokenHash, KnownToken>>,
    /// What is known of tokens before they are looked up.
    on_sight: Mutex<HashMap<TokenHash, OnSight>>,
    addresses: Mutex<HashMap<String, Count>>,
    refused: Mutex<HashMap<RefusedKind, Seen>>,
    /// Limits lookups of tokens from addresses that are over their limit.
    pub(crate) strangers: Semaphore,
    /// The queue for looking up one-time codes.
    pub(crate) codes: CodeLine,
    /// Addresses whose `X-Forwarded-For` was not trusted.
    unbelieved: Mutex<HashSet<IpAddr>>,
}

/// One minute's requests.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    minute: i64,
    here: u64,
    /// The part of `here` that was shared with the other instances.
    told: u64,
    elsewhere: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct KnownToken {
    count: Count,
    /// It has been accepted once.
    is_good: bool,
}

/// The key of refused attempts that are stored as one row.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct RefusedKind {
    client_no: Option<ClientNo>,
    address: String,
    reason: &'static str,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    count: u64,
    first_at: i64,
    last_at: i64,
}

/// Over the limit; `retry_after` is in seconds, until the next minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooMany {
    pub(crate) limit: u64,
    pub(crate) retry_after: u32,
}

impl TooMany {
    fn of(limit: u64, now: i64) -> Self {
        Self { limit, retry_after: ((MINUTE - now % MINUTE) / SECOND) as u32 + 1 }
    }
}

impl Count {
    fn at(&mut self, minute: i64) -> &mut Self {
        if self.minute != minute {
            *self = Self { minute, ..Self::default() };
        }
        self
    }

    fn total(self) -> u64 {
        self.here + self.elsewhere
    }
}

fn lock<K: Eq + Hash, V>(map: &Mutex<HashMap<K, V>>) -> MutexGuard<'_, HashMap<K, V>> {
    map.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Guard {
    /// Limits per minute: requests of a token without a limit of its own, and failures of an address; 0 means no limit.
    pub fn new(per_token: u64, failures: u64) -> Self {
        Self {
            per_token,
            failures,
            tokens: Mutex::default(),
            on_sight: Mutex::default(),
            addresses: Mutex::default(),
            refused: Mutex::default(),
            strangers: Semaphore::new(STRANGERS),
            codes: CodeLine::default(),
            unbelieved: Mutex::default(),
        }
    }

    /// Counts a request with this token.
    pub(crate) fn take(&self, token: TokenHash, now: i64) -> Result<(), TooMany> {
        let limit = self.limit_of(&token);
        let mut tokens = lock(&self.tokens);
        let known = tokens.entry(token).or_default();
        let count = known.count.at(now / MINUTE);
        if limit > 0 && count.total() >= limit {
            return Err(TooMany::of(limit, now));
        }
        count.here += 1;
        Ok(())
    }

    /// Sets what the database knows of tokens before they are looked up.
    pub(crate) fn set_on_sight(&self, on_sight: HashMap<TokenHash, OnSight>) {
        *lock(&self.on_sight) = on_sight;
    }

    /// What is known of a token before it is looked up.
    pub(crate) fn on_sight(&self, token: &TokenHash) -> OnSight {
        lock(&self.on_sight).get(token).copied().unwrap_or_default()
    }

    fn limit_of(&self, token: &TokenHash) -> u64 {
        self.on_sight(token).rate_limit.unwrap_or(self.per_token)
    }

    /// The token was accepted.
    pub(crate) fn welcome(&self, token: &TokenHash) {
        if let Some(known) = lock(&self.tokens).get_mut(token) {
            known.is_good = true;
        }
    }

    /// Whether the token was accepted before: its address may be shared by many, one of whom guesses.
    pub(crate) fn is_good(&self, token: &TokenHash) -> bool {
        lock(&self.tokens).get(token).is_some_and(|known| known.is_good)
    }

    /// The token is not valid any more.
    pub(crate) fn forget(&self, token: &TokenHash) {
        lock(&self.tokens).remove(token);
    }

    /// Refuses an address that has had too many failures in this minute.
    pub(crate) fn may_try(&self, address: &str, now: i64) -> Result<(), TooMany> {
        match lock(&self.addresses).get(address) {
            Some(count)
                if self.failures > 0 && count.minute == now / MINUTE && count.total() >= self.failures =>
            {
                Err(TooMany::of(self.failures, now))
            }
            _ => Ok(()),
        }
    }

    /// Counts a failed attempt of this address.
    pub(crate) fn failed(&self, address: &str, now: i64) {
        let mut addresses = lock(&self.addresses);
        addresses.entry(address.to_owned()).or_default().at(now / MINUTE).here += 1;
    }

    /// Whether this is the first untrusted `X-Forwarded-For` from this address. Only so many addresses are reported: enough
    /// to find a proxy, too few to fill the log.
    pub(crate) fn is_unbelieved_first(&self, address: IpAddr) -> bool {
        let mut unbelieved = self.unbelieved.lock().unwrap_or_else(PoisonError::into_inner);
        unbelieved.len() < UNBELIEVED && unbelieved.insert(address)
    }

    /// Records a refused attempt.
    pub(crate) fn refused(&self, client_no: Option<ClientNo>, address: &str, reason: &'static str, now: i64) {
        let mut refused = lock(&self.refused);
        let mut kind = RefusedKind { client_no, address: address.to_owned(), reason };
        if refused.len() >= REFUSED && !refused.contains_key(&kind) {
            kind.address.clear();
        }
        let seen = refused.entry(kind).or_insert(Seen { count: 0, first_at: now, last_at: now });
        seen.count += 1;
        seen.last_at = now;
    }

    /// The counts to be combined with the other instances': failures, and, if there are others, requests.
    pub(crate) fn counted(&self, has_others: bool, now: i64) -> Vec<Counted> {
        let minute = now / MINUTE;
        let mut counted = Vec::new();
        let mut add = |key: String, count: &Count| {
            if count.minute == minute && count.here > count.told {
                counted.push(Counted { key, minute, count: count.here - count.told });
            }
        };
        let mut addresses = lock(&self.addresses);
        addresses.retain(|_, count| count.minute == minute);
        for (address, count) in &*addresses {
            add(format!("address {address}"), count);
        }
        drop(addresses);
        let mut tokens = lock(&self.tokens);
        tokens.retain(|_, known| {
            let kept = if known.is_good { REMEMBERED } else { 1 };
            known.count.minute > minute - kept
        });
        for (token, known) in tokens.iter().filter(|_| has_others) {
            let limit = self.limit_of(token);
            if limit > 0 && known.count.here * TOGETHER >= limit {
                add(key_of(token), &known.count);
            }
        }
        counted
    }

    /// Takes the totals of all instances, ours included: `told` is what we submitted, `all` the totals.
    pub(crate) fn learn(&self, told: &[Counted], all: &[Counted]) {
        let all: HashMap<&str, u64> = all.iter().map(|one| (one.key.as_str(), one.count)).collect();
        let told: HashMap<&str, &Counted> = told.iter().map(|one| (one.key.as_str(), one)).collect();
        let update = |key: &str, count: &mut Count| {
            let (Some(told), Some(all)) = (told.get(key), all.get(key)) else {
                return;
            };
            if told.minute == count.minute {
                count.told += told.count;
                count.elsewhere = all.saturating_sub(count.told);
            }
        };
        for (address, count) in &mut *lock(&self.addresses) {
            update(&format!("address {address}"), count);
        }
        if told.keys().any(|key| key.starts_with("token ")) {
            for (token, known) in &mut *lock(&self.tokens) {
                update(&key_of(token), &mut known.count);
            }
        }
    }

    /// Takes the refused attempts, to be written.
    pub(crate) fn take_refused(&self) -> Vec<Refused> {
        let refused = std::mem::take(&mut *lock(&self.refused));
        let refused = refused.into_iter().map(|(kind, seen)| Refused {
            client_no: kind.client_no,
            address: kind.address,
            reason: kind.reason.to_owned(),
            count: seen.count,
            first_at: seen.first_at,
            last_at: seen.last_at,
        });
        refused.collect()
    }
}

/// The token's key in the shared counts.
fn key_of(token: &TokenHash) -> String {
    format!("token {}", hex(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 30_000_000 * MINUTE + 10 * SECOND;
    const TOKEN: TokenHash = [7; 32];

    /// What the database does with the instances' counts.
    fn exchange(guards: &[&Guard], now: i64) {
        let mut sums = HashMap::new();
        for guard in guards {
            let told = guard.counted(true, now);
            let all: Vec<Counted> = told
                .iter()
                .map(|one| {
                    let sum = sums.entry(one.key.clone()).or_insert(0);
                    *sum += one.count;
                    Counted { count: *sum, ..one.clone() }
                })
                .collect();
            guard.learn(&told, &all);
        }
    }

    #[test]
    fn a_token_has_so_many_requests_a_minute_and_its_own_limit_goes_first() {
        let guard = Guard::new(3, 0);
        for _ in 0..3 {
            guard.take(TOKEN, NOW).unwrap();
        }
        let too_many = guard.take(TOKEN, NOW).unwrap_err();
        assert_eq!((too_many.limit, too_many.retry_after), (3, 51));
        guard.take([8; 32], NOW).unwrap();
        guard.take(TOKEN, NOW + MINUTE).unwrap();
        let said = |rate_limit| OnSight { rate_limit, rate_limit_as_503: true, fit: false };
        guard.set_on_sight(HashMap::from([(TOKEN, said(Some(1)))]));
        assert_eq!(guard.take(TOKEN, NOW + MINUTE).unwrap_err().limit, 1);
        guard.set_on_sight(HashMap::from([(TOKEN, said(None))]));
        assert_eq!(guard.limit_of(&TOKEN), 3, "how it is answered says nothing of how often it may call");
        let unlimited = Guard::new(0, 0);
        assert!((0..10_000).all(|_| unlimited.take(TOKEN, NOW).is_ok()));
    }

    #[test]
    fn an_address_that_fails_too_often_waits_for_the_next_minute() {
        let guard = Guard::new(0, 20);
        for _ in 0..20 {
            guard.may_try("192.0.2.1", NOW).unwrap();
            guard.failed("192.0.2.1", NOW);
        }
        guard.may_try("192.0.2.1", NOW).unwrap_err();
        guard.may_try("192.0.2.2", NOW).unwrap();
        guard.may_try("192.0.2.1", NOW + MINUTE).unwrap();
    }

    #[test]
    fn instances_that_tell_each_other_have_one_limit() {
        let guards = [Guard::new(320, 20), Guard::new(320, 20)];
        let [here, there] = &guards;
        for _ in 0..160 {
            here.take(TOKEN, NOW).unwrap();
            there.take(TOKEN, NOW).unwrap();
        }
        for _ in 0..10 {
            here.failed("192.0.2.1", NOW);
            there.failed("192.0.2.1", NOW);
        }
        exchange(&[here, there], NOW);
        there.take(TOKEN, NOW).unwrap_err();
        there.may_try("192.0.2.1", NOW).unwrap_err();
        // The first instance learns of the others when it submits again.
        here.take(TOKEN, NOW).unwrap();
        here.failed("192.0.2.1", NOW);
        exchange_after(here, &[("token", 321), ("address", 21)]);
        here.take(TOKEN, NOW).unwrap_err();
        here.may_try("192.0.2.1", NOW).unwrap_err();
        assert!(here.counted(true, NOW).is_empty(), "nothing new is to be told");
    }

    fn exchange_after(guard: &Guard, sums: &[(&str, u64)]) {
        let told = guard.counted(true, NOW);
        let sum = |key: &str| sums.iter().find(|(kind, _)| key.starts_with(kind)).unwrap().1;
        let all: Vec<Counted> =
            told.iter().map(|one| Counted { count: sum(&one.key), ..one.clone() }).collect();
        guard.learn(&told, &all);
    }

    #[test]
    fn a_token_far_from_its_limit_is_nobodys_business() {
        let guard = Guard::new(600_000, 0);
        for _ in 0..100 {
            guard.take(TOKEN, NOW).unwrap();
        }
        assert!(guard.counted(true, NOW).is_empty());
    }

    #[test]
    fn refused_attempts_of_a_kind_are_one_row_and_kinds_have_an_end() {
        let guard = Guard::new(0, 0);
        guard.refused(None, "192.0.2.1", "unknown", NOW);
        guard.refused(None, "192.0.2.1", "unknown", NOW + SECOND);
        let rows = guard.take_refused();
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].count, rows[0].first_at, rows[0].last_at), (2, NOW, NOW + SECOND));
        for address in 0..2 * REFUSED {
            guard.refused(None, &address.to_string(), "unknown", NOW);
        }
        let rows = guard.take_refused();
        assert_eq!(rows.len(), REFUSED + 1);
        assert_eq!(rows.iter().map(|row| row.count).sum::<u64>(), 2 * REFUSED as u64);
    }
}
