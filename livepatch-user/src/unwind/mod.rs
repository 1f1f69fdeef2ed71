//! Call-frame unwinding, the stack check, and the conservative scan.
