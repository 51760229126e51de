//! Test vectors of the token: known keys and salts, so that whoever implements it elsewhere can compare byte for byte.

use auren_agents::{BiometricType, EventId, UserId};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;

use super::{
    Binding, Measured, TOKEN_PREFIX,
    sealed::{self, KEY_ID, SALT},
};

/// One token with all that is needed to open it.
#[derive(Debug, Clone, Serialize)]
pub struct Vector {
    /// What it shows.
    pub name: &'static str,
    /// The data key, in hexadecimal digits.
    pub data_key: String,
    /// The keyring's id and the data key's reference, in hexadecimal digits.
    pub key_id: String,
    /// As bound.
    pub tenant: &'static str,
    /// As bound.
    pub user_id: &'static str,
    /// As bound.
    pub event_id: &'static str,
    /// As bound.
    pub event_type: String,
    /// As bound.
    pub field: &'static str,
    /// As bound.
    pub schema_version: &'static str,
    /// The token.
    pub token: String,
    /// What it holds; none where it must not open.
    pub opens: Option<Opened>,
}

/// What a vector holds.
#[derive(Debug, Clone, Serialize)]
pub struct Opened {
    /// The value: invented, like everything here.
    pub value: f64,
    /// Its statistic.
    pub measure: &'static str,
    /// Its unit.
    pub unit: &'static str,
}

/// The published vectors: some that open, and each way in which a token does not.
#[must_use]
pub fn vectors() -> Vec<Vector> {
    let mut vectors = vec![
        vector("a heart-rate variability", 1, "u-1", "e-1", BiometricType::HrvMeasurement, (41.875, "rmssd", "ms")),
        vector("letters beyond ASCII", 2, "ü-2", "é-2", BiometricType::GlucoseReading, (5.5, "glucose", "mmol/l")),
        vector("a negative value without a unit", 3, "u-3", "e-3", BiometricType::MoodTracking, (-1.5, "mood", "")),
    ];
    let good = vectors[0].clone();
    let fails = |name, change: &dyn Fn(&mut Vector)| {
        let mut vector = Vector { name, opens: None, ..good.clone() };
        change(&mut vector);
        vector
    };
    let flip = |at: usize| {
        move |vector: &mut Vector| {
            let text = vector.token.strip_prefix(TOKEN_PREFIX).unwrap_or_default();
            let mut message = URL_SAFE_NO_PAD.decode(text).unwrap_or_default();
            message[at] ^= 1;
            vector.token = format!("{TOKEN_PREFIX}{}", URL_SAFE_NO_PAD.encode(message));
        }
    };
    vectors.extend([
        fails("another tenant", &|vector| vector.tenant = "another"),
        fails("another user", &|vector| vector.user_id = "u-2"),
        fails("another event", &|vector| vector.event_id = "e-2"),
        fails("another type", &|vector| "sleep_analysis".clone_into(&mut vector.event_type)),
        fails("another field", &|vector| vector.field = "other"),
        fails("another schema version", &|vector| vector.schema_version = "2"),
        fails("another data key", &|vector| vector.data_key = hex(&[9; 32])),
        fails("a suite that nobody knows", &flip(0)),
        fails("another keyring", &flip(1)),
        fails("another reference", &flip(12)),
        fails("another salt", &flip(13)),
        fails("another commitment", &flip(29)),
        fails("another ciphertext", &flip(61)),
        fails("another tag", &flip(150)),
    ]);
    vectors
}

fn vector(
    name: &'static str,
    number: u8,
    user_id: &'static str,
    event_id: &'static str,
    event_type: BiometricType,
    (value, measure, unit): (f64, &'static str, &'static str),
) -> Vector {
    let (tenant, field) = ("vectors", "value");
    let data_key: [u8; 32] =
        std::array::from_fn(|at| number.wrapping_mul(17).wrapping_add(u8::try_from(at).unwrap_or(0)));
    let key_id = [number; KEY_ID];
    let user = UserId::new(user_id).expect("the vectors' ids are ids");
    let event = EventId::new(event_id).expect("the vectors' ids are ids");
    let binding = Binding { event: &event, event_type: &event_type, field };
    let measured = Measured { value, measure: measure.to_owned(), unit: unit.to_owned() };
    let plain = measured.to_bytes().expect("the vectors' names are short");
    let aad = binding.associated_data(tenant, user.as_str());
    let message = sealed::seal_with(key_id, &data_key, [number ^ 0xa5; SALT], &aad, &plain);
    let token = format!("{TOKEN_PREFIX}{}", URL_SAFE_NO_PAD.encode(message.expect("the vectors are short")));
    Vector {
        name,
        data_key: hex(&data_key),
        key_id: hex(&key_id),
        tenant,
        user_id,
        event_id,
        event_type: event_type.as_str().to_owned(),
        field,
        schema_version: "1",
        token,
        opens: Some(Opened { value, measure, unit }),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    /// The published file is what `auren phi vectors` prints: a change of the format shows here.
    #[test]
    fn the_published_vectors_are_these() {
        let published: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/data/phi1-vectors.json")).unwrap();
        assert_eq!(serde_json::to_value(super::vectors()).unwrap(), published);
    }
}
