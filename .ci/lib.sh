# shellcheck shell=bash
# Shared by `run` and `long`, which source it from the root of the repository.

# `strict` reads what cargo prints.
export CARGO_TERM_COLOR=never
# Nothing is built twice, and what would make that faster takes tens of gigabytes.
export CARGO_INCREMENTAL=0

current="start"
passed=0
scratch=$(mktemp -d)
log=$scratch/log

finish() {
    local status=$?
    rm -rf "$scratch"
    if [ "$status" -eq 0 ]; then
        printf '\n%d steps passed in %d s\n' "$passed" "$SECONDS"
    else
        printf '\nFAILED in "%s" after %d s\n' "$current" "$SECONDS" >&2
    fi
}
trap finish EXIT

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# step TITLE COMMAND...: a header, the command, and the time it took.
step() {
    current=$1
    shift
    local from=$SECONDS
    printf '\n=== %s\n' "$current"
    "$@"
    passed=$((passed + 1))
    printf -- '--- %s: %d s\n' "$current" $((SECONDS - from))
}

# strict COMMAND...: a cargo command in which every warning is an error, cargo's own included. Flags for rustc would not
# see those, and would rebuild all dependencies. A download that was tried again is no warning about the code.
strict() {
    "$@" 2>&1 | tee "$log"
    if awk '/^warning/ && !/spurious network error/ { found = 1 } END { exit !found }' "$log"; then
        fail "the warnings above count as errors"
    fi
}

# The last strict test run must have run something: a wrong `cfg` or filter leaves an empty, passing binary.
some_test_ran() {
    grep -qE '^running [1-9][0-9]* tests?$' "$log" || fail "no test ran"
}

# component NAME COMMAND...: `COMMAND --version` must work; if it does not, rustup installs the component.
component() {
    local name=$1
    shift
    "$@" --version >/dev/null 2>&1 && return
    command -v rustup >/dev/null || fail "$name is missing, and there is no rustup to install it with"
    rustup component add "$name"
}

has_nightly() {
    RUSTUP_AUTO_INSTALL=0 cargo +nightly --version >/dev/null 2>&1
}

# loom ENV_ARGUMENT...: the models in src/live/models, with arguments for `env`.
loom() {
    strict env "$@" RUSTFLAGS="--cfg loom" CARGO_TARGET_DIR=target/loom cargo test --release --lib models
    some_test_ran
}

# The seed of whatever is random: PROPTEST_RNG_SEED for proptest, FUZZ_SEED for libFuzzer, which takes 32 bits and reads
# zero as random. With the same seeds the same cases run, as far as threads and the clock have no say.
seeds() {
    export PROPTEST_RNG_SEED=${PROPTEST_RNG_SEED:-$1}
    FUZZ_SEED=${FUZZ_SEED:-$1}
    printf 'PROPTEST_RNG_SEED=%s FUZZ_SEED=%s\n' "$PROPTEST_RNG_SEED" "$FUZZ_SEED"
}

# The store against lists of everything that was recorded, MODEL_CASES random programs each.
models() {
    strict env PROPTEST_CASES="$MODEL_CASES" cargo test --release --test model --test tiers_model
}

# Every target in fuzz/, FUZZ_SECONDS each, or FUZZ_RUNS inputs if they are done before, from what lies in FUZZ_CORPUS.
fuzz() {
    [ -f fuzz/Cargo.toml ] || fail "fuzz/Cargo.toml is missing"
    command -v "${CXX:-c++}" >/dev/null || fail "libFuzzer needs a C++ compiler, and ${CXX:-c++} is missing"
    cargo fuzz --version >/dev/null 2>&1 || cargo install cargo-fuzz --locked

    local listed written target
    listed=$(cargo fuzz list | sort)
    written=$(find fuzz/fuzz_targets -maxdepth 1 -name '*.rs' -exec basename {} .rs \; | sort)
    [ -n "$written" ] || fail "fuzz/fuzz_targets holds no target"
    [ "$listed" = "$written" ] || fail "fuzz/Cargo.toml lists:" $listed "- fuzz/fuzz_targets holds:" $written

    cargo fmt --manifest-path fuzz/Cargo.toml --check
    strict env RUSTFLAGS="--cfg fuzzing" cargo clippy --manifest-path fuzz/Cargo.toml -- -D warnings

    # The sanitizers need unstable flags, which the stable compiler takes only when told so.
    local fuzzer=(env RUSTC_BOOTSTRAP=1 cargo fuzz)
    if has_nightly; then
        fuzzer=(cargo +nightly fuzz)
    fi
    "${fuzzer[@]}" build
    for target in $written; do
        printf '\n--- fuzzing %s for %d s, %d inputs\n' "$target" "$FUZZ_SECONDS" "$FUZZ_RUNS"
        # Inputs are long from the start: a minute is not enough for them to grow to a few operations on a store.
        mkdir -p "$FUZZ_CORPUS/$target"
        "${fuzzer[@]}" run "$target" "$FUZZ_CORPUS/$target" -- \
            -seed="$FUZZ_SEED" -runs="$FUZZ_RUNS" -max_total_time="$FUZZ_SECONDS" -timeout=20 -len_control=0 -max_len=1024
    done
}
