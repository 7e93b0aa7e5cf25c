//! The results of a build.

use super::plan::PackagePlan;
use super::state::BuildRecord;
use crate::image::plan::PlannedImage;

/// The result of building a package.
pub(crate) struct PackageOutcome {
    pub(crate) plan: PackagePlan,
    /// The selected images, in the order of the plan.
    pub(crate) images: Vec<ImageOutcome>,
}

/// An image that was published, or that existed already.
pub(crate) struct ImageOutcome {
    pub(crate) planned: PlannedImage,
    pub(crate) record: BuildRecord,
    /// Bytes that were sent.
    pub(crate) sent: u64,
    /// Whether another process published the same key first.
    pub(crate) adopted: bool,
}
