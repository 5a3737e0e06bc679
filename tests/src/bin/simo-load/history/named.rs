//! The named queries, and the values for `{…}` in them.

use simo_common::api::history::Sort;

/// A named query in each of its forms.
pub(crate) struct Named {
    /// Its name in the table.
    pub(crate) name: &'static str,
    /// Its forms, asked in turn.
    pub(crate) forms: Vec<Form>,
}

/// A query with placeholders, and its order.
pub(crate) struct Form {
    pub(crate) sort: Sort,
    text: &'static str,
}

impl Form {
    /// Its text with the placeholders replaced by `values`, pairs of a name and a value.
    pub(crate) fn fill(&self, values: &[(&str, String)]) -> String {
        values
            .iter()
            .fold(self.text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
    }
}

/// All of them, in the file's order.
pub(crate) fn all() -> Vec<Named> {
    let mut all: Vec<Named> = Vec::new();
    for line in include_str!("named.txt").lines().filter(|line| !line.starts_with('#')) {
        let mut parts = line.split('|').map(str::trim);
        let mut part = || parts.next().expect("a line has three parts");
        let (name, sort, text) = (part(), part(), part());
        let sort = sort.parse().expect("a line names a sort");
        let form = Form { sort, text };
        match all.last_mut() {
            Some(last) if last.name == name => last.forms.push(form),
            _ => all.push(Named { name, forms: vec![form] }),
        }
    }
    all
}
