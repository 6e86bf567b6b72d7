//! What probably went wrong in a text that is no YAML, in words for the person who wrote it.

/// Blanks that look like a plain one and are none, with what they are called.
const ODD_BLANKS: [(char, &str); 7] = [
    ('\u{a0}', "a no-break space"),
    ('\u{202f}', "a narrow no-break space"),
    ('\u{2007}', "a figure space"),
    ('\u{3000}', "an ideographic space"),
    ('\u{200b}', "a zero-width space"),
    ('\u{feff}', "a byte order mark"),
    ('\u{2003}', "an em space"),
];

/// What a parser says, and the line it points at.
#[derive(Debug, Clone, Copy)]
pub(super) struct YamlComplaint<'a> {
    /// The parser's words.
    pub(super) message: &'a str,
    /// The line.
    pub(super) content: &'a str,
}

/// Names the first blank of a text that is not a plain one, and its column, counted from 1.
pub(super) fn odd_blank(text: &str) -> Option<String> {
    text.chars().enumerate().find_map(|(at, c)| {
        let (_, name) = ODD_BLANKS.iter().find(|(odd, _)| *odd == c)?;
        Some(format!(
            "holds {name} (U+{:04X}) in column {}, which looks like a blank; type it anew",
            u32::from(c),
            at + 1
        ))
    })
}

impl YamlComplaint<'_> {
    /// What to look at; empty where nothing is known.
    pub(super) fn hint(self) -> String {
        let YamlComplaint { message, content } = self;
        if let Some(words) = odd_blank(content) {
            return format!("the line {words}");
        }
        if self.is_indented_with_tab() {
            return "a tab cannot indent in YAML; use spaces".to_owned();
        }
        let hint = if content.contains("${") && self.is_flow() && message.contains("expected") {
            "inside `[ ]` and `{ }` put `\"${VAR}\"` in quotes"
        } else if message.contains("mapping values are not allowed") {
            if content.matches(": ").count() > 1 {
                "put a value that holds `: ` in quotes"
            } else {
                "is this line indented as its neighbours?"
            }
        } else if message.contains("did not find expected") && self.has_open_quote() {
            "a quote inside of a quoted text is written twice (`''`) or with a `\\` (`\\\"`)"
        } else if message.contains("did not find expected ',' or") {
            "is a comma or the closing `]` or `}` missing?"
        } else if message.contains("did not find expected")
            || message.contains("block sequence entries are not allowed")
            || message.contains("could not find expected ':'")
        {
            "is this line indented as its neighbours, and is there `: ` behind its key?"
        } else if message.contains("cannot start any token") || message.contains("unknown anchor") {
            "put a value with special characters in quotes"
        } else if message.contains("recursion limit") {
            "the nesting is too deep"
        } else if message.contains("repetition limit") {
            "aliases are repeated too often"
        } else {
            ""
        };
        hint.to_owned()
    }

    fn is_indented_with_tab(self) -> bool {
        let indent = self.content.len() - self.content.trim_start().len();
        let blank = self.content.get(..indent);
        blank.is_some_and(|blank| blank.contains('\t'))
    }

    fn is_flow(self) -> bool {
        self.content.contains(['[', '{'])
    }

    /// A quote behind a quoted text, as in `'it's'`.
    fn has_open_quote(self) -> bool {
        ['\'', '"']
            .iter()
            .any(|quote| self.content.matches(*quote).count() % 2 == 1)
    }
}

/// Where the parser says that a quoted text begins, in `..., while scanning a quoted scalar at line 3
/// column 7`.
pub(super) fn opened_quote(message: &str) -> Option<(usize, usize)> {
    let (_, context) = message.split_once("while scanning a quoted scalar")?;
    let place = context
        .trim_start()
        .strip_prefix("at line ")
        .unwrap_or("1 column 1");
    let (line, column) = place.split_once(" column ")?;
    Some((line.parse().ok()?, column.trim().parse().ok()?))
}
