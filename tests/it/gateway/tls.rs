//! The node's own server over TLS: who has the right authority is served and comes back to where they were, who speaks
//! anything else is not, and a renewed certificate cuts nobody off.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use auren::{app::Running, bus::Topic, config::Role};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    secure::Certificates,
    support::{
        Kind, Program, River,
        chatter::{Chatter, Heard, token},
        on_system, settled, signal, trigger, until, within,
    },
};

async fn hub(certificates: &Certificates) -> (River, Running, SocketAddr) {
    let mut river = River::open(Kind::Embedded).await.roles(&[Role::Converse]);
    river.config.http.tls.certificate = certificates.folder().join("server.pem");
    river.config.http.tls.key = certificates.folder().join("server.key");
    let (hub, address) = river.served().await;
    (river, hub, address)
}

/// Connects as a client that believes this authority.
async fn connect(address: SocketAddr, authority: &Path) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority).unwrap()).unwrap();
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let stream = within(TcpStream::connect(address)).await.unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    within(TlsConnector::from(Arc::new(config)).connect(name, stream)).await
}

async fn open(
    address: SocketAddr,
    authority: &Path,
    token: &str,
    after: Option<&str>,
) -> Chatter<Box<TlsStream<TcpStream>>> {
    let stream = Box::new(connect(address, authority).await.unwrap());
    let mut chatter = Chatter::enter_over(stream, &address.to_string(), token, after).await;
    chatter.hello().await;
    chatter
}

async fn get(address: SocketAddr, authority: &Path, path: &str) -> String {
    let mut stream = connect(address, authority).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    within(stream.read_to_string(&mut answer)).await.unwrap();
    answer
}

#[test]
fn chat_over_tls_goes_on_where_it_was() {
    let certificates = Certificates::make();
    on_system(async {
        let (river, hub, address) = hub(&certificates).await;
        let authority = certificates.authority();
        assert!(get(address, &authority, "/livez").await.ends_with("\r\n\r\nalive\n"));
        let token = token(&river.config, "u-1");
        let mut chatter = open(address, &authority, &token, None).await;
        chatter.message("c-1", "coach, what is the plan for tomorrow?").await;
        chatter.of("ack").await;
        while chatter.event().await["event"]["specialist_id"] != "coach" {}
        let cursor = chatter.cursor.clone();
        drop(chatter);
        river.json(Topic::Triggers, "u-1", &trigger("u-1", "t-1", &["neuroscientist", "coach"])).await;
        settled(&hub).await;
        let mut chatter = open(address, &authority, &token, Some(&cursor)).await;
        assert_eq!(chatter.cursor, cursor);
        assert_eq!(chatter.event().await["event"]["specialist_id"], "neuroscientist");
        assert_eq!(chatter.event().await["event"]["specialist_id"], "coach");
        hub.stop().await;
        assert_eq!(chatter.closed().await, 4000);
    });
}

/// `openssl s_client` with these, and what it says.
fn s_client(address: SocketAddr, more: &[&str]) -> (bool, String) {
    let mut client = Command::new("openssl");
    client.args(["s_client", "-connect", &address.to_string(), "-verify_return_error"]).args(more);
    let said = client.stdin(Stdio::null()).output().unwrap();
    let words = [said.stdout, said.stderr].concat();
    (said.status.success(), String::from_utf8_lossy(&words).into_owned())
}

#[test]
fn who_speaks_anything_else_is_not_served() {
    let certificates = Certificates::make();
    on_system(async {
        let mut river = River::open(Kind::Embedded).await.roles(&[Role::Detect]);
        river.config.http.tls.certificate = certificates.folder().join("server.pem");
        river.config.http.tls.key = certificates.folder().join("server.key");
        river.config.http.handshake_ms = 300;
        let (hub, address) = river.served().await;
        // A client that believes another authority goes away.
        let error = connect(address, &certificates.stranger()).await.unwrap_err().to_string();
        assert!(error.contains("UnknownIssuer"), "{error}");
        let authority = certificates.authority();
        let file = authority.display().to_string();
        let asked = tokio::task::spawn_blocking(move || {
            let versions = ["-tls1_3", "-tls1_2", "-tls1_1", "-tls1"];
            // Security level 0 lets the client try what it would refuse itself.
            versions.map(|version| s_client(address, &["-CAfile", &file, version, "-cipher", "DEFAULT@SECLEVEL=0"]))
        });
        let [newest, newer, old, oldest] = asked.await.unwrap();
        assert!(newest.0 && newest.1.contains("TLSv1.3"), "{}", newest.1);
        assert!(newer.0 && newer.1.contains("TLSv1.2"), "{}", newer.1);
        for (served, said) in [old, oldest] {
            assert!(!served && said.contains("Cipher is (NONE)") && said.contains("SSL alert number"), "{said}");
        }
        // Plain HTTP is answered with an alert of TLS, and nothing else.
        let mut plain = TcpStream::connect(address).await.unwrap();
        plain.write_all(b"GET /livez HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        let _ = within(plain.read_to_end(&mut answer)).await;
        assert!(!answer.starts_with(b"HTTP"), "{}", String::from_utf8_lossy(&answer));
        // Who says nothing is let go of, and all of them are counted: a stranger's, two versions, plain HTTP, silence.
        let mut silent = TcpStream::connect(address).await.unwrap();
        assert!(matches!(within(silent.read(&mut [0; 16])).await, Ok(0) | Err(_)));
        until("all are counted", || async {
            let metrics = get(address, &authority, "/metrics").await;
            metrics.contains("auren_http_refused_total{limit=\"tls_handshake\"} 5\n")
        })
        .await;
        hub.stop().await;
    });
}

#[test]
fn a_renewed_certificate_cuts_nobody_off() {
    let (certificates, renewed) = (Certificates::make(), Certificates::make());
    on_system(async {
        let (river, hub, address) = hub(&certificates).await;
        let token = token(&river.config, "u-1");
        let mut chatter = open(address, &certificates.authority(), &token, None).await;
        // Another authority has signed the new one. The key comes first, and does not fit the certificate yet.
        let renew = |name: &str| {
            fs::copy(renewed.folder().join(name), certificates.folder().join(name)).unwrap();
        };
        renew("server.key");
        assert!(connect(address, &certificates.authority()).await.is_ok());
        renew("server.pem");
        until("the new certificate is shown", || async { connect(address, &renewed.authority()).await.is_ok() }).await;
        assert!(connect(address, &certificates.authority()).await.is_err());
        chatter.message("c-1", "hi").await;
        chatter.of("ack").await;
        // What is none is not taken.
        fs::write(certificates.folder().join("server.pem"), "-----BEGIN NOTHING-----\n").unwrap();
        let mut other = open(address, &renewed.authority(), &token, None).await;
        other.message("c-2", "hi").await;
        other.of("ack").await;
        assert!(!matches!(chatter.next().await, Heard::Closed(_) | Heard::Cut));
        hub.stop().await;
    });
}

#[test]
fn a_node_with_a_certificate_is_asked_over_tls_and_one_without_is_no_node_in_earnest() {
    let (certificates, program) = (Certificates::make(), Program::new());
    let file = |name: &str| certificates.folder().join(name).display().to_string();
    let set = [format!("http.tls.certificate={}", file("server.pem")), format!("http.tls.key={}", file("server.key"))];
    let with: Vec<_> = set.iter().flat_map(|set| ["--set", set.as_str()]).collect();
    let run = |more: &[&str]| {
        let said = program.run(&[&with[..], more].concat());
        (said.status.code(), String::from_utf8([said.stdout, said.stderr].concat()).unwrap())
    };
    let log = program.folder().join("log");
    let mut node = program
        .command(&[&with[..], &["serve"]].concat())
        .stdout(Stdio::piped())
        .stderr(fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(node.stdout.take().unwrap()).lines();
    let line = said.next().unwrap().unwrap();
    let address = line.strip_prefix("https://").unwrap().split('/').next().unwrap().to_owned();
    let at = format!("http.address={address}");
    let ready = || run(&["--set", &at, "doctor", "--ready"]);
    on_system(async {
        until("the node is ready", || async { ready().0 == Some(0) }).await;
    });
    assert!(ready().1.contains("\"ready\":true"));
    let (_, said_by_doctor) = run(&["doctor"]);
    assert!(said_by_doctor.contains("good  certificate"), "{said_by_doctor}");
    let (code, link) = run(&["token", "--user", "u-1", "--link"]);
    assert!(code == Some(0) && link.starts_with("https://"), "{link}");
    // Somebody else's certificate is not the node's.
    let other = Certificates::make();
    let another = format!("http.tls.certificate={}", other.folder().join("server.pem").display());
    let (code, words) = run(&["--set", &another, "--set", &at, "doctor", "--ready"]);
    assert_eq!(code, Some(1), "{words}");
    assert!(run(&["--set", &another, "doctor"]).1.contains("bad   certificate"));
    // A file that stays away is named before the certificate expires.
    fs::rename(file("server.key"), file("away.key")).unwrap();
    let named = |line: &str| line.contains("cannot be read") && line.contains("server.key");
    on_system(async {
        until("the file is named", || async { fs::read_to_string(&log).unwrap().lines().any(named) }).await;
    });
    fs::rename(file("away.key"), file("server.key")).unwrap();
    signal(node.id(), "TERM");
    assert!(node.wait().unwrap().success());
    let (code, words) = run(&["--set", &another, "serve"]);
    assert!(code == Some(1) && words.contains("look at http.tls.certificate and http.tls.key"), "{code:?} {words}");

    let mut config = fs::File::create(program.folder().join("auren.toml")).unwrap();
    writeln!(config, "[node]\nprofile = 'prod'\n[phi]\nprovider = 'secret'\n[http]\naddress = '0.0.0.0:8420'").unwrap();
    let check = |more: &[&str]| {
        let mut command = program.command(&[more, &["config", "check"]].concat());
        let said = command.env_remove("AUREN__HTTP__ADDRESS").output().unwrap();
        (said.status.code(), String::from_utf8([said.stdout, said.stderr].concat()).unwrap())
    };
    let (code, words) = check(&[]);
    assert!(code == Some(64) && words.contains("http.address must be of this machine alone"), "{words}");
    for more in [&with[..], &["--set", "http.tls.by_proxy=true"], &["--set", "http.address=127.0.0.1:8420"]] {
        let (code, words) = check(more);
        assert_eq!(code, Some(0), "{words}");
    }
    let (code, words) = check(&["--set", "http.address=[::1]:8420", "--set", "tokens.jwks=http://idp.example/keys"]);
    assert!(code == Some(64) && words.contains("tokens.jwks must be https://"), "{words}");
    let (code, words) = check(&with[..2]);
    assert!(code == Some(64) && words.contains("http.tls must have both"), "{words}");
}
