//! Certificates that are not acceptable, told apart over real TLS.

use crate::fake::{Cluster, Home, access, serve};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;
use std::sync::{Arc, Mutex};
use watertight_cluster::{Access, AccessError, TlsFault, connect};

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A server with a certificate for `name`; its port.
    fn server(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> u16 {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], PrivatePkcs8KeyDer::from(key.serialize_der()).into())
            .unwrap();
        let config = Arc::new(config);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
                let stream = Shared(Arc::new(Mutex::new(rustls::StreamOwned::new(connection, socket.unwrap()))));
                let (cluster, log) = (Mutex::new(Cluster::new()), Mutex::new(Vec::new()));
                std::thread::spawn(move || serve(stream.clone(), stream, &cluster, &log));
            }
        });
        port
    }

    /// Access to a server, trusting this authority; `extra` goes into the cluster's entry.
    fn access(&self, home: &Home, port: u16, extra: &str) -> Access {
        home.file("ca.pem", &self.0.pem());
        let text = format!(
            "current-context: m\ncontexts: [{{name: m, context: {{cluster: c, user: u}}}}]\nusers: [{{name: u, user: {{token: t}}}}]\n\
             clusters:\n- name: c\n  cluster:\n    server: https://127.0.0.1:{port}\n    certificate-authority: ca.pem\n    {extra}\n"
        );
        access(Some(home.file("config", &text)))
    }
}

/// One TLS stream, for a reader and a writer that take turns.
#[derive(Clone)]
struct Shared(Arc<Mutex<rustls::StreamOwned<rustls::ServerConnection, std::net::TcpStream>>>);

impl std::io::Read for Shared {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().read(buffer)
    }
}

impl std::io::Write for Shared {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(buffer)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        self.0.lock().unwrap().flush()
    }
}

#[track_caller]
fn fault(access: &Access) -> TlsFault {
    match connect(access) {
        Err(AccessError::Tls { fault, why, .. }) => {
            assert!(!why.is_empty());
            fault
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_authority_in_the_kubeconfig_is_trusted_and_no_other() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let port = ours.server("127.0.0.1", |_| {});
    let home = Home::new();
    let client = connect(&ours.access(&home, port, "")).unwrap();
    assert!(client.server_version() == Some("v1.37.1") && client.verified());
    assert_eq!(fault(&theirs.access(&home, port, "")), TlsFault::UnknownAuthority);
}

#[test]
fn expired_and_early_certificates() {
    let ca = Authority::new();
    let home = Home::new();
    let expired = ca.server("127.0.0.1", |p| p.not_after = rcgen::date_time_ymd(2020, 1, 2));
    assert_eq!(fault(&ca.access(&home, expired, "")), TlsFault::Expired);
    let early = ca.server("127.0.0.1", |p| p.not_before = rcgen::date_time_ymd(2300, 1, 1));
    assert_eq!(fault(&ca.access(&home, early, "")), TlsFault::Expired);
}

#[test]
fn a_wrong_name_unless_the_kubeconfig_says_so() {
    let ca = Authority::new();
    let home = Home::new();
    let port = ca.server("api.example.org", |_| {});
    assert_eq!(fault(&ca.access(&home, port, "")), TlsFault::WrongName);
    assert!(connect(&ca.access(&home, port, "tls-server-name: api.example.org")).is_ok());
}

#[test]
fn verification_can_be_turned_off_by_the_kubeconfig_only() {
    let ca = Authority::new();
    let home = Home::new();
    let port = ca.server("api.example.org", |_| {});
    let mut skipping = ca.access(&home, port, "insecure-skip-tls-verify: true");
    let text = std::fs::read_to_string(skipping.kubeconfig.as_ref().unwrap()).unwrap();
    skipping.kubeconfig = Some(home.file("skip", &text.replace("certificate-authority: ca.pem", "")));
    assert!(connect(&skipping).is_ok());
}

#[test]
fn a_server_that_does_not_speak_tls() {
    let fake = crate::fake::Fake::start(Cluster::new());
    let ca = Authority::new();
    assert_eq!(fault(&ca.access(&Home::new(), fake.port, "")), TlsFault::Other);
}
