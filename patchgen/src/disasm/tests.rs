use super::terminal::{Style, render};
use super::*;

fn lines(text: &str) -> Vec<Line> {
    let each = text.split(';').zip(0..).map(|(text, number): (&str, u64)| {
        let jump = text.strip_prefix("jmp ").and_then(|to| to.parse().ok());
        Line {
            offset: number,
            bytes: vec![0x90],
            text: text.to_owned(),
            meaning: if jump.is_some() {
                "jmp".to_owned()
            } else {
                text.to_owned()
            },
            jump,
            disagreement: None,
        }
    });
    each.collect()
}

fn marks(old: &str, new: &str) -> String {
    let signs = align::rows(lines(old), lines(new));
    signs
        .iter()
        .map(|row| terminal::sign(row.mark))
        .collect::<String>()
        .replace(' ', "=")
}

#[test]
fn what_is_the_same_stands_beside_itself() {
    assert_eq!(marks("a;b;c", "a;b;c"), "===");
    assert_eq!(marks("a;b;c", "a;x;c"), "=|=");
    assert_eq!(marks("a;b;c", "a;b;x;y;c"), "==>>=");
    assert_eq!(marks("a;b;c;d", "a;d"), "=<<=");
}

#[test]
fn a_jump_is_the_same_if_it_leads_to_the_same() {
    assert_eq!(marks("jmp 2;b;c", "jmp 3;b;x;c"), "==>=");
    assert_eq!(marks("jmp 2;b;c", "jmp 1;b;c"), "|==");
}

#[test]
fn lines_fit_the_terminal() {
    let rows = align::rows(
        lines("short;a very long instruction that does not fit into the half of any terminal"),
        lines("short"),
    );
    let piece = Piece {
        name: "f".into(),
        object: "f.o".into(),
        reason: String::new(),
        rows,
    };
    for width in [20, 71, 72, 80, 200] {
        let text = render(
            &[piece.clone()],
            Style {
                width,
                colours: false,
            },
        );
        assert!(
            text.lines().all(|line| line.chars().count() <= width),
            "{width}:\n{text}"
        );
        assert!(text.contains("short"));
    }
}
