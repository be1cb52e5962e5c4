//! Why there is no region: one sentence each, for the one line that a user sees.

use super::identity::Rebuild;
use std::path::PathBuf;

/// Why there is no region.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RegionError {
    /// Less than the header and two buckets.
    #[error("The cache needs at least {needed} bytes, and was given {given}.")]
    TooSmall {
        /// Bytes that were offered.
        given: usize,
        /// Bytes without which nothing can be kept.
        needed: usize,
    },
    /// More than the file or this process could hold.
    #[error("A cache of {given} bytes is more than can be mapped.")]
    TooLarge {
        /// Bytes that were offered.
        given: usize,
    },
    /// The directory is not there.
    #[error("The directory of the cache file {} does not exist.", .path.display())]
    DirectoryMissing {
        /// The file.
        path: PathBuf,
    },
    /// No permission, or a read-only file system.
    #[error("The cache file {} cannot be written.", .path.display())]
    NotWritable {
        /// The file.
        path: PathBuf,
    },
    /// The path is a symbolic link, which in a shared directory may lead anywhere.
    #[error("The cache file {} is a symbolic link, which is not followed.", .path.display())]
    SymbolicLink {
        /// The link.
        path: PathBuf,
    },
    /// A directory, a device, a pipe, or a file with a second name.
    #[error("The cache file {} is no ordinary file of its own.", .path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// Another user made it.
    #[error("The cache file {} belongs to user {uid}.", .path.display())]
    ForeignOwner {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        uid: u32,
    },
    /// Others may read or write it.
    #[error("The cache file {} is open to other users (mode {mode:03o}, 600 is expected).", .path.display())]
    OpenToOthers {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// Its bytes could not be reserved.
    #[error("There is no room for a cache file of {bytes} bytes at {}.", .path.display())]
    DiskFull {
        /// The file.
        path: PathBuf,
        /// Bytes that were asked for.
        bytes: usize,
    },
    /// A service that runs with other settings has it.
    #[error("The cache file {} is in use by a service with another configuration: {because}.", .path.display())]
    InUse {
        /// The file.
        path: PathBuf,
        /// What differs.
        because: Difference,
    },
    /// Somebody has been making it for longer than that takes.
    #[error("The cache file {} has been locked by another process for too long.", .path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// Every worker's place is taken.
    #[error("The cache file {} already has as many workers as it can have.", .path.display())]
    TooManyWorkers {
        /// The file.
        path: PathBuf,
    },
    /// What the system says, where nothing better is known.
    #[error("The cache file {} cannot be used: {error}.", .path.display())]
    System {
        /// The file.
        path: PathBuf,
        /// The system's own words.
        error: nix::Error,
    },
}

/// In what a service that has the file differs from one that wants it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Difference {
    /// The cache's size.
    #[error("the size of the cache differs")]
    Size,
    /// How long records are kept.
    #[error("the lifetimes differ")]
    Lifetimes,
    /// The countries, or where their registries are.
    #[error("the registries differ")]
    Registries,
    /// What the file says of itself.
    #[error("it cannot be read: {0}")]
    Unreadable(Rebuild),
}
