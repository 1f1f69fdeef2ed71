//! Times on the command line.

use std::time::Duration;

const HELP: &str = "use a number and ms, s or m, as in 500ms";

/// Reads a number with a unit, seconds without one; for clap's `value_parser`.
///
/// # Errors
/// What to write instead.
pub fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.');
    let (number, unit) = text.split_at(digits.unwrap_or(text.len()));
    let scale = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        _ => return Err(HELP.into()),
    };
    let number: f64 = number.parse().map_err(|_| HELP.to_owned())?;
    Duration::try_from_secs_f64(number * scale).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("2"), Ok(Duration::from_secs(2)));
        assert_eq!(duration("1m"), Ok(Duration::from_secs(60)));
        for bad in ["1h", "", "ms", "1.2.3s", "-1s"] {
            assert!(duration(bad).is_err(), "{bad:?}");
        }
    }
}
