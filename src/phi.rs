//! The sealed boundary: measured values as tokens, and the keys that open them. Nothing outside this folder names aes-gcm.
//!
//! A [`Measured`] value exists in the clear only between a device and [`UserKey::seal`], and after [`UserKey::open`] inside
//! enrich and [`detokenise`]. It has no `Debug`, no `Display` and no `Serialize`, and is wiped when dropped. The token's format is
//! in SECURITY.md, byte by byte.
//!
//! Every person has a data key of their own ([`Keys`]), which is kept wrapped by a master key ([`master`]) in a keyring
//! ([`store`]). Destroying the data key is what makes a person's tokens worthless. Who did what is in [`audit`].

mod binding;
mod cache;
mod error;
mod keys;
mod sealed;
mod user_key;
mod value;
mod vectors;
mod yardstick;

pub mod audit;
pub mod detokenise;
pub mod master;
pub mod store;

pub use binding::Binding;
pub use error::{KeyError, PhiError};
pub use keys::{Destroyed, Keys, Rewrapped};
pub use sealed::TOKEN_PREFIX;
pub use user_key::UserKey;
pub use value::Measured;
pub use vectors::{Opened, Vector, vectors};
pub use yardstick::Yardstick;
