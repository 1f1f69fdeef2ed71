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
            std::slice::from_ref(&piece),
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

/// So many instructions of one program are looked at.
const ENOUGH: usize = 200_000;

/// What capstone reads otherwise in the functions of an ELF file; and how many instructions there were.
fn disagreements(path: &std::path::Path) -> (BTreeSet<String>, usize) {
    use object::{Object as _, ObjectSection as _, ObjectSymbol as _};
    let bytes = std::fs::read(path).expect("readable");
    let file = object::File::parse(&*bytes).expect("an ELF file");
    let second = second::Second::new().expect("capstone");
    let (mut found, mut count) = (BTreeSet::new(), 0);
    for symbol in file.symbols().chain(file.dynamic_symbols()) {
        let section = symbol
            .section_index()
            .and_then(|index| file.section_by_index(index).ok());
        let code =
            section.and_then(|section| section.data_range(symbol.address(), symbol.size()).ok()?);
        let (Some(code), object::SymbolKind::Text) = (code, symbol.kind()) else {
            continue;
        };
        let mut decoder = iced_x86::Decoder::with_ip(64, code, symbol.address(), 0);
        while decoder.can_decode() && count < ENOUGH {
            let at = decoder.position();
            let instruction = decoder.decode();
            let own = &code[at..decoder.position()];
            count += 1;
            if let Some(other) = second.disagreement(&instruction, own) {
                found.insert(format!("{} {instruction} | {other}", hex::encode(own)));
            }
        }
    }
    (found, count)
}

#[test]
fn capstone_reads_what_compilers_write_as_iced_does() {
    for path in [
        std::env::current_exe().expect("this program"),
        "/lib/x86_64-linux-gnu/libc.so.6".into(),
    ] {
        let (found, count) = disagreements(&path);
        assert!(count > 10_000, "{}", path.display());
        let shown: Vec<&String> = found.iter().take(60).collect();
        assert!(
            found.is_empty(),
            "{}: {} of {count}:\n{shown:#?}",
            path.display(),
            found.len()
        );
    }
}

#[test]
fn a_disagreement_is_told() {
    let second = second::Second::new().expect("capstone");
    let decode = |bytes: &[u8]| iced_x86::Decoder::new(64, bytes, 0).decode();
    // add eax, [rbx+8*rcx+16], and what differs from it by operation, register, index, scale, distance
    let own = [0x03, 0x44, 0xcb, 0x10];
    assert_eq!(second.disagreement(&decode(&own), &own), None);
    for other in [
        [0x2b, 0x44, 0xcb, 0x10],
        [0x03, 0x4c, 0xcb, 0x10],
        [0x03, 0x44, 0xd3, 0x10],
        [0x03, 0x44, 0x8b, 0x10],
        [0x03, 0x44, 0xcb, 0x11],
    ] {
        let told = second.disagreement(&decode(&own), &other);
        assert!(told.is_some(), "{other:x?}");
    }
    // jmp +2 and jmp +3; mov edi, 1 and mov edi, 2
    assert!(
        second
            .disagreement(&decode(&[0xeb, 2]), &[0xeb, 3])
            .is_some()
    );
    assert!(
        second
            .disagreement(&decode(&[0xbf, 1, 0, 0, 0]), &[0xbf, 2, 0, 0, 0])
            .is_some()
    );
}
