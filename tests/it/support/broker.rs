//! A Kafka broker of a test's own: one that can be killed, stopped and started again.

use std::{
    fs::File,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use auren::bus::{Bus as _, kafka::KafkaBus};

use super::{run, settings, signal};

/// How long a broker may take to start on a busy machine.
const START: Duration = Duration::from_secs(60);

/// A broker as a process. Dropped, it is killed, and its data are gone.
pub struct Broker {
    child: Child,
    folder: tempfile::TempDir,
    ports: [u16; 2],
    /// Where there is one that speaks TLS alone: the certificates' folder, and the port where everybody may everything.
    safe: Option<(PathBuf, u16)>,
    /// Whether clients show a certificate instead of a password.
    mutual: bool,
}

impl Broker {
    /// An empty broker that answers.
    pub fn start() -> Self {
        Self::of(None, false)
    }

    /// An empty broker that wants TLS and a password.
    pub fn safe(certificates: &Path) -> Self {
        Self::of(Some((certificates.to_owned(), free_port())), false)
    }

    /// An empty broker that wants TLS and a certificate.
    pub fn mutual(certificates: &Path) -> Self {
        Self::of(Some((certificates.to_owned(), free_port())), true)
    }

    fn of(safe: Option<(PathBuf, u16)>, mutual: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ports = [free_port(), free_port()];
        let broker = Self { child: launch(folder.path(), ports, safe.as_ref(), mutual), folder, ports, safe, mutual };
        broker.answers();
        broker
    }

    /// Where everybody may everything, of one that wants a password elsewhere.
    pub fn inside(&self) -> String {
        let (_, port) = self.safe.as_ref().expect("only a safe broker has an inside");
        format!("127.0.0.1:{port}")
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.ports[0])
    }

    /// SIGKILL: nothing is closed, nobody is told.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Runs it again on what it had written.
    pub fn again(&mut self) {
        self.child = launch(self.folder.path(), self.ports, self.safe.as_ref(), self.mutual);
    }

    /// From now on connections to it stay open and nobody answers, as when a network swallows packets.
    pub fn freeze(&self) {
        signal(self.child.id(), "STOP");
    }

    /// It goes on where it was.
    pub fn thaw(&self) {
        signal(self.child.id(), "CONT");
    }

    /// Waits until it answers.
    pub fn answers(&self) {
        let limit = Instant::now() + START;
        run(async {
            let address = if self.safe.is_some() { self.inside() } else { self.address() };
            let bus = KafkaBus::new(settings(address)).unwrap();
            while let Err(error) = bus.topics().await {
                assert!(Instant::now() < limit, "{error}\n{}", std::fs::read_to_string(self.log()).unwrap());
            }
        });
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("broker.log")
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn launch(folder: &Path, ports: [u16; 2], safe: Option<&(PathBuf, u16)>, mutual: bool) -> Child {
    let log = || File::options().create(true).append(true).open(folder.join("broker.log")).unwrap();
    let mut command = super::script("broker");
    command.arg(folder).args(ports.map(|port| port.to_string()));
    if let Some((certificates, port)) = safe {
        command.arg(certificates).arg(port.to_string()).args(mutual.then_some("mutual"));
    }
    command.stdin(Stdio::null()).stdout(log()).stderr(log()).spawn().unwrap()
}

/// A port below those that the system gives to clients: one of them could take a broker's place while it is away.
pub fn free_port() -> u16 {
    loop {
        let port = rand::random_range(20_000..32_000);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
