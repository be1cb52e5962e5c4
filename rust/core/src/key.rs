//! Where a question's record would lie.

/// What the region is asked for: one registry's company number, byte for byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Key<'a> {
    /// Which registry, by its place in the configuration.
    pub registry: u8,
    /// The id, decoded from the query, compared byte for byte.
    pub id: &'a [u8],
}
