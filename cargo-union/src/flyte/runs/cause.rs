//! Known causes for which a run waits or fails, recognised in the texts of the cluster.

use union_build::diag::Code;

/// A cause with a help text of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunCause {
    /// The image cannot be pulled; the help text depends on the error of the registry.
    Image(PullProblem),
    /// No node has the resources that the task requests.
    Unschedulable,
    /// The quota of the namespace is used up.
    Quota,
    /// An admission webhook refuses the pod.
    Webhook,
    /// A secret does not exist.
    Secret,
    /// The container ends and is started again, in the same attempt.
    Restarts,
    /// The program was killed because it used more memory than it may.
    Memory,
    /// A worker of the `flyte` crate has no access to the object store.
    ObjectStore,
}

/// Why an image cannot be pulled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullProblem {
    /// The registry requires a login.
    Login,
    /// The registry does not have it.
    Missing,
    /// The registry cannot be reached.
    Network,
    /// The text does not contain the cause.
    Unknown,
}

impl RunCause {
    /// The cause in a text: an event's reason and message, or an error's code and message. Reasons are those of
    /// Kubernetes (kubelet and scheduler), messages also those of containerd and of Flyte's webhook.
    pub fn of(text: &str) -> Option<Self> {
        let text = text.to_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
        if has(&IMAGE) {
            return Some(Self::Image(PullProblem::of(&text)));
        }
        if has(&["restarting failed container", "crashloopbackoff"]) {
            return Some(Self::Restarts);
        }
        if text.contains("secret") && has(&SECRET) {
            return Some(Self::Secret);
        }
        if has(&["exceeded quota", "quota exceeded", "exceeds quota"]) {
            return Some(Self::Quota);
        }
        if has(&["unschedulable", "failedscheduling", "nodes are available"]) {
            return Some(Self::Unschedulable);
        }
        if text.contains("webhook") && has(&["denied", "failed calling", "forbidden", "rejected"]) {
            return Some(Self::Webhook);
        }
        if text.contains("oomkilled") {
            return Some(Self::Memory);
        }
        (has(&["instance credential"]) || is_store_refusal(&text)).then_some(Self::ObjectStore)
    }

    /// The code of a warning about a run that waits for this cause; `None` for causes of failures only.
    pub fn code(self) -> Option<Code> {
        Some(match self {
            Self::Image(_) => Code::RunImageUnpullable,
            Self::Unschedulable => Code::RunUnschedulable,
            Self::Quota => Code::RunQuotaExceeded,
            Self::Webhook => Code::RunDenied,
            Self::Secret => Code::RunSecretMissing,
            Self::Restarts => Code::RunRestarts,
            Self::Memory | Self::ObjectStore => return None,
        })
    }

    /// What to do about it.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Image(PullProblem::Login) => {
                "Give the cluster a pull secret for the registry with `cargo union secret create --image-pull`, or make the repository public."
            }
            Self::Image(PullProblem::Missing) => {
                "The registry does not have the image under this reference: run `cargo union register` again, and check `registry` in the manifest. Private repositories also respond this way: give the cluster a pull secret with `cargo union secret create --image-pull`."
            }
            Self::Image(PullProblem::Network) => {
                "The cluster does not reach the registry: check its name as the nodes see it, their proxy, and whether they trust its certificate."
            }
            Self::Image(PullProblem::Unknown) => {
                "Check the reference, and whether the cluster may pull from the registry: `cargo union secret create --image-pull` gives it a pull secret."
            }
            Self::Unschedulable => {
                "Ask for less in the task's `resources`, or ask the operator of the cluster for nodes that have as much. It starts when a node has enough free resources."
            }
            Self::Quota => {
                "Wait for other runs to end, ask for less in the task's `resources`, or ask the operator of the cluster for a larger quota."
            }
            Self::Webhook => {
                "A rule of the cluster refuses the pod: change what the text names, or ask the operator of the cluster."
            }
            Self::Secret => {
                "Create it with `cargo union secret create NAME`, under the name and group that the task's `secrets` give, in the same project and domain."
            }
            Self::Restarts => {
                "This cluster starts a container that fails again and again, in the same attempt, and does not end the run: abort it, and correct what its log shows. Newer versions of the backend end such a run."
            }
            Self::Memory => "Give the task more memory in its `resources`.",
            Self::ObjectStore => {
                "Workers of the `flyte` crate read the settings of the object store from AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION, not from the FLYTE_AWS_* that the cluster may set: set them in the task's `env` or by its `secrets`."
            }
        }
    }
}

const IMAGE: [&str; 8] = [
    "failed to pull",
    "back-off pulling image",
    "errimagepull",
    "imagepullbackoff",
    "invalidimagename",
    "errimageneverpull",
    "failed to resolve reference",
    "pull access denied",
];

const SECRET: [&str; 6] = [
    "not found",
    "none of the secret managers",
    "does not exist",
    "unable to find",
    "could not find",
    "failed to inject",
];

/// Whether an object store denies access. The number alone may be anything.
fn is_store_refusal(text: &str) -> bool {
    text.contains("403")
        && ["forbidden", "status", "accessdenied", "object_store", "s3"]
            .iter()
            .any(|word| text.contains(word))
}

impl PullProblem {
    fn of(text: &str) -> Self {
        let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
        if has(&[
            "unauthorized",
            "authentication required",
            "authorization failed",
            "no basic auth",
            "403 forbidden",
            "401",
            "access denied",
            "requires authorization",
            "insufficient_scope",
        ]) {
            Self::Login
        } else if has(&[
            "not found",
            "manifest unknown",
            "name unknown",
            "invalidimagename",
        ]) {
            Self::Missing
        } else if has(&[
            "no such host",
            "connection refused",
            "timeout",
            "x509",
            "server gave http response",
            "no route to host",
        ]) {
            Self::Network
        } else {
            Self::Unknown
        }
    }
}

#[cfg(test)]
mod tests;
