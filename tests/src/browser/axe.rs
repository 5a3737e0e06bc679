//! axe-core finds accessibility problems: what people with screen readers or poor sight cannot use.

use std::fs;

use serde_json::{Value, json};

use super::{Chromium, missing};

/// The script of axe: the file that `SIMO_AXE` names. Without one, `None`, which is reported as skipped.
pub fn axe() -> Option<String> {
    let script = std::env::var_os("SIMO_AXE").and_then(|path| fs::read_to_string(path).ok());
    if script.is_none() {
        missing("what axe-core finds: SIMO_AXE does not name its script");
    }
    script
}

impl Chromium {
    /// Violations of WCAG up to 2.2 AA on the page: rules, with the elements that break them.
    pub async fn violations(&self, axe: &str) -> Vec<Value> {
        if self.evaluate("typeof axe").await == "undefined" {
            // `null`, or the whole script would be sent back as the value.
            self.evaluate(&format!("{axe}; null")).await;
        }
        let tags = json!(["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]);
        let found = self
            .evaluate(&format!(
                "axe.run({{runOnly: {tags}}}).then(({{violations}}) => violations.map(({{id, help, nodes}}) =>
                    ({{id, help, nodes: nodes.map(node => node.html)}})))"
            ))
            .await;
        found.as_array().cloned().expect("axe lists what it finds")
    }
}
