//! The rules of backendify, from a question to an answer: the modules in the order in which a request meets them.
//!
//! Nothing here reads a clock, the environment or a socket, and nothing knows Python: what is needed is passed in.
#![deny(unsafe_code)]
#![cfg_attr(feature = "shuttle", expect(dead_code, reason = "files are left out where steps are ordered"))]

pub mod request; // what is asked for, or why it is refused
pub mod query; // which company is asked for
pub mod country; // which registry knows it
pub mod key; // where its record would lie
pub mod region; // the memory where records lie
pub mod memory; // is a directory memory or a disk
pub mod record; // what is remembered of a registry's answer
pub mod freshness; // may it still be told, and is the company active now
pub mod miss; // who asks a registry, when, how often, and who waits for it
pub mod outcome; // a miss: what became of it
pub mod registry; // what a registry says -> a company
pub mod date; // its dates
pub mod answer; // status, fields and body
