# The commands of everyday work; `just` alone lists them.

_list:
    @just --list

# Build the program
build:
    cargo build --release --locked

# Run all tests
test:
    cargo test --locked

# Build the Python package and run its tests (needs Python 3.10 or later)
python *arguments:
    python/test {{arguments}}

# Format the sources
format:
    cargo fmt --all

# Lint; warnings are errors
lint:
    cargo clippy --all-targets --locked -- -D warnings

# Build the library's documentation and open it
doc:
    cargo doc --no-deps --lib --locked --open

# Serve the guide (needs mdBook)
book:
    mdbook serve docs --open

# Everything that a change must pass
ci:
    bash .ci/run

# Recompute what independent programs computed
parity:
    cargo run --release --locked -- parity tests/fixtures/golden/*.safetensors

# Synthetic brains from the weights inside the program
generate seeds="0-3" out="synthetic":
    cargo run --release --locked -- generate --seeds {{seeds}} --out {{out}}

# Speed and memory beside PyTorch's on this machine (--quick: four minutes)
versus *options:
    benches/versus/run {{options}}

# The scanner's physics beside sigpy and BART on this machine
scanner *options:
    benches/scanner/run {{options}}

# One and two ranks on this machine, and a model of more
scale *options:
    benches/scale/run {{options}}

# The backends of cards, tested on Mesa's llvmpipe
gpu:
    bash .ci/gpu

# Build with the NVIDIA backend
cuda:
    cargo build --release --locked --features cuda

# Fuzz a reader (nifti, dicom, formats, fastmri, ismrmrd, cfl, mat) for so many seconds (needs nightly and cargo-fuzz)
fuzz reader="nifti" seconds="300":
    mkdir -p fuzz/corpus/{{reader}}
    cp tests/fixtures/formats/* tests/fixtures/nifti/*.nii* tests/fixtures/mri/raw/*.h5 tests/fixtures/mri/raw/*.mat fuzz/corpus/{{reader}}/
    cargo +nightly fuzz run {{reader}} -- -rss_limit_mb=512 -max_len=65536 -max_total_time={{seconds}}
