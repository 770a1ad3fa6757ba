//! One prepared volume on the disk: a safetensors file with the tensor `volume` and its manifest entry, so that a
//! dataset whose manifest was not written yet can still be resumed.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use ndarray::Array4;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::manifest::{Entry, FORMAT, Settings, hex};
use crate::error::{Error, Result};
use crate::io::atomic::atomic_write;
use crate::volume::Volume;

/// The tensor's name: `[C, D, H, W]` float32.
const TENSOR: &str = "volume";
/// The one metadata key; more than one would be written in no fixed order.
const METADATA: &str = "voxgan";

/// What lies beside the voxels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Note {
    pub format: String,
    pub settings: Settings,
    pub channels: usize,
    pub entry: Entry,
}

/// The folder of the volumes in the dataset's `folder`.
pub(super) fn folder(folder: &Path) -> PathBuf {
    folder.join("volumes")
}

/// The file of the volume `name` in the dataset's `folder`.
pub(super) fn path(folder: &Path, name: &str) -> PathBuf {
    self::folder(folder).join(format!("{name}.safetensors"))
}

/// SHA-256 of the voxels as stored.
pub(super) fn voxels_sha256(volume: &Volume) -> String {
    hex(&Sha256::digest(bytes(volume)))
}

fn bytes(volume: &Volume) -> Vec<u8> {
    volume.data.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// Writes `volume` and what is known of it.
pub(super) fn write(folder: &Path, volume: &Volume, settings: &Settings, entry: &Entry) -> Result<()> {
    let path = path(folder, &entry.name);
    let note = Note {
        format: FORMAT.into(),
        settings: settings.clone(),
        channels: volume.channels(),
        entry: entry.clone(),
    };
    let fail = |error: String| Error::io(&path, "put it together", std::io::Error::other(error));
    let note = serde_json::to_string(&note).map_err(|error| fail(error.to_string()))?;
    let bytes = bytes(volume);
    let tensor = TensorView::new(Dtype::F32, volume.data.shape().to_vec(), &bytes)
        .map_err(|error| fail(error.to_string()))?;
    let metadata = HashMap::from([(METADATA.to_string(), note)]);
    let file = safetensors::serialize([(TENSOR, tensor)], Some(metadata))
        .map_err(|error| fail(error.to_string()))?;
    atomic_write(&path, |out| out.write_all(&file))
}

/// What is known of the volume `name`, read from the file's head alone; `None` if there is no sound file.
pub(super) fn note(folder: &Path, name: &str) -> Option<Note> {
    let path = path(folder, name);
    let mut file = File::open(&path).ok()?;
    let stored = file.metadata().ok()?.len();
    let mut size = [0; 8];
    file.read_exact(&mut size).ok()?;
    let head_bytes = u64::from_le_bytes(size);
    if head_bytes > stored {
        return None;
    }
    let mut head = Vec::new();
    file.take(head_bytes).read_to_end(&mut head).ok()?;
    let head: serde_json::Value = serde_json::from_slice(&head).ok()?;
    let note: Note = serde_json::from_str(head.get("__metadata__")?.get(METADATA)?.as_str()?).ok()?;
    let [w, h, d] = note.settings.shape.map(|n| n as u64);
    let voxels = [note.channels as u64, d, h, w, 4].iter().try_fold(1u64, |a, &b| a.checked_mul(b))?;
    let complete = voxels.checked_add(head_bytes)?.checked_add(8)? == stored;
    (complete && note.format == FORMAT && note.entry.name == name).then_some(note)
}

/// Size and time of modification of a file: what changes when it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    bytes: u64,
    modified: SystemTime,
}

impl Stamp {
    /// Of an open file; none where the system keeps no times.
    fn of(file: &File) -> Option<Self> {
        let found = file.metadata().ok()?;
        Some(Self { bytes: found.len(), modified: found.modified().ok()? })
    }
}

/// Reads the volume of `entry`, which must have `shape` `[C, D, H, W]` and the voxels that the entry says; their hash
/// is not computed if the file is as it was when it was `checked` last. Returns the stamp of the file too.
pub(super) fn read(
    folder: &Path,
    entry: &Entry,
    shape: [usize; 4],
    checked: Option<Stamp>,
) -> Result<(Volume, Option<Stamp>)> {
    let path = path(folder, &entry.name);
    let fail = |source| Error::io(&path, "read this prepared volume", source);
    let mut file = File::open(&path).map_err(fail)?;
    let stamp = Stamp::of(&file);
    let mut content = Vec::with_capacity(stamp.map_or(0, |stamp| stamp.bytes as usize + 1));
    file.read_to_end(&mut content).map_err(fail)?;
    let damaged = |field: &str, expected: String, found: String| {
        let advice = "run `voxgan prepare` again: it makes this volume anew";
        Error::file(&path, field, expected, found, advice)
    };
    let tensors = SafeTensors::deserialize(&content)
        .map_err(|error| damaged("file", "a safetensors file".into(), error.to_string()))?;
    let tensor = tensors
        .tensor(TENSOR)
        .map_err(|error| damaged(TENSOR, "a tensor of this name".into(), error.to_string()))?;
    if tensor.dtype() != Dtype::F32 || tensor.shape() != shape {
        let found = format!("{:?} {:?}", tensor.dtype(), tensor.shape());
        return Err(damaged(TENSOR, format!("F32 {shape:?}"), found));
    }
    if stamp.is_none() || stamp != checked {
        let found = hex(&Sha256::digest(tensor.data()));
        if found != entry.voxels_sha256 {
            return Err(damaged("voxels", format!("SHA-256 {}", entry.voxels_sha256), found));
        }
    }
    let (values, _) = tensor.data().as_chunks::<4>();
    let values = values.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    let data = Array4::from_shape_vec(shape, values)
        .map_err(|error| damaged(TENSOR, format!("{shape:?}"), error.to_string()))?;
    let mut volume = Volume::new(data, entry.affine);
    volume.provenance.source.clone_from(&entry.source);
    volume.provenance.steps.clone_from(&entry.steps);
    Ok((volume, stamp))
}
