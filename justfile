# The commands of everyday work; `just` alone lists them.

_list:
    @just --list

# Build the program
build:
    cargo build --release --locked

# Run all tests
test:
    cargo test --locked

# Format the sources
format:
    cargo fmt

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

# Build with the NVIDIA backend
cuda:
    cargo build --release --locked --features cuda

# Fuzz the NIfTI reader for so many seconds (needs nightly and cargo-fuzz)
fuzz seconds="300":
    mkdir -p fuzz/corpus/nifti
    cp tests/fixtures/nifti/*.nii* fuzz/corpus/nifti/
    cargo +nightly fuzz run nifti -- -rss_limit_mb=512 -max_len=4096 -max_total_time={{seconds}}
