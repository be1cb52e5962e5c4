//! A rehearsal: fake registries with given behaviour, customers who do not wait for one another, and a score.
//!
//! It all runs on one thread. What a registry does is a pure function of (seed, country, company, nth try), so that the
//! registries, the customers and the ideal cache agree without a table.
#![deny(unsafe_code)]
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts and microseconds become shares and back; a profile's bounds keep them far below 2^53"
)]

mod profile; // what is to happen
mod draws; // chance that comes out the same each time
mod truth; // what is so about a company
mod behaviour; // how a registry meets one request
mod outages; // when it is away
mod load; // what a registry saw
mod clock; // since when
mod met; // what a request meets
mod registry; // a registry, with sockets
mod arrivals; // who asks for what, and when
mod connection; // one request and its reply
mod customer; // the customers, with sockets
mod ideal; // what no cache could better
mod latencies; // how long things took
mod failures; // tries that came to nothing
mod score; // what came of it
mod report; // the same, in numbers to read
mod progress; // how it goes
mod run; // all of it together
mod reply; // what is made of a reply in virtual time
mod simulation; // the same in virtual time
mod random; // sets of registries drawn at random
mod compare; // the rules beside one plain try

pub use compare::{Row, Side, compare};
pub use profile::{BadProfile, Profile};
pub use random::{Kind, drawn};
pub use report::Report;
pub use run::{Failure, Watcher, run};
pub use simulation::simulate;
