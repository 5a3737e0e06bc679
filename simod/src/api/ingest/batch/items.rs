//! The items of a batch: split first, so that too many are refused before any of them is parsed, and then parsed part by
//! part, as fast as the database takes them.

use std::{sync::Arc, vec};

use bytes::Bytes;
use simo_common::{api::message::PostMessage, message::limits, text};
use tokio::sync::OwnedSemaphorePermit;

use crate::{
    api::{
        ApiError, ApiResult,
        body::{self, Effort},
        ingest::validate,
    },
    app::App,
    bodies::SMALL,
    store::Draft,
};

/// Up to how many bytes lines are split on the thread of other requests: splitting parses nothing.
const LINES_HERE: usize = 512 * 1024;

/// The items that are not parsed yet.
pub(in crate::api::ingest) struct Items {
    left: vec::IntoIter<Bytes>,
    /// Holds the body's room until the answer is made.
    body: Bytes,
    is_large: bool,
    has_room: bool,
    effort: Effort,
}

/// Some of the items, in order.
pub(super) struct Part {
    pub(super) drafts: Vec<ApiResult<Draft>>,
    /// Held while they are in memory.
    pub(super) memory: Option<Arc<OwnedSemaphorePermit>>,
}

impl Items {
    /// The items of a body that is a JSON array or has one object per line.
    ///
    /// # Errors
    /// When there are none or too many, or an array is not JSON.
    pub(super) async fn of(app: &App, body: Bytes) -> ApiResult<Self> {
        let is_large = body.len() > SMALL;
        let told_apart = {
            let body = body.clone();
            move || told_apart(&body)
        };
        let is_quick = body.len() <= LINES_HERE && !is_list(body::without_bom(&body));
        let items = if is_large && !is_quick { app.bodies.aside(told_apart).await? } else { told_apart() };
        Ok(Self { left: items?.into_iter(), body, is_large, has_room: false, effort: Effort::default() })
    }

    /// All items as sent, before any is parsed.
    pub(super) fn texts(&self) -> Vec<Bytes> {
        self.left.as_slice().to_vec()
    }

    pub(in crate::api::ingest) fn len(&self) -> usize {
        self.left.len()
    }

    /// The size of the body in bytes.
    pub(in crate::api::ingest) fn bytes(&self) -> usize {
        self.body.len()
    }

    /// Waits for room to have all items parsed at once, held for that long.
    pub(super) async fn room_for_all(&mut self, app: &App) -> Option<Arc<OwnedSemaphorePermit>> {
        if !self.is_large {
            return None;
        }
        self.has_room = true;
        app.bodies.room_to_parse(self.body.len()).await
    }

    /// Parses and checks the next items; `None` after the last. Valid ones are parsed here, letting other requests go ahead
    /// in between; errors are explained aside.
    pub(super) async fn next(&mut self, app: &App) -> ApiResult<Option<Part>> {
        let (items, bytes) = self.some();
        if items.is_empty() {
            return Ok(None);
        }
        let memory =
            if self.is_large && !self.has_room { app.bodies.room_to_parse(bytes).await } else { None };
        let mut drafts = Vec::with_capacity(items.len());
        let mut items = items.into_iter();
        while let Some(draft) = items.as_slice().first().and_then(plain) {
            items.next();
            drafts.push(draft);
        }
        if items.len() == 0 {
            if self.is_large {
                tokio::task::yield_now().await;
            }
            return Ok(Some(Part { drafts, memory }));
        }
        let mut effort = self.effort;
        let parsing = move || {
            drafts.extend(items.map(|item| parsed(&item, &mut effort)));
            (drafts, effort)
        };
        let (drafts, effort) = app.bodies.aside(parsing).await?;
        self.effort = effort;
        Ok(Some(Part { drafts, memory }))
    }

    /// As many items as are parsed at once, and their size in bytes.
    fn some(&mut self) -> (Vec<Bytes>, usize) {
        let (mut items, mut bytes) = (Vec::new(), 0);
        while let Some(item) = self.left.as_slice().first()
            && (items.is_empty() || bytes + item.len() <= SMALL)
        {
            bytes += item.len();
            items.extend(self.left.next());
        }
        (items, bytes)
    }
}

/// Parses a valid item; `None` if its errors need explaining.
fn plain(item: &Bytes) -> Option<ApiResult<Draft>> {
    body::plain(item).map(|message| validate(message, false, false))
}

fn parsed(item: &[u8], effort: &mut Effort) -> ApiResult<Draft> {
    if item.len() > limits::BATCH_ITEM_BYTES {
        return Err(ApiError::too_large());
    }
    let message = body::parse_with::<PostMessage>(item, effort);
    message.and_then(|message| validate(message, false, false))
}

fn is_list(text: &[u8]) -> bool {
    text.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[')
}

/// The unparsed items: no more than a batch may have are looked at.
fn told_apart(bytes: &Bytes) -> ApiResult<Vec<Bytes>> {
    let text = body::without_bom(bytes);
    let items = if is_list(text) {
        let items = body::list(text, limits::BATCH_ITEMS)?;
        items.map(|items| items.into_iter().map(|item| bytes.slice_ref(item.get().as_bytes())).collect())
    } else {
        let ends = memchr::memchr_iter(b'\n', text).chain([text.len()]);
        let lines = ends.scan(0, |begin, end| text.get(std::mem::replace(begin, end + 1)..end));
        let items = lines.filter(|line| !line.trim_ascii().is_empty()).map(|line| bytes.slice_ref(line));
        Some(items.take(limits::BATCH_ITEMS + 1).collect())
            .filter(|items: &Vec<Bytes>| items.len() <= limits::BATCH_ITEMS)
    };
    match items {
        None => Err(ApiError::field(
            body::WHOLE,
            text!(
                "there are more items than the 10000 that a batch may have",
                "элементов больше, чем допустимые 10000 в одном пакете"
            ),
        )),
        Some(items) if items.is_empty() => {
            Err(ApiError::field(body::WHOLE, text!("there are no items", "нет ни одного элемента")))
        }
        Some(items) => Ok(items),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(text: &str) -> ApiResult<Vec<String>> {
        let items = told_apart(&Bytes::copy_from_slice(text.as_bytes()))?;
        Ok(items.iter().map(|item| String::from_utf8_lossy(item).into_owned()).collect())
    }

    #[test]
    fn lines_and_lists_are_told_apart_into_the_same_items() {
        assert_eq!(items("\u{feff}[{\"a\": [1]},\n{}]").unwrap(), ["{\"a\": [1]}", "{}"]);
        assert_eq!(items("\u{feff}{\"a\": [1]}\n \n{}\r\n").unwrap(), ["{\"a\": [1]}", "{}\r"]);
        assert_eq!(items("{}\n{").unwrap(), ["{}", "{"]);
        assert_eq!(items("\n").unwrap_err().errors[0].1.en, "there are no items");
        assert_eq!(items("[]").unwrap_err().errors[0].1.en, "there are no items");
        assert_eq!(items("[{}").unwrap_err().code, "malformed");
    }

    #[test]
    fn what_follows_the_item_that_is_too_many_is_not_looked_at() {
        let most = vec!["{}"; limits::BATCH_ITEMS];
        assert_eq!(items(&most.join("\n")).unwrap().len(), limits::BATCH_ITEMS);
        assert_eq!(items(&format!("[{}]", most.join(","))).unwrap().len(), limits::BATCH_ITEMS);
        for more in [format!("{}\n{{}}\n", most.join("\n")), format!("[{},{{}}, no JSON", most.join(","))] {
            let refused = items(&more).unwrap_err();
            assert!(refused.errors[0].1.en.contains("more items than the 10000"), "{refused:?}");
        }
    }

    /// Each look at a wrong item spends from the batch's budget.
    #[test]
    fn a_batch_of_wrong_items_is_explained_with_so_much_effort() {
        let unknown: Vec<String> = (0..40).map(|n| format!(r#""x{n}": 1"#)).collect();
        let wrong = format!(r#"{{{}, "title": 1}}"#, unknown.join(","));
        let mut effort = Effort::default();
        let told: Vec<usize> =
            (0..2_000).map(|_| parsed(wrong.as_bytes(), &mut effort).unwrap_err().errors.len()).collect();
        assert!(told[0] > 30 && told[1_999] == 1, "{} and {}", told[0], told[1_999]);
        let wholly = told.iter().filter(|errors| **errors > 1).count();
        assert!(wholly < 200, "{wholly} were told wholly");
    }
}
