//! Dice and volumes of regions over many images, as a table.

use std::fmt::Write;

/// A region in one image: truth (or a reference) and what was found.
#[derive(Clone, Debug)]
pub struct Found {
    pub image: String,
    pub region: &'static str,
    pub dice: Option<f64>,
    pub truth_ml: f64,
    pub found_ml: f64,
}

impl Found {
    /// Error of the volume in per cent of the truth; none of nothing.
    pub fn error_percent(&self) -> Option<f64> {
        (self.truth_ml > 0.0).then(|| 100.0 * (self.found_ml - self.truth_ml).abs() / self.truth_ml)
    }
}

/// The value below which a share of `values` lies, linear between them.
pub fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let Some(last) = values.len().checked_sub(1) else { return f64::NAN };
    let at = share * last as f64;
    let (low, high) = (values[at.floor() as usize], values[at.ceil() as usize]);
    low + (high - low) * at.fract()
}

pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Pearson's correlation.
pub fn correlation(pairs: &[(f64, f64)]) -> f64 {
    let [x, y] = [pairs.iter().map(|p| p.0).collect::<Vec<_>>(), pairs.iter().map(|p| p.1).collect()];
    let (mx, my) = (mean(&x), mean(&y));
    let sum = |f: &dyn Fn(f64, f64) -> f64| pairs.iter().map(|&(x, y)| f(x - mx, y - my)).sum::<f64>();
    sum(&|x, y| x * y) / (sum(&|x, _| x * x) * sum(&|_, y| y * y)).sqrt()
}

/// One row a region: Dice (median, lowest quarter, least), median error and bias of the volume, correlation.
pub fn table(found: &[Found]) -> String {
    let mut text = String::from(
        "| region | images | Dice, mean | median | lowest | error of volume, median % | bias % | correlation |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    let mut regions: Vec<&str> = Vec::new();
    for one in found {
        if !regions.contains(&one.region) {
            regions.push(one.region);
        }
    }
    for region in regions {
        let rows: Vec<&Found> = found.iter().filter(|one| one.region == region).collect();
        let mut dice: Vec<f64> = rows.iter().filter_map(|one| one.dice).collect();
        let mut errors: Vec<f64> = rows.iter().filter_map(|one| one.error_percent()).collect();
        let signed: Vec<f64> = rows
            .iter()
            .filter(|one| one.truth_ml > 0.0)
            .map(|one| 100.0 * (one.found_ml / one.truth_ml - 1.0))
            .collect();
        let pairs: Vec<(f64, f64)> = rows.iter().map(|one| (one.truth_ml, one.found_ml)).collect();
        let _ = writeln!(
            text,
            "| {region} | {} | {:.3} | {:.3} | {:.3} | {:.1} | {:+.1} | {:.3} |",
            dice.len(),
            mean(&dice),
            quantile(&mut dice, 0.5),
            quantile(&mut dice, 0.0),
            quantile(&mut errors, 0.5),
            mean(&signed),
            correlation(&pairs),
        );
    }
    text
}

/// All rows as CSV.
pub fn csv(found: &[Found]) -> String {
    let mut text = String::from("image,region,dice,truth_ml,found_ml\n");
    for Found { image, region, dice, truth_ml, found_ml } in found {
        let dice = dice.map_or_else(String::new, |dice| format!("{dice:.5}"));
        let _ = writeln!(text, "{image},{region},{dice},{truth_ml:.4},{found_ml:.4}");
    }
    text
}
