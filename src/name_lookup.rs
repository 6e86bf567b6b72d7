//! Where this build looks host names up.

/// Words for the end of an error about a host name that was not found; empty where the system's own
/// look-up is used.
///
/// musl's resolver reads `/etc/hosts` and asks the name servers of `/etc/resolv.conf`
/// (<https://wiki.musl-libc.org/functional-differences-from-glibc.html>, "Name Resolver/DNS"). A name
/// that only a module of `/etc/nsswitch.conf` knows is found by other programs of the same host, so the
/// difference must be told.
pub(crate) const LOOKUP_SOURCES: &str = if cfg!(target_env = "musl") {
    "; this static build looks names up in /etc/hosts and DNS (/etc/resolv.conf) only, not by \
     /etc/nsswitch.conf (mDNS, LDAP, NIS, machines of systemd)"
} else {
    ""
};
