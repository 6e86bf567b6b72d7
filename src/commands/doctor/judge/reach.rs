//! The way to a host.

use crate::commands::doctor::finding::{Finding, FindingArea};
use crate::http::reach::{ReachStep, ReachedHost, SeenCertificate};

/// A certificate that ends sooner is warned of: time enough for a new one.
const CERTIFICATE_WARNING_DAYS: i64 = 14;
const SECONDS_OF_DAY: i64 = 86_400;

/// A way, with the keys by which it is changed.
#[derive(Debug, Clone, Copy)]
pub(in crate::commands::doctor) struct JudgedWay<'a> {
    pub(in crate::commands::doctor) area: FindingArea,
    /// `host:port`.
    pub(in crate::commands::doctor) place: &'a str,
    /// The key that names the place.
    pub(in crate::commands::doctor) address_key: &'a str,
    /// The section of its TLS settings.
    pub(in crate::commands::doctor) tls_section: &'a str,
    pub(in crate::commands::doctor) through_proxy: bool,
}

/// Judges a way. `now`: this host's clock, seconds since the epoch.
pub(in crate::commands::doctor) fn judge(
    way: &JudgedWay<'_>,
    seen: &ReachedHost,
    now: i64,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(connected) = seen.connected {
        let address = seen.addresses.first().map(ToString::to_string);
        let proxy = if way.through_proxy {
            "the proxy at "
        } else {
            ""
        };
        let seen = format!(
            "{proxy}{} answers after {} ms",
            address.unwrap_or_default(),
            connected.as_millis()
        );
        findings.push(way.area.ok(format!("way to {}", way.place), seen));
    }
    if let Some(certificate) = &seen.certificate {
        findings.push(judge_certificate(way, certificate, now));
    }
    match &seen.failure {
        // Said of the certificate already.
        Some((ReachStep::Tls, _)) if is_refused(seen) => {}
        // Many servers end a handshake without a client's certificate; the client has one if it needs it.
        Some((ReachStep::Tls, _)) if seen.certificate.is_some() => {}
        Some((step, why)) => findings.push(judge_failure(way, *step, why)),
        None => {}
    }
    findings
}

fn is_refused(seen: &ReachedHost) -> bool {
    let certificate = seen.certificate.as_ref();
    certificate.is_some_and(|it| it.refusal.is_some())
}

fn judge_failure(way: &JudgedWay<'_>, step: ReachStep, why: &str) -> Finding {
    let (place, key) = (way.place, way.address_key);
    let (subject, cure) = match step {
        ReachStep::Lookup => (
            "name lookup of",
            format!("check {key}, and the name servers in /etc/resolv.conf"),
        ),
        ReachStep::Connect if way.through_proxy => (
            "way to",
            "check servicenow.proxy, and that the proxy runs and lets this host in".to_owned(),
        ),
        ReachStep::Connect => (
            "way to",
            format!(
                "check {key}, that it runs, the firewalls on the way, and whether a proxy is needed"
            ),
        ),
        ReachStep::Proxy => (
            "proxy before",
            "check servicenow.proxy with its username and password, and that it may connect there"
                .to_owned(),
        ),
        ReachStep::Tls => (
            "TLS with",
            format!("check that TLS is spoken at {key}, and {}", way.tls_section),
        ),
    };
    way.area.failure(format!("{subject} {place}"), why, cure)
}

fn judge_certificate(way: &JudgedWay<'_>, seen: &SeenCertificate, now: i64) -> Finding {
    let subject = format!("certificate of {}", way.place);
    let issuer = &seen.issuer;
    if let Some(refusal) = &seen.refusal {
        let cure = format!(
            "set {}.ca_cert to the authority that signed it (or the one of a proxy that opens TLS), \
             check the name in {}, and this host's clock",
            way.tls_section, way.address_key
        );
        let seen = format!("not trusted: {refusal}; signed by {issuer}");
        return way.area.failure(subject, seen, cure);
    }
    let Some(end) = seen.not_after else {
        return way.area.ok(subject, format!("trusted, signed by {issuer}"));
    };
    let days = end.saturating_sub(now).div_euclid(SECONDS_OF_DAY);
    let words = format!("trusted, signed by {issuer}, {days} days left");
    if days < CERTIFICATE_WARNING_DAYS {
        let cure = "let its owner renew it: when it has ended, nothing gets through";
        return way.area.warning(subject, words, cure);
    }
    way.area.ok(subject, words)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::commands::doctor::finding::FindingLevel;

    const WAY: JudgedWay<'_> = JudgedWay {
        area: FindingArea::Instance,
        place: "dev1.service-now.com:443",
        address_key: "servicenow.base_url",
        tls_section: "servicenow.tls",
        through_proxy: false,
    };

    fn certificate(days: i64, refusal: Option<&str>) -> ReachedHost {
        ReachedHost {
            addresses: vec!["10.0.0.1:443".parse().unwrap()],
            connected: Some(Duration::from_millis(3)),
            certificate: Some(SeenCertificate {
                not_after: Some(days * SECONDS_OF_DAY + 5),
                issuer: "CN=test".to_owned(),
                refusal: refusal.map(str::to_owned),
            }),
            failure: refusal.map(|why| (ReachStep::Tls, why.to_owned())),
        }
    }

    fn levels(seen: &ReachedHost) -> Vec<FindingLevel> {
        let findings = judge(&WAY, seen, 0);
        findings.iter().map(|finding| finding.level).collect()
    }

    #[test]
    fn a_certificate_is_good_until_it_is_not() {
        assert_eq!(
            levels(&certificate(14, None)),
            [FindingLevel::Ok, FindingLevel::Ok]
        );
        assert_eq!(
            levels(&certificate(13, None)),
            [FindingLevel::Ok, FindingLevel::Warning]
        );
        // One failure, not one of the certificate and one of the handshake.
        assert_eq!(
            levels(&certificate(90, Some("unknown issuer"))),
            [FindingLevel::Ok, FindingLevel::Failure]
        );
    }

    #[test]
    fn each_step_has_its_cure() {
        for (step, word) in [
            (ReachStep::Lookup, "/etc/resolv.conf"),
            (ReachStep::Connect, "firewalls"),
            (ReachStep::Proxy, "servicenow.proxy"),
            (ReachStep::Tls, "servicenow.tls"),
        ] {
            let seen = ReachedHost {
                failure: Some((step, "no".to_owned())),
                ..ReachedHost::default()
            };
            let findings = judge(&WAY, &seen, 0);
            let [finding] = findings.as_slice() else {
                panic!("{findings:?}");
            };
            assert_eq!(finding.level, FindingLevel::Failure);
            assert!(finding.cure.as_ref().unwrap().contains(word), "{finding:?}");
        }
    }
}
