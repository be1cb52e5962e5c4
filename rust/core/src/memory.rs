//! Is a directory memory or a disk?

use nix::sys::statfs::{Statfs, fstatfs, statfs};
use std::fs::File;
use std::path::Path;

/// What the pages of a file are, once they are written to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileSystem {
    /// Memory: they count against the limit until the file is gone.
    Memory,
    /// A disk: the kernel writes them back and takes them when it needs memory.
    Disk,
}

/// File systems that write back to a disk, by their magic numbers (statfs(2), linux/magic.h). An overlay is here because
/// a container's own directories are overlays, of disks nearly always. One over memory (a live system, a Docker data root on tmpfs) is
/// taken for a disk, too: the upper layer's directory is not to be seen from inside, nor does the overlay tell what it lies on.
const DISKS: [u32; 10] = [
    0x0000_ef53, // ext2, ext3, ext4
    0x5846_5342, // xfs
    0x9123_683e, // btrfs
    0xf2f5_2010, // f2fs
    0x2fc1_2fc1, // zfs
    0xca45_1a4e, // bcachefs
    0x794c_7630, // overlayfs
    0x6573_5546, // fuse; fuse-overlayfs is what rootless containers have
    0x0000_4d44, // vfat
    0x5265_4973, // reiserfs
];

/// What lies under `path`, which must exist. tmpfs, ramfs and whatever is not known count as memory.
///
/// # Errors
/// What the kernel says of the path.
pub fn file_system(path: &Path) -> std::io::Result<FileSystem> {
    Ok(kind_of(&statfs(path)?))
}

/// What an open file lies on.
///
/// # Errors
/// What the kernel says of the file.
pub fn file_system_of(file: &File) -> std::io::Result<FileSystem> {
    Ok(kind_of(&fstatfs(file)?))
}

fn kind_of(status: &Statfs) -> FileSystem {
    let magic = status.filesystem_type().0.to_le_bytes();
    let is_disk = DISKS.into_iter().any(|disk| magic.starts_with(&disk.to_le_bytes()));
    if is_disk { FileSystem::Disk } else { FileSystem::Memory }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_disks_are_told_apart() {
        assert_eq!(file_system(Path::new("/proc")).unwrap(), FileSystem::Memory, "not known");
        if Path::new("/dev/shm").is_dir() {
            assert_eq!(file_system(Path::new("/dev/shm")).unwrap(), FileSystem::Memory);
        }
        file_system(Path::new("/no such directory")).unwrap_err();
    }
}
