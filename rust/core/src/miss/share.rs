//! Share: no registry may take the tries that the others need.
//!
//! Dynamic thresholds (Choudhury and Hahne, IEEE/ACM Transactions on Networking 1998): one may have twice as many as are
//! still free. So a registry alone gets two thirds of all, two get two fifths each, and there is always something left for the
//! next; but at least sixteen, as long as there are any.

/// So many a registry may always have, unless all are taken.
const SHARE_MIN: usize = 16;

/// Times what is free. With once, the other registries of the profile `fire` had too few of 464 tries at once (what an earlier
/// memory plan had for 128 MB): 98.2 % of the ideal cache's answers, and 98.3 % with twice; four times is no better, and leaves a ninth.
const FREE_FACTOR: usize = 2;

/// May a registry that has `own` of all `running` tries begin another?
pub(super) fn has_room(own: usize, running: usize, most: usize) -> bool {
    running < most && own < (FREE_FACTOR * (most - running)).max(SHARE_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(registries: usize, most: usize) -> Vec<usize> {
        let mut running = vec![0; registries];
        for _ in 0..most {
            for number in 0..registries {
                if has_room(running[number], running.iter().sum(), most) {
                    running[number] += 1;
                }
            }
        }
        running
    }

    #[test]
    fn who_is_alone_gets_two_thirds_and_each_gets_something() {
        for (registries, most, expected) in [
            (1, 400, vec![267]),
            (2, 300, vec![120, 120]),
            (3, 420, vec![120, 120, 120]),
            (1, 20, vec![16]),
            (2, 20, vec![10, 10]),
        ] {
            let found = filled(registries, most);
            assert!(found.iter().zip(&expected).all(|(one, other)| one.abs_diff(*other) <= 1), "{found:?}");
        }
    }

    #[test]
    fn a_newcomer_finds_room_beside_one_that_took_all_it_could() {
        assert!(!has_room(268, 268, 400));
        assert!(has_room(0, 268, 400));
        assert!(!has_room(0, 400, 400));
    }
}
