//! Tables as people like them: aligned columns, two spaces between, no boxes.

use crate::screen::{Paint, Screen, clean};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Columns of a terminal that one cell may take: what is longer is cut, as it can be read in full by `show` or `--json`.
const CELL_WIDTH_MAX: usize = 40;

/// A cell.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cell {
    text: String,
    paint: Paint,
    right: bool,
    whole: bool,
}

impl Cell {
    /// A text; line breaks become spaces, because a row is one line.
    pub(crate) fn text(text: impl AsRef<str>) -> Self {
        Self { text: clean(text.as_ref()).replace('\n', " "), ..Self::default() }
    }

    /// A text that is of no use where it is cut, such as a key.
    pub(crate) fn whole(text: impl AsRef<str>) -> Self {
        Self { whole: true, ..Self::text(text) }
    }

    /// A number, aligned to the right.
    pub(crate) fn number(text: impl AsRef<str>) -> Self {
        Self { right: true, ..Self::text(text) }
    }

    pub(crate) fn painted(self, paint: Paint) -> Self {
        Self { paint, ..self }
    }

    fn width(&self) -> usize {
        self.text.width()
    }

    fn cut(&mut self, width: usize) {
        if self.whole || self.width() <= width {
            return;
        }
        let mut used = 1;
        let fits = |letter: &char| {
            used += letter.width().unwrap_or(0);
            used <= width
        };
        let mut cut: String = self.text.chars().take_while(fits).collect();
        cut.push('…');
        self.text = cut;
    }
}

/// A table's lines. Columns that are empty in every row are left out.
pub(crate) fn table(screen: &Screen, headers: &[&str], mut rows: Vec<Vec<Cell>>) -> String {
    if screen.terminal {
        rows.iter_mut().flatten().for_each(|cell| cell.cut(CELL_WIDTH_MAX));
    }
    let filled = |column: &usize| rows.iter().any(|row| row.get(*column).is_some_and(|cell| !cell.text.is_empty()));
    let columns: Vec<usize> = (0..headers.len()).filter(filled).collect();
    let is_right = |column: usize| rows.iter().any(|row| row.get(column).is_some_and(|cell| cell.right));
    let head = (0..headers.len())
        .map(|column| Cell { right: is_right(column), ..Cell::whole(headers[column]) }.painted(Paint::Dim))
        .collect();
    rows.insert(0, head);
    let has_headers = headers.iter().any(|header| !header.is_empty());
    let widths: Vec<usize> = columns
        .iter()
        .map(|column| rows.iter().filter_map(|row| row.get(*column)).map(Cell::width).max().unwrap_or(0))
        .collect();
    let mut lines = String::new();
    for row in rows.iter().skip(usize::from(!has_headers)) {
        let mut line = String::new();
        for (column, width) in columns.iter().zip(&widths) {
            let Some(cell) = row.get(*column) else { continue };
            let padding = " ".repeat(width - cell.width());
            let text = screen.paint(&cell.text, cell.paint);
            line.push_str(&if cell.right { padding + &text } else { text + &padding });
            line.push_str("  ");
        }
        lines.push_str(line.trim_end());
        lines.push('\n');
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::Language;

    /// Chinese letters are two columns wide, so the next column still stands in line.
    #[test]
    fn columns_stand_in_line() {
        let screen = Screen::plain(Language::En);
        let rows = vec![
            vec![Cell::text("西湖"), Cell::number("7"), Cell::text(""), Cell::text("a")],
            vec![Cell::text("x"), Cell::number("12.5"), Cell::text(""), Cell::text("b\nc")],
        ];
        let expect = "NAME   QTY  NOTE\n西湖     7  a\nx     12.5  b c\n";
        assert_eq!(table(&screen, &["NAME", "QTY", "EMPTY", "NOTE"], rows), expect);
    }

    /// What is too long for a terminal is cut by columns, not by letters.
    #[test]
    fn long_cells_are_cut() {
        for (text, width, expect) in [("abcdef", 4, "abc…"), ("西湖渔具", 6, "西湖…"), ("abcd", 4, "abcd")] {
            let mut cell = Cell::text(text);
            cell.cut(width);
            assert_eq!(cell.text, expect);
        }
    }
}
