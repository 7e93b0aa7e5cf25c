//! The straight line that fits some points best. A path dependency: an edit here changes both images.

/// `y = slope * x + offset`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    pub slope: f64,
    pub offset: f64,
}

impl Line {
    /// Least squares; `None` when no line is better than another.
    pub fn fit(points: &[(f64, f64)]) -> Option<Self> {
        let count = points.len() as f64;
        let (x, y) = points.iter().fold((0.0, 0.0), |(x, y), point| {
            (x + point.0 / count, y + point.1 / count)
        });
        let spread: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
        let slope = points
            .iter()
            .map(|point| (point.0 - x) * (point.1 - y))
            .sum::<f64>()
            / spread;
        slope.is_finite().then_some(Self {
            slope,
            offset: y - slope * x,
        })
    }

    /// The line's height at `x`.
    pub fn at(self, x: f64) -> f64 {
        self.slope * x + self.offset
    }
}

#[cfg(test)]
mod tests {
    use super::Line;

    #[test]
    fn points_on_a_line_give_that_line() {
        let line = Line::fit(&[(0.0, 1.0), (1.0, 3.0), (2.0, 5.0)]);
        assert_eq!(
            line,
            Some(Line {
                slope: 2.0,
                offset: 1.0
            })
        );
        assert_eq!(Line::fit(&[(1.0, 1.0), (1.0, 2.0)]), None);
    }
}
