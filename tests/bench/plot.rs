//! The plot: pause against number of threads, both axes logarithmic, whiskers from min to max.

use crate::measure::Run;
use crate::series::Series;
use std::fmt::Write;
use std::ops::Range;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 50.0;

/// A logarithmic axis.
struct Axis {
    values: Range<f64>,
    pixels: Range<f64>,
}

impl Axis {
    /// An axis over whole powers of ten that hold all `values`.
    fn over(values: impl Iterator<Item = f64>, pixels: Range<f64>) -> Self {
        let (mut low, mut high) = (f64::MAX, f64::MIN_POSITIVE);
        for value in values {
            low = low.min(value);
            high = high.max(value);
        }
        let values = 10_f64.powf(low.log10().floor())..10_f64.powf(high.log10().ceil());
        Self { values, pixels }
    }

    fn at(&self, value: f64) -> f64 {
        let Range { start, end } = self.values;
        let share = (value / start).ln() / (end / start).ln();
        self.pixels.start + share * (self.pixels.end - self.pixels.start)
    }

    /// The powers of ten.
    fn ticks(&self) -> impl Iterator<Item = f64> {
        let end = self.values.end * 1.001;
        std::iter::successors(Some(self.values.start), |tick| Some(tick * 10.0))
            .take_while(move |&tick| tick <= end)
    }
}

/// A line of the plot.
struct Line<'a> {
    name: &'static str,
    colour: &'static str,
    points: Vec<(usize, &'a Series)>,
}

impl<'a> Line<'a> {
    fn new(
        name: &'static str,
        colour: &'static str,
        runs: &'a [Run],
        pick: fn(&Run) -> &Series,
    ) -> Self {
        let points = runs.iter().map(|run| (run.threads, pick(run))).collect();
        Self {
            name,
            colour,
            points,
        }
    }
}

/// The plot as a self-contained SVG file.
pub(crate) fn svg(runs: &[Run]) -> String {
    let pauses = runs.iter().flat_map(|run| {
        let all = [&run.floor, &run.apply, &run.revert];
        all.into_iter()
            .flat_map(|series| [series.min(), series.max()])
    });
    let y = Axis::over(pauses, HEIGHT - BOTTOM..TOP);
    let x = Axis::over(
        runs.iter().map(|run| run.threads as f64),
        LEFT..WIDTH - RIGHT,
    );
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
    );
    // Writing to a string does not fail.
    let _ = grid(&mut text, &x, &y);
    let lines = [
        Line::new("floor", "#888888", runs, |run| &run.floor),
        Line::new("apply", "#c0392b", runs, |run| &run.apply),
        Line::new("revert", "#2471a3", runs, |run| &run.revert),
    ];
    for (index, line) in lines.iter().enumerate() {
        let _ = draw(&mut text, &x, &y, line);
        let _ = legend(&mut text, index, line);
    }
    text.push_str("</svg>\n");
    text
}

fn grid(text: &mut String, x: &Axis, y: &Axis) -> std::fmt::Result {
    let (bottom, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
    for tick in y.ticks() {
        let (at, label) = (y.at(tick), microseconds(tick));
        writeln!(
            text,
            "<path d=\"M{LEFT} {at:.1}H{right}\" stroke=\"#dddddd\"/>"
        )?;
        writeln!(
            text,
            "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
            LEFT - 8.0,
            at + 4.0
        )?;
    }
    for tick in x.ticks() {
        let at = x.at(tick);
        writeln!(
            text,
            "<path d=\"M{at:.1} {TOP}V{bottom}\" stroke=\"#dddddd\"/>"
        )?;
        writeln!(
            text,
            "<text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{tick}</text>",
            bottom + 18.0
        )?;
    }
    writeln!(
        text,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">threads</text>\n\
         <text x=\"{LEFT}\" y=\"{:.1}\">pause of a running thread, median with min and max</text>",
        f64::midpoint(LEFT, right),
        HEIGHT - 12.0,
        TOP - 16.0
    )
}

fn draw(text: &mut String, x: &Axis, y: &Axis, line: &Line<'_>) -> std::fmt::Result {
    let colour = line.colour;
    let mut path = String::new();
    for (threads, series) in &line.points {
        let (across, middle) = (x.at(*threads as f64), y.at(series.median()));
        let (top, bottom) = (y.at(series.max()), y.at(series.min()));
        let letter = if path.is_empty() { 'M' } else { 'L' };
        write!(path, "{letter}{across:.1} {middle:.1}")?;
        writeln!(
            text,
            "<circle cx=\"{across:.1}\" cy=\"{middle:.1}\" r=\"3.5\" fill=\"{colour}\"/>"
        )?;
        writeln!(
            text,
            "<path d=\"M{across:.1} {top:.1}V{bottom:.1}\" stroke=\"{colour}\" stroke-opacity=\"0.5\"/>"
        )?;
    }
    writeln!(
        text,
        "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>"
    )
}

fn legend(text: &mut String, index: usize, line: &Line<'_>) -> std::fmt::Result {
    let Line { name, colour, .. } = line;
    let (x, y) = (LEFT + 16.0, TOP + 20.0 + 20.0 * index as f64);
    writeln!(
        text,
        "<path d=\"M{x} {y}h24\" stroke=\"{colour}\" stroke-width=\"2\"/>"
    )?;
    writeln!(
        text,
        "<text x=\"{}\" y=\"{}\">{name}</text>",
        x + 32.0,
        y + 4.0
    )
}

fn microseconds(value: f64) -> String {
    if value >= 1e6 {
        format!("{} s", value / 1e6)
    } else if value >= 1e3 {
        format!("{} ms", value / 1e3)
    } else {
        format!("{value} µs")
    }
}
