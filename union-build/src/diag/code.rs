//! The codes of all errors and warnings.

use std::fmt;

macro_rules! codes {
    ($($name:ident = $code:literal, $title:literal, $help:literal;)*) => {
        /// The unique code of an error or a warning, grouped by area.
        ///
        /// `U00` is the command line and the machine, `U01` the manifest, `U02` the workspace and the
        /// compile, `U03` images and bases, `U04` registries and other publishers, `U05` environments,
        /// `U06` the start check, `U07` the backend, `U08` runs of tasks.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = $title] $name,)*
        }

        impl Code {
            /// All codes, sorted.
            pub const ALL: &[Code] = &[$(Code::$name,)*];

            /// The code as shown: `U0101`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Code::$name => $code,)* }
            }

            /// The meaning of the code, as on its reference page.
            pub const fn title(self) -> &'static str {
                match self { $(Code::$name => $title,)* }
            }

            /// Advice in one sentence.
            pub const fn help(self) -> &'static str {
                match self { $(Code::$name => $help,)* }
            }
        }
    };
}

codes! {
    UsageInvalid = "U0001", "Invalid combination of arguments", "Read the command's `--help`.";
    ToolMissing = "U0003", "A program that is needed could not be started", "Install it, or put it on the PATH.";
    FileUnreadable = "U0004", "A file could not be read", "Check that it exists and that you may read it.";
    FileUnwritable = "U0005", "A file or directory could not be written", "Check its permissions and the free space of its disk.";
    DiskFull = "U0006", "The disk is full", "Free some space and run the command again: it continues where it stopped.";
    Interrupted = "U0007", "The command was interrupted", "Run it again: completed work is kept.";
    SettingInvalid = "U0008", "An environment variable or a flag has an invalid value", "Correct the value that the message names.";

    ManifestSyntax = "U0101", "A manifest is not valid TOML", "Correct the syntax at the location shown.";
    UnknownKey = "U0102", "A key is not known", "Use one of the keys that the message lists.";
    WrongType = "U0103", "A value has the wrong type", "Write a value of the type that the message names.";
    InvalidValue = "U0104", "A value is not one of those allowed", "Use one of the values that the message lists.";
    UnknownImage = "U0105", "A task or an image names an image that is not declared", "Declare the image or name one that is.";
    UnknownBinary = "U0106", "A task names a binary that the package does not have", "Name one of the package's binaries.";
    DuplicateTask = "U0107", "Two tasks have the same name", "Give one of them another name.";
    ExtendsCircle = "U0108", "Images extend one another in a cycle", "Let one of them start from a `base-image`.";
    InvalidRegistry = "U0109", "A registry is not valid", "Write `host[:port]/path`, in lower case and without `https://`.";
    InvalidImageName = "U0110", "An image name is not valid", "Use lower-case letters, digits, and single `.`, `_` or `-` between them.";
    InvalidTagFormat = "U0111", "A tag format is not valid", "It must contain `{spec-hash}` and give a tag of at most 128 characters.";
    CopyMissing = "U0112", "A `copy` source does not exist", "Correct the path; it is relative to the manifest.";
    CopyOutside = "U0113", "A `copy` source is outside of the workspace", "Move it into the workspace.";
    CopyThroughSymlink = "U0114", "A `copy` source leaves the workspace through a symbolic link", "Copy the file itself into the workspace.";
    ConstantCollision = "U0115", "Two images would have the same constant", "Rename one of them.";
    BaseAndExtends = "U0116", "An image has both `base-image` and `extends`", "Keep one of them.";
    UnsupportedByBuilder = "U0117", "A parameter is not supported by the chosen builder", "Use the builder that the message names.";
    TaskAmbiguous = "U0118", "No task is declared and the package has several binaries", "Declare a task or set `default-run`.";
    Refused = "U0119", "A parameter of the Python SDK is not supported", "Remove it; the message says why.";
    InvalidReference = "U0120", "A base image's reference is not valid", "Write `[registry/]name[:tag][@sha256:digest]`.";
    PathInvalid = "U0121", "A path inside the image is not valid", "Write an absolute path without `..`.";
    KindUnfit = "U0122", "A task's kind does not fit its package", "Use `kind = \"container\"`, or depend on the `flyte` crate.";
    NothingToBuild = "U0123", "The package has neither a binary nor an image", "Add a binary, or declare an image.";
    KeyOfOtherKind = "U0124", "A key is for tasks of the other kind", "Remove it, or change the task's `kind`.";
    NothingRuns = "U0125", "A task has no program to run", "Give it a `bin` or a `command`, or its image an `entrypoint`.";
    UnknownInput = "U0126", "A task does not have an input of that name", "Declare it under `inputs`, or name one that is.";

    NoManifest = "U0201", "No Cargo.toml was found or it could not be read", "Run the command in a cargo package, or pass `--manifest-path`.";
    NothingDeclared = "U0202", "No package declares `[package.metadata.union]`", "Add the table to the package with the tasks.";
    UnknownPackage = "U0203", "The named package is not in the workspace or declares no images", "Name one of those that the message lists.";
    UnknownTask = "U0204", "The named task does not exist", "Name one of those that the message lists.";
    LockfileMissing = "U0205", "There is no Cargo.lock", "Run `cargo generate-lockfile` and commit the file.";
    CompileFailed = "U0206", "cargo failed to compile", "Correct what cargo reports.";
    TargetMissing = "U0207", "The toolchain cannot compile for the platform", "Install the target, or drop the platform.";
    InputNotCovered = "U0208", "The compiler read a file that `exclude` leaves out of the key", "Narrow the pattern that the message names.";
    InputsMoved = "U0209", "The sources changed while they were compiled", "Run the command again.";
    UnionLockStale = "U0211", "Union.lock has no matching entry and `--locked` was given", "Run `cargo union update` and commit Union.lock.";
    UnionLockInvalid = "U0212", "Union.lock cannot be read", "Restore it from git, or remove it and run `cargo union update`.";
    StaticImpossible = "U0213", "A static binary cannot be linked here", "Follow the message, or choose `link = \"dynamic\"` with a base image.";
    HandoverMismatch = "U0214", "The crate was compiled with other references than those handed over", "Run the command again while no other build runs.";
    ArtifactMissing = "U0215", "cargo did not produce an expected executable", "Check the binary's `required-features`.";
    WorkspaceInvalid = "U0217", "cargo cannot read the workspace or its own configuration", "Correct what cargo reports.";
    RustImageUnknown = "U0218", "No image to compile in matches the environment", "Set `build.rust-image`.";
    ArtifactStale = "U0219", "cargo does not recompile code that was compiled from other sources", "Run `cargo clean` and the command again.";
    NativeProcessor = "U0220", "The code is compiled for the processor of this machine", "Name a processor that all nodes support, as in `-Ctarget-cpu=x86-64-v3`.";
    LauncherFailed = "U0221", "The launcher of tasks cannot be compiled", "Install the standard library of the target, or set `launcher = false` for the image.";
    PackageRefused = "U0222", "cargo could not create the package", "Correct what cargo reports; nothing was left behind.";
    ScaffoldConflict = "U0223", "What would be added to a package exists already, or does not fit it", "Do what the message says; nothing was changed.";
    CratesUnlisted = "U0224", "The list of the crates in a binary cannot be made or added to it", "Follow the message, or set `auditable = false` for the image.";

    BaseMissing = "U0301", "A base image does not exist", "Check its name and tag.";
    BaseDenied = "U0302", "Access to a base image was denied", "Log in to its registry.";
    BaseUnreachable = "U0303", "A base image's registry could not be reached", "Check the network, or set a mirror.";
    BaseWithoutPlatform = "U0304", "A base image has no variant for the platform", "Use one of the platforms that the message lists.";
    BaseUnsupported = "U0305", "Unsupported base image format", "Choose another base.";
    BaseCorrupt = "U0306", "A base image's content does not match its digest", "Try again, or choose another mirror.";
    UnknownUser = "U0307", "The base image does not have the named user or group", "Use a number, or a name from its /etc/passwd.";
    CopyConflict = "U0308", "A copied path cannot be placed into the base image", "Choose another destination.";
    BaseUnfit = "U0309", "The base image does not have what the manifest requires", "Choose a base that has it.";

    RegistryMissing = "U0401", "The command needs a registry and none is set", "Set `registry`, UNION_REGISTRY or `--registry`.";
    RegistryDenied = "U0402", "The registry denied access", "Log in with `docker login` or `podman login`.";
    RegistryUnreachable = "U0403", "The registry could not be reached", "Check its name, the network and the proxy.";
    RegistryInvalid = "U0404", "Unexpected response from the registry", "Check that the address is a registry.";
    RegistryFailed = "U0405", "The registry failed", "Try again later, or ask its operator.";
    RegistryMustCreate = "U0406", "The registry requires the repository to be created first", "Create it with the command that the message shows.";
    DigestMismatch = "U0407", "Digest mismatch", "Check for a proxy that rewrites responses.";
    TagTaken = "U0408", "The tag holds an image of another key or platform", "Use another `tag-format` or `build --rebuild`.";
    CredentialsInvalid = "U0409", "Stored credentials cannot be used", "Log in again, or correct the file that the message names.";
    InsecureRealm = "U0410", "A registry asks for credentials to be sent without encryption", "List the host under `insecure-registries` if you trust the network.";
    TlsFailed = "U0411", "A secure connection could not be established", "Trust its certificate authority through SSL_CERT_FILE.";
    TagImmutable = "U0412", "The registry does not allow the tag to change", "Use another `tag-format`.";
    LayoutInvalid = "U0413", "A directory is not an OCI layout", "Choose an empty directory or remove it.";
    EngineUnreachable = "U0414", "No container engine could be reached", "Start Docker or podman, or choose another `--output`.";
    EngineFailed = "U0415", "The container engine refused the request", "The message contains the engine's error.";
    EngineWithoutPlatform = "U0416", "The engine runs another platform than the image has", "Declare the engine's platform.";
    SourceMissing = "U0417", "The image to push does not exist, or is incomplete", "Check its repository, its tag and its digest.";
    ImageUnverified = "U0418", "An image cannot be compared with the checkout", "Check the reference, and choose the image with `-p` and `--image`.";
    SigningKeyInvalid = "U0419", "A key of signatures cannot be used", "Use a P-256 key in PEM, plain or encrypted by cosign.";
    ImageUnsigned = "U0420", "An image has no valid signature by a key", "Check the key. Do not use the image if it should be signed by it.";

    BuildFailed = "U0501", "A step of an environment failed", "Correct the step; the log that the message names contains its whole output.";
    SecretMissing = "U0502", "A secret of the build has no usable value", "Set the variable or the file that the message names.";
    RemoteBuildFailed = "U0503", "The backend failed to build an image", "Correct what its log says; the message names the run.";
    ImageUnpinned = "U0504", "An image of the backend could not be pinned by its digest", "Log in to its registry, or accept the tag with `--allow-unpinned`.";

    NotExecutable = "U0601", "A compiled binary is not a Linux executable", "Compile it for a Linux target: something sets another one, or another linker.";
    MachineMismatch = "U0602", "A binary is compiled for another machine than its image", "Remove what sets cargo's target or linker, or change `platforms`.";
    LoaderMissing = "U0603", "The image has no loader for a binary", "Set `link = \"static\"`, or choose a base image with the C library that the binary is linked against.";
    LibraryMissing = "U0604", "The image lacks a shared library that a binary needs", "Add the package that the message names, or list the library under `runtime-libs` when something else brings it.";
    LibraryTooOld = "U0605", "A shared library of the image is too old for a binary", "Choose a newer base image, or link against older libraries.";

    ProjectMissing = "U0701", "No project or no domain is set", "Set `project` and `domain` in the manifest, or pass `--project` and `--domain`.";
    ProjectUnknown = "U0702", "The backend does not have the project", "Use one of those that the message lists, or create it.";
    DomainUnknown = "U0703", "The project does not have the domain", "Use one of those that the message lists.";
    DescriptionInvalid = "U0704", "A binary did not describe its task", "Build it with the upstream `flyte` crate, or use `kind = \"container\"`.";
    DescriptionVersion = "U0705", "A binary describes its task in an unsupported version", "Use a version of the tool that fits the package's `flyte` crate.";
    InterfaceUnsupported = "U0706", "A task has an input or an output that cannot be registered", "Give it a type that the message names, or use `kind = \"container\"`.";
    EnvironmentTaken = "U0707", "The backend has a task of that name in another environment", "Give the task another `name`, or set its `environment` to the one that the message names.";
    VersionTaken = "U0708", "The backend has another task under the same version", "Choose another `--version`, or overwrite it with `--replace`.";
    VersionInvalid = "U0709", "A version is not valid", "Use at most 63 letters, digits, `.`, `_`, `+` or `-`.";
    TasksCollide = "U0710", "Two tasks would have the same identity on the backend", "Give one of them another `name`.";
    TreeDirty = "U0711", "The working tree has changes and `--require-clean` was given", "Commit or stash them.";
    ImagePrivate = "U0712", "An image cannot be pulled without a login", "Make its repository public, or give the cluster a pull secret.";
    TriggerUnfit = "U0713", "A trigger does not fit the inputs of its task", "Correct what the message names.";
    VersionUnknown = "U0714", "The backend does not have the version of a task that was named", "Name one that it has, or leave out `--version` to run the current sources.";
    SecretInvalid = "U0730", "A secret has a name or a value that cannot be stored", "Correct what the message names.";

    FlyteConfigSyntax = "U0750", "The Flyte config is not valid YAML", "Correct the syntax at the location shown.";
    FlyteConfigInvalid = "U0751", "A value of the Flyte config is not valid", "Correct the value at the location shown.";
    EndpointInvalid = "U0752", "The backend's address is not valid", "Write `host[:port]`, with or without `dns:///`, `https://` or `http://`.";
    ApiKeyInvalid = "U0753", "FLYTE_API_KEY cannot be read", "Set it to the key as it was shown when it was created, or unset it.";
    BackendMissing = "U0754", "The command needs a backend and none is configured", "Set `admin.endpoint` in a Flyte config, FLYTE_ADMIN_ENDPOINT or `--endpoint`.";
    BackendUnreachable = "U0755", "The backend could not be reached", "Check its address, the network and the proxy.";
    BackendUntrusted = "U0756", "A secure connection to the backend could not be established", "Trust its certificate authority through `admin.caCertFilePath` or SSL_CERT_FILE.";
    BackendInvalid = "U0757", "Unexpected response from the backend", "Let the endpoint name the API of Flyte or Union, not its console or a login page.";
    BackendFailed = "U0758", "The backend failed", "Try again later, or ask its operator.";
    BackendRefused = "U0759", "The backend refused the request", "Correct what the message names.";
    BackendDenied = "U0760", "The backend denied access", "Ask for access, or log in as another user with `cargo union login`.";
    BackendNotFound = "U0761", "The backend does not have the requested object", "Check organization, project, domain and name.";
    BackendLacks = "U0762", "The backend does not support this operation", "Use a backend that has it, or a newer one.";
    LoginRefused = "U0763", "The backend does not accept the login", "Run `cargo union login` again.";
    LoginNeeded = "U0764", "The backend requires a login, and the session is not interactive", "Run `cargo union login`, or give a client's secret or FLYTE_API_KEY.";
    LoginIncomplete = "U0765", "The Flyte config lacks a setting that the login requires", "Set what the message names.";
    LoginFailed = "U0766", "The login did not succeed", "Run `cargo union login` and follow its instructions.";
    LoginUnencrypted = "U0767", "The backend requires the login to be sent without encryption", "Ask the operator of the backend to name `https` addresses for logins.";
    TokenCommandFailed = "U0768", "The program that should print a token failed", "Run it in a terminal to see why.";
    BuilderMissing = "U0769", "The backend does not build images", "Use `builder = \"docker\"`, or ask the operator of the backend to switch its image builder on.";
    UploadFailed = "U0770", "A file could not be sent to the backend's store", "Try again later, or ask the operator of the backend.";
    UploadRefused = "U0771", "The backend's store refused a file", "Ask the operator of the backend whether you may write to its store.";
    UploadExpired = "U0772", "The address for a file expired before the file was sent", "Run the command again on a faster connection, or send less.";
    UploadChanged = "U0780", "A file or directory changed while it was sent to the backend's store", "Run the command again when no program writes to it.";
    StoreUnsupported = "U0781", "A file is in a store that this tool cannot read", "Fetch it from the address that the message names with the store's own tools.";
    DownloadFailed = "U0782", "A file could not be fetched from the backend's store", "Try again later, or ask the operator of the store.";
    DownloadRefused = "U0783", "The backend's store refused to give a file", "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to a login that may read it.";
    DownloadCorrupt = "U0784", "A file of the backend's store does not match its size or checksum", "Run the command again; if it stays so, the file in the store is damaged.";
    OutputExists = "U0785", "A file or directory that `--save-outputs` would write exists", "Remove it, or choose another directory.";
    BackendUnsupported = "U0790", "The chosen generation of Flyte does not support a key", "Do what the message says, or register with the other generation.";

    InputsInvalid = "U0801", "A task cannot run with the inputs of a run", "Correct what the message lists.";
    NotRunHere = "U0802", "A task cannot run on this machine", "Follow the message, or run it on the backend.";
    TaskSecretMissing = "U0803", "A secret of a task is not in the environment", "Set the variables that the message names.";
    ProgramFailed = "U0804", "The program of a task failed", "Correct the program; its output is above.";
    OutputsInvalid = "U0805", "A task did not write its declared outputs", "Let its program write the outputs that the message lists.";
    RunFailed = "U0806", "A run on the backend failed", "Correct what the message names; the run's page shows more.";
    RunAborted = "U0807", "A run on the backend was aborted", "Run the task again.";
    LogsUnavailable = "U0820", "The logs of a run cannot be read", "Look at the run's page, which the message names.";
    RunImageUnpullable = "U0821", "The cluster cannot pull the image of a run", "Check the image's reference, and give the cluster a pull secret.";
    RunUnschedulable = "U0822", "No node of the cluster can run a task", "Ask for less in the task's `resources`, or ask the operator of the cluster for larger nodes.";
    RunQuotaExceeded = "U0823", "The quota of the project does not allow a run", "Wait for other runs to end, ask for less in the task's `resources`, or ask for a larger quota.";
    RunDenied = "U0824", "The cluster's rules do not allow a run", "Change what the message names, or ask the operator of the cluster.";
    RunSecretMissing = "U0825", "The cluster does not have a secret of a run", "Create it with `cargo union secret create`.";
    RunRestarts = "U0826", "The cluster starts the container of a run again and again", "Abort the run, and correct what its log shows.";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::Code;

    #[test]
    fn codes_are_unique_and_in_order() {
        let codes: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        let mut sorted = codes.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(codes, sorted);
    }
}
