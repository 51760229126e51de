//! Sealing and opening of bytes: AES-256-GCM under a key of its own for every message, with a key commitment.
//!
//! One sealed message is `suite (1) | key id (12) | salt (16) | commitment (32) | ciphertext | tag (16)`. From the data
//! key, the salt and what stands before it, HKDF-SHA256 derives a cipher key, a nonce and the commitment; a message that
//! another key would also open (AES-GCM does not exclude it) fails the commitment, which is compared in constant time
//! before anything else.

use aes_gcm::{
    Aes256Gcm, KeyInit,
    aead::{Aead, Payload},
};
use hkdf::Hkdf;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::PhiError;

/// What a token begins with: its kind and the version of its envelope.
pub const TOKEN_PREFIX: &str = "phi1.";

/// AES-256-GCM, HKDF-SHA256, commitment of 32 bytes.
const SUITE: u8 = 1;
pub(super) const SALT: usize = 16;
const COMMITMENT: usize = 32;
const HEAD: usize = 1 + KEY_ID + SALT + COMMITMENT;
const TAG: usize = 16;
const INFO: &[u8] = b"auren phi1 message";

/// Bytes of a key's id: the keyring's (4) and the data key's reference (8).
pub(super) const KEY_ID: usize = KEYRING_ID + REFERENCE;
/// Bytes of a keyring's id.
pub(super) const KEYRING_ID: usize = 4;
/// Bytes of the reference of a data key.
pub(super) const REFERENCE: usize = 8;

/// Seals bytes under a data key.
pub(super) fn seal(key_id: [u8; KEY_ID], data_key: &[u8], aad: &[u8], plain: &[u8]) -> Result<Vec<u8>, PhiError> {
    let mut salt = [0; SALT];
    rand::fill(&mut salt);
    seal_with(key_id, data_key, salt, aad, plain)
}

pub(super) fn seal_with(
    key_id: [u8; KEY_ID],
    data_key: &[u8],
    salt: [u8; SALT],
    aad: &[u8],
    plain: &[u8],
) -> Result<Vec<u8>, PhiError> {
    let mut message = Vec::with_capacity(HEAD + plain.len() + TAG);
    message.push(SUITE);
    message.extend_from_slice(&key_id);
    let keys = MessageKeys::derive(data_key, &message, &salt);
    let cipher = keys.cipher()?;
    let sealed = cipher.encrypt(&keys.nonce().into(), Payload { msg: plain, aad }).map_err(|_| PhiError::TooWide)?;
    message.extend_from_slice(&salt);
    message.extend_from_slice(keys.commitment());
    message.extend_from_slice(&sealed);
    Ok(message)
}

/// Opens bytes that were sealed under a data key.
pub(super) fn open(
    key_id: [u8; KEY_ID],
    data_key: &[u8],
    aad: &[u8],
    message: &[u8],
) -> Result<Zeroizing<Vec<u8>>, PhiError> {
    if message.len() < HEAD + TAG {
        return Err(PhiError::NotAToken);
    }
    let (head, sealed) = message.split_at(HEAD);
    if head[0] != SUITE {
        return Err(PhiError::UnknownSuite);
    }
    if head[1..=KEYRING_ID] != key_id[..KEYRING_ID] {
        return Err(PhiError::UnknownKeyring);
    }
    if head[1..=KEY_ID] != key_id {
        return Err(PhiError::UnknownKey);
    }
    let keys = MessageKeys::derive(data_key, &head[..=KEY_ID], &head[1 + KEY_ID..1 + KEY_ID + SALT]);
    let committed = bool::from(keys.commitment().ct_eq(&head[1 + KEY_ID + SALT..]));
    if !committed {
        return Err(PhiError::DoesNotOpen);
    }
    keys.cipher()?
        .decrypt(&keys.nonce().into(), Payload { msg: sealed, aad })
        .map(Zeroizing::new)
        .map_err(|_| PhiError::DoesNotOpen)
}

/// Cipher key, nonce and commitment of one message.
struct MessageKeys(Zeroizing<[u8; 32 + 12 + COMMITMENT]>);

impl MessageKeys {
    /// `named` is the suite and the key's id as they stand in the message: the commitment covers them too.
    fn derive(data_key: &[u8], named: &[u8], salt: &[u8]) -> Self {
        let mut okm = Zeroizing::new([0; 32 + 12 + COMMITMENT]);
        Hkdf::<Sha256>::new(Some(salt), data_key)
            .expand_multi_info(&[INFO, named], okm.as_mut_slice())
            .expect("76 bytes are fewer than HKDF-SHA256 can give");
        Self(okm)
    }

    fn cipher(&self) -> Result<Aes256Gcm, PhiError> {
        Aes256Gcm::new_from_slice(&self.0[..32]).map_err(|_| PhiError::DoesNotOpen)
    }

    fn nonce(&self) -> [u8; 12] {
        let mut nonce = [0; 12];
        nonce.copy_from_slice(&self.0[32..44]);
        nonce
    }

    fn commitment(&self) -> &[u8] {
        &self.0[44..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_opens_and_nothing_altered_does() {
        let message = seal([1; KEY_ID], b"user key", b"aad", b"value").unwrap();
        assert_eq!(open([1; KEY_ID], b"user key", b"aad", &message).unwrap().as_slice(), b"value");
        assert_eq!(open([1; KEY_ID], b"user key", b"other", &message), Err(PhiError::DoesNotOpen));
        assert_eq!(open([1; KEY_ID], b"other key", b"aad", &message), Err(PhiError::DoesNotOpen));
        assert_eq!(open([2; KEY_ID], b"user key", b"aad", &message), Err(PhiError::UnknownKeyring));
        let mut other = [1; KEY_ID];
        other[KEY_ID - 1] = 2;
        assert_eq!(open(other, b"user key", b"aad", &message), Err(PhiError::UnknownKey));
        for at in 0..message.len() {
            let mut altered = message.clone();
            altered[at] ^= 1;
            assert!(open([1; KEY_ID], b"user key", b"aad", &altered).is_err(), "byte {at}");
            assert!(open([1; KEY_ID], b"user key", b"aad", &message[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn the_same_value_never_seals_to_the_same_bytes() {
        let seal = || seal([1; KEY_ID], b"user key", b"aad", b"value").unwrap();
        assert_ne!(seal(), seal());
    }
}
