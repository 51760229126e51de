//! The cipher alone, to measure what everything around it costs: the same bytes under one key, without derivation,
//! commitment or encoding. Nothing is ever protected with it.

use aes_gcm::{
    Aes256Gcm, KeyInit,
    aead::{Aead, Payload},
};

use super::{PhiError, value::WIDTH};

/// AES-256-GCM under one key.
pub struct Yardstick(Aes256Gcm);

impl std::fmt::Debug for Yardstick {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Yardstick")
    }
}

impl Default for Yardstick {
    fn default() -> Self {
        Self(Aes256Gcm::new(&[7; 32].into()))
    }
}

impl Yardstick {
    /// Seals as many bytes as a token holds.
    ///
    /// # Errors
    /// None that can be: the bytes are few.
    pub fn seal(&self, number: u64, aad: &[u8]) -> Result<Vec<u8>, PhiError> {
        let payload = Payload { msg: &[1; WIDTH], aad };
        self.0.encrypt(&nonce(number).into(), payload).map_err(|_| PhiError::TooWide)
    }

    /// Opens them again.
    ///
    /// # Errors
    /// [`PhiError::DoesNotOpen`] where they were not sealed with this number.
    pub fn open(&self, number: u64, aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>, PhiError> {
        self.0.decrypt(&nonce(number).into(), Payload { msg: sealed, aad }).map_err(|_| PhiError::DoesNotOpen)
    }
}

fn nonce(number: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&number.to_be_bytes());
    nonce
}
