//! The README's picture, made from the real thing: what `creel demo` prints, as an SVG.

use crate::{cargo, root, shown};
use std::fs;

/// Lines of the picture: the end of the demo, where everything has happened.
const LINES_MAX: usize = 46;
/// Columns of the picture; a longer line is cut.
const COLUMNS_MAX: usize = 118;

/// Runs the demo and writes `docs/demo.svg`.
pub(crate) fn draw() -> Result<(), String> {
    let mut command = cargo(&["run", "--release", "--quiet", "--", "demo"]);
    let output = command.output().map_err(|error| format!("could not start {}: {error}", shown(&command)))?;
    if !output.status.success() {
        return Err(format!("the demo failed: {}", String::from_utf8_lossy(&output.stderr)));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<&str> = text.lines().collect();
    let lines = &lines[lines.len().saturating_sub(LINES_MAX)..];
    let path = root().join("docs/demo.svg");
    fs::write(&path, svg(lines)).map_err(|error| format!("could not write {}: {error}", path.display()))?;
    println!("wrote {}", path.display());
    Ok(())
}

fn svg(lines: &[&str]) -> String {
    let (width, height) = (COLUMNS_MAX * 8 + 40, lines.len() * 18 + 70);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"10\" fill=\"#10151b\"/>\n\
         <text x=\"20\" y=\"26\" fill=\"#8b98a5\" font-family=\"sans-serif\" font-size=\"13\">creel demo (made-up data)</text>\n\
         <g font-family=\"ui-monospace, Menlo, Consolas, 'Noto Sans Mono CJK SC', monospace\" font-size=\"13\" fill=\"#dfe7ee\">\n"
    );
    for (number, line) in lines.iter().enumerate() {
        let line: String = line.chars().take(COLUMNS_MAX).filter(|letter| !letter.is_control()).collect();
        let escaped = line.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let y = 54 + number * 18;
        svg.push_str("<text xml:space=\"preserve\" x=\"20\" y=\"");
        svg.push_str(&y.to_string());
        svg.push_str("\">");
        svg.push_str(&escaped);
        svg.push_str("</text>\n");
    }
    svg.push_str("</g>\n</svg>\n");
    svg
}
