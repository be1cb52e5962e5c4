//! The file at a path: whether it is ours alone, and still the one that stands there.

use super::error::RegionError;
use super::file::Wish;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{FileStat, Mode as Permissions, SFlag, fstat, lstat};
use std::fs::File;

impl Wish<'_> {
    /// Opens the file or makes an empty one; refuses what is not ours alone.
    pub(super) fn claim(&self) -> Result<File, RegionError> {
        let path = || self.path.into();
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        let file =
            open(self.path, flags, Permissions::S_IRUSR | Permissions::S_IWUSR).map_err(
                |error| match error {
                    Errno::ELOOP => RegionError::SymbolicLink { path: path() },
                    Errno::ENOENT | Errno::ENOTDIR => RegionError::DirectoryMissing { path: path() },
                    Errno::EACCES | Errno::EPERM | Errno::EROFS => self.refused(error),
                    Errno::EISDIR | Errno::ENXIO => RegionError::NotAFile { path: path() },
                    Errno::ENOSPC | Errno::EDQUOT => {
                        RegionError::DiskFull { path: path(), bytes: self.words * 8 }
                    }
                    error => self.system(error),
                },
            )?;
        let file = File::from(file);
        let status = fstat(&file).map_err(|error| self.system(error))?;
        self.check(&status)?;
        Ok(file)
    }

    /// A file that cannot be opened is somebody else's, or nobody may write here.
    fn refused(&self, _: Errno) -> RegionError {
        let path = self.path.into();
        match lstat(self.path) {
            Ok(status) if status.st_uid != nix::unistd::geteuid().as_raw() => {
                RegionError::ForeignOwner { path, uid: status.st_uid }
            }
            _ => RegionError::NotWritable { path },
        }
    }

    fn check(&self, status: &FileStat) -> Result<(), RegionError> {
        let path = || self.path.into();
        let kind = SFlag::from_bits_truncate(status.st_mode) & SFlag::S_IFMT;
        if kind != SFlag::S_IFREG || status.st_nlink > 1 {
            return Err(RegionError::NotAFile { path: path() });
        }
        if status.st_uid != nix::unistd::geteuid().as_raw() {
            return Err(RegionError::ForeignOwner { path: path(), uid: status.st_uid });
        }
        if status.st_mode & 0o077 != 0 {
            return Err(RegionError::OpenToOthers { path: path(), mode: status.st_mode & 0o777 });
        }
        Ok(())
    }

    /// Is the file that was locked still the one at the path?
    pub(super) fn is_still(&self, file: &File) -> Result<bool, RegionError> {
        let ours = fstat(file).map_err(|error| self.system(error))?;
        Ok(lstat(self.path).is_ok_and(|there| (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)))
    }
}
