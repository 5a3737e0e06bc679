//! The table printed at the end.

use std::{borrow::Cow, fmt};

use crate::blast::{median, quantile};

/// One figure beside its target.
pub(crate) struct Row {
    name: Cow<'static, str>,
    ours: String,
    bare: String,
    ratio: String,
    target: String,
    met: Option<bool>,
}

impl Row {
    /// A rate next to the bare one: must be at least `share` of it, or at least `enough` where that is less.
    pub(crate) fn rate(
        name: impl Into<Cow<'static, str>>,
        ours: f64,
        bare: f64,
        share: f64,
        enough: f64,
    ) -> Self {
        let least = (share * bare).min(enough);
        let target = if enough < share * bare {
            format!("≥ {enough:.0}/s (disk)")
        } else {
            format!("≥ {share:.2}")
        };
        Self {
            name: name.into(),
            ours: format!("{ours:.0}/s"),
            bare: format!("{bare:.0}/s"),
            ratio: format!("{:.2}", ours / bare),
            target,
            met: Some(ours >= least),
        }
    }

    /// Figures of paired runs next to those of another program: the ratio is the median of the pairs' ratios, shown with its
    /// quartiles, and must be at least `least`, if given.
    pub(crate) fn pairs(
        name: impl Into<Cow<'static, str>>,
        ours: &[f64],
        other: &[f64],
        unit: &str,
        least: Option<f64>,
    ) -> Self {
        let mut ratios: Vec<f64> = ours.iter().zip(other).map(|(ours, other)| ours / other).collect();
        let [lower, ratio, upper] = [0.25, 0.5, 0.75].map(|share| quantile(&mut ratios, share));
        let shown = |figures: &[f64]| format!("{:.0}{unit}", median(figures.to_vec()));
        Self {
            name: name.into(),
            ours: shown(ours),
            bare: shown(other),
            ratio: format!("{ratio:.2} ({lower:.2}–{upper:.2})"),
            target: least.map(|least| format!("≥ {least:.2}")).unwrap_or_default(),
            met: least.map(|least| ratio >= least),
        }
    }

    /// A figure that must not exceed its target.
    pub(crate) fn at_most(name: impl Into<Cow<'static, str>>, ours: f64, most: f64, unit: &str) -> Self {
        Self {
            name: name.into(),
            ours: format!("{ours:.1} {unit}"),
            bare: String::new(),
            ratio: String::new(),
            target: format!("≤ {most} {unit}"),
            met: Some(ours <= most),
        }
    }

    /// The median and the 99th percentile of times in milliseconds; the latter must not exceed the target.
    pub(crate) fn quantiles(name: impl Into<Cow<'static, str>>, p50: f64, p99: f64, most: f64) -> Self {
        Self {
            name: name.into(),
            ours: format!("{p50:.1} / {p99:.1} ms"),
            bare: String::new(),
            ratio: String::new(),
            target: format!("p99 ≤ {most} ms"),
            met: Some(p99 <= most),
        }
    }

    /// A figure without a target.
    pub(crate) fn only(name: impl Into<Cow<'static, str>>, ours: String) -> Self {
        Self {
            name: name.into(),
            ours,
            bare: String::new(),
            ratio: String::new(),
            target: String::new(),
            met: None,
        }
    }

    /// Whether it has a target and missed it.
    pub(crate) fn missed(&self) -> bool {
        self.met == Some(false)
    }

    fn cells(&self) -> [&str; 6] {
        let verdict = match self.met {
            Some(true) => "met",
            Some(false) => "MISSED",
            None => "",
        };
        [&self.name, &self.ours, &self.bare, &self.ratio, &self.target, verdict]
    }
}

/// All rows.
pub(crate) struct Table<'a>(pub(crate) &'a [Row]);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["measurement", "simod", "bare", "ratio", "target", ""];
        let lines: Vec<[&str; 6]> = std::iter::once(head).chain(self.0.iter().map(Row::cells)).collect();
        lay_out(f, &lines)
    }
}

/// Writes lines as columns, the first line as their header: a name, three figures, two remarks.
pub(crate) fn lay_out<S: AsRef<str>>(f: &mut fmt::Formatter<'_>, lines: &[[S; 6]]) -> fmt::Result {
    let width =
        |column: usize| lines.iter().map(|line| line[column].as_ref().chars().count()).max().unwrap_or(0);
    let widths: [usize; 6] = std::array::from_fn(width);
    for (number, line) in lines.iter().enumerate() {
        for (column, cell) in line.iter().map(S::as_ref).enumerate() {
            match column {
                0 => write!(f, "{cell:<width$}", width = widths[0])?,
                1..=3 => write!(f, "  {cell:>width$}", width = widths[column])?,
                _ => write!(f, "  {cell:<width$}", width = widths[column])?,
            }
        }
        writeln!(f)?;
        if number == 0 {
            writeln!(f, "{}", "─".repeat(widths.iter().sum::<usize>() + 2 * (widths.len() - 1)))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_judged_by_the_median_of_their_ratios() {
        let ours = [50.0, 70.0, 80.0, 90.0, 10.0];
        let row = |least| Row::pairs("drain", &ours, &[100.0, 100.0, 100.0, 100.0, 10.0], "/s", Some(least));
        let cells = ["drain", "70/s", "100/s", "0.80 (0.70–0.90)", "≥ 0.80", "met"];
        assert_eq!(row(0.8).cells(), cells);
        assert!(!row(0.8).missed() && row(0.81).missed());
    }
}
