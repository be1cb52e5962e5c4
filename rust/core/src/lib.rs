//! The rules of backendify, from a question to an answer: the modules in the order in which a request meets them.
//!
//! Nothing here reads a clock, the environment or a socket, and nothing knows Python: what is needed is passed in.

pub mod query; // which company is asked for
pub mod key; // where its record would lie
pub mod record; // what is remembered of a registry's answer
pub mod registry; // a registry's reply to a company
pub mod date; // its dates, from text and back
