//! A server as a process of its own: how it is started, stopped and let go, and what the kernel says of it.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, ensure};

/// The bytes of a page of memory, and the ticks of a second, as the kernel counts in `statm` and `stat`.
const PAGE: u64 = 4096;
const TICKS: u64 = 100;

/// A server. Dropped, it is killed.
pub(super) struct Served {
    child: Child,
    pub(super) address: SocketAddr,
}

impl Served {
    /// This program as it was called, with these keys set and another command.
    pub(super) fn start(set: &[&str], command: &[&str]) -> anyhow::Result<Self> {
        let global = std::env::args_os().skip(1).take_while(|argument| argument != "bench");
        let mut child = Command::new(std::env::current_exe()?)
            .args(global)
            .args(set.iter().flat_map(|key| ["--set", key]))
            .args(command)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut first = String::new();
        BufReader::new(child.stdout.take().context("it has an output")?).read_line(&mut first)?;
        let address = first.strip_prefix("http://").and_then(|rest| rest.split('/').next()?.parse().ok());
        match address {
            Some(address) => Ok(Self { child, address }),
            None => {
                let _ = child.kill();
                anyhow::bail!("the server that is measured did not start: it said {first:?}")
            }
        }
    }

    /// From now on it does nothing.
    pub(super) fn stop(&self) -> anyhow::Result<()> {
        self.signal("-STOP")
    }

    /// It goes on where it was.
    pub(super) fn go_on(&self) -> anyhow::Result<()> {
        self.signal("-CONT")
    }

    fn signal(&self, signal: &str) -> anyhow::Result<()> {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status().context("kill")?;
        ensure!(sent.success(), "the server that is measured has ended");
        Ok(())
    }

    /// Has the bare server say something so often to everybody.
    pub(super) fn says(&self, times: u32, text: &str) -> anyhow::Result<()> {
        let mut stream = TcpStream::connect(self.address)?;
        let (length, host) = (text.len(), self.address);
        write!(
            stream,
            "POST /?times={times} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{text}"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        ensure!(answer.starts_with("HTTP/1.1 200"), "the bare server answers {answer:?}");
        Ok(())
    }

    /// Its memory.
    pub(super) fn bytes(&self) -> anyhow::Result<u64> {
        let text = self.file("statm")?;
        let pages: u64 = text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).context("statm has no pages")?;
        Ok(pages * PAGE)
    }

    /// Its processor time.
    pub(super) fn cpu(&self) -> anyhow::Result<Duration> {
        let text = self.file("stat")?;
        let (_, fields) = text.rsplit_once(')').context("stat has no name")?;
        let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>()?;
        Ok(Duration::from_millis(ticks * 1000 / TICKS))
    }

    fn file(&self, name: &str) -> anyhow::Result<String> {
        let path = format!("/proc/{}/{name}", self.child.id());
        fs::read_to_string(&path).with_context(|| format!("{path}, which Linux has"))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether a process may open so many files.
pub(super) fn may_open(files: u64) -> anyhow::Result<()> {
    let limits = fs::read_to_string("/proc/self/limits").context("/proc/self/limits, which Linux has")?;
    let most =
        limits.lines().find_map(|line| line.strip_prefix("Max open files")?.split_whitespace().next()?.parse().ok());
    let most: u64 = most.unwrap_or(u64::MAX);
    ensure!(
        files <= most,
        "so many sockets need {files} open files in one process, and {most} are allowed here: raise it with `ulimit -n {files}`, \
         or ask for fewer with --sockets"
    );
    Ok(())
}
