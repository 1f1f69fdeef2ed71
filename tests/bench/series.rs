//! Repeated measurements of one thing.

use std::fmt;

/// At least one value.
#[derive(Clone, Debug)]
pub(crate) struct Series(Vec<f64>);

impl Series {
    /// The measured values; `None` when there are none.
    pub(crate) fn new(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        (!values.is_empty()).then_some(Self(values))
    }

    pub(crate) fn min(&self) -> f64 {
        self.0[0]
    }

    /// The middle value; the mean of the two middle values of an even number.
    pub(crate) fn median(&self) -> f64 {
        let middle = self.0.len() / 2;
        match self.0.len() % 2 {
            0 => f64::midpoint(self.0[middle - 1], self.0[middle]),
            _ => self.0[middle],
        }
    }

    pub(crate) fn max(&self) -> f64 {
        self.0[self.0.len() - 1]
    }

    /// The series divided by `unit`.
    pub(crate) fn per(&self, unit: f64) -> Self {
        Self(self.0.iter().map(|value| value / unit).collect())
    }
}

/// `min / median / max`, with three digits that count.
impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = match self.median().abs() {
            value if value >= 100.0 => 0,
            value if value >= 10.0 => 1,
            _ => 2,
        };
        write!(
            f,
            "{:.digits$} / {:.digits$} / {:.digits$}",
            self.min(),
            self.median(),
            self.max()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        let series = Series::new(vec![3.0, 1.0, 2.0]).expect("not empty");
        assert_eq!(series.to_string(), "1.00 / 2.00 / 3.00");
    }

    #[test]
    fn no_values_are_no_series() {
        assert!(Series::new(Vec::new()).is_none());
    }
}
