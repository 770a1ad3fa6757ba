"""voxgan: a 3D StyleGAN2 toolkit for brain MRI, on arrays.

Images are paths, images of nibabel, or :class:`Volume`, an array ``[D, H, W]`` with an affine; results are volumes on the
grid of what they were made of. Everything that a user can get wrong is an :class:`Error` that says what to do.

>>> import voxgan
>>> brains = voxgan.Generator.load("brain-4mm").sample(seeds=[0, 1], psi=0.7)
>>> brains.shape, brains.dtype
((2, 40, 48, 40), dtype('float32'))
"""

from __future__ import annotations

from . import masks, metrics, operators, simulate
from ._anatomy import Segmenter, check, compare, deface, segment, strip, volumes
from ._error import Error
from ._files import convert, dicom_series, read, read_series, to_dicom, write
from ._generator import Conditions, Generator, Samples
from ._progress import Event, Progress
from ._recon import Reconstruction, birdcage, espirit, recon
from ._restoration import Posterior, Restored, inpaint, motion, n4, progress, restore, superres, translate
from ._training import Dataset, Trained, export, prepare, recipe, report, train
from ._volume import Image, Volume
from ._voxgan import VERSION as __version__

__all__ = [
    "Conditions",
    "Dataset",
    "Error",
    "Event",
    "Generator",
    "Image",
    "Posterior",
    "Progress",
    "Reconstruction",
    "Restored",
    "Samples",
    "Segmenter",
    "Trained",
    "Volume",
    "__version__",
    "birdcage",
    "check",
    "compare",
    "convert",
    "deface",
    "dicom_series",
    "espirit",
    "export",
    "inpaint",
    "masks",
    "metrics",
    "motion",
    "n4",
    "operators",
    "prepare",
    "progress",
    "read",
    "read_series",
    "recipe",
    "recon",
    "report",
    "restore",
    "segment",
    "simulate",
    "strip",
    "superres",
    "to_dicom",
    "train",
    "translate",
    "volumes",
    "write",
]
