//! stub
use crate::{date::Timestamp, freshness::Lifetimes, key::Key, record::Record};
use std::{collections::HashMap, sync::Mutex};
pub struct BootTime(pub u32);
pub struct Region(Mutex<HashMap<(u8, Vec<u8>), (Option<(String, Option<Timestamp>)>, u32, bool)>>);
#[derive(Default)]
pub struct Page(String);
pub struct Found<'a> {
    pub record: Record<'a>,
    pub age_ds: u32,
    pub visited_before: bool,
}
#[derive(PartialEq, Eq)]
pub enum Kept {
    Stored,
}
pub struct Swept {
    pub cleared: u32,
}
impl Region {
    pub fn on_heap(_b: usize, _l: Lifetimes, _s: [u64; 2]) -> Result<Self, std::fmt::Error> {
        Ok(Self(Mutex::default()))
    }
    pub fn get<'b>(&self, k: Key<'_>, now: BootTime, page: &'b mut Page) -> Option<Found<'b>> {
        let mut m = self.0.lock().ok()?;
        let e = m.get_mut(&(k.registry, k.id.to_vec()))?;
        let age_ds = now.0 - e.1;
        let visited_before = e.2;
        e.2 = true;
        Some(match e.0.clone() {
            None => Found { record: Record::NotFound, age_ds, visited_before },
            Some((n, active_until)) => {
                page.0 = n;
                Found { record: Record::Company { name: &page.0, active_until }, age_ds, visited_before }
            }
        })
    }
    pub fn put(&self, k: Key<'_>, r: &Record<'_>, now: BootTime) -> Kept {
        let v = match r {
            Record::Company { name, active_until } => Some(((*name).to_owned(), *active_until)),
            Record::NotFound => None,
        };
        if let Ok(mut m) = self.0.lock() {
            m.insert((k.registry, k.id.to_vec()), (v, now.0, false));
        }
        Kept::Stored
    }
    pub fn sweep(&self, _b: u32, _n: BootTime) -> Swept {
        Swept { cleared: 0 }
    }
    pub fn buckets(&self) -> u32 {
        64
    }
}
