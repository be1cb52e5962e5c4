//! No room for the region's file. In a program of its own, because it starts others: a fork shares locks until it is another program.
#![expect(clippy::print_stderr, reason = "it says what it skips")]

use backendify_core::freshness::Lifetimes;
use backendify_core::key::Key;
use backendify_core::memory::{FileSystem, file_system};
use backendify_core::record::Record;
use backendify_core::region::{BootTime, Kept, OpenOptions, Region, Registry};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file system of a megabyte, gone with this value.
struct Tiny(PathBuf);

impl Tiny {
    /// None where nobody lets us mount one.
    fn mount(name: &str) -> Option<Self> {
        let tiny = Self(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name));
        fs::create_dir_all(&tiny.0).ok()?;
        let arguments = ["-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs"];
        let mounted = Command::new("mount").args(arguments).arg(&tiny.0).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(tiny)
    }
}

impl Drop for Tiny {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_is_an_error_at_the_start_and_never_later() {
    let Some(tiny) = Tiny::mount("full_disk") else {
        eprintln!("SKIPPED: no tmpfs could be mounted here, which only root may do");
        return;
    };
    assert_eq!(file_system(&tiny.0).unwrap(), FileSystem::Memory);
    let path = tiny.0.join("region");
    let registries = [Registry::new(*b"ru", "http://localhost:9001")];
    let lifetimes = Lifetimes { ttl_ds: 864_000, negative_ttl_ds: 36_000, stale_ds: 0 };
    let large =
        OpenOptions { bytes: 2 << 20, lifetimes, registries: &registries, boot_id: [7; 16], seed: [11, 12] };
    let refused = Region::open(&path, &large).unwrap_err();
    let sentence = format!("There is no room for a cache file of 2097152 bytes at {}.", path.display());
    assert_eq!(refused.to_string(), sentence);
    assert_eq!(fs::metadata(&path).unwrap().len(), 0, "nothing stays reserved");

    // What fits is reserved in full: the file system may fill up afterwards, and every page can still be written.
    let fitting = OpenOptions { bytes: 512 << 10, ..large };
    let (region, _) = Region::open(&path, &fitting).unwrap();
    fs::write(tiny.0.join("filler"), vec![1; 2 << 20]).unwrap_err();
    let name = "a company whose name is of an ordinary length";
    for id in 0..20_000_u32 {
        let key = Key { registry: 0, id: &id.to_le_bytes() };
        let kept = region.put(key, &Record::Company { name, active_until: None }, BootTime(5000));
        assert_eq!(kept, Kept::Stored);
    }
    let stats = region.stats();
    assert!(stats.evictions > 1000 && stats.records > 5000, "{stats:?}");
    drop(region);
    assert_eq!(Region::open(&path, &large).unwrap_err().to_string(), sentence, "and growing is refused too");
}
