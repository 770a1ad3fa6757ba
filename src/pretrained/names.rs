//! Names of parameters in checkpoints: those of the authors of StyleGAN2.

/// The authors' name of a parameter by its path of fields ("synthesis.blocks.1.to_image.weight" →
/// "synthesis.b8.torgb.weight").
///
/// Block `i` of a synthesis network is `b{4·2ⁱ}`; a discriminator's blocks begin one doubling later, `b4` being its
/// epilogue.
pub fn authors_name(path: &str) -> String {
    let parts: Vec<&str> = path.split('.').collect();
    let mut name: Vec<String> = Vec::with_capacity(parts.len());
    let mut rest = parts.as_slice();
    while let [part, tail @ ..] = rest {
        let (first, taken) = match (*part, tail.first().and_then(|index| index.parse::<u32>().ok())) {
            ("blocks", Some(i)) if name.is_empty() => (format!("b{}", 8u64 << i), 2),
            ("blocks", Some(i)) => (format!("b{}", 4u64 << i), 2),
            ("fc", Some(k)) => (format!("fc{k}"), 2),
            ("constant", _) => ("b4.const".into(), 1),
            ("epilogue", _) => ("b4".into(), 1),
            ("to_image", _) => ("torgb".into(), 1),
            ("from_image", _) => ("fromrgb".into(), 1),
            (other, _) => (other.into(), 1),
        };
        name.push(first);
        rest = &rest[taken..];
    }
    name.join(".")
}

#[cfg(test)]
mod tests {
    use super::authors_name;

    #[test]
    fn paths_become_the_names_of_the_authors_checkpoints() {
        for (path, name) in [
            ("mapping.fc.0.weight", "mapping.fc0.weight"),
            ("mapping.embed.bias", "mapping.embed.bias"),
            ("mapping.w_avg", "mapping.w_avg"),
            ("synthesis.constant", "synthesis.b4.const"),
            ("synthesis.blocks.0.conv1.affine.weight", "synthesis.b4.conv1.affine.weight"),
            ("synthesis.blocks.2.to_image.weight", "synthesis.b16.torgb.weight"),
            ("blocks.1.from_image.weight", "b16.fromrgb.weight"),
            ("blocks.0.skip.weight", "b8.skip.weight"),
            ("epilogue.fc.weight", "b4.fc.weight"),
            ("epilogue.conv.bias", "b4.conv.bias"),
        ] {
            assert_eq!(authors_name(path), name);
        }
    }
}
