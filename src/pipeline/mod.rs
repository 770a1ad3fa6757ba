//! Jobs: from options to a result. A job reads, computes and writes files; it reports through [`Progress`] and does not
//! print, parse arguments or exit. The command line turns arguments into a job's options and its result into text.
//!
//! The interface has no types of burn: a job takes a [`Device`], and a trained network is a plain handle:
//! [`Generator`], [`Segmenter`], [`Restorer`], [`Prior`].

pub mod check;
pub mod cohort;
pub mod compare;
mod conditions;
pub mod convert;
pub mod deface;
pub mod derivatives;
mod device;
mod difference;
pub mod evaluate;
pub mod export;
pub mod folder;
pub mod generate;
mod generator;
pub mod interpolate;
mod labelled;
pub mod mask;
mod masked;
pub(crate) mod memory;
pub mod merge;
pub mod mix;
pub mod n4;
pub mod outputs;
mod pairs;
mod participants;
pub mod phantom;
pub mod prepare;
pub mod prior;
mod progress;
mod realism;
pub mod recon;
mod records;
#[cfg(feature = "report")]
pub mod report;
pub mod resample;
pub mod restore;
mod restorer;
pub mod score;
mod segmenter;
pub(crate) mod sidecar;
pub mod simulate;
pub mod strip;
pub mod to_dicom;
pub mod train;
pub mod volumes;

pub use conditions::{Drawn, Labels};
#[cfg(feature = "cli")]
pub(crate) use device::on_device;
pub use device::{Api, Device, Found, Which};
pub use generator::{Generator, NoiseMode, Output, Sampling, StoredType};
pub use prior::{Posterior, Prior};
pub use progress::{Event, Progress};
pub use realism::ExtractorChoice;
pub use restorer::{Restoration, Restorer};
pub use segmenter::Segmenter;

#[cfg(test)]
mod tests {
    use serde::Serialize;
    use serde::de::DeserializeOwned;

    use super::*;

    /// Options are stored and read again, and nothing stands for the defaults.
    #[test]
    fn options_are_data() {
        fn stored<T: Default + Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(
            change: fn(&mut T),
        ) {
            assert_eq!(serde_json::from_str::<T>("{}").unwrap(), T::default());
            assert!(serde_json::from_str::<T>(r#"{"nothing": 1}"#).is_err());
            let mut options = T::default();
            change(&mut options);
            let text = serde_json::to_string(&options).unwrap();
            assert_eq!(serde_json::from_str::<T>(&text).unwrap(), options, "{text}");
        }
        stored::<prepare::Options>(|options| options.plan.shape = [40, 48, 40]);
        stored::<generate::Options>(|options| options.sampling.device = Device::Cuda(1));
        stored::<mix::Options>(|_| {});
        stored::<interpolate::Options>(|_| {});
        stored::<n4::Options>(|_| {});
        stored::<convert::Options>(|options| options.data_type = Some(crate::io::scan::DataType::I16));
        stored::<restore::Options>(|options| options.problem = restore::Problem::Inpaint("a.nii".into()));
        stored::<prior::Options>(|options| options.operator = prior::Operator::Kspace("a.npy".into()));
        stored::<recon::Options>(|options| {
            options.method = recon::Method::Network(recon::Network::default());
            options.maps = recon::Maps::File("a.npy".into());
        });
        stored::<recon::Options>(|options| {
            let wavelet = crate::recon::Method::Wavelet(Default::default());
            options.method = recon::Method::Classical(wavelet);
        });
        stored::<train::Options>(|options| options.scans = Some(train::Scans::default()));
        stored::<simulate::Options>(|options| {
            let motion = crate::simulate::degrade::RandomMotion::default();
            options.cascade = vec![crate::simulate::degrade::Degradation::Motion(motion)];
        });
        stored::<phantom::Options>(|options| options.of = phantom::Shown::SheppLogan);
        stored::<mask::Options>(|options| {
            options.seed = crate::acquisition::sampling::Seed::Name("a".into())
        });
        stored::<score::Options>(|options| options.pairs = vec![["a".into(), "b".into()]]);
        stored::<report::Options>(|options| options.scans = 0);
    }
}
