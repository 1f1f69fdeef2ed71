//! Times on the command line.

use std::time::Duration;

const HELP: &str = "use a number and ms, s or m, as in 500ms";
/// Nobody waits longer; sums of such times and any moment are moments.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

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
    let time = Duration::try_from_secs_f64(number * scale).ok();
    time.filter(|time| *time <= LONGEST)
        .ok_or_else(|| format!("too long: {}m, a year, is the most", LONGEST.as_secs() / 60))
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
        assert_eq!(duration("525600m"), Ok(LONGEST));
        for long in ["525601m", "99999999999999999999s", &"9".repeat(400)] {
            let told = "too long: 525600m, a year, is the most".to_owned();
            assert_eq!(duration(long), Err(told), "{long:?}");
        }
    }
}
