//! Which partition a key belongs to: murmur2, as every Java producer computes it.

/// The partition of a key among `count`, as Kafka's Java clients and `murmur2_random` choose it.
#[must_use]
pub fn key_partition(key: &[u8], count: i32) -> i32 {
    // The sign bit is cleared first, so the value fits.
    let positive = i32::try_from(murmur2(key) & 0x7fff_ffff).unwrap_or(0);
    positive % count.max(1)
}

/// Austin Appleby's 32-bit MurmurHash2 with Kafka's seed.
#[must_use]
pub fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
    let mut h: u32 = 0x9747_b28c ^ length;
    let mut words = data.chunks_exact(4);
    for word in &mut words {
        let mut k = u32::from_le_bytes([word[0], word[1], word[2], word[3]]).wrapping_mul(M);
        k = (k ^ (k >> 24)).wrapping_mul(M);
        h = h.wrapping_mul(M) ^ k;
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        for (i, byte) in rest.iter().enumerate() {
            h ^= u32::from(*byte) << (8 * i);
        }
        h = h.wrapping_mul(M);
    }
    h = (h ^ (h >> 13)).wrapping_mul(M);
    h ^ (h >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values of Kafka's own `UtilsTest.testMurmur2`, as unsigned numbers.
    #[test]
    fn murmur2_gives_the_values_of_kafkas_own_test() {
        for (text, signed) in [
            ("21", -973_932_308_i32),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(text.as_bytes()), signed.cast_unsigned(), "{text}");
        }
    }

    #[test]
    fn a_partition_is_never_negative() {
        for i in 0..10_000_u32 {
            let partition = key_partition(&i.to_le_bytes(), 12);
            assert!((0..12).contains(&partition));
        }
    }
}
