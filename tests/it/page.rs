//! The status page in a browser: it shows what runs, in both themes and on a phone.

use std::fs;

use real_kafka::Embedded;
use serde_json::json;
use servicenow_sim::{Fault, Sim, Target};

use crate::support::bridge::Bridge;
use crate::support::browser::Browser;
use crate::support::small::{self, SMALL};

mod sample;

fn world() -> (Sim, Embedded, tempfile::TempDir) {
    let sim = Sim::start(servicenow_sim::Options::default()).unwrap();
    let kafka = Embedded::start(1).unwrap();
    kafka.create_topic("t").unwrap();
    small::fill(&sim, 50);
    let folder = tempfile::tempdir().unwrap();
    small::config(&sim, kafka.bootstrap(), "t").write(folder.path());
    (sim, kafka, folder)
}

#[test]
fn the_page_shows_what_runs() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let (sim, _kafka, folder) = world();
    let mut bridge = Bridge::start(folder.path());
    bridge.wait_metric(&small::produced("t"), 50.0);
    bridge.wait_ready();
    browser.open(&bridge.url("/"));
    browser.wait("document.querySelector('#ready').textContent === 'Ready'");
    let row = "document.querySelector('#tables tbody tr').innerText.replace(/\\s+/g, ' ')";
    let words = browser.value(row).as_str().unwrap().to_owned();
    assert!(words.starts_with("u_small → t running 50 "), "{words}");
    // Only the built-in script runs, and nothing is asked of another server.
    browser.value(
        "{ const it = document.createElement('script'); it.textContent = 'window.bad = 1'; \
         document.body.append(it); }",
    );
    assert_eq!(browser.value("window.bad === undefined"), true);
    let complaints = browser.complaints();
    assert_eq!(complaints.len(), 1, "{complaints:?}");
    assert!(
        complaints[0]
            .to_string()
            .contains("Content Security Policy")
    );
    let asked =
        "performance.getEntriesByType('resource').every(it => it.name.endsWith('/status.json'))";
    assert_eq!(browser.value(asked), true);
    // What changes is shown and said, without a reload.
    let (status, message) = (403, "Not <b>authorized</b>".to_owned());
    sim.faults()
        .on(Target::table(SMALL), Fault::Error { status, message });
    browser.wait("document.querySelector('#changes').textContent.includes('u_small is error')");
    browser.wait("document.querySelector('#tables td.state').innerText.includes('403')");
    browser.wait("document.querySelector('#ready').textContent === 'Not ready'");
    // Data stays text.
    browser.wait("document.querySelector('#tables').innerText.includes('<b>authorized</b>')");
    assert_eq!(browser.complaints(), [] as [serde_json::Value; 0]);
    assert_eq!(bridge.terminate(), 0);
    browser.wait("!document.querySelector('#offline').hidden");
}

/// Each text against what is behind it, as WCAG 2.1 counts; gives those below 4.5.
const CONTRAST: &str = r#"(() => {
  const parse = (color) => {
    const [r, g, b, a] = color.match(/[\d.]+/g).map(Number);
    return [r, g, b, a === undefined ? 1 : a];
  };
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((c) => c / 255).map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (node) => {
    for (; node; node = node.parentElement) {
      const back = parse(getComputedStyle(node).backgroundColor);
      if (back[3] === 1) return back;
    }
    return [255, 255, 255, 1];
  };
  const bad = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !node.checkVisibility() || node.closest('script, style, noscript')) continue;
    const [a, b] = [parse(getComputedStyle(node).color), behind(node)].map(light);
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) bad.push(node.textContent + ' ' + ratio.toFixed(2));
  }
  return bad;
})()"#;

#[test]
fn the_page_is_legible_in_both_themes_and_on_a_phone() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let (_sim, _kafka, folder) = world();
    let bridge = Bridge::start(folder.path());
    // The sample in place of what the bridge says; the page is the bridge's own.
    let source = format!(
        "window.fetch = async () => new Response({});",
        json!(sample::status().to_string())
    );
    let script = json!({ "source": source });
    browser.call("Page.addScriptToEvaluateOnNewDocument", &script);
    browser.call(
        "Emulation.setTimezoneOverride",
        &json!({"timezoneId": "UTC"}),
    );
    for (name, width, height, theme) in [
        ("light", 1280, 1370, "light"),
        ("dark", 1280, 1370, "dark"),
        ("phone", 390, 1700, "light"),
        ("phone-dark", 390, 1700, "dark"),
    ] {
        browser.window(width, height, theme);
        browser.open(&bridge.url("/"));
        browser.wait("document.querySelector('#ready').textContent === 'Not ready'");
        let fits = "document.documentElement.scrollWidth <= innerWidth";
        assert_eq!(browser.value(fits), true, "{name}: it scrolls sideways");
        let columns = browser.value(
            "new Set([...document.querySelectorAll('#charts figure')].map(it => it.offsetLeft)).size",
        );
        assert_eq!(columns == 1, width < 600, "{name}: {columns} columns");
        let dark = "getComputedStyle(document.body).backgroundColor === 'rgb(14, 18, 22)'";
        assert_eq!(browser.value(dark), theme == "dark", "{name}");
        assert_eq!(browser.value(CONTRAST), json!([]), "{name}");
        let outage = "document.querySelector('#outages').innerText";
        let words = "Schema registry, for 84 s: connection refused";
        assert_eq!(browser.value(outage), words, "{name}");
        assert_semantics(&mut browser);
        assert_eq!(browser.complaints(), [] as [serde_json::Value; 0]);
        if let Some(folder) = std::env::var_os("SCREENSHOTS") {
            let file = std::path::Path::new(&folder).join(format!("status-{name}.png"));
            fs::write(file, browser.screenshot()).unwrap();
        }
    }
}

/// What a screen reader and a keyboard need.
fn assert_semantics(browser: &mut Browser) {
    for truth in [
        "[...document.querySelectorAll('main table')].every(it => it.caption.textContent)",
        "[...document.querySelectorAll('thead th')].every(it => it.scope === 'col')",
        "[...document.querySelectorAll('tbody tr')].every(it => it.cells[0].scope === 'row')",
        "[...document.querySelectorAll('#charts svg')].every(it => it.getAttribute('aria-label').includes('now'))",
        "[...document.querySelectorAll('.state .word')].every(it => it.textContent && it.querySelector('svg'))",
        "document.querySelector('[aria-live]') !== null",
    ] {
        assert_eq!(browser.value(truth), true, "{truth}");
    }
}
