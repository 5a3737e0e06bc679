//! Which server to call, and as which caller: flags, then the environment, then the context, else the local socket.

use std::path::PathBuf;

use url::Url;

use super::{
    Client, Result, Server,
    profile::{Profile, ProfileError, Profiles},
};
use crate::{
    lang::{Lang, Wrong},
    paths, text,
};

/// The settings of one source (the flags or the environment); all are optional.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wish {
    /// The daemon's Unix socket; takes precedence over `url`.
    pub socket: Option<PathBuf>,
    /// The server's address.
    pub url: Option<Url>,
    /// The token to call with.
    pub token: Option<String>,
    /// The client to act for.
    pub client: Option<String>,
    /// A PEM file with CA certificates to trust besides the system's.
    pub ca: Option<PathBuf>,
}

impl Wish {
    /// Settings from `SIMO_SOCKET`, `SIMO_URL`, `SIMO_TOKEN`, `SIMO_CLIENT`, `SIMO_CA`. An empty variable counts as unset.
    ///
    /// # Errors
    /// When `SIMO_URL` is not an address.
    pub fn from_environment(
        variable: impl Fn(&str) -> Option<String>,
    ) -> std::result::Result<Self, ProfileError> {
        let set = |name| variable(name).filter(|value| !value.is_empty());
        let url = set("SIMO_URL").map(|text| parse_url(&text)).transpose();
        Ok(Self {
            socket: set("SIMO_SOCKET").map(PathBuf::from),
            url: url.map_err(|cause| ProfileError::Variable { variable: "SIMO_URL", cause })?,
            token: set("SIMO_TOKEN"),
            client: set("SIMO_CLIENT"),
            ca: set("SIMO_CA").map(PathBuf::from),
        })
    }

    fn server(&self) -> Option<Server> {
        let socket = self.socket.clone().map(Server::Socket);
        socket.or_else(|| self.url.clone().map(Server::Url))
    }
}

/// Parses a server's address: `http://` or `https://`, a host, optionally a port and a path.
///
/// # Errors
/// When the text is not such an address.
pub fn parse_url(text: &str) -> std::result::Result<Url, Wrong> {
    Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host()).ok_or_else(
        || {
            Wrong(text!(
                "expected an address such as https://simo.example.org",
                "нужен адрес вроде https://simo.example.org"
            ))
        },
    )
}

/// Where the server's address comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A flag.
    Flag,
    /// An environment variable.
    Environment,
    /// This context.
    Context(String),
    /// No source named a server: the local socket.
    Default,
}

/// The server to call, and as which caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// Where it is.
    pub server: Server,
    /// Where that address comes from.
    pub origin: Origin,
    /// The token to call with.
    pub token: Option<String>,
    /// The client to act for.
    pub client: Option<String>,
    /// A PEM file with CA certificates to trust besides the system's.
    pub ca: Option<PathBuf>,
}

impl Connection {
    /// Chooses by precedence. A context named by a flag takes precedence over the environment. A context's token and client are
    /// only used with its own server, so that `--url` never sends a token to the wrong server.
    ///
    /// # Errors
    /// When the named context does not exist.
    pub fn choose(
        flags: &Wish,
        context: Option<&str>,
        environment: &Wish,
        profiles: &Profiles,
    ) -> std::result::Result<Self, ProfileError> {
        let named = context.map(|name| Ok((name, profiles.named(name)?))).transpose()?;
        let current = match &profiles.current {
            Some(name) if named.is_none() => Some((name.as_str(), profiles.named(name))),
            _ => None,
        };
        let of = |(name, profile): (&str, &Profile)| {
            (Server::Url(profile.url.clone()), Origin::Context(name.to_owned()))
        };
        let (server, origin) = if let Some(server) = flags.server() {
            (server, Origin::Flag)
        } else if let Some(named) = named {
            of(named)
        } else if let Some(server) = environment.server() {
            (server, Origin::Environment)
        } else if let Some((name, profile)) = current {
            of((name, profile?))
        } else {
            (Server::Socket(paths::default_socket()), Origin::Default)
        };
        let profile = match &origin {
            Origin::Context(name) => profiles.contexts.get(name),
            _ => None,
        };
        // All settings of a context named by a flag take precedence over the environment.
        let layers = if context.is_some() {
            [profile.map(saved), Some(environment.clone())]
        } else {
            [Some(environment.clone()), profile.map(saved)]
        };
        let wishes = || std::iter::once(flags).chain(layers.iter().flatten());
        Ok(Self {
            token: wishes().find_map(|wish| wish.token.clone()),
            client: wishes().find_map(|wish| wish.client.clone()),
            ca: wishes().find_map(|wish| wish.ca.clone()),
            server,
            origin,
        })
    }

    /// A client of this server.
    ///
    /// # Errors
    /// When the CA certificates cannot be read, or the TLS back end cannot be set up.
    pub fn open(&self, lang: Lang) -> Result<Client> {
        let client =
            Client::trusting(&self.server, self.ca.as_deref(), lang)?.for_client(self.client.clone());
        Ok(match &self.token {
            Some(token) => client.with_token(token.clone()),
            None => client,
        })
    }
}

fn saved(profile: &Profile) -> Wish {
    Wish {
        token: Some(profile.token.clone()),
        client: profile.client.clone(),
        ca: profile.ca.clone(),
        ..Wish::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    fn profiles() -> Profiles {
        let profile = |host: &str| Profile {
            url: url(&format!("https://{host}/")),
            token: format!("token of {host}"),
            client: Some(format!("client of {host}")),
            ca: None,
        };
        Profiles {
            current: Some("a".into()),
            contexts: [("a".into(), profile("a")), ("b".into(), profile("b"))].into(),
        }
    }

    fn environment() -> Wish {
        Wish::from_environment(|name| match name {
            "SIMO_URL" => Some("http://env/".into()),
            "SIMO_TOKEN" => Some("token of env".into()),
            "SIMO_CLIENT" => Some(String::new()),
            _ => None,
        })
        .unwrap()
    }

    #[test]
    fn flags_go_before_the_environment_before_the_context_before_the_socket() {
        let flags = Wish { url: Some(url("http://flag/")), ..Wish::default() };
        let nothing = Wish::default();
        let server = |flags: &Wish, context, environment: &Wish, profiles: &Profiles| {
            let chosen = Connection::choose(flags, context, environment, profiles).unwrap();
            (chosen.server, chosen.origin, chosen.token)
        };
        let at = |text| Server::Url(url(text));
        assert_eq!(
            server(&flags, None, &environment(), &profiles()),
            (at("http://flag/"), Origin::Flag, Some("token of env".into()))
        );
        assert_eq!(
            server(&nothing, None, &environment(), &profiles()),
            (at("http://env/"), Origin::Environment, Some("token of env".into()))
        );
        assert_eq!(
            server(&nothing, Some("b"), &environment(), &profiles()),
            (at("https://b/"), Origin::Context("b".into()), Some("token of b".into()))
        );
        assert_eq!(
            server(&nothing, None, &nothing, &profiles()),
            (at("https://a/"), Origin::Context("a".into()), Some("token of a".into()))
        );
        assert_eq!(
            server(&nothing, None, &nothing, &Profiles::default()),
            (Server::Socket(paths::default_socket()), Origin::Default, None)
        );
    }

    #[test]
    fn a_contexts_token_never_goes_to_another_server() {
        let flags = Wish { url: Some(url("http://elsewhere/")), ..Wish::default() };
        let chosen = Connection::choose(&flags, Some("a"), &Wish::default(), &profiles()).unwrap();
        assert_eq!((chosen.token, chosen.client), (None, None));
    }

    #[test]
    fn an_address_without_a_host_or_with_another_scheme_is_refused() {
        assert!(parse_url("https://simo.example.org/base").is_ok());
        for text in ["simo.example.org", "ftp://simo", "unix:/run/x", ""] {
            assert!(parse_url(text).is_err(), "{text}");
        }
    }
}
