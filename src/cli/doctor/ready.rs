//! Asks the node that runs here whether it is ready, for health checks where there is no curl.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::cli::{Context, Exit};

/// How long the node may take for its answer; it gives the bus less.
const LIMIT: Duration = Duration::from_secs(5);

pub(super) async fn run(quiet: bool, context: &mut Context) -> anyhow::Result<Exit> {
    let address = context.config.http.address.clone();
    ensure!(!address.is_empty(), "http.address is empty: the node has no HTTP server that could be asked");
    ensure!(!address.ends_with(":0"), "http.address names no port: where the node listens stands in its log");
    let answer = tokio::time::timeout(LIMIT, ask(&address)).await;
    let answer = answer.with_context(|| format!("the node at {address} does not answer"))?;
    let answer = answer.with_context(|| format!("no node answers at {address}; does `auren serve` run here?"))?;
    let Some((head, body)) = answer.split_once("\r\n\r\n") else { bail!("what listens at {address} is no node") };
    if !quiet {
        context.console.line(format_args!("{}", body.trim_end()))?;
    }
    Ok(if head.split(' ').nth(1) == Some("200") { Exit::Done } else { Exit::Failed })
}

async fn ask(address: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    // HTTP/1.0: the answer ends with the connection.
    stream.write_all(format!("GET /readyz HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
