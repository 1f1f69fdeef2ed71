use super::*;
use crate::testing::{manifest, section};
use livepatch_bundle::{
    Bundle, Definition, Reloc, RelocKind, SectionId, SectionKind, Symbol, SymbolId, SymbolKind,
};

const BASE: RunAddr = RunAddr(0x5555_0000_0000);
const CODE: usize = crate::record::CODE_OFFSET as usize;

/// New code with one field that refers to an undefined symbol, and a variable of its own.
fn bundle(kind: RelocKind, addend: i64) -> Bundle {
    let reloc = Reloc {
        offset: 8,
        kind,
        symbol: SymbolId(1),
        addend,
    };
    let own = Reloc {
        offset: 24,
        kind: RelocKind::Pc32,
        symbol: SymbolId(0),
        addend: -4,
    };
    let definition = Definition {
        section: SectionId(1),
        offset: 0,
        size: 8,
    };
    Bundle {
        manifest: manifest(),
        sections: vec![
            section(".text.f", SectionKind::Code, vec![0; 32], vec![reloc, own]),
            section(".data.own", SectionKind::Data, vec![7; 8], vec![]),
        ],
        symbols: vec![
            Symbol {
                name: "own".into(),
                kind: SymbolKind::Object,
                definition: Some(definition),
            },
            Symbol {
                name: "other".into(),
                kind: SymbolKind::Unknown,
                definition: None,
            },
        ],
    }
}

fn linked(
    kind: RelocKind,
    addend: i64,
    known: Resolution,
) -> (Layout, Result<Image, Vec<LinkError>>) {
    let bundle = bundle(kind, addend);
    let layout = Layout::new(&bundle, 0);
    let image = link(&bundle, &layout, BASE, &[Resolution::default(), known]);
    (layout, image)
}

/// The absolute address that the 32-bit field at `offset` of the text leads to, after the field itself.
fn leads_to(image: &Image, offset: usize) -> RunAddr {
    let field: [u8; 4] = image.text[offset..offset + 4].try_into().unwrap();
    BASE.offset(offset as i64 + 4 + i64::from(i32::from_le_bytes(field)))
}

fn at(address: RunAddr) -> Resolution {
    Resolution {
        address: Some(address),
        ..Resolution::default()
    }
}

#[test]
fn a_pc_relative_field_reaches_the_program_and_own_data() {
    let near = BASE.offset(-0x1000);
    let (layout, image) = linked(RelocKind::Pc32, -4, at(near));
    let image = image.unwrap();
    assert_eq!(leads_to(&image, CODE + 8), near);
    assert_eq!(
        leads_to(&image, CODE + 24),
        RunAddr(BASE.0 + layout.text_len)
    );
    assert_eq!(image.data[..8], [7; 8]);
}

#[test]
fn a_far_call_goes_through_a_stub() {
    let far = RunAddr(0x7fff_f7c0_1234);
    let (_, image) = linked(RelocKind::Plt32, -4, at(far));
    let image = image.unwrap();
    let stub = (leads_to(&image, CODE + 8).0 - BASE.0) as usize;
    assert_eq!(image.text[stub..stub + 2], [0xff, 0x25]);
    let slot = (leads_to(&image, stub + 2).0 - BASE.0) as usize;
    assert_eq!(image.text[slot..slot + 8], far.0.to_le_bytes());
}

#[test]
fn a_call_of_a_function_that_the_loader_may_not_have_bound_goes_through_its_slot() {
    let slot = BASE.offset(-0x2000);
    let known = Resolution {
        slot: Some(slot),
        ..Resolution::default()
    };
    let (_, image) = linked(RelocKind::Plt32, -4, known);
    let image = image.unwrap();
    let stub = (leads_to(&image, CODE + 8).0 - BASE.0) as usize;
    assert_eq!(leads_to(&image, stub + 2), slot);
}

#[test]
fn a_got_field_uses_the_modules_slot_or_brings_one() {
    let slot = BASE.offset(0x10_0000);
    let known = Resolution {
        slot: Some(slot),
        ..at(RunAddr(1))
    };
    let (_, image) = linked(RelocKind::RexGotPcRelX, -4, known);
    assert_eq!(leads_to(&image.unwrap(), CODE + 8), slot);

    let far = RunAddr(0x7fff_0000_0000);
    let lazy = Resolution {
        lazy_slot: Some(slot),
        ..at(far)
    };
    let (_, image) = linked(RelocKind::GotPcRel, -4, lazy);
    let image = image.unwrap();
    let own = (leads_to(&image, CODE + 8).0 - BASE.0) as usize;
    assert_eq!(image.text[own..own + 8], far.0.to_le_bytes());
}

#[test]
fn a_general_dynamic_pair_is_made_from_module_and_offset() {
    let known = Resolution {
        tls_module: Some(3),
        dtp_offset: Some(0x40),
        ..Resolution::default()
    };
    let (_, image) = linked(RelocKind::TlsGd, -4, known);
    let image = image.unwrap();
    let pair = (leads_to(&image, CODE + 8).0 - BASE.0) as usize;
    assert_eq!(image.text[pair..pair + 8], 3_u64.to_le_bytes());
    assert_eq!(image.text[pair + 8..pair + 16], 0x40_u64.to_le_bytes());
}

#[test]
fn what_does_not_reach_or_is_not_known_is_refused_by_name() {
    let (_, image) = linked(RelocKind::Pc32, -4, at(RunAddr(0x7fff_0000_0000)));
    assert!(
        matches!(&image.unwrap_err()[..], [LinkError::OutOfReach { symbol, .. }] if symbol == "other")
    );
    for kind in [
        RelocKind::Pc32,
        RelocKind::Plt32,
        RelocKind::GotPcRel,
        RelocKind::TpOff32,
        RelocKind::TlsGd,
    ] {
        let (_, image) = linked(kind, -4, Resolution::default());
        assert!(
            matches!(&image.unwrap_err()[..], [LinkError::Unresolved { symbol, .. }] if symbol == "other")
        );
    }
}

#[test]
fn absolute_fields_check_their_width() {
    let (_, image) = linked(RelocKind::Abs32S, 0, at(RunAddr(0x7fff_ffff)));
    assert!(image.is_ok());
    let (_, image) = linked(RelocKind::Abs32S, 0, at(RunAddr(0x8000_0000)));
    assert!(image.is_err());
    let (_, image) = linked(RelocKind::Abs32, 0, at(RunAddr(0x8000_0000)));
    assert!(image.is_ok());
}

#[test]
fn code_and_data_never_share_a_page() {
    let (layout, image) = linked(RelocKind::Pc32, -4, at(BASE));
    let image = image.unwrap();
    assert_eq!(image.text.len() as u64, layout.text_len);
    assert_eq!(layout.text_len % crate::place::PAGE, 0);
    assert_eq!(image.data.len() as u64, crate::place::PAGE);
}
