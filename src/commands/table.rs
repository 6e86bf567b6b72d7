//! Cells in columns.

use std::io;

use super::terminal::Terminal;
use crate::terminal_text::{clean, shorten};

/// Rows that are held back until their widths are known.
const ALIGNED_BLOCK_ROWS: usize = 100;
/// The least room of the last column, also where a line does not fit then.
const MIN_LAST_COLUMNS: usize = 20;

/// A column: what stands above it, and how its cells are set.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    heading: &'static str,
    is_number: bool,
    /// Columns of a cell at most, on a terminal.
    max_columns: usize,
}

impl Column {
    /// Texts, which begin at the left.
    pub(super) const fn text(heading: &'static str) -> Column {
        Column {
            heading,
            is_number: false,
            max_columns: 48,
        }
    }

    /// Numbers, which end at the right.
    pub(super) const fn number(heading: &'static str) -> Column {
        let mut column = Column::text(heading);
        column.is_number = true;
        column
    }

    pub(super) const fn at_most(mut self, columns: usize) -> Column {
        self.max_columns = columns;
        self
    }
}

/// A table. Its rows are written in blocks, so that there may be any number of them; what is no
/// terminal gets all of each cell. The last column takes the room that is left.
pub(super) struct Table<const N: usize> {
    columns: [Column; N],
    widths: [usize; N],
    rows: Vec<[String; N]>,
    has_heading: bool,
}

impl<const N: usize> Table<N> {
    pub(super) fn new(columns: [Column; N]) -> Table<N> {
        Table {
            columns,
            widths: columns.map(|column| column.heading.len()),
            rows: Vec::new(),
            has_heading: false,
        }
    }

    pub(super) fn add(&mut self, row: &[String; N], terminal: &mut Terminal<'_>) -> io::Result<()> {
        let is_cut = terminal.width().is_some();
        let mut row = row.each_ref().map(|cell| clean(cell).into_owned());
        let cells = row.iter_mut().zip(&self.columns).zip(&mut self.widths);
        for (at, ((cell, column), width)) in cells.enumerate() {
            if is_cut && at + 1 < N {
                *cell = shorten(cell, column.max_columns);
            }
            *width = cell.chars().count().max(*width);
        }
        self.rows.push(row);
        if self.rows.len() < ALIGNED_BLOCK_ROWS {
            return Ok(());
        }
        self.write_block(terminal)
    }

    /// Writes the last rows. A table without a row has no heading either.
    pub(super) fn end(mut self, terminal: &mut Terminal<'_>) -> io::Result<()> {
        self.write_block(terminal)
    }

    fn write_block(&mut self, terminal: &mut Terminal<'_>) -> io::Result<()> {
        let rows = std::mem::take(&mut self.rows);
        if !self.has_heading && !rows.is_empty() {
            self.has_heading = true;
            let heading = self.columns.map(|column| column.heading.to_owned());
            terminal.line(&self.aligned(&heading, terminal.width()))?;
        }
        rows.iter()
            .try_for_each(|row| terminal.line(&self.aligned(row, terminal.width())))
    }

    fn aligned(&self, row: &[String; N], width: Option<usize>) -> String {
        let mut line = String::new();
        let cells = row.iter().zip(&self.columns).zip(self.widths);
        for (at, ((cell, column), width_of_column)) in cells.enumerate() {
            if at + 1 == N {
                let total = width.unwrap_or(usize::MAX);
                let room = total.saturating_sub(line.chars().count());
                line.push_str(&shorten(cell, room.max(MIN_LAST_COLUMNS)));
            } else if column.is_number {
                line.push_str(&format!("{cell:>width_of_column$}  "));
            } else {
                line.push_str(&format!("{cell:width_of_column$}  "));
            }
        }
        line.trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::terminal::tests::written;

    const COLUMNS: [Column; 3] = [
        Column::text("NAME").at_most(6),
        Column::number("N"),
        Column::text("WHAT"),
    ];

    fn table(width: Option<usize>, rows: &[[&str; 3]]) -> String {
        let all = written(width, |terminal| {
            let mut table = Table::new(COLUMNS);
            for row in rows {
                table.add(&row.map(str::to_owned), terminal)?;
            }
            table.end(terminal)?;
            Ok(0)
        });
        all.output
    }

    #[test]
    fn cells_are_aligned_and_cut_on_a_terminal_only() {
        let story = "a long story about an error that goes on";
        let rows = [["a", "7", ""], ["incident", "1234", story]];
        assert_eq!(
            table(Some(40), &rows),
            "NAME       N  WHAT\n\
             a          7\n\
             incid\u{2026}  1234  a long story about an err\u{2026}\n"
        );
        assert_eq!(
            table(None, &rows),
            format!("NAME         N  WHAT\na            7\nincident  1234  {story}\n")
        );
        let narrow = table(Some(10), &rows);
        assert!(
            narrow.ends_with("1234  a long story about \u{2026}\n"),
            "{narrow}"
        );
        assert_eq!(table(Some(40), &[]), "");
    }

    #[test]
    fn a_cell_cannot_forge_a_row() {
        let text = table(None, &[["a\nb\tc\u{1b}[1m", "1", "x\ry"]]);
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(
            text.ends_with("a\u{fffd}b\u{fffd}c\u{fffd}[1m  1  x\u{fffd}y\n"),
            "{text}"
        );
    }

    #[test]
    fn many_rows_have_one_heading() {
        let rows = vec![["a", "1", "b"]; 2 * ALIGNED_BLOCK_ROWS + 1];
        let text = table(Some(80), &rows);
        assert_eq!(text.matches("NAME").count(), 1);
        assert_eq!(text.lines().count(), rows.len() + 1);
    }
}
