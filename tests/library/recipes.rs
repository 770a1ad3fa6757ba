//! Recipes: the presets, round trips through TOML, and errors that name the key.

use std::path::Path;

use proptest::prelude::*;
use voxgan::config::{AnyRecipe, Encoding, Recipe};
use voxgan::error::Error;

/// The least that is a recipe, a `[training]` table at its end.
const LEAST: &str = "[network]\nbase = [4, 4, 4]\nfactors = [[2, 2, 2], [1, 2, 2]]\nchannel_base = 64\n\
                     channel_max = 12\nz_dim = 8\nw_dim = 8\n\n[training]\n";

fn parse(text: &str) -> voxgan::error::Result<Recipe> {
    Recipe::from_toml(text, Path::new("some/recipe.toml"))
}

/// Key, expected and found of the error that `text` gives; it must name the file.
fn refusal(text: &str) -> (String, String, String) {
    match parse(text).expect_err(text) {
        Error::File { path, field, expected, found, advice } => {
            assert_eq!(path, Path::new("some/recipe.toml"));
            assert!(!advice.is_empty());
            (field, expected, found)
        }
        other => panic!("not a file's error: {other}"),
    }
}

#[test]
fn presets_have_the_documented_grids_and_widths() {
    let documented: [(&str, [usize; 3], &[usize]); 6] = [
        ("brain-4mm", [40, 48, 40], &[64, 64, 32, 16]),
        ("brain-2mm", [80, 96, 80], &[256, 256, 128, 64, 32]),
        ("cube-64", [64, 64, 64], &[128, 128, 64, 32, 16]),
        ("slice-2d", [1, 64, 64], &[256, 256, 128, 64, 32]),
        ("slab", [16, 64, 64], &[128, 128, 64, 32, 16]),
        ("tiny", [8, 8, 8], &[8, 8]),
    ];
    assert_eq!(Recipe::preset_names().len(), documented.len());
    for (name, shape, channels) in documented {
        let network = Recipe::preset(name).unwrap().network;
        assert_eq!(network.shape(), shape, "{name}");
        assert_eq!(network.voxels(), shape.iter().product::<usize>(), "{name}");
        let widths: Vec<usize> = (0..network.blocks()).map(|block| network.channels(block)).collect();
        assert_eq!(widths, channels, "{name}");
        assert_eq!(network.num_ws(), 2 * channels.len(), "{name}");
    }
}

#[test]
fn every_preset_is_a_recipe_of_its_kind_as_its_file_is() {
    let files = std::fs::read_dir("configs").unwrap().map(|file| file.unwrap().path());
    // Limits of the quality check, which nothing is trained by.
    let files = files.filter(|path| !path.ends_with("quality-check.toml"));
    assert_eq!(files.count(), AnyRecipe::preset_names().concat().len());
    for (at, names) in AnyRecipe::preset_names().into_iter().enumerate() {
        for name in names {
            let kind = match AnyRecipe::open(name).unwrap() {
                AnyRecipe::Generator(_) => 0,
                AnyRecipe::Segmenter(_) => 1,
                AnyRecipe::Head(_) => 2,
                other => panic!("{other:?} has no place in the list"),
            };
            assert_eq!(kind, at, "{name}");
            let file = std::fs::read_to_string(format!("configs/{name}.toml")).unwrap();
            assert_eq!(AnyRecipe::preset_text(name).unwrap(), file);
        }
    }
}

#[test]
fn an_unknown_preset_lists_those_there_are() {
    let message = Recipe::open("brain-1mm").unwrap_err().to_string();
    assert!(message.contains("brain-2mm, brain-4mm") && message.contains("`brain-1mm`"), "{message}");
}

#[test]
fn a_missing_file_is_an_io_error_that_names_it() {
    let error = Recipe::open("no/such/recipe.toml").unwrap_err();
    assert!(matches!(&error, Error::Io { .. }), "{error}");
    assert!(error.to_string().starts_with("no/such/recipe.toml: could not read"), "{error}");
}

#[test]
fn a_recipe_file_is_the_preset_it_was_written_from() {
    let folder = tempfile::tempdir().unwrap();
    for name in Recipe::preset_names() {
        let path = folder.path().join(format!("{name}.toml"));
        let resolved = Recipe::preset(name).unwrap().resolved();
        std::fs::write(&path, resolved.to_toml().unwrap()).unwrap();
        assert_eq!(Recipe::open(path.to_str().unwrap()).unwrap(), resolved, "{name}");
    }
}

#[test]
fn resolving_fills_what_depends_on_other_keys() {
    let resolved = parse(LEAST).unwrap().resolved();
    // 8·16·16 voxels, batch 8.
    assert!((resolved.training.gamma.unwrap() - 0.0002 * 2048.0 / 8.0).abs() < 1e-15);
    assert_eq!(resolved.training.ema_kimg, Some(2.5));
    assert_eq!(resolved.training.micro_batch, Some(8));
    assert_eq!(resolved.network.discriminator_channel_base, Some(64));
    assert_eq!(resolved.network.discriminator_channel_max, Some(12));
    assert_eq!(resolved.resolved(), resolved);
    let given = parse(&format!("{LEAST}gamma = 3.0\nema_kimg = 1.0\nmicro_batch = 4\n")).unwrap().resolved();
    assert_eq!(given.training.gamma, Some(3.0));
    assert_eq!(given.training.ema_kimg, Some(1.0));
    assert_eq!(given.training.micro_batch, Some(4));
}

#[test]
fn conditions_are_read_and_counted() {
    let text = format!(
        "{LEAST}[conditions]\nclasses = [{{ label = \"sex\", values = [\"F\", \"M\"] }}]\n\
         [[conditions.covariates]]\nlabel = \"age_years\"\nmin = 18.0\nmax = 60.0\nencoding.fourier.frequencies = 3\n\
         [[conditions.covariates]]\nlabel = \"ventricles_ml\"\nmin = 5.0\nmax = 60.0\nencoding.soft_bins.bins = 7\n"
    );
    let conditions = parse(&text).unwrap().conditions;
    assert_eq!(conditions.covariates[0].encoding, Encoding::Fourier { frequencies: 3 });
    assert_eq!(conditions.covariates[1].encoding, Encoding::SoftBins { bins: 7 });
    assert_eq!(conditions.width(), 2 + 6 + 7);
}

#[test]
fn an_unknown_key_is_named_by_its_path() {
    let (key, expected, found) = refusal(&format!("{LEAST}learning_rate = 0.1\n"));
    assert_eq!(key, "training.learning_rate");
    assert!(expected.contains("learning_rate_generator"), "{expected}");
    assert!(found.contains("unknown field"), "{found}");
    // Tables nested in arrays are as strict.
    let covariate = "[[conditions.covariates]]\nlabel = \"age\"\nmin = 1.0\nmax = 2.0\n";
    let (key, ..) = refusal(&format!("{LEAST}{covariate}encoding.fourier.count = 3\n"));
    assert!(key.starts_with("conditions.covariates[0].encoding"), "{key}");
}

#[test]
fn a_wrong_type_is_named_by_its_path() {
    let (key, expected, found) = refusal(&LEAST.replace("[1, 2, 2]", "[1, \"two\", 2]"));
    assert_eq!((key.as_str(), expected.as_str()), ("network.factors[1][1]", "usize"));
    assert!(found.contains("two"), "{found}");
}

#[test]
fn a_missing_key_is_named() {
    let (key, _, found) = refusal(&LEAST.replace("z_dim = 8\n", ""));
    assert_eq!((key.as_str(), found.as_str()), ("network.z_dim", "nothing"));
    assert_eq!(refusal("").0, "network");
    assert_eq!(
        refusal(&format!("{LEAST}[[conditions.classes]]\nlabel = \"a\"\n")).0,
        "conditions.classes[0].values"
    );
}

#[test]
fn widths_are_listed_or_follow_a_rule() {
    let network = |lines: &str| LEAST.replace("channel_base = 64\nchannel_max = 12\n", lines);
    let recipe = parse(&network("channels = [24, 12, 6]\n")).unwrap().resolved();
    let widths = |of: fn(&voxgan::config::NetworkRecipe, usize) -> usize| {
        (0..3).map(|block| of(&recipe.network, block)).collect::<Vec<_>>()
    };
    assert_eq!(widths(voxgan::config::NetworkRecipe::channels), [24, 12, 6]);
    assert_eq!(widths(voxgan::config::NetworkRecipe::discriminator_channels), [24, 12, 6]);
    assert_eq!(recipe.network.discriminator_fc_channels(), 24);
    assert_eq!(parse(&recipe.to_toml().unwrap()).unwrap(), recipe);
    let lists =
        "channels = [24, 12, 6]\ndiscriminator_channels = [16, 8, 8]\ndiscriminator_fc_channels = 4\n";
    let two = parse(&network(lists)).unwrap().resolved().network;
    assert_eq!(two.discriminator_channels(0), 16);
    assert_eq!(two.fully_connected_parameters(), (4 * 64 + 1) * 16);
    for (lines, key, found) in [
        ("channels = [24, 12, 6]\nchannel_base = 64\n", "network.channels", "both"),
        ("channels = [24, 12]\n", "network.channels", "2 in [24, 12]"),
        ("channels = [24, 0, 6]\n", "network.channels[1]", "0"),
        ("channel_base = 64\n", "network.channel_max", "nothing"),
        ("channel_max = 64\n", "network.channel_base", "nothing"),
        ("", "network.channel_base", "nothing"),
        (
            "channels = [24, 12, 6]\ndiscriminator_channel_base = 64\n",
            "network.discriminator_channel_max",
            "nothing",
        ),
        (
            "channels = [24, 12, 6]\ndiscriminator_channel_max = 8\ndiscriminator_channels = [8, 8, 8]\n",
            "network.discriminator_channels",
            "both",
        ),
    ] {
        let (at, _, what) = refusal(&network(lines));
        assert_eq!((at.as_str(), what.as_str()), (key, found), "{lines}");
    }
}

#[test]
fn broken_toml_is_named_by_its_line() {
    let (line, expected, _) = refusal("[network]\nbase = [4, 4\n4]\n");
    assert_eq!((line.as_str(), expected.as_str()), ("line 3", "valid TOML"));
}

#[test]
fn values_out_of_range_are_named_by_their_path() {
    let network = |from: &str, to: &str| LEAST.replace(from, to);
    let training = |line: &str| format!("{LEAST}{line}\n");
    let cases = [
        (network("[1, 2, 2]", "[1, 3, 2]"), "network.factors[1][1]"),
        (network("base = [4, 4, 4]", "base = [4, 0, 4]"), "network.base[1]"),
        (network("base = [4, 4, 4]", "base = [1, 4, 4]"), "network.factors[0][0]"),
        (network("base = [4, 4, 4]", "base = [4, 4, 1000]"), "network.factors"),
        (network("[1, 2, 2]", &["[1, 1, 1]"; 7].join(", ")), "network.factors"),
        (network("z_dim = 8", "z_dim = 0"), "network.z_dim"),
        (training("batch = 0"), "training.batch"),
        (training("batch = 6"), "training.batch"),
        (training("batch = 8\nmicro_batch = 3"), "training.micro_batch"),
        (training("batch = 12\nmicro_batch = 6"), "training.micro_batch"),
        (training("batch = 8\nmicro_batch = 0"), "training.micro_batch"),
        (training("total_kimg = nan"), "training.total_kimg"),
        (training("adam_betas = [0.0, 1.0]"), "training.adam_betas[1]"),
        (training("style_mixing = 1.5"), "training.style_mixing"),
        (training("gamma = -1.0"), "training.gamma"),
        (training("[augmentation]\nfixed_p = 1.1"), "augmentation.fixed_p"),
        (training("[augmentation]\nshift_sigma = inf"), "augmentation.shift_sigma"),
        (training("[augmentation]\ncutout_size = 1.5"), "augmentation.cutout_size"),
        (training("[augmentation]\nelastic_sigma_mm = 7.0"), "augmentation.elastic_spacing_mm"),
        (training("[augmentation]\npolicy = \"diff_augment\"\nfixed_p = 0.5"), "augmentation.fixed_p"),
        (training("[output]\nsample_grid = 0"), "output.sample_grid"),
        (
            training("[[conditions.classes]]\nlabel = \"sex\"\nvalues = [\"F\", \"F\"]"),
            "conditions.classes[0].values",
        ),
        (
            training(
                "[[conditions.covariates]]\nlabel = \"a\"\nmin = 2.0\nmax = 1.0\nencoding.soft_bins.bins = 4",
            ),
            "conditions.covariates[0].max",
        ),
    ];
    for (text, expected_key) in cases {
        assert_eq!(refusal(&text).0, expected_key, "{text}");
    }
    // Seven factors of one, and a batch below the group, are both at the edge of what is allowed.
    assert!(parse(&network("[1, 2, 2]", &["[1, 1, 1]"; 6].join(", "))).is_ok());
    assert!(parse(&training("batch = 3")).is_ok());
    // A whole number is a number.
    assert_eq!(parse(&training("total_kimg = 200")).unwrap().training.total_kimg, 200.0);
}

#[test]
fn a_seed_too_large_for_toml_is_refused_before_a_run() {
    let mut recipe = Recipe::preset("tiny").unwrap();
    recipe.training.seed = u64::MAX;
    assert!(recipe.validate().unwrap_err().to_string().starts_with("training.seed: "));
    recipe.training.seed = i64::MAX as u64;
    recipe.validate().unwrap();
    assert_eq!(parse(&recipe.to_toml().unwrap()).unwrap(), recipe);
}

proptest! {
    /// Whatever bytes stand in a recipe, the answer is a recipe or an error, never a panic.
    #[test]
    fn any_text_is_a_recipe_or_an_error(text in "\\PC{0,200}") {
        let _ = parse(&text);
        let _ = parse(&format!("{LEAST}{text}"));
    }

    /// The grid grows by exactly the factors, block by block.
    #[test]
    fn blocks_multiply_up_to_the_shape(
        base in prop::array::uniform3(2usize..6),
        factors in prop::collection::vec(prop::array::uniform3(1usize..=2), 0..6),
    ) {
        let mut network = Recipe::preset("tiny").unwrap().network;
        (network.base, network.factors) = (base, factors.clone());
        prop_assert_eq!(network.block_shape(0), base);
        for (block, factor) in factors.iter().enumerate() {
            let (before, after) = (network.block_shape(block), network.block_shape(block + 1));
            prop_assert_eq!([0, 1, 2].map(|axis| before[axis] * factor[axis]), after);
        }
        prop_assert_eq!(network.block_shape(factors.len()), network.shape());
    }
}
