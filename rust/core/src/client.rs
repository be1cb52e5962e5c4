//! Per-client limits: who asks too often for what is not known yet is asked to come later. Only misses cost.
//!
//! One instant a client is all that is kept: the generic cell rate algorithm (ITU-T I.371), a token bucket without tokens. The
//! table has a fixed size; a client whose instant has passed needs no place in it, so what is forgotten first is worth nothing.

mod identity; // who a client is

pub use identity::{Client, Proxies};

use crate::miss::{Moment, S};
use siphasher::sip::SipHasher13;

/// Clients that are told apart at once.
pub const CLIENTS_MAX: usize = SETS * WAYS;
const SETS: usize = 4096;
const WAYS: usize = 4;
/// So many seconds' worth may be used up at once.
pub const BURST_S: u64 = 10;

/// One client: the hash of who it is, and when all that it has used up would be earned again.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    hash: u64,
    even_at: Moment,
}

/// All clients, in 256 KiB.
#[derive(Debug)]
pub struct Clients {
    places: Box<[[Place; WAYS]]>,
    /// Microseconds that one miss takes to earn.
    cost_us: u64,
    seed: u64,
}

impl Clients {
    /// `per_s` misses a second each, at least one. `seed` must be unpredictable: it keeps clients from aiming at one another's place.
    #[must_use]
    pub fn new(per_s: u32, seed: u64) -> Self {
        let places = vec![[Place::default(); WAYS]; SETS].into();
        Self { places, cost_us: S / u64::from(per_s.max(1)), seed }
    }

    /// Lets a client ask for one more thing that is not known.
    ///
    /// # Errors
    /// The microseconds after which it may.
    pub fn admit(&mut self, client: &Client<'_>, now: Moment) -> Result<(), u64> {
        let hash = client.hash(SipHasher13::new_with_keys(self.seed, !self.seed));
        let set = usize::try_from(hash % SETS as u64).unwrap_or_default();
        let Some(places) = self.places.get_mut(set) else { return Ok(()) };
        // A client who is even is as good as unknown: of all places the one that is even first is given up first.
        let known = places.iter().position(|place| place.hash == hash);
        let oldest = || places.iter().enumerate().min_by_key(|(_, place)| place.even_at).map(|(way, _)| way);
        let Some(place) = known.or_else(oldest).and_then(|way| places.get_mut(way)) else { return Ok(()) };
        let even_at = if place.hash == hash { place.even_at.max(now) } else { now };
        let burst_us = (BURST_S * S).max(self.cost_us);
        match (even_at + self.cost_us).since(now).checked_sub(burst_us) {
            None | Some(0) => {
                *place = Place { hash, even_at: even_at + self.cost_us };
                Ok(())
            }
            Some(too_early_us) => Err(too_early_us),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Client<'static> = Client::Named(b"one");

    fn admitted(clients: &mut Clients, client: &Client<'_>, now: Moment) -> usize {
        (0..10_000).take_while(|_| clients.admit(client, now).is_ok()).count()
    }

    #[test]
    fn a_client_has_its_burst_and_then_its_rate() {
        for per_s in [1, 7, 1000] {
            let mut clients = Clients::new(per_s, 1);
            let many = usize::try_from(per_s).unwrap();
            let start = Moment(50 * S);
            let burst = admitted(&mut clients, &ONE, start).min(10_000);
            assert!(burst.abs_diff((10 * many).min(10_000)) <= 1, "{per_s}: {burst}");
            if many < 1000 {
                assert!(admitted(&mut clients, &ONE, start + S).abs_diff(many) <= 1, "{per_s}");
                assert_eq!(admitted(&mut clients, &ONE, start + S), 0, "{per_s}");
                assert!(
                    admitted(&mut clients, &ONE, start + 100 * S).abs_diff(10 * many) <= 1,
                    "no more is saved"
                );
            }
        }
    }

    #[test]
    fn who_is_told_to_wait_may_ask_after_it() {
        let mut clients = Clients::new(3, 1);
        let start = Moment(S);
        admitted(&mut clients, &ONE, start);
        let wait_us = clients.admit(&ONE, start).unwrap_err();
        assert_eq!(clients.admit(&ONE, start + (wait_us - 1)), Err(1));
        assert_eq!(clients.admit(&ONE, start + wait_us), Ok(()));
    }

    #[test]
    fn clients_are_told_apart() {
        let mut clients = Clients::new(1, 1);
        assert_eq!(admitted(&mut clients, &ONE, Moment(S)), 10);
        assert_eq!(admitted(&mut clients, &Client::Named(b"two"), Moment(S)), 10);
    }

    #[test]
    fn a_full_table_forgets_who_is_even_first() {
        let mut clients = Clients::new(1, 1);
        let start = Moment(100 * S);
        assert_eq!(admitted(&mut clients, &ONE, start), 10);
        for number in 0..4 * CLIENTS_MAX {
            assert_eq!(
                clients.admit(&Client::Named(&number.to_le_bytes()), start),
                Ok(()),
                "never refused for want of room"
            );
        }
        assert!(clients.admit(&ONE, start).is_err(), "who has used up most is forgotten last");
        assert_eq!(clients.places.len() * WAYS, CLIENTS_MAX);
    }
}
