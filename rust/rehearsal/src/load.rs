//! What a registry saw, in all and by the second.

use serde::Serialize;

use crate::profile::US_PER_S;

/// What a registry saw.
#[derive(Debug, Default, Clone, Serialize)]
pub(crate) struct Load {
    pub(crate) requests: u64,
    pub(crate) answered: u64,
    pub(crate) throttled: u64,
    /// Requests met by an outage, of the registry or of one of its servers.
    pub(crate) away: u64,
    /// Requests that came while it was collapsing.
    pub(crate) collapsed: u64,
    /// Whatever was drawn that is no answer: errors, hangs, resets, lies, replies cut off, 503s.
    pub(crate) failed: u64,
    pub(crate) at_once: u64,
    pub(crate) at_once_peak: u64,
    pub(crate) sockets: u64,
    pub(crate) sockets_peak: u64,
    pub(crate) seconds: Vec<Second>,
}

/// One second of it.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Second {
    pub(crate) requests: u64,
    pub(crate) throttled: u64,
    pub(crate) at_once_peak: u64,
}

impl Load {
    /// Somebody connects.
    pub(crate) fn connect(&mut self) {
        self.sockets += 1;
        self.sockets_peak = self.sockets_peak.max(self.sockets);
    }

    /// A request comes. Seconds in which nobody came had as many at once as were still being served.
    pub(crate) fn come(&mut self, now_us: u64) {
        let second = (now_us as f64 / US_PER_S) as usize;
        while self.seconds.len() <= second {
            self.seconds.push(Second { at_once_peak: self.at_once, ..Second::default() });
        }
        self.requests += 1;
        self.at_once += 1;
        self.at_once_peak = self.at_once_peak.max(self.at_once);
        if let Some(second) = self.seconds.last_mut() {
            second.requests += 1;
            second.at_once_peak = second.at_once_peak.max(self.at_once);
        }
    }

    /// The request that came just now was one too many.
    pub(crate) fn throttle(&mut self) {
        self.throttled += 1;
        if let Some(second) = self.seconds.last_mut() {
            second.throttled += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_tell_what_came_and_the_most_at_once() {
        let mut load = Load::default();
        for now_us in [100_000, 200_000, 300_000] {
            load.come(now_us);
        }
        load.at_once -= 1;
        load.come(2_500_000);
        load.throttle();
        load.at_once -= 2;
        load.come(2_600_000);
        let second = |requests, throttled, at_once_peak| Second { requests, throttled, at_once_peak };
        assert_eq!(load.seconds, [second(3, 0, 3), second(0, 0, 2), second(2, 1, 3)]);
        assert_eq!((load.requests, load.throttled, load.at_once_peak), (5, 1, 3));
    }
}
