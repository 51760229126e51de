//! One person's data key at work: what it seals and opens.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering::Relaxed},
};

use auren_agents::UserId;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use super::{
    Binding, Measured, PhiError, TOKEN_PREFIX,
    binding::length_prefixed,
    sealed::{self, KEY_ID},
};

/// A data key of one person, in the clear. Cheap to clone; it prints nothing of what it holds and is wiped with its last
/// clone. Whoever keeps one longer than a moment keeps it past the person's erasure: ask [`Keys`](super::Keys) each time.
///
/// ```compile_fail,E0277
/// fn write(key: &auren::phi::UserKey) -> String {
///     serde_json::to_string(key).unwrap()
/// }
/// ```
#[derive(Clone)]
pub struct UserKey(Arc<Held>);

struct Held {
    tenant: String,
    user: UserId,
    id: [u8; KEY_ID],
    key: Zeroizing<[u8; 32]>,
    /// How many messages may still be sealed before more are set aside in the keyring. The count is no secret, and may
    /// outlive the key.
    left: Arc<AtomicI64>,
}

impl std::fmt::Debug for UserKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UserKey").field("user", &self.0.user).finish_non_exhaustive()
    }
}

impl UserKey {
    pub(super) fn new(
        tenant: &str,
        user: UserId,
        id: [u8; KEY_ID],
        key: Zeroizing<[u8; 32]>,
        left: Arc<AtomicI64>,
    ) -> Self {
        Self(Arc::new(Held { tenant: tenant.to_owned(), user, id, key, left }))
    }

    /// How many messages may still be sealed.
    pub(super) fn left(&self) -> i64 {
        self.0.left.load(Relaxed)
    }

    pub(super) fn set_aside(&self, seals: i64) {
        self.0.left.fetch_add(seals, Relaxed);
    }

    /// Seals a value as a token.
    ///
    /// # Errors
    /// [`PhiError::TooWide`] where measure or unit are too long, [`PhiError::Spent`] where no seal was set aside.
    pub fn seal(&self, binding: &Binding<'_>, measured: &Measured) -> Result<String, PhiError> {
        let plain = Zeroizing::new(measured.to_bytes().ok_or(PhiError::TooWide)?);
        let message = self.seal_bytes(&self.binding(binding), plain.as_slice())?;
        let mut token = TOKEN_PREFIX.to_owned();
        URL_SAFE_NO_PAD.encode_string(&message, &mut token);
        Ok(token)
    }

    /// Opens a token.
    ///
    /// # Errors
    /// [`PhiError`] where it is no token, or not one of this person for this binding.
    pub fn open(&self, binding: &Binding<'_>, token: &str) -> Result<Measured, PhiError> {
        let text = token.strip_prefix(TOKEN_PREFIX).ok_or(PhiError::NotAToken)?;
        let message = URL_SAFE_NO_PAD.decode(text).map_err(|_| PhiError::NotAToken)?;
        let plain = sealed::open(self.0.id, self.0.key.as_slice(), &self.binding(binding), &message)?;
        Measured::from_bytes(&plain).ok_or(PhiError::DoesNotOpen)
    }

    /// Seals the person's state of a role, for the compacted topic.
    ///
    /// # Errors
    /// [`PhiError::Spent`] where no seal was set aside, [`PhiError::TooWide`] past what AES-GCM takes in one message.
    pub fn seal_state(&self, role: &str, plain: &[u8]) -> Result<Vec<u8>, PhiError> {
        self.seal_bytes(&self.state(role), plain)
    }

    /// Opens what [`UserKey::seal_state`] sealed.
    ///
    /// # Errors
    /// [`PhiError`] where it is not this person's state of this role.
    pub fn open_state(&self, role: &str, message: &[u8]) -> Result<Zeroizing<Vec<u8>>, PhiError> {
        sealed::open(self.0.id, self.0.key.as_slice(), &self.state(role), message)
    }

    fn seal_bytes(&self, aad: &[u8], plain: &[u8]) -> Result<Vec<u8>, PhiError> {
        if self.0.left.fetch_sub(1, Relaxed) <= 0 {
            self.0.left.fetch_add(1, Relaxed);
            return Err(PhiError::Spent);
        }
        sealed::seal(self.0.id, self.0.key.as_slice(), aad, plain)
    }

    fn binding(&self, binding: &Binding<'_>) -> Vec<u8> {
        binding.associated_data(&self.0.tenant, self.0.user.as_str())
    }

    fn state(&self, role: &str) -> Vec<u8> {
        length_prefixed(&[&self.0.tenant, self.0.user.as_str(), "state", role])
    }
}
