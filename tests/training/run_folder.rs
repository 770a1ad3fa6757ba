//! What a run has left in its folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;
use voxgan::pretrained::latest_checkpoint;

/// Lines of a run's log without what a clock tells.
pub fn log(run: &Path) -> Vec<BTreeMap<String, Value>> {
    let text = fs::read_to_string(run.join("stats.jsonl")).unwrap();
    let line = |line: &str| {
        let mut line: BTreeMap<String, Value> = serde_json::from_str(line).unwrap();
        for key in
            ["seconds", "seconds_per_step", "seconds_between_steps", "images_per_second", "peak_memory_mb"]
        {
            assert!(line.remove(key).is_some(), "{key}");
        }
        line
    };
    text.lines().map(line).collect()
}

/// The arrays of a run's last checkpoint, by name.
pub fn arrays(run: &Path) -> BTreeMap<String, Vec<u8>> {
    let bytes = fs::read(latest_checkpoint(run).unwrap().unwrap()).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    tensors.iter().map(|(name, view)| (name.to_string(), view.data().to_vec())).collect()
}
