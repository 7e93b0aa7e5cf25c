# Fixtures of the benchmarks: a registry, an engine, a base image and the worker, in `target/benches` and on loopback.
# They are started on first use and stopped at the end. Sourced by `benches/run`.
# shellcheck shell=bash

PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
work=$PWD/target/benches
tool=$work/tool/release/cargo-union
log=$work/log
# Debian's client, which supports BuildKit with Debian's engine without a plugin.
docker=/usr/bin/docker
started=()

say() { printf '==> %s\n' "$*" >&2; }
fail() { printf 'error: %s\nsee the log %s\n' "$*" "$log" >&2; exit 1; }

# Stops the started processes by their ids, the last one first.
finish() {
    local index
    for ((index = ${#started[@]} - 1; index >= 0; index--)); do
        kill "${started[index]}" 2>>"$log" || true
        wait "${started[index]}" 2>>"$log" || true
    done
    [[ -z ${bridge-} ]] || ip link del "$bridge"
}

setup() {
    mkdir -p "$work"
    : >"$log"
    trap finish EXIT
    # The user's environment must not affect the figures, and the user's logins are not used.
    unset "${!UNION_@}" "${!DOCKER_@}" CARGO_TARGET_DIR CARGO_BUILD_TARGET RUSTFLAGS SOURCE_DATE_EPOCH
    export HOME_OF_RUST=${CARGO_HOME:-$HOME/.cargo}
    export CARGO_HOME=$HOME_OF_RUST RUSTUP_HOME=${RUSTUP_HOME:-$HOME/.rustup}
    export HOME=$work/home UNION_CACHE_DIR=$work/cache
    mkdir -p "$HOME"
    say 'compiling the tool'
    cargo build --release --locked --quiet --package cargo-union --target-dir "$work/tool"
    start_registry
    make_base
    make_worker
}

start_registry() {
    local port
    rm -rf "$work/registry"
    mkdir -p "$work/registry"
    for _ in {1..20}; do
        port=$((20000 + RANDOM % 20000))
        cat >"$work/registry.yml" <<-YAML
			version: 0.1
			log: { level: error }
			storage: { filesystem: { rootdirectory: $work/registry } }
			http: { addr: "127.0.0.1:$port" }
		YAML
        docker-registry serve "$work/registry.yml" >>"$log" 2>&1 &
        local pid=$!
        for _ in {1..100}; do
            if ! kill -0 "$pid" 2>/dev/null; then
                continue 2
            fi
            if curl -fsS "http://127.0.0.1:$port/v2/" >/dev/null 2>&1; then
                started+=("$pid")
                registry=127.0.0.1:$port
                return
            fi
            sleep 0.05
        done
    done
    fail 'the registry did not start'
}

# A small Debian image of the host's release, so that binaries of the host run in it.
make_base() {
    local release
    # shellcheck source=/dev/null
    release=$(. /etc/os-release && echo "$VERSION_CODENAME")
    if [[ ! -s $work/base.tar ]]; then
        say "creating a base image of $release"
        mmdebstrap --quiet --variant=minbase --mode=auto "$release" "$work/base.new.tar" 2>>"$log" || fail 'mmdebstrap failed'
        mv "$work/base.new.tar" "$work/base.tar"
    fi
    if [[ ! -e $work/base/index.json ]]; then
        rm -rf "$work/base"
        umoci init --layout "$work/base"
        umoci new --image "$work/base:latest"
        umoci raw add-layer --image "$work/base:latest" "$work/base.tar" 2>>"$log"
    fi
    skopeo copy --quiet --dest-tls-verify=false "oci:$work/base:latest" "docker://$registry/base:latest"
}

# Copies the worker, which the benchmarks edit, and adds the base image to its manifest.
make_worker() {
    worker=$work/worker
    mkdir -p "$worker"
    cp -r benches/worker/. "$worker"
    cat >>"$worker/Cargo.toml" <<-TOML

		[package.metadata.union.images.default]
		base-image = "$registry/base:latest"
	TOML
    rm -f "$worker/Union.lock"
    [[ -e $worker/Cargo.lock ]] || cargo generate-lockfile --quiet --manifest-path "$worker/Cargo.toml"
    say 'compiling the worker'
    cargo build --quiet --release --locked --manifest-path "$worker/Cargo.toml"
    union --manifest-path "$worker/Cargo.toml" >>"$log" 2>&1 || fail 'the worker cannot be built'
}

union() {
    "$tool" build --registry "$registry" "$@"
}

# The one-line edit, as a command for hyperfine's shell: a different number each time.
edit="sed -i \"s/^const EDIT: u64 = .*/const EDIT: u64 = \$(date +%s%N);/\" '$work/worker/src/main.rs'"

# An engine with BuildKit on a private socket and a bridge of its own in the namespaces of `benches/run`, an image with the worker's toolchain, and the
# Dockerfile that a team would write by hand.
start_engine() {
    [[ -z ${engine-} ]] || return 0
    engine=unix://$work/engine.sock bridge=bench$$
    ip link add "$bridge" type bridge
    ip addr add "10.214.$((RANDOM % 250)).1/24" dev "$bridge"
    ip link set "$bridge" up
    dockerd --host "$engine" --data-root "$work/engine" --exec-root "$work/engine.run" --pidfile "$work/engine.pid" \
        --bridge "$bridge" --log-level error >>"$log" 2>&1 &
    started+=("$!")
    local count
    for ((count = 0; ; count++)); do
        $docker --host "$engine" version >/dev/null 2>&1 && break
        ((count < 300)) || fail 'the engine did not start'
        sleep 0.1
    done
    export DOCKER_BUILDKIT=1
    $docker --host "$engine" pull --quiet "$registry/base:latest" >>"$log"
    $docker --host "$engine" tag "$registry/base:latest" base
    make_toolchain
    cat >"$worker/Dockerfile" <<-'DOCKERFILE'
		FROM rust AS build
		WORKDIR /src
		COPY Cargo.toml Cargo.lock ./
		COPY src src
		RUN --mount=type=cache,target=/src/target cargo build --release --locked --offline && cp target/release/worker /worker
		FROM base
		COPY --from=build /worker /usr/local/bin/worker
		CMD ["/usr/local/bin/worker"]
	DOCKERFILE
    printf 'target\n' >"$worker/.dockerignore"
}

# `rust`: the base, a C compiler, the host's toolchain, and the downloaded dependencies of the worker.
make_toolchain() {
    if $docker --host "$engine" image inspect rust >/dev/null 2>&1; then
        return
    fi
    say 'creating an image with the toolchain'
    local context=$work/toolchain release
    # shellcheck source=/dev/null
    release=$(. /etc/os-release && echo "$VERSION_CODENAME")
    rm -rf "$context"
    mkdir -p "$context/toolchain"
    mmdebstrap --quiet --variant=minbase --include=gcc,libc6-dev "$release" "$context/system.tar" 2>>"$log"
    cp -r "$(rustc --print sysroot)"/{bin,lib} "$context/toolchain"
    CARGO_HOME=$context/cargo cargo fetch --quiet --locked --manifest-path "$worker/Cargo.toml"
    cat >"$context/Dockerfile" <<-'DOCKERFILE'
		FROM scratch
		ADD system.tar /
		COPY toolchain /toolchain
		COPY cargo /cargo
		ENV PATH=/toolchain/bin:/usr/bin:/bin CARGO_HOME=/cargo
	DOCKERFILE
    $docker --host "$engine" build --quiet --tag rust "$context" >>"$log" 2>&1 || fail 'the image with the toolchain cannot be built'
    rm -rf "$context"
}

# The backend of the tests: official messages and server library, with validation on.
start_backend() {
    [[ -z ${backend-} ]] || return 0
    local input=$work/backend.in address=$work/backend.address open
    rm -rf "$input" "$address" "$work/backend"
    mkdir "$work/backend"
    mkfifo "$input"
    # It serves until its stdin is closed, which this shell keeps open.
    exec {open}<>"$input"
    STATE=$work/backend LOG=$work/backend.log .python/bin/python tests/flyte/stub/server.py <"$input" >"$address" 2>>"$log" &
    started+=("$!")
    local count
    for ((count = 0; ; count++)); do
        [[ ! -s $address ]] || break
        ((count < 300)) || fail 'the backend did not start'
        sleep 0.1
    done
    backend=$(<"$address")
}
