//! The manual page, as roff with the macros of man(7).

use super::page::{self, Block, capitalised};
use super::spec::{self, CommandSpec};
use super::table::{self, ABOUT};
use super::version;

/// servicenow-kafka-bridge(1): the page of the program, with a section for each command.
pub fn man() -> String {
    let program = "servicenow-kafka-bridge";
    let date = if version::BUILD_DATE == "unknown" {
        "\"\""
    } else {
        version::BUILD_DATE
    };
    let mut out = format!(
        ".TH {} 1 {date} \"{program} {}\" \"User Commands\"\n.nh\n.ad l\n.SH NAME\n{} \\- {}\n",
        program.to_uppercase(),
        version::VERSION,
        roff(program),
        roff(ABOUT)
    );
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
    out
}

fn push_command(out: &mut String, spec: &'static CommandSpec) {
    out.push_str(&format!(".SS {}\n", roff(spec.name)));
    for block in page::of_command(spec) {
        let heading = roff(&capitalised(heading(&block)));
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
                out.push_str(&format!("{}\n", roff(paragraph)));
            }
        }
        Block::List(_, items) => {
            for (term, text) in items {
                out.push_str(&format!(".TP\n\\fB{}\\fR\n{}\n", roff(term), roff(text)));
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
        out.push_str(&format!("servicenow\\-kafka\\-bridge {}\n", roff(line)));
    }
    out.push_str(".RE\n.fi\n");
}

/// Text with what roff would take for its own escaped, and with what stands in backquotes in bold.
fn roff(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut is_bold = false;
    for letter in text.chars() {
        match letter {
            '`' => {
                is_bold = !is_bold;
                out.push_str(if is_bold { "\\fB" } else { "\\fR" });
            }
            '\\' => out.push_str("\\e"),
            '-' => out.push_str("\\-"),
            '\'' => out.push_str("\\(aq"),
            '~' => out.push_str("\\(ti"),
            '^' => out.push_str("\\(ha"),
            // A full stop that begins a line would begin a request.
            '.' if out.is_empty() || out.ends_with('\n') => out.push_str("\\&."),
            other => out.push(other),
        }
    }
    out
}
