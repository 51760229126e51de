//! Asking a node over its HTTP server, where there need be no curl.

use std::time::Duration;

use anyhow::{Context as _, bail};
use auren::{config::TlsSection, gateway::tls::connect};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
};

/// How long a node may take for its answer; it gives the bus less.
const LIMIT: Duration = Duration::from_secs(5);

/// What a node answered.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: String,
}

/// Asks the node that listens at this address for a path, over TLS where it has a certificate.
pub(super) async fn get(address: &str, tls: &TlsSection, path: &str) -> anyhow::Result<Answer> {
    let answer = tokio::time::timeout(LIMIT, ask(address, tls, path)).await;
    let answer = answer.with_context(|| format!("the node at {address} does not answer"))?;
    let answer = answer.with_context(|| format!("no node answers at {address}; does `auren serve` run here?"))?;
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    let (Some((_, body)), Some(status)) = (answer.split_once("\r\n\r\n"), status) else {
        bail!("what listens at {address} is no node")
    };
    Ok(Answer { status, body: body.to_owned() })
}

async fn ask(address: &str, tls: &TlsSection, path: &str) -> std::io::Result<String> {
    let stream = TcpStream::connect(address).await?;
    if tls.is_on() { said(connect(tls, stream).await?, address, path).await } else { said(stream, address, path).await }
}

async fn said(mut stream: impl AsyncRead + AsyncWrite + Unpin, address: &str, path: &str) -> std::io::Result<String> {
    // HTTP/1.0: the answer ends with the connection.
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes()).await?;
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer).await {
        // Whoever ends a connection need not take leave of TLS first.
        Err(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => Err(error),
        _ => String::from_utf8(answer).map_err(std::io::Error::other),
    }
}
