# One function per row of the table. Each can be run separately. Sourced by `benches/run`.
# shellcheck shell=bash

# Puts the median seconds of commands into `figures`. The commands alternate, so that temporary load affects all of them;
# the first round is a warm-up. Commands are for hyperfine's shell.
medians() {
    local prepare=$1 round
    shift
    : >"$work/rounds"
    for ((round = 0; round <= RUNS; round++)); do
        hyperfine --show-output --runs 1 --prepare "$prepare" --export-json "$work/times.json" "$@" >>"$log" 2>&1 ||
            fail "a command failed: $*"
        ((round == 0)) || jq -c '[.results[].times[0]]' "$work/times.json" >>"$work/rounds"
    done
    mapfile -t figures < <(jq -s "$median"' transpose[] | median' "$work/rounds")
}

median='def median: sort | (.[(length - 1) / 2 | floor] + .[length / 2 | floor]) / 2;'

# The median of the differences between two commands of the same round.
longer() { jq -s "$median map(.[$1] - .[$2]) | median" "$work/rounds"; }

calculate() { awk "BEGIN { printf \"%.${2:-2}f\", $1 }"; }
seconds() { calculate "$1" 3; }
row() { printf '| %s | %s | %s | %s | %s |\n' "$@"; }

# A one-line edit, until the image is in the registry.
row_edit() {
    start_engine
    local manifest="--manifest-path '$worker/Cargo.toml'"
    local compile="cargo build --quiet --release --locked $manifest"
    local append="$work/append"
    cat >"$append" <<-SH
		set -eu
		buildah() { command buildah --root '$work/containers' --runroot '$work/containers.run' "\$@"; }
		container=\$(buildah from --tls-verify=false --pull-never '$registry/base:latest')
		buildah copy --quiet "\$container" '$worker/target/release/worker' /usr/local/bin/worker
		buildah config --cmd /usr/local/bin/worker "\$container"
		buildah commit --quiet --rm "\$container" worker
		buildah push --quiet --tls-verify=false worker 'docker://$registry/buildah:latest'
	SH
    buildah --root "$work/containers" --runroot "$work/containers.run" pull --quiet --tls-verify=false "$registry/base:latest" >>"$log" 2>&1
    local figures
    medians "$edit" \
        "$compile" \
        "'$tool' build --quiet --registry '$registry' $manifest" \
        "$compile && sh '$append'" \
        "$docker --host '$engine' build --quiet --network none --tag '$registry/docker' '$worker' && $docker --host '$engine' push --quiet '$registry/docker'"
    local cargo=${figures[0]} union=${figures[1]} dockerfile=${figures[3]}
    local after buildah_after
    after=$(seconds "$(longer 1 0)") buildah_after=$(seconds "$(longer 2 0)")
    row 'one-line edit → pushed' "$(seconds "$union") s" "\`cargo build --release\`: $(seconds "$cargo") s" "$(calculate "$union / $cargo")" '≤ 1.05'
    row '… of it after the compile' "$after s" "buildah append + push: $buildah_after s" "$(calculate "$after / $buildah_after")" '≤ 0.1 s, ≤ 0.33'
    row 'one-line edit → pushed' "$(seconds "$union") s" "Dockerfile with cache mounts, build + push: $(seconds "$dockerfile") s" "$(calculate "$union / $dockerfile")" '< 1'
}

# An environment with a Debian package, by the tool and by a Dockerfile that a team would write for it.
row_environment() {
    start_engine
    local directory=$work/environment plain=$work/plain
    rm -rf "$directory" "$plain"
    mkdir -p "$directory" "$plain"
    cp -r "$worker"/{Cargo.toml,Cargo.lock,src,.dockerignore} "$directory"
    cp -r "$worker"/{Cargo.toml,Cargo.lock,src} "$plain"
    printf 'apt-packages = ["libpq5"]\n' >>"$directory/Cargo.toml"
    sed -i 's/^base-image = .*/base-image = "scratch"\nbuild.link = "dynamic"/' "$plain/Cargo.toml"
    cat >"$directory/Dockerfile" <<-'DOCKERFILE'
		FROM rust AS build
		WORKDIR /src
		COPY Cargo.toml Cargo.lock ./
		COPY src src
		RUN --mount=type=cache,id=environment,target=/src/target cargo build --release --locked --offline && cp target/release/worker /worker
		FROM base
		RUN --mount=type=cache,target=/var/cache/apt,sharing=locked --mount=type=cache,target=/var/lib/apt/lists,sharing=locked \
		    apt-get update && apt-get install --yes --no-install-recommends libpq5
		COPY --from=build /worker /usr/local/bin/worker
		CMD ["/usr/local/bin/worker"]
	DOCKERFILE
    local union="DOCKER_HOST='$engine' '$tool' build --quiet --registry '$registry' --manifest-path '$directory/Cargo.toml'"
    local scratch="'$tool' build --quiet --no-check --registry '$registry' --manifest-path '$plain/Cargo.toml'"
    local dockerfile="$docker --host '$engine' build --quiet --tag '$registry/by-hand' '$directory' && $docker --host '$engine' push --quiet '$registry/by-hand'"
    local figures

    # Both compile everything; the caches of the engine and of the tool are empty. Each round has its own path in the
    # registry.
    local rounds=$RUNS
    RUNS=1
    cat >"$work/fresh" <<-SH
		$docker --host '$engine' builder prune --all --force
		$docker --host '$engine' image ls --format '{{.Repository}}:{{.Tag}}' | grep -e '^localhost/union-' -e by-hand |
		    xargs --no-run-if-empty $docker --host '$engine' image rm --force
		rm -rf '$directory/target' '$UNION_CACHE_DIR'
		date +%s%N >'$work/repository'
	SH
    medians "sh '$work/fresh'" \
        "DOCKER_HOST='$engine' '$tool' build --quiet --registry '$registry'/\$(cat '$work/repository') --manifest-path '$directory/Cargo.toml'" \
        "$dockerfile"
    row 'first build with a Debian package' "$(seconds "${figures[0]}") s" "Dockerfile with cache mounts: $(seconds "${figures[1]}") s" "$(calculate "${figures[0]} / ${figures[1]}")" '≤ 1'
    RUNS=$rounds

    medians true "$union" "$dockerfile"
    row '… nothing changed' "$(seconds "${figures[0]}") s" "Dockerfile with cache mounts: $(seconds "${figures[1]}") s" "$(calculate "${figures[0]} / ${figures[1]}")" '< 1'

    local edit="for directory in '$directory' '$plain'; do sed -i \"s/^const EDIT: u64 = .*/const EDIT: u64 = \$(date +%s%N);/\" \"\$directory/src/main.rs\"; done"
    medians "$edit" "$union" "$scratch" "$dockerfile"
    row '… one-line edit' "$(seconds "${figures[0]}") s" "the same without an environment: $(seconds "${figures[1]}") s" "$(calculate "${figures[0]} / ${figures[1]}")" '0.8 to 1.2'
    row '… one-line edit' "$(seconds "${figures[0]}") s" "Dockerfile with cache mounts: $(seconds "${figures[2]}") s" "$(calculate "${figures[0]} / ${figures[2]}")" '< 1'

    # Each command of each round installs a different package.
    printf '%s\n' tree bc file less dc jq xxd time psmisc lsof rsync nano ed pv zip unzip patch bzip2 xz-utils cpio tmux screen \
        strace ltrace socat netcat-openbsd whois traceroute telnet ftp lynx vim-tiny mawk gawk >"$work/names"
    cat >"$work/another" <<-SH
		name=\$(head -1 '$work/names')
		sed -i 1d '$work/names'
		sed -i "s/\"libpq5\"/\"libpq5\", \"\$name\"/" '$directory/Cargo.toml'
		sed -i "s/libpq5/libpq5 \$name/" '$directory/Dockerfile'
	SH
    RUNS=$((RUNS > 10 ? 10 : RUNS))
    medians "sh '$work/another'" "$union" "$dockerfile"
    RUNS=$rounds
    row '… one more Debian package' "$(seconds "${figures[0]}") s" "Dockerfile with cache mounts: $(seconds "${figures[1]}") s" "$(calculate "${figures[0]} / ${figures[1]}")" '≤ 1'
}

# Nothing changed, and the image is in the registry.
row_unchanged() {
    union --manifest-path "$worker/Cargo.toml" >>"$log" 2>&1
    local figures
    medians true \
        "cargo metadata --no-deps --offline --format-version 1 --manifest-path '$worker/Cargo.toml'" \
        "'$tool' build --quiet --registry '$registry' --manifest-path '$worker/Cargo.toml'"
    row 'nothing changed' "$(seconds "${figures[1]}") s" "\`cargo metadata --no-deps\`: $(seconds "${figures[0]}") s" "$(calculate "${figures[1]} / ${figures[0]}")" '≤ 2.5'
}

# A package with a number of binaries, images and tasks; task N runs in image N mod images.
make_package() {
    local directory=$1 images=$2 tasks=$3 number
    rm -rf "$directory"
    mkdir -p "$directory/src/bin"
    printf '[package]\nname = "%s"\nversion = "0.1.0"\nedition = "2024"\n\n[workspace]\n' "$(basename "$directory")" >"$directory/Cargo.toml"
    for ((number = 0; number < images; number++)); do
        printf 'fn main() {\n    println!("%s");\n}\n' "$number" >"$directory/src/bin/program-$number.rs"
        printf '\n[package.metadata.union.images.image-%s]\nbase-image = "scratch"\n' "$number" >>"$directory/Cargo.toml"
    done
    for ((number = 0; number < tasks; number++)); do
        printf '\n[package.metadata.union.tasks.task-%s]\nimage = "image-%s"\nbin = "program-%s"\n' \
            "$number" $((number % images)) $((number % images)) >>"$directory/Cargo.toml"
    done
    cargo generate-lockfile --quiet --offline --manifest-path "$directory/Cargo.toml"
    union --manifest-path "$directory/Cargo.toml" >>"$log" 2>&1 || fail "$directory cannot be built"
}

# Nothing changed in a package with one image, and in one with fifty: in the registry, where the server's time for fifty
# requests is the limit (curl sends the same requests), and in a local layout, where there is no server.
row_many() {
    make_package "$work/one" 1 1
    make_package "$work/fifty" 50 50
    "$tool" images --format json --manifest-path "$work/fifty/Cargo.toml" |
        jq -r '.images[].built.location | capture("^(?<host>[^/]+)/(?<name>.+):(?<tag>[^:]+)$") | "url = http://\(.host)/v2/\(.name)/manifests/\(.tag)"' >"$work/questions"
    local directory figures
    for directory in one fifty; do
        "$tool" build --no-push --manifest-path "$work/$directory/Cargo.toml" >>"$log" 2>&1
        union --manifest-path "$work/$directory/Cargo.toml" >>"$log" 2>&1
    done
    medians true \
        "'$tool' build --quiet --registry '$registry' --manifest-path '$work/one/Cargo.toml'" \
        "'$tool' build --quiet --registry '$registry' --manifest-path '$work/fifty/Cargo.toml'" \
        "curl --fail --silent --parallel --parallel-max 8 --head --header 'Accept: application/vnd.oci.image.manifest.v1+json' --config '$work/questions' --output /dev/null"
    row '50 images, nothing changed' "$(seconds "${figures[1]}") s" "1 image: $(seconds "${figures[0]}") s" "$(calculate "${figures[1]} / ${figures[0]}")" '≤ 1.2'
    row '… compared with the registry' "$(seconds "$(longer 1 0)") s" "the same requests by curl: $(seconds "${figures[2]}") s" "$(calculate "$(longer 1 0) / ${figures[2]}")" '≤ 1'
    medians true \
        "'$tool' build --quiet --no-push --manifest-path '$work/one/Cargo.toml'" \
        "'$tool' build --quiet --no-push --manifest-path '$work/fifty/Cargo.toml'"
    row '50 images, nothing changed, local layout' "$(seconds "${figures[1]}") s" "1 image: $(seconds "${figures[0]}") s" "$(calculate "${figures[1]} / ${figures[0]}")" '≤ 1.2'
}

# An edit of a crate that twenty packages share: images of all of them in the registry, compared with cargo's build in a
# separate directory; then with nothing changed.
row_workspace() {
    local directory=$work/workspace number figures
    rm -rf "$directory"
    mkdir -p "$directory/shared/src"
    printf '[workspace]\nmembers = ["shared", "app-*"]\nresolver = "3"\n' >"$directory/Cargo.toml"
    printf '[package]\nname = "shared"\nversion = "0.1.0"\nedition = "2024"\n' >"$directory/shared/Cargo.toml"
    printf 'pub const EDIT: u64 = 0;\npub fn word(number: u64) -> String {\n    format!("{number} {EDIT}")\n}\n' >"$directory/shared/src/lib.rs"
    for ((number = 0; number < 20; number++)); do
        mkdir -p "$directory/app-$number/src"
        printf '[package]\nname = "app-%s"\nversion = "0.1.0"\nedition = "2024"\n\n[dependencies]\nshared = { path = "../shared" }\n\n[package.metadata.union.images.default]\nbase-image = "scratch"\n' \
            "$number" >"$directory/app-$number/Cargo.toml"
        printf 'fn main() {\n    println!("{}", shared::word(%s));\n}\n' "$number" >"$directory/app-$number/src/main.rs"
    done
    cargo generate-lockfile --quiet --offline --manifest-path "$directory/Cargo.toml"
    local union="'$tool' build --quiet --workspace --registry '$registry' --manifest-path '$directory/Cargo.toml'"
    medians "sed -i \"s/EDIT: u64 = .*/EDIT: u64 = \$(date +%s%N);/\" '$directory/shared/src/lib.rs'" \
        "$union" "cargo build --quiet --release --workspace --locked --offline --target-dir '$directory/plain' --manifest-path '$directory/Cargo.toml'"
    row '20 packages, shared crate edited, 20 images pushed' "$(seconds "${figures[0]}") s" "\`cargo build --release --workspace\`: $(seconds "${figures[1]}") s" "$(calculate "${figures[0]} / ${figures[1]}")" '≤ 1.25'
    medians true "$union" "cargo metadata --offline --format-version 1 --manifest-path '$directory/Cargo.toml'"
    row '… nothing changed' "$(seconds "${figures[0]}") s" "\`cargo metadata\`: $(seconds "${figures[1]}") s" "$(calculate "${figures[0]} / ${figures[1]}")" '≤ 2.5'
}

# A workspace of three hundred packages, of which ten have an image; `app-0` depends on all the others. Checked, planned and
# built with nothing changed.
make_large() {
    local directory=$work/large number
    large=$directory
    rm -rf "$directory"
    mkdir -p "$directory"
    printf '[workspace]\nmembers = ["part-*", "app-*"]\nresolver = "3"\n' >"$directory/Cargo.toml"
    for ((number = 0; number < 290; number++)); do
        mkdir -p "$directory/part-$number/src"
        printf '[package]\nname = "part-%s"\nversion = "0.1.0"\nedition = "2024"\nlicense = "MIT OR Apache-2.0"\n' "$number" >"$directory/part-$number/Cargo.toml"
        printf 'pub fn number() -> u64 {\n    %s\n}\n' "$number" >"$directory/part-$number/src/lib.rs"
    done
    for ((number = 0; number < 10; number++)); do
        mkdir -p "$directory/app-$number/src"
        printf '[package]\nname = "app-%s"\nversion = "0.1.0"\nedition = "2024"\n\n[package.metadata.union.images.default]\nbase-image = "scratch"\n\n[dependencies]\n' \
            "$number" >"$directory/app-$number/Cargo.toml"
        printf 'const EDIT: u64 = 0;\nfn main() {\n    println!("{}", EDIT + %s);\n}\n' "$number" >"$directory/app-$number/src/main.rs"
    done
    for ((number = 0; number < 290; number++)); do
        printf 'part-%s = { path = "../part-%s" }\n' "$number" "$number" >>"$directory/app-0/Cargo.toml"
    done
    cargo generate-lockfile --quiet --offline --manifest-path "$directory/Cargo.toml"
    say 'compiling three hundred packages'
    union --workspace --manifest-path "$directory/Cargo.toml" >>"$log" 2>&1 || fail "$directory cannot be built"
}

row_large() {
    make_large
    local manifest="--manifest-path '$large/Cargo.toml'" figures name
    medians true \
        "cargo metadata --offline --format-version 1 $manifest" \
        "'$tool' check --quiet --workspace --registry '$registry' $manifest" \
        "'$tool' plan --quiet --workspace --registry '$registry' $manifest" \
        "'$tool' build --quiet --workspace --registry '$registry' $manifest" \
        "'$tool' doctor --quiet --workspace --registry '$registry' $manifest || true"
    local goals=('≤ 1.1' '≤ 1.3' '≤ 1.4') index=1
    for name in check plan build; do
        row "300 packages, 10 images, \`$name\`, nothing changed" "$(seconds "${figures[index]}") s" "\`cargo metadata\`: $(seconds "${figures[0]}") s" "$(calculate "${figures[index]} / ${figures[0]}")" "${goals[index - 1]}"
        index=$((index + 1))
    done
    row '300 packages, `doctor`' "$(seconds "${figures[4]}") s" '' '' '≤ 0.3 s'
}

# What the list of crates and the attached documents cost for a binary with three hundred crates: an edit, and nothing
# changed, with all of them and without any. The registry has no referrers API.
row_documents() {
    make_large
    local manifest="--manifest-path '$large/Cargo.toml'" figures none=$work/without-documents
    rm -rf "$none"
    cp -r "$large" "$none"
    sed -i 's/^base-image.*/&\nauditable = false/; s/^\[package.metadata.union.images.default\]/[package.metadata.union]\nattest = false\n&/' "$none/app-0/Cargo.toml"
    sed -i 's/^\[package.metadata.union.images.default\]/[package.metadata.union]\nattest = true\n&/' "$large/app-0/Cargo.toml"
    local with="'$tool' build --quiet -p app-0 --registry '$registry'/with $manifest --sbom '$work/sbom.json'"
    local without="'$tool' build --quiet -p app-0 --registry '$registry'/without --manifest-path '$none/Cargo.toml'"
    local edit="for directory in '$large' '$none'; do sed -i \"s/^const EDIT: u64 = .*/const EDIT: u64 = \$(date +%s%N);/\" \"\$directory/app-0/src/main.rs\"; done"
    medians "$edit" "$without" "$with"
    row '300 crates: list, SBOM and provenance, edit' "$(seconds "${figures[1]}") s" "without them: $(seconds "${figures[0]}") s" "+ $(seconds "$(longer 1 0)") s" '≤ + 0.1 s'
    medians true "$without" "$with"
    row '… nothing changed' "$(seconds "${figures[1]}") s" "without them: $(seconds "${figures[0]}") s" "$(calculate "${figures[1]} / ${figures[0]}")" '≤ 1.05'
}

# Fifty tasks on five images compared with one task: everything is compiled, cache and repository are empty.
row_growth() {
    make_package "$work/one" 1 1
    make_package "$work/five" 5 50
    local fresh="rm -rf '$UNION_CACHE_DIR'; date +%s%N >'$work/repository'" figures
    medians "$fresh" \
        "'$tool' build --quiet --registry '$registry'/\$(cat '$work/repository') --manifest-path '$work/one/Cargo.toml'" \
        "'$tool' build --quiet --registry '$registry'/\$(cat '$work/repository') --manifest-path '$work/five/Cargo.toml'"
    row '50 tasks on 5 images, packed and pushed' "$(seconds "${figures[1]}") s" "1 task on 1 image: $(seconds "${figures[0]}") s" "$(calculate "${figures[1]} / ${figures[0]}")" '≤ 1.5'
}

# An app of the official command line with a number of tasks in the same image. Its deploy fails for a task with less
# than three words in its command.
make_app() {
    local file=$1 image=$2 tasks=$3
    cat >"$file" <<-PYTHON
		import flyte
		from flyte.extras import ContainerTask

		image = flyte.Image.from_base("$image")
		command = ["/union/bin/program-0", "one", "two"]
		tasks = [ContainerTask(name=f"official-{number}", image=image, command=command) for number in range($tasks)]
		env = flyte.TaskEnvironment.from_task("programs", *tasks)
	PYTHON
}

# Both register tasks with the same backend; the image is in the registry, and pinned for both. A new version counts as a
# first registration. The official command line sends everything each time, and without DO_NOT_TRACK waits for its
# telemetry server.
row_register() {
    start_backend
    local tasks directory ours theirs figures goal new="date +%s%N >'$work/version'"
    for tasks in 1 50; do
        directory=$work/registered-$tasks
        make_package "$directory" 1 "$tasks"
        make_app "$directory/app.py" "$("$tool" images --format json --manifest-path "$directory/Cargo.toml" | jq -r '.images[0].built.pinned')" "$tasks"
        ours="FLYTE_ADMIN_ENDPOINT='http://$backend' FLYTE_TASK_ORG=acme '$tool' register --quiet --registry '$registry' --project flytesnacks --domain development --manifest-path '$directory/Cargo.toml'"
        theirs="DO_NOT_TRACK=1 .python/bin/flyte --endpoint '$backend' --insecure --org acme deploy --project flytesnacks --domain development --copy-style none"
        medians true "$ours" "$theirs --version $tasks-tasks '$directory/app.py' env"
        # With fifty, the backend's time for a hundred requests is the limit.
        ((tasks == 1)) && goal='≤ 0.2' || goal='< 1'
        row "register, nothing changed, tasks: $tasks" "$(seconds "${figures[0]}") s" "\`flyte deploy\`: $(seconds "${figures[1]}") s" "$(calculate "${figures[0]} / ${figures[1]}")" "$goal"
        medians "$new" "$ours --version ours-\$(cat '$work/version')" "$theirs --version theirs-\$(cat '$work/version') '$directory/app.py' env"
        row "register, first time, tasks: $tasks" "$(seconds "${figures[0]}") s" "\`flyte deploy\`: $(seconds "${figures[1]}") s" "$(calculate "${figures[0]} / ${figures[1]}")" '< 1'
    done
}

stored() { find "$work/registry" -path '*/blobs/*/data' -printf '%h %s\n' | sort; }

# The bytes that an edit adds to the registry, besides the compressed layer itself.
row_bytes() {
    union --manifest-path "$worker/Cargo.toml" >>"$log" 2>&1
    stored >"$work/before"
    sh -c "$edit"
    union --manifest-path "$worker/Cargo.toml" >>"$log" 2>&1
    stored >"$work/after"
    local sizes moved layer
    sizes=$(comm -13 "$work/before" "$work/after" | cut -d' ' -f2)
    moved=$(awk '{ sum += $1 } END { print sum + 0 }' <<<"$sizes")
    layer=$(sort -n <<<"$sizes" | tail -1)
    row 'bytes moved by an edit' "$moved" "its compressed code layer: $layer" "+ $((moved - layer)) bytes" '≤ layer + 20 kB'
}

# A static worker on `scratch`: the unpacked layers compared with the binary.
row_size() {
    local directory=$work/static all binary
    rm -rf "$directory"
    mkdir -p "$directory"
    cp -r "$worker"/{Cargo.toml,Cargo.lock,src} "$directory"
    sed -i 's/^base-image = .*/base-image = "scratch"/; s/^name = "worker"/name = "static"/' "$directory/Cargo.toml"
    cargo generate-lockfile --quiet --offline --manifest-path "$directory/Cargo.toml"
    say 'compiling the static worker'
    "$tool" build --output "oci:$directory/layout" --manifest-path "$directory/Cargo.toml" >>"$log" 2>&1 || fail 'the static worker cannot be built'
    local unpacked=$directory/unpacked
    umoci unpack --rootless --image "$directory/layout:$(jq -r '.manifests[0].annotations["org.opencontainers.image.ref.name"]' "$directory/layout/index.json")" "$unpacked" 2>>"$log"
    all=$(find "$unpacked/rootfs" -type f -printf '%s\n' | awk '{ sum += $1 } END { print sum }')
    binary=$(find "$unpacked/rootfs" -type f -name static -printf '%s\n')
    row 'image of a static worker, unpacked' "$all bytes" "its binary: $binary bytes" "+ $((all - binary)) bytes" '≤ binary + 1 MB'
}

# 1 GB of incompressible weights, copied into the image. Each round of the first push has different weights.
row_copied() {
    start_engine
    local directory=$work/copied figures rounds=$RUNS peak
    rm -rf "$directory"
    mkdir -p "$directory"
    cp -r "$worker"/{Cargo.toml,Cargo.lock,src} "$directory"
    printf 'copy = [{ from = "weights", to = "/weights" }]\n' >>"$directory/Cargo.toml"
    head -c 1G /dev/urandom >"$directory/weights"
    "$tool" build --output "oci:$directory/layout" --manifest-path "$directory/Cargo.toml" >>"$log" 2>&1 || fail 'the image with weights cannot be built'
    cp "$directory/target/release/worker" "$directory/worker" 2>/dev/null || find "$directory/target" -path '*/release/worker' -type f -exec cp {} "$directory/worker" \;
    rm -rf "$directory/layout"
    cat >"$directory/Dockerfile" <<-'DOCKERFILE'
		FROM base
		COPY weights /weights
		COPY worker /usr/local/bin/worker
		CMD ["/usr/local/bin/worker"]
	DOCKERFILE
    printf 'target\nsrc\n' >"$directory/.dockerignore"
    local union="'$tool' build --quiet --registry '$registry' --manifest-path '$directory/Cargo.toml'"
    local dockerfile="$docker --host '$engine' build --quiet --tag '$registry/with-weights' '$directory' && $docker --host '$engine' push --quiet '$registry/with-weights'"
    RUNS=$((RUNS > 3 ? 3 : RUNS))
    medians "date +%s%N | dd of='$directory/weights' conv=notrunc status=none" "$union" "$dockerfile"
    RUNS=$rounds
    row '1 GB of incompressible data copied, first push' "$(seconds "${figures[0]}") s" "Dockerfile, build + push: $(seconds "${figures[1]}") s" "$(calculate "${figures[0]} / ${figures[1]}")" '≤ 0.25'

    medians true "'$tool' build --quiet --registry '$registry' --manifest-path '$worker/Cargo.toml'" "$union"
    row '1 GB copied, nothing changed' "$(seconds "${figures[1]}") s" "the same without it: $(seconds "${figures[0]}") s" "+ $(seconds "$(longer 1 0)") s" '≤ + 0.01 s'

    date +%s%N | dd of="$directory/weights" conv=notrunc status=none
    peak=$(peak "$tool" build --registry "$registry" --manifest-path "$directory/Cargo.toml")
    row 'peak memory, 1 GB copied' "$((peak / 1024)) MB" '' '' '≤ 64 MB'
    rm -rf "$directory"
}

# The peak memory of the tool's process without its children, from the kernel.
peak() {
    "$@" >>"$log" 2>&1 &
    local pid=$! highest=0 line
    while line=$(grep VmHWM "/proc/$pid/status" 2>/dev/null); do
        highest=$(tr -dc 0-9 <<<"$line")
        sleep 0.002
    done
    wait "$pid" || fail "a command failed: $*"
    echo "$highest"
}

# Packing and pushing an incompressible binary of 5 MB and one of 500 MB, which are compiled before.
row_memory() {
    local size directory figures=()
    for size in 5 500; do
        directory=$work/padded-$size
        rm -rf "$directory"
        make_padded "$directory" "$size"
        say "compiling a binary of $size MB"
        "$tool" build --output "oci:$directory/layout" --manifest-path "$directory/Cargo.toml" >>"$log" 2>&1 || fail 'the binary cannot be built'
        rm -rf "$directory/layout" "$UNION_CACHE_DIR"
        figures+=("$(peak "$tool" build --registry "$registry" --manifest-path "$directory/Cargo.toml")")
        rm -rf "$directory/target"
    done
    row 'peak memory, binary of 500 MB' "$((figures[1] / 1024)) MB" "binary of 5 MB: $((figures[0] / 1024)) MB" "$(calculate "${figures[1]} / ${figures[0]}")" '≤ 100 MB, flat'
}

# The start check of the worker, with a base that was indexed before: rebuilt with the check and without it.
row_check() {
    local rebuild="'$tool' build --quiet --no-push --rebuild --manifest-path '$worker/Cargo.toml'"
    local figures
    medians true "$rebuild" "$rebuild --no-check"
    row 'start check' "$(seconds "$(longer 0 1)") s" "the whole run: $(seconds "${figures[0]}") s" "$(calculate "$(longer 0 1) / ${figures[0]}")" '≤ 0.001 s'
}

# A package whose binary contains a number of MB of noise, which its build script generates.
make_padded() {
    local directory=$1 size=$2
    mkdir -p "$directory/src"
    cat >"$directory/Cargo.toml" <<-TOML
		[package]
		name = "$(basename "$directory")"
		version = "0.1.0"
		edition = "2024"

		[workspace]

		[package.metadata.union.images.default]
		base-image = "$registry/base:latest"
	TOML
    cat >"$directory/build.rs" <<-RUST
		fn main() {
		    let mut state: u64 = 88172645463325252;
		    let mut noise = Vec::with_capacity($size << 20);
		    while noise.len() < $size << 20 {
		        state ^= state << 13;
		        state ^= state >> 7;
		        state ^= state << 17;
		        noise.extend_from_slice(&state.to_le_bytes());
		    }
		    std::fs::write(format!("{}/noise", std::env::var("OUT_DIR").unwrap()), noise).unwrap();
		}
	RUST
    cat >"$directory/src/main.rs" <<-RUST
		#[used]
		static NOISE: [u8; $size << 20] = *include_bytes!(concat!(env!("OUT_DIR"), "/noise"));

		fn main() {
		    println!("{}", NOISE.len());
		}
	RUST
    cargo generate-lockfile --quiet --offline --manifest-path "$directory/Cargo.toml"
}

# The start time and the size of the tool.
row_tool() {
    local start
    start=$(hyperfine --style none -N --warmup 5 --runs 50 --export-json /dev/stdout "$tool --version" 2>>"$log" | sed -n '/^{/,$p' | jq .results[0].median)
    row '`--version`' "$(calculate "$start * 1000" 1) ms" '' '' '≤ 5 ms'
    row 'size of the tool' "$(calculate "$(stat -c %s "$tool") / 1000000" 1) MB" '' '' '≤ 16 MB'
}

# A clean release build of the tool.
row_compile() {
    local begin=$SECONDS
    rm -rf "$work/clean"
    cargo build --release --locked --quiet --package cargo-union --target-dir "$work/clean" 2>>"$log"
    row "clean release build of the tool on $(nproc) cores" "$((SECONDS - begin)) s" '' '' '≤ 180 s on 2 cores'
    rm -rf "$work/clean"
}
