//! Names that tell by their place in a function: closures, local classes, static locals of C++.
//!
//! ```text
//! _ZZ5setupvENKUliE0_clEi                 the second lambda of setup(): `UliE_` is the first, `UliE0_` the second
//! _ZZ5setupvEN3$_28__invokeEi             clang's number of a lambda
//! _ZTVZ5setupvE1L_0                       the second class `L` in setup(): a discriminator behind the name
//! _ZZ1fiE1n_0                             the second static local `n` of f()
//! _ZN1a5setup28_$u7b$$u7b$closure$u7d$$u7d$17h160d24c79f0e5f37E     a closure of Rust; its number is in the hash
//! _RNCNvCs1234_1a5setups_0                the second closure of setup() in Rust's other mangling
//! ```
//!
//! Where one is added before others, all that follow get the next one's name.

use super::{names, rust};

/// The name without the number of a place; `None` for names that have no such part.
#[must_use]
pub fn base(name: &str) -> Option<String> {
    if !may_have(name) {
        return None;
    }
    match rust::path(name) {
        Some(path) => closure(&path),
        None => Scan::new(name)?.run(),
    }
}

/// The same for names of C++ only.
#[must_use]
pub fn cxx_base(name: &str) -> Option<String> {
    base(name).filter(|_| rust::path(name).is_none())
}

/// Whether a look is worth the while: there are many names.
fn may_have(name: &str) -> bool {
    let marks = ["closure", "$_", "Ul", "Ut", "Z"];
    let cxx = name.strip_prefix("_Z");
    name.starts_with("_R") && name.contains("NC")
        || cxx.is_some_and(|rest| marks.iter().any(|mark| rest.contains(mark)))
}

/// The path of a closure of Rust without its number.
fn closure(path: &str) -> Option<String> {
    if path.contains("{{closure}}") {
        return Some(path.to_owned());
    }
    let mut parts = path.split("{closure#");
    let mut base = parts.next()?.to_owned();
    let mut found = false;
    for part in parts {
        base.push_str("{closure");
        base.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
        found = true;
    }
    found.then_some(base)
}

/// A walk over a mangled name (Itanium C++ ABI, 5.1), as far as telling names from numbers needs it.
struct Scan<'n> {
    rest: &'n str,
    base: String,
    /// Whether something inside a function is named.
    local: bool,
    /// Lambdas whose parameters have begun.
    lambdas: usize,
}

impl<'n> Scan<'n> {
    fn new(name: &'n str) -> Option<Self> {
        let rest = name.strip_prefix("_Z")?;
        Some(Self {
            rest,
            base: "_Z".to_owned(),
            local: false,
            lambdas: 0,
        })
    }

    fn run(mut self) -> Option<String> {
        while let Some(first) = self.rest.chars().next() {
            if first == '.' {
                break;
            }
            self.step(first);
        }
        self.base.push_str(self.rest);
        self.local.then(|| names::base(&self.base))
    }

    fn step(&mut self, first: char) {
        let next = self.rest[first.len_utf8()..].chars().next();
        match (first, next) {
            ('0'..='9', _) => self.identifier(),
            ('S' | 'T' | 'A', Some('0'..='9' | 'A'..='Z' | '_')) if self.is_number(1) => {
                self.keep(1 + self.number(1) + 1);
            }
            ('S', Some('a'..='z')) => self.keep(2),
            ('L', Some('a'..='z')) => self.literal(),
            ('U', Some('l')) => {
                (self.local, self.lambdas) = (true, self.lambdas + 1);
                self.keep(2);
            }
            ('E', _) => self.end(),
            ('Z', _) => {
                self.local = true;
                self.keep(1);
            }
            _ => self.keep(first.len_utf8()),
        }
    }

    fn keep(&mut self, length: usize) {
        let (kept, rest) = self.rest.split_at(length);
        self.base.push_str(kept);
        self.rest = rest;
    }

    /// How many digits and capitals, which make a number, begin at `from`.
    fn number(&self, from: usize) -> usize {
        let digits = self.rest[from..].bytes();
        let is_digit = |byte: &u8| byte.is_ascii_digit() || byte.is_ascii_uppercase();
        digits.take_while(is_digit).count()
    }

    /// Whether a number and `_` begin at `from`.
    fn is_number(&self, from: usize) -> bool {
        self.rest.as_bytes().get(from + self.number(from)) == Some(&b'_')
    }

    /// `Li16E`: a number between a type and `E`.
    fn literal(&mut self) {
        let digits = self.rest[2..].bytes();
        let value = digits.take_while(|byte| byte.is_ascii_digit() || *byte == b'n');
        self.keep(2 + value.count());
    }

    /// A length and so many characters. What begins with `$_` is clang's name of a lambda.
    fn identifier(&mut self) {
        let digits = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        let length: Option<usize> = self.rest[..digits].parse().ok();
        let end = length.and_then(|length| digits.checked_add(length));
        let Some(name) = end.and_then(|end| self.rest.get(digits..end)) else {
            self.keep(digits);
            return;
        };
        if name.starts_with("$_") {
            self.base.push_str("$_");
            self.local = true;
            self.rest = &self.rest[digits + name.len()..];
        } else {
            self.keep(digits + name.len());
        }
        self.discriminator();
    }

    /// The end of a lambda's parameters and its number, or of a name within others.
    fn end(&mut self) {
        self.keep(1);
        let digits = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        if self.lambdas > 0 && self.rest.as_bytes().get(digits) == Some(&b'_') {
            self.lambdas -= 1;
            self.rest = &self.rest[digits..];
            self.keep(1);
        } else {
            self.discriminator();
        }
    }

    /// `_5` or `__12_`: which of several of one name in a function.
    fn discriminator(&mut self) {
        let Some(rest) = self.rest.strip_prefix('_').filter(|_| self.local) else {
            return;
        };
        let long = rest.strip_prefix('_').and_then(|rest| rest.split_once('_'));
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if let Some((_, after)) = long.filter(|(number, _)| is_number(number)) {
            self.rest = after;
        } else if rest.starts_with(|c: char| c.is_ascii_digit()) {
            self.rest = &rest[1..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::base;

    /// Whether the names are told apart by place alone.
    fn alike(names: &[&str]) -> bool {
        let first = base(names[0]);
        first.is_some() && names.iter().all(|name| base(name) == first)
    }

    #[test]
    fn places_are_left_out() {
        assert!(alike(&[
            "_ZZ5setupvENKUliE_clEi",
            "_ZZ5setupvENKUliE0_clEi",
            "_ZZ5setupvENKUliE12_clEi"
        ]));
        assert!(alike(&[
            "_ZZ5setupvEN3$_28__invokeEi",
            "_ZZ5setupvEN4$_108__invokeEi"
        ]));
        assert!(alike(&[
            "_ZTVZL5setupiE1L",
            "_ZTVZL5setupiE1L_0",
            "_ZTVZL5setupiE1L__12_"
        ]));
        assert!(alike(&["_ZZL5setupiEN1L1fEi", "_ZZL5setupiEN1L1fE_0i"]));
        assert!(alike(&["_ZZ1fiE1n", "_ZZ1fiE1n_0"]));
        assert!(alike(&["_ZGVZ1fiE1sB5cxx11", "_ZGVZ1fiE1sB5cxx11_0"]));
        assert!(alike(&[
            "_RNCNvCsgEmfK2I1SDS_1a5setup0B3_",
            "_RNCNvCsgEmfK2I1SDS_1a5setups_0B3_"
        ]));
        assert!(alike(&[
            "_ZNSt17_Function_handlerIFiiEZ5setupvEUliE0_E9_M_invokeERKSt9_Any_dataOi",
            "_ZNSt17_Function_handlerIFiiEZ5setupvEUliE1_E9_M_invokeERKSt9_Any_dataOi",
        ]));
    }

    #[test]
    fn what_is_named_stays_apart() {
        assert_ne!(base("_ZZ1fiE1n"), base("_ZZ1fiE1m"));
        assert_ne!(base("_ZZ1fiE3n_0"), base("_ZZ1fiE3n_1"));
        assert_ne!(base("_ZZ1fILi16EEvvE1n"), base("_ZZ1fILi17EEvvE1n"));
        assert_ne!(base("_ZZ1fRA10_cE1n"), base("_ZZ1fRA11_cE1n"));
        assert_ne!(
            base("_ZZ5setupvENKUliE_clEi"),
            base("_ZZ5setupvENKUlvE_clEi")
        );
        for other in [
            "_ZN5Shape5weighEl",
            "_ZTV5Shape",
            "_Z1fi",
            "main",
            "_ZN1a3addILi5EEEvT_",
            "_Z",
        ] {
            assert_eq!(base(other), None, "{other}");
        }
    }
}
