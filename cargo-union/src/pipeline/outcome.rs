//! What became of images.

use super::plan::PackagePlan;
use super::state::BuildRecord;
use crate::image::plan::PlannedImage;

/// What was built of a package.
pub(crate) struct PackageOutcome {
    /// What had been planned.
    pub(crate) plan: PackagePlan,
    /// The chosen images, in the plan's order.
    pub(crate) images: Vec<ImageOutcome>,
}

/// An image that is there now.
pub(crate) struct ImageOutcome {
    /// What had been planned.
    pub(crate) planned: PlannedImage,
    /// What is known of it.
    pub(crate) record: BuildRecord,
    /// Bytes that were sent; 0 when nothing was.
    pub(crate) sent: u64,
    /// Whether another process had published the same key in the meantime.
    pub(crate) adopted: bool,
}
