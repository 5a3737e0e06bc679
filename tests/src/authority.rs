//! A certificate authority for one run, and certificates of servers on this machine.

use std::{fs, path::Path};

use rcgen::{BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

/// A certificate authority that nobody knows yet.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Authority {
    /// With a key of its own.
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names, no bad names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "SiMO test CA");
        let key = KeyPair::generate().expect("a key");
        Self { issuer: CertifiedIssuer::self_signed(params, key).expect("a CA") }
    }

    /// Its own certificate, by which it is to be trusted, as PEM.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A new certificate of a server on this machine, and its key.
    pub fn issue(&self) -> (Certificate, KeyPair) {
        let key = KeyPair::generate().expect("a key");
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let certificate = CertificateParams::new(names)
            .expect("two good names")
            .signed_by(&key, &self.issuer)
            .expect("a certificate");
        (certificate, key)
    }

    /// Writes a new certificate and its key as `tls.pem` and `tls.key`, and its own certificate as `ca.pem`.
    pub fn write(&self, directory: &Path) {
        let (certificate, key) = self.issue();
        for (name, text) in
            [("ca.pem", self.pem()), ("tls.pem", certificate.pem()), ("tls.key", key.serialize_pem())]
        {
            fs::write(directory.join(name), text).expect("the file can be written");
        }
    }
}
