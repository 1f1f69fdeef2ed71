//! Disassembly for people, in Intel syntax.

use iced_x86::{Decoder, DecoderOptions, FastFormatter, Formatter, Instruction, IntelFormatter};

/// One instruction as text, in a message.
///
/// By the formatter that needs no tables: those of the other, whose listings are nearer to other tools', take longer to set up
/// than the comparison of a small object.
pub(crate) fn describe(instruction: &Instruction) -> String {
    let mut formatter = FastFormatter::new();
    let options = formatter.options_mut();
    options.set_use_hex_prefix(true);
    options.set_uppercase_hex(false);
    options.set_space_after_operand_separator(true);
    let mut text = String::new();
    formatter.format(instruction, &mut text);
    text
}

/// Disassembles `bytes`, which lie at address `base`: offset, length and text of each instruction. A byte that starts no
/// instruction is shown as `(bad)` and skipped.
#[must_use]
pub fn disassemble(bytes: &[u8], base: u64) -> Vec<(usize, usize, String)> {
    let mut decoder = Decoder::with_ip(64, bytes, base, DecoderOptions::NONE);
    let mut formatter = formatter();
    let mut listing = Vec::new();
    let mut at = 0;
    while at < bytes.len() && decoder.set_position(at).is_ok() {
        decoder.set_ip(base.wrapping_add(at as u64));
        let instruction = decoder.decode();
        let mut text = String::new();
        formatter.format(&instruction, &mut text);
        let len = if instruction.is_invalid() {
            1
        } else {
            instruction.len()
        };
        listing.push((at, len, text));
        at += len;
    }
    listing
}

fn formatter() -> IntelFormatter {
    let mut formatter = IntelFormatter::new();
    let options = formatter.options_mut();
    options.set_hex_prefix("0x");
    options.set_hex_suffix("");
    options.set_uppercase_hex(false);
    options.set_small_hex_numbers_in_decimal(false);
    options.set_space_after_operand_separator(true);
    options.set_branch_leading_zeros(false);
    formatter
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_offsets_lengths_and_bad_bytes() {
        let listing = disassemble(&[0x55, 0x06, 0xe8, 0xf8, 0xff, 0xff, 0xff, 0x0f], 0x1000);
        let expected = [
            (0, 1, "push rbp"),
            (1, 1, "(bad)"),
            (2, 5, "call 0xfff"),
            (7, 1, "(bad)"),
        ];
        let shown: Vec<_> = listing
            .iter()
            .map(|(a, l, t)| (*a, *l, t.as_str()))
            .collect();
        assert_eq!(shown, expected);
    }
}
