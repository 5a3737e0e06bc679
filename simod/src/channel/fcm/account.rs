//! The service account, as downloaded from the Firebase console.

use secrecy::SecretString;
use serde::Deserialize;

/// The part of the service account's JSON file that we need.
#[derive(Debug, Deserialize)]
pub struct ServiceAccount {
    /// The Firebase project.
    pub project_id: String,
    /// The account's name.
    pub client_email: String,
    /// The id of the account's key.
    pub private_key_id: Option<String>,
    /// The key, as PEM.
    pub private_key: SecretString,
    /// The token endpoint; also the audience of our token requests, to the letter.
    pub token_uri: String,
}

impl ServiceAccount {
    /// Reads the file's content.
    ///
    /// # Errors
    /// A description of the error; never a part of the key.
    pub fn parse(json: &[u8]) -> Result<Self, String> {
        let account: Self =
            serde_json::from_slice(json).map_err(|e| format!("is not a service account's JSON: {e}"))?;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
        if account.project_id.is_empty() || !account.project_id.chars().all(plain) {
            return Err(format!("`project_id` {:?} is not a project", account.project_id));
        }
        Ok(account)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_service_account_is_refused_in_words() {
        let error = ServiceAccount::parse(br#"{"type": "authorized_user"}"#).unwrap_err();
        assert!(error.contains("missing field `project_id`"), "{error}");
        let odd =
            br#"{"project_id": "a/../b", "client_email": "", "private_key": "", "token_uri": "https://t/"}"#;
        assert!(ServiceAccount::parse(odd).unwrap_err().contains("project_id"));
    }
}
