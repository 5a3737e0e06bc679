//! Tokens of ACS. A token's rights are never changed: other rights take another token.

use std::collections::HashSet;

use jiff::{Timestamp, tz::TimeZone};
use serde::Serialize;
use simo_common::{
    api::site::{AcsToken, LimitedToken, SiteAction, SiteKind},
    text,
    time::{self, Moment},
    token::Scope,
};

use super::{super::live::LiveToken, draft::Draft};
use crate::store::{TokenLimits, TokenNo, TokenTerms};

/// A token as the audit records it.
#[derive(Default, PartialEq, Serialize)]
struct Limits {
    scopes: Vec<Scope>,
    topics: Vec<String>,
    networks: Vec<String>,
    rate_limit: Option<u32>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    rate_limit_as_503: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    fit: bool,
    expires_at: Option<Timestamp>,
}

impl From<&TokenTerms> for Limits {
    fn from(terms: &TokenTerms) -> Self {
        Self {
            scopes: terms.limits.scopes.clone(),
            topics: terms.limits.topics.clone(),
            networks: terms.limits.networks.iter().map(ToString::to_string).collect(),
            rate_limit: terms.limits.rate_limit,
            rate_limit_as_503: terms.limits.rate_limit_as_503,
            fit: terms.limits.fit,
            expires_at: terms.expires_at.map(time::from_us),
        }
    }
}

/// A token that a site names.
struct Wanted<'a> {
    place: usize,
    token: &'a AcsToken,
    /// Terms it would be issued with.
    terms: TokenTerms,
}

impl Wanted<'_> {
    /// Whether a valid token equals one issued for this entry.
    fn is(&self, live: &LiveToken) -> bool {
        live.name() == self.token.name() && self.differing(live).next().is_none()
    }

    /// Whether a valid token satisfies everything the entry says.
    fn fits(&self, live: &LiveToken) -> bool {
        live.name() == self.token.name() && self.unlike(live).is_none()
    }

    /// The first field of the entry in which a valid token differs.
    fn unlike(&self, live: &LiveToken) -> Option<&'static str> {
        self.differing(live).find_map(|(field, is_said)| is_said.then_some(field))
    }

    /// The fields in which a valid token differs, and whether the entry sets them.
    fn differing(&self, live: &LiveToken) -> impl Iterator<Item = (&'static str, bool)> {
        let networks = |terms: &TokenTerms| {
            let mut networks = terms.limits.networks.clone();
            networks.sort_unstable();
            networks
        };
        let nothing = LimitedToken::default();
        let said = self.token.limited().unwrap_or(&nothing);
        let (this, that) = (&self.terms, &live.terms);
        let (limits, other) = (&this.limits, &that.limits);
        [
            ("personal", said.personal.is_some(), this.personal != that.personal),
            ("scopes", said.scopes.is_some(), limits.scopes != other.scopes),
            ("topics", said.topics.is_some(), limits.topics != other.topics),
            ("networks", said.networks.is_some(), networks(this) != networks(that)),
            ("rate_limit", said.rate_limit.is_some(), limits.rate_limit != other.rate_limit),
            (
                "rate_limit_as_503",
                said.rate_limit_as_503.is_some(),
                limits.rate_limit_as_503 != other.rate_limit_as_503,
            ),
            ("fit", said.fit.is_some(), limits.fit != other.fit),
            ("expires_at", said.expires_at.is_some(), this.expires_at != that.expires_at),
        ]
        .into_iter()
        .filter_map(|(field, is_said, differs)| differs.then_some((field, is_said)))
    }
}

/// Pairs wanted tokens with valid ones; those without a match stay in their list.
fn pair<'a>(
    wanted: &mut Vec<Wanted<'a>>,
    free: &mut Vec<&LiveToken>,
    fits: impl Fn(&Wanted<'a>, &LiveToken) -> bool,
) {
    wanted.retain(|token| {
        let found = free.iter().position(|live| fits(token, live));
        found.map(|found| free.remove(found)).is_none()
    });
}

impl Draft<'_> {
    /// Matches each token of the list with a valid one or creates it: several may have the same name.
    pub(super) fn tokens(&mut self, acs: &str, path: &str, list: &[AcsToken]) {
        let live = self.live.into_iter().flat_map(|live| &live.tokens);
        let live: Vec<&LiveToken> = live.filter(|token| token.acs == acs).collect();
        let mut free: Vec<&LiveToken> = live.iter().copied().filter(|live| live.heir.is_none()).collect();
        let mut wanted = Vec::new();
        for (place, token) in list.iter().enumerate() {
            let terms = self.token_terms(&format!("{path}[{place}]"), token);
            if let Some(terms) = terms.filter(|terms| !self.has_ended(acs, terms)) {
                wanted.push(Wanted { place, token, terms });
            }
        }
        pair(&mut wanted, &mut free, Wanted::is);
        // Entries with only a name take what the more specific ones leave.
        wanted.sort_by_key(|wanted| wanted.token.limited().is_none());
        pair(&mut wanted, &mut free, Wanted::fits);
        wanted.sort_by_key(|wanted| wanted.place);
        for wanted in wanted {
            let (name, at) = (wanted.token.name(), format!("{path}[{}]", wanted.place));
            let found = free.iter().position(|live| live.name() == name);
            if let Some(live) = found.map(|found| free.remove(found)) {
                if let Some(field) = wanted.unlike(live) {
                    self.differs(&format!("{at}.{field}"), name);
                }
            } else if self.is_past(&wanted.terms) {
                let text = text!(
                    "has passed: give another time, or leave the token out",
                    "уже прошло: укажите другое время или уберите токен"
                );
                self.out.wrong(format!("{at}.expires_at"), text);
            } else {
                let limits = Limits::from(&wanted.terms);
                let told = (limits != Limits::default()).then_some(&limits);
                let name = format!("{acs}/{name}");
                self.note(SiteAction::Create, SiteKind::Token, &name, None, told);
                self.plan.tokens.push((acs.to_owned(), wanted.terms));
            }
        }
        if !self.prune {
            return;
        }
        let free: HashSet<TokenNo> = free.iter().map(|live| live.token_no).collect();
        for token in live {
            if free.contains(&token.heir.unwrap_or(token.token_no)) {
                self.plan.tokens_gone.push(token.token_no);
                let name = format!("{acs}/{}", token.name());
                self.note::<()>(SiteAction::Revoke, SiteKind::Token, &name, None, None);
            }
        }
    }

    fn is_past(&self, terms: &TokenTerms) -> bool {
        terms.expires_at.is_some_and(|end| end <= self.all.now)
    }

    /// Whether there was such a token until it expired: then the entry is satisfied.
    fn has_ended(&self, acs: &str, terms: &TokenTerms) -> bool {
        let ended = self.live.into_iter().flat_map(|live| &live.ended);
        let mut ended = ended.filter(|token| token.acs == acs).map(|token| &token.terms);
        self.is_past(terms)
            && ended.any(|ended| ended.name == terms.name && ended.expires_at == terms.expires_at)
    }

    fn differs(&mut self, at: &str, name: &str) {
        self.out.wrong(
            at,
            text!(
                "the token `{name}` that works has another; what a token may do is not changed: give this one another name, or revoke that one first",
                "у действующего токена «{name}» другое значение; что можно токену, не меняется: дайте этому другое имя или сначала отзовите тот"
            ),
        );
    }

    /// The terms of a token, if it has no mistakes. Unknown scopes and networks are reported before.
    fn token_terms(&mut self, at: &str, token: &AcsToken) -> Option<TokenTerms> {
        let noted = self.out.mistakes.len();
        let nothing = LimitedToken::default();
        let said = token.limited().unwrap_or(&nothing);
        let expires_at = said.expires_at.as_deref().and_then(|text| {
            let zone = TimeZone::get(&self.settings.timezone).unwrap_or(TimeZone::UTC);
            let expires_at = Moment::read(text, &zone);
            expires_at.map_err(|mistake| self.out.wrong(format!("{at}.expires_at"), mistake)).ok()
        });
        let mut topics = said.topics.clone().unwrap_or_default();
        for (place, slug) in topics.iter().enumerate() {
            self.topic_of_token(&format!("{at}.topics[{place}]"), slug);
        }
        topics.sort_unstable();
        topics.dedup();
        let mut scopes: Vec<Scope> = parsed(said.scopes.as_deref());
        scopes.sort_unstable();
        scopes.dedup();
        (self.out.mistakes.len() == noted).then(|| TokenTerms {
            name: Some(token.name().to_owned()),
            expires_at,
            personal: said.personal.unwrap_or(topics.is_empty()),
            limits: TokenLimits {
                scopes,
                topics,
                networks: TokenLimits::networks(said.networks.as_deref().unwrap_or_default()),
                rate_limit: said.rate_limit,
                rate_limit_as_503: said.rate_limit_as_503.unwrap_or_default(),
                fit: said.fit.unwrap_or_default(),
            },
        })
    }

    fn topic_of_token(&mut self, at: &str, slug: &String) {
        let wanted = self.wanted.topics.iter().flatten().map(|topic| &topic.slug);
        let live = self.live.into_iter().flat_map(|live| &live.topics);
        let live = live.filter(|(_, topic)| !topic.archived).map(|(slug, _)| slug);
        let known: Vec<&String> = wanted.chain(live).collect();
        if !known.contains(&slug) {
            self.out.missing(at.to_owned(), ("topic", "темы"), slug, known);
        }
    }
}

fn parsed<T: std::str::FromStr>(texts: Option<&[String]>) -> Vec<T> {
    texts.unwrap_or_default().iter().filter_map(|text| text.parse().ok()).collect()
}
