//! A plant's own CA: the hosts it covers, and the steps by which people make their phones trust it.

use std::net::IpAddr;

use base64::{Engine as _, prelude::BASE64_STANDARD as STANDARD};
use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use sha2::{Digest as _, Sha256};
use simo_common::lang::Lang;
use url::Host;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

/// The certificate of a plant's own CA.
#[derive(Debug, Clone)]
pub struct OwnCa {
    der: CertificateDer<'static>,
    /// The only hosts that it may sign for; empty if it names none.
    pub hosts: Vec<Host>,
    /// When it expires.
    pub ends_at: Timestamp,
}

impl OwnCa {
    /// The CA at the end of a server's chain. Chains omit public CAs' certificates.
    pub fn of_chain(chain: &[CertificateDer<'static>]) -> Option<Self> {
        let [_, .., last] = chain else { return None };
        Self::of(last)
    }

    /// `None` if it is not a CA, or not self-signed.
    pub fn of(der: &CertificateDer<'static>) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        (certificate.is_ca() && certificate.issuer() == certificate.subject()).then_some(())?;
        let constraints = certificate.name_constraints().ok()?;
        let permitted = constraints.and_then(|constraints| constraints.value.permitted_subtrees.as_deref());
        Some(Self {
            der: der.clone(),
            hosts: permitted.unwrap_or_default().iter().filter_map(|subtree| host(&subtree.base)).collect(),
            ends_at: Timestamp::from_second(certificate.validity().not_after.timestamp()).ok()?,
        })
    }

    /// The certificate as DER.
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// The certificate as PEM.
    pub fn pem(&self) -> String {
        let body = STANDARD.encode(&self.der);
        let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
        for line in body.as_bytes().chunks(64) {
            pem.push_str(&String::from_utf8_lossy(line));
            pem.push('\n');
        }
        pem + "-----END CERTIFICATE-----\n"
    }

    /// Its SHA-256 as systems show it, in four lines, so that people can compare it line by line.
    pub fn fingerprint(&self) -> String {
        let digest = Sha256::digest(&self.der);
        let pairs: Vec<_> = digest.iter().map(|byte| format!("{byte:02X}")).collect();
        pairs.chunks(8).map(|line| line.join(" ")).collect::<Vec<_>>().join("\n")
    }

    /// The steps for a person, as HTML; `way` says where the certificate is.
    pub fn steps(&self, lang: Lang, way: &str) -> String {
        let hosts: Vec<_> = self.hosts.iter().map(|host| format!("<b>{host}</b>")).collect();
        let hosts = if hosts.is_empty() {
            lang.pick("any host", "любых узлов").to_owned()
        } else {
            hosts.join(", ")
        };
        lang.pick(include_str!("own_ca/steps.en.html"), include_str!("own_ca/steps.ru.html"))
            .replace("{{WAY}}", way)
            .replace("{{HOSTS}}", &hosts)
            .replace("{{UNTIL}}", &self.ends_at.strftime("%Y-%m-%d").to_string())
            .replace("{{FINGERPRINT}}", &self.fingerprint())
    }
}

/// The host in a name constraint; `None` for networks and other kinds of names. `bytes` are an address and its mask.
fn host(name: &GeneralName<'_>) -> Option<Host> {
    match name {
        GeneralName::DNSName(name) => Host::parse(name).ok(),
        GeneralName::IPAddress(bytes) => {
            let (address, mask) = bytes.split_at(bytes.len() / 2);
            mask.iter().all(|byte| *byte == u8::MAX).then_some(())?;
            let v4 = <[u8; 4]>::try_from(address).map(IpAddr::from);
            match v4.or_else(|_| <[u8; 16]>::try_from(address).map(IpAddr::from)).ok()? {
                IpAddr::V4(address) => Some(Host::Ipv4(address)),
                IpAddr::V6(address) => Some(Host::Ipv6(address)),
            }
        }
        _ => None,
    }
}
