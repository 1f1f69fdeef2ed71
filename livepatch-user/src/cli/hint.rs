//! What somebody meant who wrote a wrong command line.

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use std::ffi::OsString;

/// Says how a process is named where one argument is a mere number and another one is too many.
pub(super) fn with_hint(mut error: clap::Error, arguments: &[OsString]) -> clap::Error {
    if error.kind() == ErrorKind::UnknownArgument
        && let Some(number) = bare_number(arguments)
    {
        let tip = StyledStr::from(format!("a process is named by `--pid {number}`"));
        let tip = ContextValue::StyledStrs(vec![tip]);
        error.insert(ContextKind::Suggested, tip);
    }
    error
}

/// The number that belongs to no option, as far as can be told.
fn bare_number(arguments: &[OsString]) -> Option<u32> {
    let number = |argument: &OsString| argument.to_str()?.parse().ok();
    let is_value = |before: &OsString| before.as_encoded_bytes().starts_with(b"-");
    let pairs = arguments.iter().zip(arguments.iter().skip(1));
    let mut bare = pairs.filter_map(|(before, argument)| {
        let number = number(argument)?;
        (!is_value(before)).then_some(number)
    });
    bare.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_options_are_not_bare() {
        let bare = |line: &str| {
            let arguments: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            bare_number(&arguments)
        };
        assert_eq!(bare("livepatch apply 12 fix.lpatch"), Some(12));
        assert_eq!(bare("livepatch apply fix.lpatch 12"), Some(12));
        assert_eq!(bare("livepatch apply --pid 12 fix.lpatch other"), None);
    }
}
