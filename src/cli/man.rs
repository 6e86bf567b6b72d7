//! The manual pages, as roff with the macros of man(7).

mod config;
mod overview;
mod roff;

use self::roff::{escaped, title};
use super::page::{self, Block, capitalised};
use super::spec::{self, CommandSpec};
use super::table::{self, ABOUT};
use super::values::ManualPage;

/// A manual page.
pub fn man(page: ManualPage) -> String {
    match page {
        ManualPage::Program => of_program(),
        ManualPage::Config => config::page(),
        ManualPage::Overview => overview::page(),
    }
}

/// servicenow-kafka-bridge(1): the page of the program, with a section for each command.
fn of_program() -> String {
    let mut out = title("servicenow-kafka-bridge", 1, "User Commands", ABOUT);
    let blocks = page::of_program();
    let mut section = |title: &str, belongs: fn(&Block) -> bool| {
        out.push_str(&format!(".SH {title}\n"));
        for block in blocks.iter().filter(|block| belongs(block)) {
            push_block(&mut out, block);
        }
    };
    section("SYNOPSIS", |block| matches!(block, Block::Usage(_)));
    section("DESCRIPTION", |block| matches!(block, Block::Text(_)));
    section("OPTIONS", |block| heading(block) == spec::OPTIONS);
    section("EXIT STATUS", |block| {
        heading(block) == page::EXIT_CODES_HEADING
    });
    section("EXAMPLES", |block| matches!(block, Block::Examples(_)));
    out.push_str(".SH COMMANDS\n");
    let groups = table::COMMANDS.into_iter().filter(|spec| spec.is_group);
    for spec in table::commands().chain(groups) {
        push_command(&mut out, spec);
    }
    out.push_str(
        ".SH SEE ALSO\n\\fBservicenow\\-kafka\\-bridge\\-config\\fR(5), \\fBservicenow\\-kafka\\-bridge\\fR(7)\n",
    );
    out
}

fn push_command(out: &mut String, spec: &'static CommandSpec) {
    out.push_str(&format!(".SS {}\n", escaped(spec.name)));
    for block in page::of_command(spec) {
        let heading = escaped(&capitalised(heading(&block)));
        if !heading.is_empty() {
            begin_paragraph(out);
            out.push_str(&format!("{heading}:\n"));
        }
        push_block(out, &block);
    }
}

fn heading(block: &Block) -> &str {
    match block {
        Block::List(heading, _) => heading,
        Block::Examples(_) => "examples",
        Block::Usage(_) | Block::Text(_) => "",
    }
}

fn push_block(out: &mut String, block: &Block) {
    match block {
        Block::Usage(lines) => push_lines(out, lines.iter().map(String::as_str)),
        Block::Examples(lines) => push_lines(out, lines.iter().copied()),
        Block::Text(text) => {
            for paragraph in text.split("\n\n").filter(|it| !it.is_empty()) {
                begin_paragraph(out);
                out.push_str(&format!("{}\n", escaped(paragraph)));
            }
        }
        Block::List(_, items) => {
            for (term, text) in items {
                out.push_str(&format!(
                    ".TP\n\\fB{}\\fR\n{}\n",
                    escaped(term),
                    escaped(text)
                ));
            }
        }
    }
}

/// A heading begins a paragraph by itself.
fn begin_paragraph(out: &mut String) {
    let last = out.lines().next_back().unwrap_or_default();
    if !last.starts_with(".S") {
        out.push_str(".PP\n");
    }
}

/// Lines as they would be typed.
fn push_lines<'a>(out: &mut String, lines: impl Iterator<Item = &'a str>) {
    begin_paragraph(out);
    out.push_str(".nf\n.RS 4\n");
    for line in lines {
        out.push_str(&format!("servicenow\\-kafka\\-bridge {}\n", escaped(line)));
    }
    out.push_str(".RE\n.fi\n");
}
