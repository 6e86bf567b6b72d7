//! Makes one HTML file of the handbook: `docs/README.md` and all pages that are reached from it, in the
//! order in which they are named first. Links between them become links inside of the file, which needs
//! nothing else: no style sheet, no script, no picture from elsewhere.

mod page;

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use page::{Page, Target};

/// Where the handbook begins.
const FIRST: &str = "docs/README.md";

const STYLE: &str = "\
body{max-width:60em;margin:2em auto;padding:0 1em;font:16px/1.5 system-ui,sans-serif;color:#1b1f24;background:#fff}
section{border-top:1px solid #d0d7de;margin-top:3em}section:first-child{border:0;margin:0}
table{border-collapse:collapse;margin:1em 0;display:block;overflow-x:auto}
td,th{border:1px solid #d0d7de;padding:.3em .6em;text-align:left;vertical-align:top}
code,pre{font:14px/1.45 ui-monospace,monospace;background:#f3f5f7}
code{padding:.1em .25em}pre{padding:.8em;overflow-x:auto}pre code{padding:0}
@media print{body{max-width:none}pre{white-space:pre-wrap}}
@media (prefers-color-scheme:dark){body{color:#dde3ea;background:#15181c}code,pre{background:#22272e}
td,th,section{border-color:#3d444d}a{color:#78b0ff}}";

/// The file, from the repository at `root`; `version` is shown in its title.
///
/// # Errors
/// A page that cannot be read, or a link to a page or a heading that is not there.
pub fn handbook(root: &Path, version: &str) -> Result<String, String> {
    let pages = reached(root)?;
    let mut body = String::new();
    for page in &pages {
        let rendered = page.html(|target| resolve(root, &pages, page, target))?;
        body.push_str(&format!(
            "<section id=\"{}\">\n{rendered}</section>\n",
            page.anchor("")
        ));
    }
    Ok(format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>servicenow-kafka-bridge {version}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         {body}</body>\n</html>\n"
    ))
}

/// Every page that a page names, each once, in the order of their first mention.
fn reached(root: &Path) -> Result<Vec<Page>, String> {
    let mut names = vec![PathBuf::from(FIRST)];
    let mut pages: Vec<Page> = Vec::new();
    while let Some(name) = names.get(pages.len()).cloned() {
        let text = fs::read_to_string(root.join(&name))
            .map_err(|why: io::Error| format!("{}: {why}", name.display()))?;
        let page = Page::parse(&name, text);
        for target in page.targets() {
            if let Target::Page(path, _) = target
                && root.join(&path).is_file()
                && !names.contains(&path)
            {
                names.push(path);
            }
        }
        pages.push(page);
    }
    Ok(pages)
}

/// What stands for a link in the one file; `None` leaves the words without a link, as for a file of the
/// sources.
fn resolve(
    root: &Path,
    pages: &[Page],
    from: &Page,
    target: &Target,
) -> Result<Option<String>, String> {
    let (path, heading) = match target {
        Target::Elsewhere(url) => return Ok(Some(url.clone())),
        Target::File(path) if root.join(path).exists() => return Ok(None),
        Target::File(path) => return Err(format!("{}: no {}", from.name(), path.display())),
        Target::Page(path, heading) => (path, heading),
    };
    let by_name: HashMap<&Path, &Page> = pages.iter().map(|page| (page.path(), page)).collect();
    let page = by_name
        .get(path.as_path())
        .ok_or_else(|| format!("{}: no page {}", from.name(), path.display()))?;
    if !heading.is_empty() && !page.has_heading(heading) {
        return Err(format!(
            "{}: no heading #{heading} in {}",
            from.name(),
            path.display()
        ));
    }
    Ok(Some(format!("#{}", page.anchor(heading))))
}

/// `link` as seen from the page `from`, without `.` and `..`.
fn joined(from: &Path, link: &str) -> PathBuf {
    let mut path = from.parent().map(PathBuf::from).unwrap_or_default();
    for part in Path::new(link).components() {
        match part {
            Component::ParentDir => {
                path.pop();
            }
            Component::CurDir => {}
            other => path.push(other),
        }
    }
    path
}

#[cfg(test)]
mod tests;
