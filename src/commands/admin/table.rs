//! Cells side by side for a terminal.

use std::io;

use crate::commands::Terminal;
use crate::commands::dead_letters::text::{clean, shorten};

/// The most columns of one cell before the last, and the least of the last.
const MAX_STATUS_CELL_COLUMNS: usize = 48;
const MIN_LAST_CELL_COLUMNS: usize = 20;

/// A table with `head`; numbers stand to the right. The last column takes what room is left.
pub(super) fn print<const N: usize>(
    terminal: &mut Terminal<'_>,
    head: [&str; N],
    rows: &[[String; N]],
) -> io::Result<()> {
    let clean = |cell: &String| shorten(&clean(cell), MAX_STATUS_CELL_COLUMNS * 8);
    let rows: Vec<[String; N]> = rows.iter().map(|row| row.each_ref().map(clean)).collect();
    let mut widths = head.map(str::len);
    let mut numbers = [true; N];
    for row in &rows {
        for ((width, number), cell) in widths.iter_mut().zip(&mut numbers).zip(row) {
            *width = cell
                .chars()
                .count()
                .min(MAX_STATUS_CELL_COLUMNS)
                .max(*width);
            *number &= cell == "-" || cell.starts_with(|first: char| first.is_ascii_digit());
        }
    }
    // What is no terminal has room for all of it.
    let total = terminal.width().unwrap_or(usize::MAX);
    let line = |row: [&str; N]| {
        let mut line = String::new();
        for (at, ((cell, width), number)) in row.iter().zip(widths).zip(numbers).enumerate() {
            if at + 1 == N {
                let room = total
                    .saturating_sub(line.chars().count())
                    .max(MIN_LAST_CELL_COLUMNS);
                line.push_str(&shorten(cell, room));
            } else {
                let cell = shorten(cell, MAX_STATUS_CELL_COLUMNS);
                match number {
                    true => line.push_str(&format!("{cell:>width$}  ")),
                    false => line.push_str(&format!("{cell:width$}  ")),
                }
            }
        }
        line.trim_end().to_owned()
    };
    terminal.line(&line(head))?;
    rows.iter()
        .try_for_each(|row| terminal.line(&line(row.each_ref().map(String::as_str))))
}
