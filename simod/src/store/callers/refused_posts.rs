//! Posts that were refused, by token, hour, code and field. They are written by a periodic duty, and read with the other
//! attempts that were refused ([`super::attempts`]).

use std::collections::HashMap;

use simo_common::api::audit::RefusedPost;

use crate::store::{
    ClientNo, Result, Store, TokenNo,
    db::{
        engine::{
            Kind::{Bytes, Text, Whole},
            query, query_as,
        },
        rows_as_json::json,
    },
};

/// How many of the newest posts of a kind are kept one by one.
pub(crate) const NEWEST_REFUSED: usize = 20;

/// Refused posts of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedPosts {
    /// The token's hash.
    pub token: [u8; 32],
    /// The hour, since 1970.
    pub hour: i64,
    /// The code of the answer.
    pub code: &'static str,
    /// The first field that was wrong; empty: none.
    pub field: &'static str,
    /// How many.
    pub count: u64,
    /// Time of the first.
    pub first_at: i64,
    /// Time of the last.
    pub last_at: i64,
    /// The newest of them, in any order.
    pub newest: Vec<RefusedPost>,
}

impl Store {
    /// Adds refused posts to those stored. Tokens that never belonged to an ACS are skipped.
    pub async fn keep_refused_posts(&self, posts: &[RefusedPosts]) -> Result<()> {
        if posts.is_empty() {
            return Ok(());
        }
        let mut tx = self.write().await?;
        let tokens: Vec<(Vec<u8>, ClientNo, TokenNo)> = query_as(
            "select t.hash, t.client_no, t.no from token t
             where t.kind = 'acs' and t.hash in (select {hash} from {rows})",
        )
        .each(("hash", Bytes), posts.iter().map(|one| one.token.as_slice()))
        .fetch_all(&mut tx)
        .await?;
        let tokens: HashMap<Vec<u8>, (ClientNo, TokenNo)> =
            tokens.into_iter().map(|(hash, client_no, token_no)| (hash, (client_no, token_no))).collect();
        let mut known: HashMap<(TokenNo, i64, &str, &str), &RefusedPosts> = HashMap::new();
        let mut rows = Vec::new();
        for one in posts {
            if let Some(&(client_no, token_no)) = tokens.get(one.token.as_slice()) {
                known.insert((token_no, one.hour, one.code, one.field), one);
                rows.push((
                    client_no,
                    one.hour,
                    token_no,
                    one.code,
                    one.field,
                    one.count,
                    one.first_at,
                    one.last_at,
                ));
            }
        }
        if rows.is_empty() {
            return tx.rollback().await;
        }
        // Instances with the same rows lock them in the same order.
        rows.sort_unstable();
        let rows =
            rows.into_iter().map(|(client_no, hour, token_no, code, field, count, first_at, last_at)| {
                [
                    client_no.into(),
                    hour.into(),
                    token_no.into(),
                    code.into(),
                    field.into(),
                    count.into(),
                    first_at.into(),
                    last_at.into(),
                ]
            });
        let earlier: Vec<(ClientNo, TokenNo, i64, String, String, String)> = query_as(
            "insert into refused_post (client_no, hour, token_no, code, field, count, first_at, last_at, newest)
             select {client}, {hour}, {token}, {code}, {field}, {count}, {first_at}, {last_at}, '[]'
             from {rows} where true
             on conflict (client_no, hour, token_no, code, field) do update
             set count = refused_post.count + excluded.count,
                 first_at = case when excluded.first_at < refused_post.first_at then excluded.first_at
                                 else refused_post.first_at end,
                 last_at = case when excluded.last_at > refused_post.last_at then excluded.last_at
                                else refused_post.last_at end
             returning client_no, token_no, hour, code, field, newest",
        )
        .over(
            [
                ("client", Whole),
                ("hour", Whole),
                ("token", Whole),
                ("code", Text),
                ("field", Text),
                ("count", Whole),
                ("first_at", Whole),
                ("last_at", Whole),
            ],
            rows,
        )
        .fetch_all(&mut tx)
        .await?;
        let mut newest = Vec::new();
        for (client_no, token_no, hour, code, field, earlier) in earlier {
            let Some(one) =
                known.get(&(token_no, hour, &*code, &*field)).filter(|one| !one.newest.is_empty())
            else {
                continue;
            };
            let all = json(&newest_of(read_newest(&earlier), &one.newest));
            newest.push([
                client_no.into(),
                hour.into(),
                token_no.into(),
                code.into(),
                field.into(),
                all.into(),
            ]);
        }
        if newest.is_empty() {
            return tx.commit().await;
        }
        query(
            "update refused_post set newest = {newest} from {rows}
             where refused_post.client_no = {client} and refused_post.hour = {hour}
               and refused_post.token_no = {token} and refused_post.code = {code} and refused_post.field = {field}",
        )
        .over(
            [
                ("client", Whole),
                ("hour", Whole),
                ("token", Whole),
                ("code", Text),
                ("field", Text),
                ("newest", Text),
            ],
            newest,
        )
        .execute(&mut tx)
        .await?;
        tx.commit().await
    }
}

/// The newest of both lists, newest first.
fn newest_of(mut earlier: Vec<RefusedPost>, more: &[RefusedPost]) -> Vec<RefusedPost> {
    earlier.extend_from_slice(more);
    earlier.sort_by_key(|post| std::cmp::Reverse(post.at));
    earlier.truncate(NEWEST_REFUSED);
    earlier
}

/// Parses the newest posts from their column.
pub(super) fn read_newest(text: &str) -> Vec<RefusedPost> {
    serde_json::from_str(text).unwrap_or_default()
}
