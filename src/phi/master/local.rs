//! Master keys in this process: from a file (made where there is none, for development), or from a secret it was given.
//!
//! The text is one key a line, or several with commas between them; **the first is the primary**, which wraps, and the
//! others only unwrap. So a new key goes to the end on every node first, and to the front then.

use std::{fs, path::Path};

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::{Zeroize as _, Zeroizing};

use super::{Master, version};
use crate::{
    phi::{
        KeyError,
        sealed::{self, KEY_ID},
    },
    private_file,
};

/// Bytes of a master key.
pub const MASTER_KEY_BYTES: usize = 32;
/// What stands before a wrapped key.
const KIND: &str = "local";
/// What a wrapped key is bound to; the keyring binds it to its person.
const PURPOSE: &[u8] = b"auren phi1 wrapped key";

/// Master keys in the memory of this process.
pub struct Local {
    /// The primary first.
    keys: Vec<(u32, Zeroizing<[u8; MASTER_KEY_BYTES]>)>,
    from: String,
}

impl std::fmt::Debug for Local {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Local").field("from", &self.from).finish_non_exhaustive()
    }
}

impl Local {
    /// One key, as version 1.
    #[must_use]
    pub fn new(key: [u8; MASTER_KEY_BYTES]) -> Self {
        Self { keys: vec![(1, Zeroizing::new(key))], from: "the program".to_owned() }
    }

    /// A new random key that is kept nowhere.
    #[must_use]
    pub fn ephemeral() -> Self {
        let mut key = [0; MASTER_KEY_BYTES];
        rand::fill(&mut key);
        Self::new(key)
    }

    /// Keys as text: `BASE64` (version 1) or `v2:BASE64`, one a line or with commas between them, the primary first.
    ///
    /// # Errors
    /// [`KeyError::NotAKey`].
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let mut keys: Vec<(u32, _)> = Vec::new();
        for one in text.split(['\n', ',']).map(str::trim).filter(|one| !one.is_empty()) {
            let (number, key) = match one.split_once(':') {
                Some((number, key)) => (number.strip_prefix('v').and_then(|number| number.parse().ok()), key),
                None => (Some(1), one),
            };
            let bytes = Zeroizing::new(STANDARD.decode(key).map_err(|_| KeyError::NotAKey)?);
            let mut key = Zeroizing::new([0; MASTER_KEY_BYTES]);
            if bytes.len() != MASTER_KEY_BYTES {
                return Err(KeyError::NotAKey);
            }
            key.copy_from_slice(&bytes);
            let number: u32 = number.filter(|number| *number > 0).ok_or(KeyError::NotAKey)?;
            if keys.iter().any(|(known, _)| *known == number) {
                return Err(KeyError::NotAKey);
            }
            keys.push((number, key));
        }
        if keys.is_empty() { Err(KeyError::NotAKey) } else { Ok(Self { keys, from: "a secret".to_owned() }) }
    }

    /// The keys in a file, which must be there.
    ///
    /// # Errors
    /// [`KeyError::File`].
    pub fn from_file(file: &Path) -> Result<Self, KeyError> {
        let text = fs::read_to_string(file).map(Zeroizing::new).map_err(|error| at(file, &error))?;
        let local = Self::parse(&text).map_err(|error| at(file, &error))?;
        Ok(Self { from: file.display().to_string(), ..local })
    }

    /// The keys in a file. Where there is no such file one is made, with a random key, readable by its owner alone.
    ///
    /// # Errors
    /// [`KeyError::File`].
    pub fn from_file_or_new(file: &Path) -> Result<Self, KeyError> {
        if !file.exists() {
            let mut key = Zeroizing::new([0; MASTER_KEY_BYTES]);
            rand::fill(key.as_mut_slice());
            let text = Zeroizing::new(format!("{}\n", STANDARD.encode(key.as_slice())));
            if private_file::create(file, &text).map_err(|error| at(file, &error))? {
                tracing::warn!(file = %file.display(), "made a master key; keep it: without it no token opens");
            }
        }
        Self::from_file(file)
    }

    /// First step of a rotation: adds a new key to the end of a file, where it unwraps and does not wrap yet. Returns its
    /// version.
    ///
    /// # Errors
    /// [`KeyError::File`].
    pub fn add_to(file: &Path) -> Result<u32, KeyError> {
        let mut local = Self::from_file(file)?;
        let number = 1 + local.keys.iter().map(|(number, _)| *number).max().unwrap_or_default();
        let mut key = Zeroizing::new([0; MASTER_KEY_BYTES]);
        rand::fill(key.as_mut_slice());
        local.keys.push((number, key));
        local.write(file)?;
        Ok(number)
    }

    /// Second step: makes a key of the file the primary, which wraps from now on.
    ///
    /// # Errors
    /// [`KeyError::UnknownMaster`] where the file has no such version.
    pub fn promote_in(file: &Path, number: u32) -> Result<(), KeyError> {
        let mut local = Self::from_file(file)?;
        let place = local.keys.iter().position(|(known, _)| *known == number).ok_or(KeyError::UnknownMaster(number))?;
        let key = local.keys.remove(place);
        local.keys.insert(0, key);
        local.write(file)
    }

    /// Last step, once nothing is wrapped under it any more: takes a key out of the file. The primary stays.
    ///
    /// # Errors
    /// [`KeyError::UnknownMaster`] where the file has no such version besides the primary.
    pub fn retire_from(file: &Path, number: u32) -> Result<(), KeyError> {
        let mut local = Self::from_file(file)?;
        let place = local.keys.iter().skip(1).position(|(known, _)| *known == number);
        local.keys.remove(1 + place.ok_or(KeyError::UnknownMaster(number))?);
        local.write(file)
    }

    /// The versions there are, the primary first.
    #[must_use]
    pub fn versions(&self) -> Vec<u32> {
        self.keys.iter().map(|(number, _)| *number).collect()
    }

    fn write(&self, file: &Path) -> Result<(), KeyError> {
        let mut text = Zeroizing::new(String::new());
        for (number, key) in &self.keys {
            let mut encoded = STANDARD.encode(key.as_slice());
            text.push_str(&format!("v{number}:{encoded}\n"));
            encoded.zeroize();
        }
        private_file::replace(file, &text).map_err(|error| at(file, &error))
    }

    fn key(&self, number: u32) -> Result<&[u8], KeyError> {
        let known = self.keys.iter().find(|(known, _)| *known == number);
        known.map(|(_, key)| key.as_slice()).ok_or(KeyError::UnknownMaster(number))
    }
}

#[async_trait]
impl Master for Local {
    fn describe(&self) -> String {
        format!("versions {:?} from {}", self.versions(), self.from)
    }

    async fn wrap(&self, plain: &[u8]) -> Result<String, KeyError> {
        let (number, key) = self.keys.first().ok_or(KeyError::NotAKey)?;
        let message = sealed::seal([0; KEY_ID], key.as_slice(), PURPOSE, plain).map_err(|_| KeyError::Damaged)?;
        Ok(format!("{KIND}:v{number}:{}", STANDARD.encode(message)))
    }

    async fn unwrap(&self, wrapped: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let number = version(wrapped).ok_or(KeyError::Damaged)?;
        let text = wrapped.strip_prefix(&format!("{KIND}:v{number}:")).ok_or(KeyError::Damaged)?;
        let message = STANDARD.decode(text).map_err(|_| KeyError::Damaged)?;
        sealed::open([0; KEY_ID], self.key(number)?, PURPOSE, &message).map_err(|_| KeyError::Damaged)
    }

    async fn rewrap(&self, wrapped: &str) -> Result<String, KeyError> {
        self.wrap(&self.unwrap(wrapped).await?).await
    }

    async fn primary(&self) -> Result<u32, KeyError> {
        self.keys.first().map(|(number, _)| *number).ok_or(KeyError::NotAKey)
    }
}

fn at(file: &Path, why: &impl ToString) -> KeyError {
    KeyError::File { file: file.to_owned(), why: why.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_key_file_is_made_once_and_rotated_in_three_steps() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("new").join("master.key");
        assert!(Local::from_file(&file).is_err(), "a secret that is not there is not made");
        let first = Local::from_file_or_new(&file).unwrap();
        let wrapped = first.wrap(b"key").await.unwrap();
        assert_eq!(*Local::from_file_or_new(&file).unwrap().unwrap(&wrapped).await.unwrap(), b"key");

        assert_eq!(Local::add_to(&file).unwrap(), 2);
        let both = Local::from_file(&file).unwrap();
        assert_eq!((both.primary().await.unwrap(), both.versions()), (1, vec![1, 2]));
        Local::promote_in(&file, 2).unwrap();
        let promoted = Local::from_file(&file).unwrap();
        let rewrapped = promoted.rewrap(&wrapped).await.unwrap();
        assert_eq!((version(&wrapped), version(&rewrapped)), (Some(1), Some(2)));
        assert_eq!(*both.unwrap(&rewrapped).await.unwrap(), b"key", "a node that has not heard of it can read it");
        assert_eq!(first.unwrap(&rewrapped).await.unwrap_err(), KeyError::UnknownMaster(2));
        assert_eq!(Local::retire_from(&file, 2).unwrap_err(), KeyError::UnknownMaster(2), "the primary stays");
        Local::retire_from(&file, 1).unwrap();
        assert_eq!(Local::from_file(&file).unwrap().unwrap(&wrapped).await.unwrap_err(), KeyError::UnknownMaster(1));
    }

    #[tokio::test]
    async fn what_is_no_key_is_refused_and_not_repeated() {
        let good = STANDARD.encode([7; 32]);
        assert_eq!(Local::parse(&format!("v3:{good}, {good}")).unwrap().versions(), [3, 1]);
        for bad in ["", "c2hvcnQ=", "v0:", "!", &format!("{good}\n{good}"), &format!("x2:{good}")] {
            assert_eq!(Local::parse(bad).err(), Some(KeyError::NotAKey), "{bad}");
        }
        assert!(!format!("{:?}", Local::new([7; 32])).contains('7'));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("master.key");
        fs::write(&file, "short").unwrap();
        let error = Local::from_file_or_new(&file).unwrap_err().to_string();
        assert!(error.contains("master.key") && error.contains("32 bytes"), "{error}");
    }
}
