//! Hand-made call-frame information: `.eh_frame` with absolute addresses.

/// DWARF call-frame instructions (DWARF 5, 6.4.2), encoded.
pub(crate) mod cfa {
    pub(crate) fn def(register: u8, offset: u8) -> Vec<u8> {
        vec![0x0c, register, offset]
    }
    /// Saved `8 * n` bytes below the frame address.
    pub(crate) fn saved(register: u8, n: u8) -> Vec<u8> {
        vec![0x80 | register, n]
    }
    pub(crate) fn undefined(register: u8) -> Vec<u8> {
        vec![0x07, register]
    }
    pub(crate) fn in_register(register: u8, other: u8) -> Vec<u8> {
        vec![0x09, register, other]
    }
    pub(crate) fn def_expression(expression: &[u8]) -> Vec<u8> {
        [&[0x0f, expression.len() as u8], expression].concat()
    }
    pub(crate) fn expression(register: u8, expression: &[u8]) -> Vec<u8> {
        [&[0x10, register, expression.len() as u8], expression].concat()
    }
    /// Is `8 * n` bytes below the frame address (`n` below 64).
    pub(crate) fn value(register: u8, n: u8) -> Vec<u8> {
        vec![0x14, register, n]
    }
    pub(crate) fn advance(bytes: u8) -> Vec<u8> {
        vec![0x40 | bytes]
    }
}

/// A section being written.
#[derive(Default)]
pub(crate) struct Tables(Vec<u8>);

impl Tables {
    /// Adds a function with the rules that hold at its entry changed by `rules`; augmentation `S` for a signal frame.
    pub(crate) fn function(
        mut self,
        start: u64,
        end: u64,
        signal: bool,
        rules: &[Vec<u8>],
    ) -> Self {
        let cie = self.0.len();
        let augmentation: &[u8] = if signal { b"\x01zRS\0" } else { b"\x01zR\0" };
        // code alignment 1, data alignment -8, return address 16, absolute addresses; CFA rsp+8, address at CFA-8
        let body = [augmentation, &[1, 0x78, 16, 1, 0x04, 0x0c, 7, 8, 0x90, 1]].concat();
        self.entry(0, &body);
        let back = (self.0.len() + 4 - cie) as u32;
        let range = [start.to_le_bytes(), (end - start).to_le_bytes()].concat();
        self.entry(back, &[&range[..], &[0], &rules.concat()].concat());
        self
    }

    fn entry(&mut self, id: u32, body: &[u8]) {
        let padding = (8 - (body.len() + 8) % 8) % 8;
        let len = (4 + body.len() + padding) as u32;
        self.0.extend(len.to_le_bytes());
        self.0.extend(id.to_le_bytes());
        self.0.extend(body);
        self.0.extend(vec![0; padding]); // DW_CFA_nop
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.0.extend([0; 4]);
        self.0
    }
}
