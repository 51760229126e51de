//! Ctrl-C and SIGTERM: the first asks a command to end after what it is doing, the second ends it at once.
//!
//! A command that answers one question has two seconds to do so; then it ends all the same.

use std::{io, process, thread, time::Duration};

use tokio::sync::watch;

use super::exit::INTERRUPTED;

/// How long an interrupted command may go on with what it is doing.
const GRACE: Duration = Duration::from_secs(2);

/// Signals this close together are one.
const ONE_SIGNAL: Duration = Duration::from_millis(300);

/// Whether somebody wants the command to end.
#[derive(Debug, Clone)]
pub(crate) struct Interrupt(watch::Receiver<bool>);

impl Interrupt {
    /// Listens from now on, on a thread of its own: the second signal is heard even where a command waits for a file.
    pub(crate) fn listen() -> io::Result<Self> {
        let (tell, told) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let entered = runtime.enter();
        let mut signals = Signals::new()?;
        drop(entered);
        thread::Builder::new().name("auren-signals".to_owned()).spawn(move || {
            runtime.block_on(async {
                signals.next().await;
                let _ = tell.send(true);
                // Who signals a process and its group at once means one signal.
                tokio::time::sleep(ONE_SIGNAL).await;
                if let Ok(fresh) = Signals::new() {
                    signals = fresh;
                }
                signals.next().await;
                process::exit(INTERRUPTED);
            });
        })?;
        Ok(Self(told))
    }

    /// One that never comes.
    #[cfg(test)]
    pub(crate) fn never() -> Self {
        Self(watch::channel(false).1)
    }

    /// Waits until it came and a command has had the time to end by itself.
    pub(crate) async fn overdue(mut self) {
        self.wait().await;
        tokio::time::sleep(GRACE).await;
    }

    /// Whether it came.
    pub(crate) fn came(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until it comes.
    pub(crate) async fn wait(&mut self) {
        if self.0.wait_for(|came| *came).await.is_err() {
            // Nobody is left who could tell.
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        let _ = tokio::signal::ctrl_c().await;
    }
}
