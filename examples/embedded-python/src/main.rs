//! Lets numpy compute something, in a Python that lives in this process.

use pyo3::prelude::*;

fn main() -> PyResult<()> {
    Python::attach(|python| {
        let numpy = python.import("numpy")?;
        let matrix = numpy.call_method1("array", ([[2.0, 1.0], [1.0, 3.0]],))?;
        let determinant: f64 = numpy
            .getattr("linalg")?
            .call_method1("det", (matrix,))?
            .extract()?;
        println!("Python {}", Python::version_str());
        println!(
            "numpy {}: the determinant is {determinant:.1}",
            numpy.getattr("__version__")?
        );
        Ok(())
    })
}
