//! Work on many values with all processors.

use std::thread;

use super::error::Result;

/// With fewer values than this per thread, starting threads takes longer than the work.
const LEAST_PER_THREAD: usize = 32;

/// Applies a function to each value, in threads when there are many values. Returns the results in the order of the values.
///
/// # Errors
/// The error of the first value that has one.
pub fn try_map<T: Sync, R: Send>(
    values: &[T],
    function: impl Fn(&T) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let most = values.len() / LEAST_PER_THREAD;
    // The system reads several files to count its processors.
    let processors = || thread::available_parallelism().map_or(1, Into::into);
    let threads = if most < 2 { 1 } else { most.min(processors()) };
    if threads < 2 {
        return values.iter().map(function).collect();
    }
    let function = &function;
    let per_thread = values.len().div_ceil(threads);
    let chunks: Vec<Result<Vec<R>>> = thread::scope(|scope| {
        let workers: Vec<_> = values
            .chunks(per_thread)
            .map(|chunk| scope.spawn(move || chunk.iter().map(function).collect()))
            .collect();
        workers
            .into_iter()
            .map(|worker| {
                worker
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .collect()
    });
    let mut results = Vec::with_capacity(values.len());
    for chunk in chunks {
        results.extend(chunk?);
    }
    Ok(results)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use union_build::diag::Code;

    use super::*;
    use crate::sys::error::Error;

    #[test]
    fn results_are_in_the_order_of_the_values() {
        for count in [0, 1, 31, 64, 65, 1000] {
            let values: Vec<usize> = (0..count).collect();
            let doubled = try_map(&values, |value| Ok(value * 2)).unwrap();
            assert!(
                doubled
                    .iter()
                    .copied()
                    .eq((0..count).map(|value| value * 2))
            );
        }
    }

    #[test]
    fn first_error_in_the_order_of_the_values_is_returned() {
        let values: Vec<usize> = (0..1000).collect();
        let fail = |value: &usize| match value {
            300 | 700 => Err(Error::new(Code::FileUnreadable, format!("value {value}"))),
            _ => Ok(()),
        };
        let error = try_map(&values, fail).unwrap_err();
        assert!(error.to_string().contains("value 300"), "{error}");
    }
}
