//! Where whoever signs tokens publishes their keys: an address, or a file. No error repeats what was read.

use std::{path::PathBuf, time::Duration};

use reqwest::{Client, Url, redirect::Policy};

use crate::{config::TokensSection, consult::told};

/// How long one reading may take.
const LIMIT: Duration = Duration::from_secs(5);
/// The longest text that is read.
const BYTES_MAX: usize = 256 * 1024;

/// Where keys are published.
#[derive(Debug)]
pub(super) enum Place {
    Address(Client, Url),
    File(PathBuf),
}

impl Place {
    /// Nothing is connected to yet.
    pub(super) fn of(section: &TokensSection) -> Result<Self, String> {
        let Some(address) = section.jwks_address() else { return Ok(Self::File(PathBuf::from(&section.jwks))) };
        let url: Url = address.parse().map_err(|_| "must be like https://host/path".to_owned())?;
        crate::tls::choose_provider();
        // Somebody else's address must not be able to send the node to a third one.
        let mut client = Client::builder().timeout(LIMIT).redirect(Policy::none());
        if url.scheme() == "http" {
            // Whoever is asked over plain HTTP needs nobody's certificate, and a machine may have none.
            client = client.tls_certs_only([]);
        }
        Ok(Self::Address(client.build().map_err(told)?, url))
    }

    /// What stands there now.
    pub(super) async fn read(&self) -> Result<Vec<u8>, String> {
        let (client, url) = match self {
            Self::File(file) => return tokio::fs::read(file).await.map_err(|error| error.to_string()),
            Self::Address(client, url) => (client, url),
        };
        let mut answer = client.get(url.clone()).send().await.map_err(told)?;
        if !answer.status().is_success() {
            return Err(format!("it answers with status {}", answer.status()));
        }
        let mut text = Vec::new();
        while let Some(part) = answer.chunk().await.map_err(told)? {
            text.extend_from_slice(&part);
            if text.len() > BYTES_MAX {
                return Err(format!("it is longer than {BYTES_MAX} bytes"));
            }
        }
        Ok(text)
    }
}
