//! A CA restricted to a few hosts, and certificates from it.

use std::{net::IpAddr, time::Duration};

use anyhow::Context as _;
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints, PublicKeyData as _,
};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use sha2::{Digest as _, Sha256};
use simo_common::{hex::hex, time::SECOND};
use simod::{clock::Clock, own_ca::OwnCa};
use url::Host;
use x509_parser::prelude::{FromDer as _, X509Certificate};

const DAY: i64 = 24 * 60 * 60;
/// A phone's clock may be behind.
const BEHIND: i64 = 60 * 60;

/// A CA and its key.
pub(super) struct Authority {
    pub(super) ca: OwnCa,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Makes a CA for these hosts.
    pub(super) fn new(hosts: &[Host], days: u16) -> anyhow::Result<Self> {
        let key = KeyPair::generate()?;
        let first = hosts.first().map(Host::to_string).unwrap_or_default();
        // Unique, because browsers mix up CAs with the same name. A common name has 64 characters at most.
        let name = format!("SiMO CA {} {first:.40}", &hex(&Sha256::digest(key.der_bytes()))[..8]);
        let begins = begins();
        let mut params = params(&name, begins, begins + i64::from(days) * DAY);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.name_constraints = Some(constraints(hosts));
        let certificate = params.self_signed(&key)?;
        Self::of(certificate.der(), key).context("the new CA cannot be read")
    }

    /// Reads a CA with its kept key; `None` if they are not such a CA and its key.
    pub(super) fn read(pem: &str, key: &str) -> Option<Self> {
        Self::of(&CertificateDer::from_pem_slice(pem.as_bytes()).ok()?, KeyPair::from_pem(key).ok()?)
    }

    fn of(der: &CertificateDer<'static>, key: KeyPair) -> Option<Self> {
        let ca = OwnCa::of(der).filter(|ca| !ca.hosts.is_empty())?;
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let is_its_key = *certificate.public_key().subject_public_key.data == *key.der_bytes();
        is_its_key.then(|| Some(Self { ca, issuer: Issuer::from_ca_cert_der(der, key).ok()? }))?
    }

    /// Its key as PEM.
    pub(super) fn key(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// A certificate for these hosts followed by the CA's, and its key, both PEM. It does not outlive the CA.
    pub(super) fn issue(&self, hosts: &[Host], days: u16) -> anyhow::Result<(String, String)> {
        let key = KeyPair::generate()?;
        let begins = begins();
        let ends = (begins + i64::from(days) * DAY).min(self.ca.ends_at.as_second());
        // Not a host: some programs read the common name as one, even next to an address.
        let mut params = params("SiMO server", begins, ends);
        params.subject_alt_names =
            CertificateParams::new(hosts.iter().map(in_certificate).collect::<Vec<_>>())?.subject_alt_names;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok((certificate.pem() + &self.ca.pem(), key.serialize_pem()))
    }

    /// Whether the first certificate in `pem` names this CA as its issuer.
    pub(super) fn has_issued(&self, pem: &str) -> bool {
        let Ok(der) = CertificateDer::from_pem_slice(pem.as_bytes()) else { return false };
        let read = (X509Certificate::from_der(&der), X509Certificate::from_der(self.ca.der()));
        matches!(read, (Ok((_, certificate)), Ok((_, ca))) if certificate.issuer() == ca.subject())
    }
}

/// The second from which a certificate made now is valid.
fn begins() -> i64 {
    Clock::System.now() / SECOND - BEHIND
}

/// With `serverAuth` only: otherwise Windows would trust programs signed by the CA.
fn params(name: &str, begins: i64, ends: i64) -> CertificateParams {
    let at = |second: i64| rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(second.unsigned_abs());
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    (params.not_before, params.not_after) = (at(begins), at(ends));
    params
}

/// Permits only these hosts. A permitted name does not restrict names of another kind, so a kind without names is excluded
/// as a whole.
fn constraints(hosts: &[Host]) -> NameConstraints {
    let address =
        |address: IpAddr, prefix| GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(address, prefix));
    let permitted = |host: &Host| match host {
        Host::Domain(name) => GeneralSubtree::DnsName(name.clone()),
        Host::Ipv4(ip) => address((*ip).into(), 32),
        Host::Ipv6(ip) => address((*ip).into(), 128),
    };
    let mut excluded = Vec::new();
    if !hosts.iter().any(|host| matches!(host, Host::Domain(_))) {
        excluded.push(GeneralSubtree::DnsName(String::new()));
    }
    if hosts.iter().all(|host| matches!(host, Host::Domain(_))) {
        excluded.extend([address([0; 4].into(), 0), address([0; 16].into(), 0)]);
    }
    NameConstraints { permitted_subtrees: hosts.iter().map(permitted).collect(), excluded_subtrees: excluded }
}

/// Without the brackets that IPv6 addresses have in URLs.
fn in_certificate(host: &Host) -> String {
    host.to_string().trim_matches(['[', ']']).to_owned()
}
