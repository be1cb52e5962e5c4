//! The cache, and what happens when it does not know.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use moka::future::Cache;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::CONTENT_TYPE;
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};
use tokio::time::timeout;

use crate::company::Company;
use crate::failure::Failure;

/// An answer is told for so long.
pub(crate) const LIFE: Duration = Duration::from_secs(24 * 3600);
const LIFE_OF_404: Duration = Duration::from_secs(3600);
const COMPANIES_MAX: u64 = 1_000_000;
/// A customer waits so long at most; the fetch goes on.
const DEADLINE: Duration = Duration::from_millis(900);
const FETCH: Duration = Duration::from_secs(10);
const CONNECT: Duration = Duration::from_millis(300);
const BODY_BYTES_MAX: usize = 65_536;
/// All but RFC 3986's unreserved characters.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// One company of one country.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) country: String,
    pub(crate) id: String,
}

/// A company and since when it is known.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) company: Company,
    pub(crate) kept_at: Instant,
}

/// What is told, and whether the cache knew it.
pub(crate) struct Found {
    pub(crate) known: Arc<Known>,
    pub(crate) hit: bool,
}

pub(crate) struct Service {
    registries: Arc<HashMap<String, String>>,
    client: Client,
    known: Cache<Key, Arc<Known>>,
    /// What the registries do not know.
    unknown: Cache<Key, ()>,
}

impl Service {
    pub(crate) fn new(registries: HashMap<String, String>) -> reqwest::Result<Self> {
        Ok(Self {
            registries: Arc::new(registries),
            client: Client::builder()
                .connect_timeout(CONNECT)
                .timeout(FETCH)
                .redirect(Policy::none())
                .no_proxy()
                .build()?,
            known: Cache::builder().max_capacity(COMPANIES_MAX).time_to_live(LIFE).build(),
            unknown: Cache::builder().max_capacity(COMPANIES_MAX).time_to_live(LIFE_OF_404).build(),
        })
    }

    /// Looks a company up, or asks its registry.
    pub(crate) async fn find(&self, key: &Key) -> Result<Found, Failure> {
        if let Some(known) = self.known.get(key).await {
            return Ok(Found { known, hit: true });
        }
        if self.unknown.contains_key(key) {
            return Err(Failure::Unknown);
        }
        let base = self.registries.get(&key.country).ok_or(Failure::NoRegistry)?;
        let url = format!("{base}/companies/{}", utf8_percent_encode(&key.id, ENCODED));
        // A task of its own: the fetch outlives the customer who began it.
        let fetch = tokio::spawn(fetch_once(
            self.known.clone(),
            self.unknown.clone(),
            key.clone(),
            ask(self.client.clone(), url),
        ));
        let Ok(Ok(fetched)) = timeout(DEADLINE, fetch).await else { return Err(Failure::TimedOut) };
        fetched.map(|known| Found { known, hit: false })
    }
}

/// Joins the fetch of this company, or is it.
async fn fetch_once(
    known: Cache<Key, Arc<Known>>,
    unknown: Cache<Key, ()>,
    key: Key,
    asking: impl Future<Output = Result<Company, Failure>>,
) -> Result<Arc<Known>, Failure> {
    let keeping = async { Ok(Arc::new(Known { company: asking.await?, kept_at: Instant::now() })) };
    let fetched = known.try_get_with(key.clone(), keeping).await.map_err(|failure: Arc<Failure>| *failure);
    if matches!(fetched, Err(Failure::Unknown)) {
        unknown.insert(key, ()).await;
    }
    fetched
}

/// Asks a registry once.
async fn ask(client: Client, url: String) -> Result<Company, Failure> {
    let reply = client.get(url).send().await.map_err(|_| Failure::TimedOut)?;
    match reply.status() {
        StatusCode::OK => {
            let kind = reply.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
            let kind = kind.unwrap_or_default().to_owned();
            Company::read(&kind, &read(reply).await?)
        }
        StatusCode::NOT_FOUND => Err(Failure::Unknown),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Err(Failure::TimedOut),
        _ => Err(Failure::Unusable),
    }
}

/// Reads a body, bounded.
async fn read(mut reply: Response) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    while let Some(chunk) = reply.chunk().await.map_err(|_| Failure::TimedOut)? {
        if body.len() + chunk.len() > BODY_BYTES_MAX {
            return Err(Failure::Unusable);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
