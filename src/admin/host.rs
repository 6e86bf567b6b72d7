//! Which names in `Host` the port answers to.
//!
//! A page of any site can have its own name point to this machine and then read what the port says, as
//! the browser takes both for one site (DNS rebinding). The name in `Host` is still the site's. Addresses
//! are no names: probes use them, and operators who type one.

use std::fs;
use std::net::IpAddr;

/// The names of this machine, as the operating system has them.
#[derive(Debug, Clone, Default)]
pub(super) struct MachineNames(Vec<String>);

impl MachineNames {
    /// Reads the name of the host, what /etc/hosts says beside it, and the domains that are searched.
    pub(super) fn read() -> MachineNames {
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        MachineNames::of(
            text("/proc/sys/kernel/hostname").trim(),
            &text("/etc/hosts"),
            &text("/etc/resolv.conf"),
        )
    }

    /// The names by the content of those files.
    fn of(hostname: &str, hosts: &str, resolver: &str) -> MachineNames {
        if hostname.is_empty() {
            return MachineNames::default();
        }
        let mut names = vec![hostname.to_owned()];
        let words = |line: &str| -> Vec<String> {
            let line = line.split('#').next().unwrap_or_default();
            line.split_whitespace().skip(1).map(str::to_owned).collect()
        };
        for others in hosts.lines().map(words) {
            if others
                .iter()
                .any(|name| name.eq_ignore_ascii_case(hostname))
            {
                names.extend(others);
            }
        }
        for line in resolver.lines() {
            if line.starts_with("search") || line.starts_with("domain") {
                let domains = words(line).into_iter();
                names.extend(domains.map(|domain| format!("{hostname}.{domain}")));
            }
        }
        MachineNames(names)
    }

    /// Whether a request with this `Host` is answered. `configured` are the names of
    /// `observability.allowed_hosts` and the one in `observability.addr`. A request without one is none of
    /// a browser.
    pub(super) fn allow<'a>(
        &self,
        host: Option<&str>,
        configured: impl IntoIterator<Item = &'a str>,
    ) -> bool {
        let Some(host) = host else { return true };
        let name = without_port(host.trim());
        let name = name.strip_suffix('.').unwrap_or(name);
        let address = name.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
        if address.unwrap_or(name).parse::<IpAddr>().is_ok() {
            return true;
        }
        let is_name = |known: &str| known == "*" || known.eq_ignore_ascii_case(name);
        is_name("localhost")
            || self.0.iter().any(|known| is_name(known))
            || configured.into_iter().any(is_name)
    }
}

/// The name or address in front of a port; that of version 6 stands in brackets.
pub(super) fn without_port(host: &str) -> &str {
    let behind_address = host.rfind(']').map_or(0, |end| end + 1);
    match host.get(behind_address..).and_then(|rest| rest.find(':')) {
        Some(colon) => host.get(..behind_address + colon).unwrap_or(host),
        None => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_this_machine_addresses_and_configured_ones() {
        let names = MachineNames::of(
            "bridge1",
            "127.0.0.1 localhost\n127.0.1.1 bridge1.example.com bridge1 # its name\n10.0.0.9 other\n",
            "nameserver 10.0.0.1\nsearch corp.example.com example.org\n",
        );
        let allow = |host: &str| names.allow(Some(host), ["bridge.svc", "proxy"]);
        for host in [
            "127.0.0.1:8080",
            "10.42.0.7:8080",
            "[::1]:8080",
            "[fe80::1]",
            "localhost:8080",
            "LOCALHOST",
            "bridge1",
            "bridge1.example.com:8080",
            "Bridge1.corp.example.com",
            "bridge1.example.org.",
            "bridge.svc:8080",
            "proxy",
        ] {
            assert!(allow(host), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:8080",
            "bridge1.evil.example",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "other",
            "",
            "*",
        ] {
            assert!(!allow(host), "{host}");
        }
        assert!(names.allow(None, []) && names.allow(Some("any"), ["*"]));
        assert!(!MachineNames::default().allow(Some("x"), []));
    }
}
