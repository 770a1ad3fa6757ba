//! Scores of several methods on the same subjects, as a table.

use std::collections::BTreeMap;

use ndarray::Array4;
use voxgan::error::Result;
use voxgan::evaluate::{Plan, Profile, score};
use voxgan::volume::Volume;

/// 97.5 % points of Student's t by degrees of freedom, from 1.
const T: [f64; 10] = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228];

/// Scores by method: PSNR in dB and SSIM, one of each a subject.
#[derive(Default)]
pub struct Contest {
    methods: Vec<String>,
    scores: BTreeMap<String, Vec<[f64; 2]>>,
}

impl Contest {
    /// Scores `image` `[1, D, H, W]` of this method against the truth; the network comes last.
    pub fn add(&mut self, method: &str, truth: &Array4<f32>, image: &Array4<f32>) -> Result<()> {
        let volume = |data: &Array4<f32>| Volume::new(data.clone(), voxgan::volume::VoxelToWorld::identity());
        let scores = score(&volume(truth), &volume(image), None, &Plan::new(Profile::FastMri))?;
        let of = |name: &str| scores.get(name).map_or(f64::NAN, |score| score.value);
        self.push(method, [of("PSNR"), of("SSIM")]);
        Ok(())
    }

    /// A score made elsewhere.
    pub fn push(&mut self, method: &str, score: [f64; 2]) {
        if !self.methods.iter().any(|known| known == method) {
            self.methods.push(method.into());
        }
        self.scores.entry(method.into()).or_default().push(score);
    }

    /// The rows of a table: mean and 95 % interval, and the last method's gain over the best of the others.
    pub fn rows(&self, name: &str) -> String {
        let Some((network, baselines)) = self.methods.split_last() else { return String::new() };
        let mean_of = |method: &String, i: usize| mean(&self.column(method, i));
        let best = |i: usize| {
            baselines
                .iter()
                .max_by(|a, b| mean_of(a, i).total_cmp(&mean_of(b, i)))
                .expect("a baseline beside the network")
        };
        let mut text = String::new();
        for method in &self.methods {
            let [psnr, ssim] = [0, 1].map(|i| self.column(method, i));
            let gain = |i: usize| -> String {
                let gains: Vec<f64> =
                    self.column(network, i).iter().zip(self.column(best(i), i)).map(|(a, b)| a - b).collect();
                format!("{:+.3} ± {:.3} over {}", mean(&gains), half_width(&gains), best(i))
            };
            let gains = if method == network { format!("{} | {}", gain(0), gain(1)) } else { " | ".into() };
            text += &format!(
                "| {name} | {method} | {:.2} ± {:.2} | {:.4} ± {:.4} | {gains} |\n",
                mean(&psnr),
                half_width(&psnr),
                mean(&ssim),
                half_width(&ssim),
            );
        }
        text
    }

    fn column(&self, method: &str, i: usize) -> Vec<f64> {
        self.scores[method].iter().map(|score| score[i]).collect()
    }
}

/// The head of the table.
pub fn head() -> String {
    "| task | method | PSNR, dB | SSIM | PSNR gained | SSIM gained |\n|---|---|---|---|---|---|\n".into()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Mean and half of its 95 % interval, with so many digits.
pub fn interval(values: &[f64], digits: usize) -> String {
    format!("{:.digits$} ± {:.digits$}", mean(values), half_width(values))
}

/// Half of the 95 % interval of the mean.
fn half_width(values: &[f64]) -> f64 {
    let n = values.len();
    if n < 2 {
        return f64::NAN;
    }
    let mean = mean(values);
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1) as f64;
    let t = T.get(n - 2).copied().unwrap_or(1.96);
    t * (variance / n as f64).sqrt()
}
