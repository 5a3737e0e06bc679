//! The command's output: lines for the configuration on standard output, the rest on standard error.

use std::path::Path;

use simo_common::lang::Lang;
use simod::{channel::webpush::check_subject, own_ca::OwnCa};
use url::Host;

use super::{super::print, CA, CA_KEY, CERTIFICATE, KEY, MakeArguments, SHEET};

/// The address at which phones reach simod.
pub(super) fn url(host: &Host, port: u16) -> String {
    if port == 443 { format!("https://{host}") } else { format!("https://{host}:{port}") }
}

/// Reports a new CA.
pub(super) fn made(
    directory: &Path,
    arguments: &MakeArguments,
    hosts: &[Host],
    ca: &OwnCa,
    lang: Lang,
) -> anyhow::Result<()> {
    let at = directory.display();
    let files = lang.pick(
        format!("{at}: {CA}, {CERTIFICATE}, {KEY}, and {SHEET} to print. For simod.toml:"),
        format!("{at}: {CA}, {CERTIFICATE}, {KEY} и {SHEET} для печати. В simod.toml:"),
    );
    say_aside!("{files}");
    let any = if hosts.iter().any(|host| matches!(host, Host::Ipv6(_))) { "[::]" } else { "0.0.0.0" };
    let mut config = toml::Table::new();
    let mut set = |key: &str, value: String| config.insert(key.to_owned(), value.into());
    set("listen", format!("{any}:{}", arguments.port));
    set("tls_certificate", directory.join(CERTIFICATE).display().to_string());
    set("tls_key", directory.join(KEY).display().to_string());
    let own = hosts.first().map(|host| url(host, arguments.port)).unwrap_or_default();
    let is_known_outside = check_subject(&own).is_ok();
    set("public_url", own);
    print(&config.to_string(), lang)?;
    if !is_known_outside {
        say_aside!(
            "{}",
            lang.pick(
                "Add whom push services may write to, or browsers do not ring: [webpush] subject = \"mailto:…\"",
                "Добавьте, кому могут написать службы push, иначе браузеры не зазвонят: [webpush] subject = \"mailto:…\"",
            )
        );
    }
    let fingerprint = lang.pick(
        "SHA-256 of the CA, to be compared on every phone",
        "SHA-256 этого УЦ, его сравнивают на каждом телефоне",
    );
    say_aside!("{fingerprint}:\n{}", ca.fingerprint());
    let until = ca.ends_at.strftime("%Y-%m-%d");
    let key = if arguments.keep_key {
        lang.pick(
            format!("{CA_KEY} signs for these hosts until {until}: keep it off this server, and put it back to renew."),
            format!("{CA_KEY} подписывает для этих узлов до {until}: храните его не на этом сервере, верните для обновления."),
        )
    } else {
        lang.pick(
            format!("The CA's key was not kept: before {until} every phone needs another CA (with --keep-key it would not)."),
            format!("Ключ УЦ не сохранён: до {until} в каждый телефон нужно добавить другой УЦ (с --keep-key не нужно)."),
        )
    };
    say_aside!("{key}");
    Ok(())
}

/// Reports a new certificate from the same CA.
pub(super) fn renewed(directory: &Path, lang: Lang) {
    let at = directory.display();
    let files = lang.pick(
        format!("{at}: new {CERTIFICATE} and {KEY} from the same CA. Phones need nothing new; simod reads them by itself."),
        format!("{at}: новые {CERTIFICATE} и {KEY} от того же УЦ. В телефонах ничего менять не нужно; simod перечитает их сам."),
    );
    say_aside!("{files}");
}
