//! The listing as one page that needs nothing else.

use super::{Line, Mark, Piece, Row, terminal};
use std::fmt::Write as _;

const STYLE: &str = "\
:root{color-scheme:light dark;--old:#ffe3e0;--new:#dcf5dc;--line:#d5d5d5;--dim:#777}\
@media(prefers-color-scheme:dark){:root{--old:#4a1f1c;--new:#173d1c;--line:#444;--dim:#999}}\
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:90rem;padding:0 1rem}\
h1{font-size:1.4rem}h2{font-size:1.1rem;margin:2rem 0 .3rem}p{margin:.2rem 0;color:var(--dim)}\
code,table{font-family:ui-monospace,monospace;font-size:13px}\
table{border-collapse:collapse;width:100%;table-layout:fixed}\
td{padding:0 .4rem;vertical-align:top;overflow-wrap:anywhere;white-space:pre-wrap}\
th{text-align:left;border-bottom:1px solid var(--line);padding:.2rem .4rem;font-weight:600}\
.o{width:4.5rem;text-align:right;color:var(--dim);user-select:none}.m{width:1.2rem;text-align:center;color:var(--dim)}\
tr.c td.a,tr.r td.a{background:var(--old)}tr.c td.b,tr.n td.b{background:var(--new)}\
tr.e td{color:#b00020;font-weight:600}\
nav ul{columns:18rem;padding-left:1.2rem}";

/// Writes the page.
#[must_use]
pub fn render(title: &str, pieces: &[Piece]) -> String {
    let mut out = String::from("<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n");
    let title = escaped(title);
    let _ = write!(
        out,
        "<title>{title}</title>\n<style>{STYLE}</style>\n<h1>{title}</h1>\n<nav><ul>\n"
    );
    for (number, piece) in pieces.iter().enumerate() {
        let _ = writeln!(
            out,
            "<li><a href=\"#f{number}\"><code>{}</code></a>",
            escaped(&piece.name)
        );
    }
    out.push_str("</ul></nav>\n");
    for (number, piece) in pieces.iter().enumerate() {
        section(&mut out, number, piece);
    }
    out.push_str("</html>\n");
    out
}

fn section(out: &mut String, number: usize, piece: &Piece) {
    let _ = writeln!(
        out,
        "<h2 id=\"f{number}\"><code>{}</code></h2>",
        escaped(&piece.name)
    );
    let object = if piece.object.is_empty() {
        String::new()
    } else {
        format!("{}: ", piece.object)
    };
    let _ = writeln!(
        out,
        "<p>{}</p>",
        escaped(&format!("{object}{}", piece.reason))
    );
    out.push_str("<table>\n<tr><th class=\"o\"></th><th>old</th><th class=\"m\"></th><th class=\"o\"></th><th>new</th></tr>\n");
    for row in &piece.rows {
        line(out, row);
    }
    out.push_str("</table>\n");
}

fn line(out: &mut String, row: &Row) {
    let class = match row.mark {
        Mark::Same => "s",
        Mark::Changed => "c",
        Mark::Removed => "r",
        Mark::Added => "n",
    };
    let sign = escaped(&terminal::sign(row.mark).to_string());
    let _ = write!(out, "<tr class=\"{class}\">");
    cell(out, "a", row.old.as_ref());
    let _ = write!(out, "<td class=\"m\">{sign}</td>");
    cell(out, "b", row.new.as_ref());
    out.push_str("</tr>\n");
    for one in row.old.iter().chain(&row.new) {
        if let Some(other) = &one.disagreement {
            let text = format!(
                "+{:#x}: capstone reads {} as `{other}`",
                one.offset,
                hex::encode(&one.bytes)
            );
            let _ = writeln!(
                out,
                "<tr class=\"e\"><td colspan=\"5\">{}</td></tr>",
                escaped(&text)
            );
        }
    }
}

fn cell(out: &mut String, class: &str, line: Option<&Line>) {
    let (offset, text) = line.map_or((String::new(), String::new()), |line| {
        (format!("{:x}", line.offset), escaped(&line.text))
    });
    let _ = write!(
        out,
        "<td class=\"o\">{offset}</td><td class=\"{class}\">{text}</td>"
    );
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            other => out.push(other),
        }
    }
    out
}
