//! One page of the handbook.

use std::path::{Path, PathBuf};

use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd, html};

use crate::joined;

/// Where a link leads.
pub(crate) enum Target {
    /// Another site, or an address of mail.
    Elsewhere(String),
    /// A page and a heading of it, which may be empty.
    Page(PathBuf, String),
    /// Another file or folder of the repository.
    File(PathBuf),
}

/// A page with the names of its headings.
pub(crate) struct Page {
    path: PathBuf,
    text: String,
    headings: Vec<String>,
}

impl Page {
    pub(crate) fn parse(path: &Path, text: String) -> Page {
        let mut headings = Vec::new();
        for words in headings_of(&text) {
            let name = unique(&headings, &slug(&words));
            headings.push(name);
        }
        Page {
            path: path.to_owned(),
            text,
            headings,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn name(&self) -> String {
        self.path.display().to_string()
    }

    pub(crate) fn has_heading(&self, heading: &str) -> bool {
        self.headings.iter().any(|it| it == heading)
    }

    /// The name of a heading in the one file; with none, of the page.
    pub(crate) fn anchor(&self, heading: &str) -> String {
        let page = self.path.with_extension("");
        let page = page.to_string_lossy().replace('/', ".");
        match heading {
            "" => page,
            heading => format!("{page}--{heading}"),
        }
    }

    /// Where its links lead.
    pub(crate) fn targets(&self) -> Vec<Target> {
        let links = parser(&self.text).filter_map(|event| match event {
            Event::Start(Tag::Link { dest_url, .. }) => Some(self.target(&dest_url)),
            _ => None,
        });
        links.collect()
    }

    fn target(&self, link: &str) -> Target {
        if link.contains("://") || link.starts_with("mailto:") {
            return Target::Elsewhere(link.to_owned());
        }
        let (path, heading) = link.split_once('#').unwrap_or((link, ""));
        let path = match path {
            "" => self.path.clone(),
            path => joined(&self.path, path),
        };
        if path.extension().is_some_and(|it| it == "md") {
            Target::Page(path, heading.to_owned())
        } else {
            Target::File(path)
        }
    }

    /// The page as HTML, with the headings named and links as `resolve` says. Pictures are left out:
    /// their words stand for them.
    pub(crate) fn html(
        &self,
        resolve: impl Fn(&Target) -> Result<Option<String>, String>,
    ) -> Result<String, String> {
        let mut names = self.headings.iter();
        let mut is_linked = Vec::new();
        let mut events = Vec::new();
        for event in parser(&self.text) {
            events.push(match event {
                Event::Start(Tag::Heading {
                    level,
                    classes,
                    attrs,
                    ..
                }) => {
                    let name = names.next().map(|name| self.anchor(name));
                    Event::Start(Tag::Heading {
                        level,
                        id: name.map(CowStr::from),
                        classes,
                        attrs,
                    })
                }
                Event::Start(Tag::Link {
                    link_type,
                    dest_url,
                    title,
                    id,
                }) => {
                    let url = resolve(&self.target(&dest_url))?;
                    is_linked.push(url.is_some());
                    let Some(url) = url else { continue };
                    let dest_url = CowStr::from(url);
                    Event::Start(Tag::Link {
                        link_type,
                        dest_url,
                        title,
                        id,
                    })
                }
                Event::End(TagEnd::Link) if is_linked.pop() == Some(false) => continue,
                Event::Start(Tag::Image { .. }) | Event::End(TagEnd::Image) => continue,
                other => other,
            });
        }
        let mut out = String::new();
        html::push_html(&mut out, events.into_iter());
        Ok(out)
    }
}

fn parser(text: &str) -> Parser<'_> {
    Parser::new_ext(text, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH)
}

/// The words of each heading.
fn headings_of(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut words: Option<String> = None;
    for event in parser(text) {
        match event {
            Event::Start(Tag::Heading { .. }) => words = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => found.extend(words.take()),
            Event::Text(part) | Event::Code(part) => {
                if let Some(words) = &mut words {
                    words.push_str(&part);
                }
            }
            _ => {}
        }
    }
    found
}

/// The name that GitHub gives a heading.
fn slug(words: &str) -> String {
    let kept = words.chars().filter_map(|letter| match letter {
        ' ' => Some('-'),
        '-' | '_' => Some(letter),
        letter if letter.is_alphanumeric() => Some(letter),
        _ => None,
    });
    kept.flat_map(char::to_lowercase).collect()
}

/// The second heading of one name gets `-1` at its end, the third `-2`.
fn unique(known: &[String], name: &str) -> String {
    let mut number = 0;
    let mut tried = name.to_owned();
    while known.contains(&tried) {
        number += 1;
        tried = format!("{name}-{number}");
    }
    tried
}
