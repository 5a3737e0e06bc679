//! Parameters common to all list endpoints.

/// Parameters of a list; all are optional.
#[derive(Debug, Clone, Default)]
pub struct ListQuery {
    /// A filter: a history query for messages and deliveries, a text to search for elsewhere.
    pub query: Option<String>,
    /// Rows per page, 1 to 1000.
    pub limit: Option<u32>,
    /// Where the page begins.
    pub cursor: Option<String>,
    /// Include archived ones.
    pub archived: bool,
}

impl ListQuery {
    pub(super) fn pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs = Vec::new();
        pairs.extend(self.query.clone().map(|q| ("query", q)));
        pairs.extend(self.limit.map(|n| ("limit", n.to_string())));
        pairs.extend(self.cursor.clone().map(|c| ("cursor", c)));
        if self.archived {
            pairs.push(("archived", "true".to_owned()));
        }
        pairs
    }
}
