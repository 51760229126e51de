//! A line to a service that a test can cut and mend.

use std::net::SocketAddr;

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// Passes on what comes to a port of this machine.
pub struct Line {
    port: u16,
    whole: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Line {
    /// A line to `host:port`.
    pub async fn to(target: &str) -> Self {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (whole, seen) = watch::channel(true);
        let target = target.to_owned();
        let task = tokio::spawn(async move {
            loop {
                let Ok((mut near, _)) = listener.accept().await else { return };
                let (mut seen, target) = (seen.clone(), target.clone());
                // A cut line takes calls and hangs up.
                tokio::spawn(async move {
                    if !*seen.borrow() {
                        return;
                    }
                    let Ok(mut far) = TcpStream::connect(&target).await else { return };
                    tokio::select! {
                        _ = copy_bidirectional(&mut near, &mut far) => {}
                        _ = seen.wait_for(|whole| !whole) => {}
                    }
                });
            }
        });
        Self { port, whole, task }
    }

    /// Where it begins.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Ends all calls and takes no more.
    pub fn cut(&self) {
        self.whole.send_replace(false);
    }

    /// Takes calls again.
    pub fn mend(&self) {
        self.whole.send_replace(true);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.task.abort();
    }
}
