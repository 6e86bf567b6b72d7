//! Host names to addresses, remembered for a short time.
//!
//! ureq looks up the addresses before every request, also when it then uses a kept connection, and
//! starts a thread for each look-up to be able to bound its time. Remembering makes that one look-up
//! in half a minute, and requests on kept connections go on while a name server fails.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use crate::name_lookup::LOOKUP_SOURCES;
use crate::sync::{Mutex, MutexGuard};

/// How long addresses are used without a new look-up.
const ADDRESS_FRESH_FOR: Duration = Duration::from_secs(30);
/// How long addresses are used when a new look-up fails.
const ADDRESS_USABLE_FOR: Duration = Duration::from_secs(600);

/// A resolver with a memory for the few hosts of one client. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct DnsCache {
    known: Arc<Mutex<Vec<CachedAddresses>>>,
}

#[derive(Debug)]
struct CachedAddresses {
    /// `scheme://host:port`, as the scheme decides about a port that is not named.
    name: String,
    addresses: Vec<SocketAddr>,
    at: Instant,
}

impl DnsCache {
    fn known(&self) -> MutexGuard<'_, Vec<CachedAddresses>> {
        self.known.lock()
    }

    /// The addresses of `name` if they are younger than `age`.
    fn recall(&self, name: &str, now: Instant, age: Duration) -> Option<ResolvedSocketAddrs> {
        let known = self.known();
        let known = known.iter().find(|known| known.name == name)?;
        if age <= now.saturating_duration_since(known.at) {
            return None;
        }
        let mut addresses = self.empty();
        for address in &known.addresses {
            addresses.push(*address);
        }
        Some(addresses)
    }

    fn remember(&self, name: String, addresses: &[SocketAddr], at: Instant) {
        let mut known = self.known();
        known.retain(|known| known.name != name);
        known.push(CachedAddresses {
            name,
            addresses: addresses.to_vec(),
            at,
        });
    }
}

impl Resolver for DnsCache {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let name = format!(
            "{}://{}",
            uri.scheme_str().unwrap_or_default(),
            uri.authority().map_or("", |authority| authority.as_str())
        );
        let now = Instant::now();
        if let Some(addresses) = self.recall(&name, now, ADDRESS_FRESH_FOR) {
            return Ok(addresses);
        }
        match DefaultResolver::default().resolve(uri, config, timeout) {
            Ok(addresses) => {
                self.remember(name, &addresses, now);
                Ok(addresses)
            }
            Err(error) => self
                .recall(&name, now, ADDRESS_USABLE_FOR)
                .ok_or_else(|| with_sources(error)),
        }
    }
}

/// A failed look-up, with the words on where this build looks; a look-up that took too long is as before.
fn with_sources(error: ureq::Error) -> ureq::Error {
    let (kind, why) = match error {
        ureq::Error::Io(error) => (error.kind(), error.to_string()),
        ureq::Error::HostNotFound => (io::ErrorKind::NotFound, "host not found".to_owned()),
        other => return other,
    };
    ureq::Error::Io(io::Error::new(kind, format!("{why}{LOOKUP_SOURCES}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_age() {
        let names = DnsCache::default();
        let now = Instant::now();
        let address: SocketAddr = "10.0.0.1:443".parse().unwrap();
        names.remember("https://a".to_owned(), &[address], now);
        let recall = |name, after| {
            let addresses = names.recall(name, now + Duration::from_secs(after), ADDRESS_FRESH_FOR);
            addresses.map(|addresses| addresses.to_vec())
        };
        assert_eq!(recall("https://a", 29), Some(vec![address]));
        assert_eq!(recall("https://a", 30), None);
        assert_eq!(recall("https://b", 0), None);
        let stale = names.recall(
            "https://a",
            now + Duration::from_secs(599),
            ADDRESS_USABLE_FOR,
        );
        assert!(stale.is_some());
        let other: SocketAddr = "10.0.0.2:443".parse().unwrap();
        names.remember("https://a".to_owned(), &[other], now);
        assert_eq!(recall("https://a", 0), Some(vec![other]));
    }

    #[test]
    fn a_failed_look_up_falls_back() {
        let names = DnsCache::default();
        let address: SocketAddr = "10.0.0.1:80".parse().unwrap();
        let old = Instant::now().checked_sub(ADDRESS_FRESH_FOR).unwrap();
        let uri: Uri = "http://no.such.host.invalid/x".parse().unwrap();
        let config = Config::builder().proxy(None).build();
        let resolve = || names.resolve(&uri, &config, NextTimeout::default());
        assert!(resolve().is_err());
        names.remember("http://no.such.host.invalid".to_owned(), &[address], old);
        assert_eq!(resolve().unwrap().to_vec(), [address]);
    }
}
