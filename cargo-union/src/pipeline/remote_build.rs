//! Images that the backend makes: ordered, waited for, and pinned.

use std::time::Duration;

use anyhow::Result;
use union_build::diag::Code;

use super::context::PackageContext;
use super::environment::logs;
use super::outcome::PublishedImage;
use crate::build::remote::RemoteBuildRequest;
use crate::flyte::console;
use crate::flyte::images::{self, RemoteBuild};
use crate::flyte::runs::{self, RunIdent, RunOutcome, RunPhase, RunState};
use crate::pipeline::Reporter;
use crate::pipeline::plan::ImagePlan;
use crate::pipeline::remote::{self, RemoteImage, RemoteImageService};
use crate::sys::error::Error;
use crate::sys::log::Log;
use crate::sys::words;

/// Has an image made, and waits for it. Whoever drops this before has the builder stopped.
///
/// # Errors
/// `RemoteBuildFailed`; what sending, starting and watching end with.
pub(super) async fn order(
    package: &PackageContext<'_>,
    image: &ImagePlan,
    backend: &RemoteImageService,
    ordered: RemoteBuildRequest,
) -> Result<PublishedImage> {
    let name = &image.resolved.name;
    let log = logs(&package.session.workspace, &package.declared.package.name).join(format!("{name}.log"));
    let watch = RemoteBuildProgress { image: name, backend, reporter: &**package.reporter, log: Log::begin(log)? };
    let target = image.resolved.reference().map_or_else(|| remote::name(&image.resolved), |reference| reference.to_string());
    let build = RemoteBuild {
        client: &backend.client,
        scope: &backend.scope,
        task: backend.task().await?,
        order: &ordered.order,
        context: ordered.context.as_ref().map(|context| context.path().to_owned()),
        target: &target,
        anew: package.work.rebuild,
    };
    let made = images::build(&build, &watch).await?;
    let there = made.image.map_err(|end| watch.failed(&made.run, end))?;
    let standing = backend.standing(there).await;
    package.reporter.status("Published", &format!("{name} {} ({} sent)", standing.image, words::bytes(made.sent)));
    let record = super::record::from_remote(image, &standing, made.sent, package.revision);
    Ok(PublishedImage { record, sent: made.sent, adopted: false, unpinned: unpinned(name, &standing) })
}

/// What is wrong with an image that has no digest; `None` when it has one.
pub(super) fn unpinned(name: &str, standing: &RemoteImage) -> Option<Error> {
    let why = standing.pinned.as_ref().err()?;
    Some(Error::new(Code::ImageUnpinned, format!("could not pin image `{name}`, which is {}", standing.image)).because(why.clone()))
}

/// Tells how a build goes on, and keeps what it writes.
struct RemoteBuildProgress<'a> {
    image: &'a str,
    backend: &'a RemoteImageService,
    reporter: &'a dyn Reporter,
    log: Log,
}

impl RemoteBuildProgress<'_> {
    fn page(&self, run: &RunIdent) -> String {
        console::run(&self.backend.client.endpoint(), &run.scope, &run.name)
    }

    fn failed(&self, run: &RunIdent, end: RunOutcome) -> Error {
        let how = match end {
            RunOutcome::Succeeded => "ended well".to_owned(),
            RunOutcome::Failed(trouble) => trouble.map_or_else(|| "failed".to_owned(), |trouble| format!("failed: {}", trouble.message)),
            RunOutcome::TimedOut(_) => "took longer than it may".to_owned(),
            RunOutcome::Aborted(reason) if reason.is_empty() => "was aborted".to_owned(),
            RunOutcome::Aborted(reason) => format!("was aborted: {reason}"),
        };
        let last = self.log.last();
        let said = if last.is_empty() { String::new() } else { format!("; its last lines:\n{}", last.join("\n")) };
        Error::new(Code::RemoteBuildFailed, format!("the backend did not make image `{}`", self.image))
            .because(format!("the run `{}` {how}{said}", run.name))
            .help(format!("Correct the step. The run is {}, and its whole log `{}`.", self.page(run), self.log.path().display()))
    }
}

impl runs::RunListener for RemoteBuildProgress<'_> {
    fn is(&self, state: RunState) {
        let phase = match state.phase {
            RunPhase::Unknown => return,
            RunPhase::Succeeded if state.cached => "taken from an earlier run".to_owned(),
            phase => phase.to_string(),
        };
        self.reporter.detail("Building", &format!("{}: {phase}", self.image));
    }

    fn wrote(&self, line: &runs::TaskLogLine) {
        self.log.line(&line.text);
        if self.reporter.shows_logs() {
            self.reporter.status("", &format!("{}: {}", self.image, line.text));
        }
    }

    fn lost(&self, why: &str, after: Duration) {
        self.reporter.status("Retrying", &format!("to watch the build of {} in {:.1} s: {why}", self.image, after.as_secs_f64()));
    }

    fn no_logs(&self, why: &str) {
        self.reporter.detail("Skipping", &format!("the log of the build of {}: {why}", self.image));
    }
}

impl images::RemoteBuildListener for RemoteBuildProgress<'_> {
    fn started(&self, run: &RunIdent) {
        self.reporter.status("Building", &format!("{}: {}", self.image, self.page(run)));
    }

    fn stops(&self, run: &RunIdent) {
        self.reporter.status("Aborting", &format!("{}, which builds {}", run.name, self.image));
    }
}
