//! Labels of a protocol that tells less apart.

use voxgan::anatomy::{Segmentation, Structure};

/// Choroid plexus counted to its ventricle, as protocols do that do not tell it apart.
pub fn with_plexus_as_ventricle(mut segmentation: Segmentation) -> Segmentation {
    for (part, whole) in [
        (Structure::LeftChoroidPlexus, Structure::LeftLateralVentricle),
        (Structure::RightChoroidPlexus, Structure::RightLateralVentricle),
    ] {
        let [part, whole] = [part.index(), whole.index()];
        segmentation
            .labels
            .mapv_inplace(|label| if usize::from(label) == part { whole as u8 } else { label });
        segmentation.volume_ml[whole] += std::mem::take(&mut segmentation.volume_ml[part]);
    }
    segmentation
}
