use super::*;

fn check(text: &str, expected: &str) {
    assert_eq!(normalized(text, "x"), Ok(expected.to_owned()));
}

#[test]
fn good_urls_are_normalized() {
    check(
        "https://dev1.service-now.com",
        "https://dev1.service-now.com",
    );
    check(
        "HTTPS://Dev1.Service-Now.com//",
        "https://dev1.service-now.com",
    );
    check("http://127.0.0.1:8080/", "http://127.0.0.1:8080");
    check("http://[::1]:8080", "http://[::1]:8080");
    check("https://gateway.example/sn/", "https://gateway.example/sn");
    check(
        "https://gateway.example:0443/A/b",
        "https://gateway.example:443/A/b",
    );
}

#[test]
fn bad_urls_are_refused_without_echo() {
    for bad in [
        "dev1.service-now.com",
        "ftp://x",
        "https://",
        "https:///x",
        "https://:443",
        "https://u:hunter2@x",
        "https://x?hunter2",
        "https://x/#hunter2",
        "https://x:99999",
        "https://x:hunter2",
        "https://x:",
        "https://a b",
        "https://a..b",
        "https://::1",
        "https://[::1",
        "https://exämple.com",
        "https://x:+1",
        "https://[::1]x",
        "https://x/<hunter2>",
    ] {
        let message = parse(bad, "x").unwrap_err();
        assert!(!message.contains("hunter2"), "{message}");
    }
}

#[test]
fn loopback() {
    for (url, expected) in [
        ("http://localhost", true),
        ("http://127.9.9.9:1", true),
        ("http://[::1]", true),
        ("http://10.0.0.1", false),
        ("http://localhost.example.com", false),
    ] {
        let url = normalized(url, "x").unwrap();
        assert_eq!(is_loopback(&url), expected, "{url}");
    }
}
