//! The sealed boundary: measured values as tokens, and the keys that open them. Nothing outside this folder names aes-gcm.
//!
//! A [`Measured`] value exists in the clear only between a device and [`Keys::seal`], and inside enrich after
//! [`Keys::open`]. It has no `Debug`, no `Display` and no `Serialize`, and is wiped when dropped. The token's format is
//! in SECURITY.md, byte by byte.

mod binding;
mod keys;
mod sealed;
mod value;

pub use binding::Binding;
pub use keys::{KeyError, Keys, MASTER_KEY_BYTES};
pub use sealed::{PhiError, TOKEN_PREFIX};
pub use value::Measured;
