//! Values per platform of an image.

use super::platform::Platform;

/// A value for each platform, in the order in which the image declares them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PerPlatform<T>(Vec<(Platform, T)>);

impl<T> PerPlatform<T> {
    /// The value for a platform.
    pub fn get(&self, platform: &Platform) -> Option<&T> {
        self.iter()
            .find(|(other, _)| *other == platform)
            .map(|(_, value)| value)
    }

    /// Platforms and values, in declaration order.
    pub fn iter(&self) -> impl Iterator<Item = (&Platform, &T)> {
        self.0.iter().map(|(platform, value)| (platform, value))
    }

    /// The platforms, in declaration order.
    pub fn platforms(&self) -> impl Iterator<Item = &Platform> {
        self.0.iter().map(|(platform, _)| platform)
    }

    /// The values, in declaration order of their platforms.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|(_, value)| value)
    }

    /// Converts the value of each platform.
    pub fn map<U>(&self, mut convert: impl FnMut(&Platform, &T) -> U) -> PerPlatform<U> {
        self.iter()
            .map(|(platform, value)| (platform.clone(), convert(platform, value)))
            .collect()
    }

    /// Converts the value of each platform, and stops at the first error.
    ///
    /// # Errors
    /// Those of `convert`.
    pub fn try_map<U, E>(
        &self,
        mut convert: impl FnMut(&Platform, &T) -> Result<U, E>,
    ) -> Result<PerPlatform<U>, E> {
        self.iter()
            .map(|(platform, value)| Ok((platform.clone(), convert(platform, value)?)))
            .collect()
    }
}

impl<T> Default for PerPlatform<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> FromIterator<(Platform, T)> for PerPlatform<T> {
    fn from_iter<I: IntoIterator<Item = (Platform, T)>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

impl<T> IntoIterator for PerPlatform<T> {
    type Item = (Platform, T);
    type IntoIter = std::vec::IntoIter<(Platform, T)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}
