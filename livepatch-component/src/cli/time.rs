//! Times for people: UTC, as RFC 3339 writes them.

const DAY: u64 = 86_400;
/// Days of 400 years, after which the calendar is the same again.
const CYCLE: u64 = 146_097;
/// Days from 1 March 1600, when such a cycle began, to 1 January 1970.
const EPOCH: u64 = 135_080;

/// The time so many milliseconds after 1970 began.
pub(super) fn rfc3339(millis: u64) -> String {
    let seconds = millis / 1000;
    let (year, month, day) = date(seconds / DAY);
    let (hour, minute) = (seconds % DAY / 3600, seconds % 3600 / 60);
    let (second, milli) = (seconds % 60, millis % 1000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

/// Year, month and day, so many days after 1 January 1970. Years begin in March here, so that the day that may be missing is the last.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + EPOCH;
    let (mut year, mut days) = (1600 + days / CYCLE * 400, days % CYCLE);
    loop {
        let length = length(year);
        if days < length {
            break;
        }
        days -= length;
        year += 1;
    }
    let lengths = [31, 30, 31, 30, 31, 31, 30, 31, 30, 31, 31, 29];
    let mut month = 0;
    while days >= lengths[month] {
        days -= lengths[month];
        month += 1;
    }
    let month = month as u64 + 3;
    match month > 12 {
        true => (year + 1, month - 12, days + 1),
        false => (year, month, days + 1),
    }
}

/// Days from 1 March of a year to the next.
fn length(year: u64) -> u64 {
    let next = year + 1;
    let is_leap = next.is_multiple_of(4) && !next.is_multiple_of(100) || next.is_multiple_of(400);
    365 + u64::from(is_leap)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `date -u --date=@SECONDS --iso-8601=seconds` tells.
    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.007Z"),
            (951_782_399, "2000-02-28T23:59:59.007Z"),
            (951_782_400, "2000-02-29T00:00:00.007Z"),
            (951_868_800, "2000-03-01T00:00:00.007Z"),
            (1_735_689_599, "2024-12-31T23:59:59.007Z"),
            (4_107_542_400, "2100-03-01T00:00:00.007Z"),
        ] {
            assert_eq!(rfc3339(seconds * 1000 + 7), text);
        }
    }
}
