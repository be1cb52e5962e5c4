//! Where a question's record would lie.

use siphasher::sip::SipHasher13;

/// What the region is asked for: one registry's company number, byte for byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Key<'a> {
    /// Which registry, by its place in the configuration.
    pub registry: u8,
    /// The id, decoded from the query, compared byte for byte.
    pub id: &'a [u8],
}

/// The two buckets in which a record may lie, and what it is known by there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Places {
    /// The bucket that is searched first.
    pub(crate) first: u32,
    /// The other; never the same.
    pub(crate) second: u32,
    /// By which a bucket is searched: 1 to 255.
    pub(crate) fingerprint: u8,
    /// By which a bucket remembers what it evicted: 24 bits that neither the first bucket nor the fingerprint tells.
    pub(crate) trace: u32,
}

impl Places {
    /// Where `id` of the registry with this salt lies among `buckets` (two or more) of the file with this seed.
    ///
    /// `SipHash` 1-3 (Aumasson and Bernstein, 2012), keyed, so that nobody can aim ids at one bucket.
    #[inline]
    pub(crate) fn of(salt: u64, id: &[u8], seed: [u64; 2], buckets: u32) -> Self {
        let [seed, other] = seed;
        let hash = SipHasher13::new_with_keys(seed ^ salt, other).hash(id);
        let [fingerprint, t2, t1, t0, ..] = hash.to_be_bytes();
        let first = share(hash, buckets);
        // A second multiplication, because a bucket is named by fewer bits than are left beside the fingerprint.
        let second = share(hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32, buckets);
        let second = if second != first {
            second
        } else if first + 1 == buckets {
            0
        } else {
            first + 1
        };
        Self { first, second, fingerprint: fingerprint.max(1), trace: u32::from_be_bytes([0, t2, t1, t0]) }
    }
}

/// The low half of `hash` as a number under `buckets` (Lemire 2019: a multiplication instead of a division).
const fn share(hash: u64, buckets: u32) -> u32 {
    (((hash & 0xffff_ffff) * buckets as u64) >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_a_file_never_changes() {
        let places = Places::of(3, b"000001C", [1, 2], 10_000);
        assert_eq!(places, Places { first: 517, second: 1423, fingerprint: 134, trace: 10_953_495 });
    }

    #[test]
    fn two_buckets_are_never_one() {
        for buckets in [2, 3, 7, 1000] {
            for id in 0..2000_u32 {
                let places = Places::of(1, &id.to_le_bytes(), [5, 6], buckets);
                assert!(places.first < buckets && places.second < buckets && places.first != places.second);
                assert_ne!(places.fingerprint, 0);
            }
        }
    }

    #[test]
    fn places_are_spread_evenly() {
        let mut first = [0_u32; 64];
        let mut second = [0_u32; 64];
        for id in 0..64_000_u32 {
            let places = Places::of(1, &id.to_le_bytes(), [5, 6], 64);
            first[places.first as usize] += 1;
            second[places.second as usize] += 1;
        }
        // A thousand expected, standard deviation 31: six of them on either side.
        assert!(first.iter().chain(&second).all(|count| (810..1190).contains(count)), "{first:?} {second:?}");
    }
}
