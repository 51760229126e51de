//! A hub as a process of its own, to be killed, stopped and started again.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::Program;

/// How long a node may take on a machine on which many nodes and brokers start: joining and restoring were seen to take
/// 35 s there.
const DEADLINE: Duration = Duration::from_secs(120);

/// A process that runs `auren serve`. Dropped, it is killed.
pub struct Node {
    child: Child,
    log: PathBuf,
}

impl Node {
    /// Starts a node under this name; what it says goes on at the end of the name's log.
    pub fn start(program: &Program, flags: &[String], name: &str) -> Self {
        let mut arguments: Vec<&str> = flags.iter().map(String::as_str).collect();
        arguments.extend(["serve", "--node", name]);
        Self::spawn(program.command(&arguments), program.folder().join(format!("{name}.log")))
    }

    /// Starts a node by this command.
    pub fn spawn(mut command: Command, log: PathBuf) -> Self {
        let out = File::options().create(true).append(true).open(&log).unwrap();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(out).spawn().unwrap();
        Self { child, log }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL: it has no say in it.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM: it ends in order, and within its time.
    pub fn terminate(&mut self) {
        signal(self.id(), "TERM");
        let limit = Instant::now() + DEADLINE;
        let end = loop {
            if let Some(end) = self.child.try_wait().unwrap() {
                break end;
            }
            assert!(Instant::now() < limit, "the node does not end:\n{}", self.said());
            std::thread::sleep(Duration::from_millis(5));
        };
        assert!(end.success(), "{end}:\n{}", self.said());
    }

    /// Everything that nodes of its name have said.
    pub fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until it has said this at least so often.
    pub fn says(&self, words: &str, times: usize) {
        let limit = Instant::now() + DEADLINE;
        while self.said().matches(words).count() < times {
            assert!(Instant::now() < limit, "it does not say {words:?} {times} times:\n{}", self.said());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal to a process.
pub fn signal(process: u32, name: &str) {
    let sent = Command::new("kill").args([format!("-{name}"), process.to_string()]).status().unwrap();
    assert!(sent.success(), "SIG{name} for {process}");
}
