//! The master key, and what is derived from it for each user.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use auren_agents::UserId;
use base64::{Engine as _, engine::general_purpose};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{
    Binding, Measured, PhiError, TOKEN_PREFIX,
    binding::length_prefixed,
    sealed::{self, KEY_ID},
};

/// Bytes of a master key.
pub const MASTER_KEY_BYTES: usize = 32;

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The key file cannot be read or made.
    #[error("the key file {}: {why}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What failed, and what to do.
        why: String,
    },
    /// The text is not a key.
    #[error("a master key is {MASTER_KEY_BYTES} bytes in base64, such as `openssl rand -base64 32` prints")]
    NotAKey,
}

/// The keys of one tenant. Cheap to clone; it prints nothing of what it holds.
#[derive(Clone)]
pub struct Keys {
    tenant: String,
    id: [u8; KEY_ID],
    master: Zeroizing<[u8; MASTER_KEY_BYTES]>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

impl Keys {
    /// Keys under a master key.
    #[must_use]
    pub fn new(tenant: impl Into<String>, master: [u8; MASTER_KEY_BYTES]) -> Self {
        let master = Zeroizing::new(master);
        let mut id = [0; KEY_ID];
        Hkdf::<Sha256>::new(None, master.as_slice())
            .expand(b"auren phi1 key id", &mut id)
            .expect("4 bytes are fewer than HKDF-SHA256 can give");
        Self { tenant: tenant.into(), id, master }
    }

    /// Keys under a new random master key that is kept nowhere: for demonstrations and tests.
    #[must_use]
    pub fn ephemeral(tenant: impl Into<String>) -> Self {
        let mut master = [0; MASTER_KEY_BYTES];
        rand::fill(&mut master);
        Self::new(tenant, master)
    }

    /// Keys under a master key in base64.
    ///
    /// # Errors
    /// [`KeyError::NotAKey`].
    pub fn from_base64(tenant: impl Into<String>, text: &str) -> Result<Self, KeyError> {
        let bytes = Zeroizing::new(general_purpose::STANDARD.decode(text.trim()).map_err(|_| KeyError::NotAKey)?);
        Ok(Self::new(tenant, bytes.as_slice().try_into().map_err(|_| KeyError::NotAKey)?))
    }

    /// Keys under the master key in a file. Where there is no such file one is made, readable by its owner alone.
    ///
    /// # Errors
    /// [`KeyError`] where the file cannot be read or made, or holds no key.
    pub fn from_file(tenant: impl Into<String>, file: &Path) -> Result<Self, KeyError> {
        let failed = |why: &io::Error| KeyError::File { file: file.to_owned(), why: why.to_string() };
        let text = match fs::read_to_string(file) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => make(file).map_err(|error| failed(&error))?,
            Err(error) => return Err(failed(&error)),
        };
        Self::from_base64(tenant, &text)
            .map_err(|error| KeyError::File { file: file.to_owned(), why: error.to_string() })
    }

    /// Seals a value as a token.
    ///
    /// # Errors
    /// [`PhiError::TooWide`] where measure or unit are too long.
    pub fn seal(&self, binding: &Binding<'_>, measured: &Measured) -> Result<String, PhiError> {
        let plain = Zeroizing::new(measured.to_bytes().ok_or(PhiError::TooWide)?);
        let aad = binding.associated_data(&self.tenant);
        let message = sealed::seal(self.id, self.user_key(binding.user).as_slice(), &aad, plain.as_slice())?;
        let mut token = TOKEN_PREFIX.to_owned();
        general_purpose::URL_SAFE_NO_PAD.encode_string(&message, &mut token);
        Ok(token)
    }

    /// Opens a token.
    ///
    /// # Errors
    /// [`PhiError`] where it is no token, or not one for this binding.
    pub fn open(&self, binding: &Binding<'_>, token: &str) -> Result<Measured, PhiError> {
        let text = token.strip_prefix(TOKEN_PREFIX).ok_or(PhiError::NotAToken)?;
        let message = general_purpose::URL_SAFE_NO_PAD.decode(text).map_err(|_| PhiError::NotAToken)?;
        let aad = binding.associated_data(&self.tenant);
        let plain = sealed::open(self.id, self.user_key(binding.user).as_slice(), &aad, &message)?;
        Measured::from_bytes(&plain).ok_or(PhiError::DoesNotOpen)
    }

    /// Seals a user's state of a role, for the compacted topic.
    ///
    /// # Errors
    /// [`PhiError::TooWide`] past what AES-GCM takes in one message.
    pub fn seal_state(&self, role: &str, user: &UserId, plain: &[u8]) -> Result<Vec<u8>, PhiError> {
        sealed::seal(self.id, self.user_key(user).as_slice(), &self.state_data(role, user), plain)
    }

    /// Opens what [`Keys::seal_state`] sealed.
    ///
    /// # Errors
    /// [`PhiError`] where it is not this user's state of this role.
    pub fn open_state(&self, role: &str, user: &UserId, message: &[u8]) -> Result<Zeroizing<Vec<u8>>, PhiError> {
        sealed::open(self.id, self.user_key(user).as_slice(), &self.state_data(role, user), message)
    }

    fn state_data(&self, role: &str, user: &UserId) -> Vec<u8> {
        length_prefixed(&[&self.tenant, user.as_str(), "state", role])
    }

    fn user_key(&self, user: &UserId) -> Zeroizing<[u8; 32]> {
        let mut key = Zeroizing::new([0; 32]);
        let mut info = b"auren phi1 user".to_vec();
        info.extend_from_slice(&length_prefixed(&[&self.tenant, user.as_str()]));
        Hkdf::<Sha256>::new(None, self.master.as_slice())
            .expand(&info, key.as_mut_slice())
            .expect("32 bytes are fewer than HKDF-SHA256 can give");
        key
    }
}

/// Makes a key file that did not exist. Of two processes that try at once, both end up with the first one's key.
fn make(file: &Path) -> io::Result<Zeroizing<String>> {
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder)?;
    }
    let mut master = Zeroizing::new([0; MASTER_KEY_BYTES]);
    rand::fill(master.as_mut_slice());
    let text = Zeroizing::new(general_purpose::STANDARD.encode(master.as_slice()));
    // Written aside and linked into place, so that nobody ever reads half a key.
    let aside = file.with_extension(format!("{}.new", std::process::id()));
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut written = options.open(&aside)?;
    written.write_all(text.as_bytes())?;
    written.write_all(b"\n")?;
    written.sync_all()?;
    let linked = fs::hard_link(&aside, file);
    fs::remove_file(&aside)?;
    match linked {
        Ok(()) => {
            tracing::warn!(file = %file.display(), "made a master key; keep it: without it no token opens");
            Ok(text)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => fs::read_to_string(file).map(Zeroizing::new),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use auren_agents::{BiometricType, EventId};

    use super::*;

    fn measured() -> Measured {
        Measured { value: 41.875, measure: "rmssd".to_owned(), unit: "ms".to_owned() }
    }

    #[test]
    fn a_token_opens_for_what_it_is_bound_to_and_for_nothing_else() {
        let keys = Keys::ephemeral("tenant");
        let (user, other) = (UserId::new("u-1").unwrap(), UserId::new("u-2").unwrap());
        let (event, next) = (EventId::new("e-1").unwrap(), EventId::new("e-2").unwrap());
        let (hrv, sleep) = (BiometricType::HrvMeasurement, BiometricType::SleepAnalysis);
        let bound = Binding { user: &user, event: &event, event_type: &hrv, field: "value" };
        let token = keys.seal(&bound, &measured()).unwrap();
        let opened = keys.open(&bound, &token).unwrap();
        assert_eq!((opened.value, opened.measure.as_str(), opened.unit.as_str()), (41.875, "rmssd", "ms"));
        for swapped in [
            Binding { user: &other, ..bound },
            Binding { event: &next, ..bound },
            Binding { event_type: &sleep, ..bound },
            Binding { field: "other", ..bound },
        ] {
            assert_eq!(keys.open(&swapped, &token).err(), Some(PhiError::DoesNotOpen), "{swapped:?}");
        }
        let elsewhere = Keys::new("other tenant", *keys.master);
        assert_eq!(elsewhere.open(&bound, &token).err(), Some(PhiError::DoesNotOpen));
        assert_eq!(Keys::ephemeral("tenant").open(&bound, &token).err(), Some(PhiError::UnknownKey));
        assert_eq!(keys.open(&bound, "TOKENIZED_PHI").err(), Some(PhiError::NotAToken));
    }

    #[test]
    fn every_token_is_as_long_as_every_other() {
        let keys = Keys::ephemeral("tenant");
        let (user, event) = (UserId::new("u-1").unwrap(), EventId::new("e-1").unwrap());
        let bound = Binding { user: &user, event: &event, event_type: &BiometricType::HrvMeasurement, field: "value" };
        let long = Measured { value: 1e300, measure: "m".repeat(32), unit: "u".repeat(32) };
        assert_eq!(keys.seal(&bound, &measured()).unwrap().len(), keys.seal(&bound, &long).unwrap().len());
        let wide = Measured { value: 1.0, measure: "m".repeat(33), unit: String::new() };
        assert_eq!(keys.seal(&bound, &wide).err(), Some(PhiError::TooWide));
    }

    #[test]
    fn a_key_file_is_made_once_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("new").join("master.key");
        let first = Keys::from_file("t", &file).unwrap();
        assert_eq!(first.id, Keys::from_file("t", &file).unwrap().id);
        fs::write(&file, "short").unwrap();
        let error = Keys::from_file("t", &file).unwrap_err().to_string();
        assert!(error.contains("master.key") && error.contains("32 bytes"), "{error}");
    }

    #[test]
    fn keys_print_nothing_of_what_they_hold() {
        let shown = format!("{:?}", Keys::new("tenant", [7; 32]));
        assert!(!shown.contains('7'), "{shown}");
    }
}
