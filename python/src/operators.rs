//! Linear operators of the scanner's physics on complex arrays.

use numpy::{
    IntoPyArray, PyArrayDyn, PyReadonlyArray2, PyReadonlyArray3, PyReadonlyArray4, PyReadonlyArrayDyn,
};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use voxgan::acquisition::encoding::Encoding;
use voxgan::acquisition::fourier::Fourier;
use voxgan::acquisition::operators::cartesian::Cartesian;
use voxgan::acquisition::operators::crop::Crop;
use voxgan::acquisition::operators::gradient::Gradient;
use voxgan::acquisition::operators::motion::{Moved, Rigid};
use voxgan::acquisition::operators::nufft::{Accuracy, Nufft};
use voxgan::acquisition::operators::sampled::Sampled;
use voxgan::acquisition::operators::sensitivities::Sensitivities;
use voxgan::acquisition::operators::slice_profile::{SliceProfile, Sliced};
use voxgan::acquisition::operators::wavelet::{Daubechies, Wavelet};
use voxgan::acquisition::{Complex32, ComplexArray, LinearOperator as _, Operator};

use crate::data::options;
use crate::error::value;
use crate::job::ready;

/// A linear map between complex arrays of two shapes.
#[pyclass(frozen, module = "voxgan._voxgan")]
pub struct LinearOperator(Operator);

/// An array of complex64 of any rank.
type Array<'py> = PyReadonlyArrayDyn<'py, Complex32>;
type NewArray<'py> = Bound<'py, PyArrayDyn<Complex32>>;

fn refused<T>(what: &str) -> PyResult<T> {
    Err(PyValueError::new_err(what.to_string()))
}

/// Axes below `rank`, each once.
fn checked(axes: &[usize], rank: usize) -> PyResult<()> {
    let once = (0..axes.len()).all(|at| !axes[..at].contains(&axes[at]));
    match once && axes.iter().all(|&axis| axis < rank) {
        true => Ok(()),
        false => refused(&format!("expected different axes below {rank}, found {axes:?}")),
    }
}

impl LinearOperator {
    fn apply<'py>(&self, py: Python<'py>, x: &Array<'py>, way: Way) -> PyResult<NewArray<'py>> {
        ready(py)?;
        let expected = match way {
            Way::Adjoint => self.0.output_shape(),
            Way::Forward | Way::Normal => self.0.input_shape(),
        };
        let x = x.as_array();
        if x.shape() != expected {
            return refused(&format!("expected an array of shape {expected:?}, found {:?}", x.shape()));
        }
        let x: ComplexArray = x.to_owned();
        let y = py.detach(|| match way {
            Way::Forward => self.0.forward(x),
            // The operator's own adjoint, not that which makes another operator.
            Way::Adjoint => voxgan::acquisition::LinearOperator::adjoint(&self.0, x),
            Way::Normal => self.0.normal(x),
        });
        Ok(y.into_pyarray(py))
    }
}

enum Way {
    Forward,
    Adjoint,
    Normal,
}

#[pymethods]
impl LinearOperator {
    /// The shape of x in A·x.
    #[getter]
    fn input_shape(&self) -> Vec<usize> {
        self.0.input_shape().to_vec()
    }

    /// The shape of A·x.
    #[getter]
    fn output_shape(&self) -> Vec<usize> {
        self.0.output_shape().to_vec()
    }

    /// A·x.
    fn forward<'py>(&self, py: Python<'py>, x: Array<'py>) -> PyResult<NewArray<'py>> {
        self.apply(py, &x, Way::Forward)
    }

    /// Aᴴ·y.
    fn adjoint<'py>(&self, py: Python<'py>, y: Array<'py>) -> PyResult<NewArray<'py>> {
        self.apply(py, &y, Way::Adjoint)
    }

    /// AᴴA·x.
    fn normal<'py>(&self, py: Python<'py>, x: Array<'py>) -> PyResult<NewArray<'py>> {
        self.apply(py, &x, Way::Normal)
    }

    /// Aᴴ.
    fn adjoint_operator(&self) -> Self {
        Self(self.0.adjoint())
    }

    /// A·B: `before` acts first.
    fn after(&self, before: &Self) -> PyResult<Self> {
        if before.0.output_shape() != self.0.input_shape() {
            let (given, taken) = (before.0.output_shape(), self.0.input_shape());
            return refused(&format!("operators do not fit: one gives {given:?}, the next takes {taken:?}"));
        }
        Ok(Self(&self.0 * &before.0))
    }

    /// A + B.
    fn plus(&self, other: &Self) -> PyResult<Self> {
        self.alike(other)?;
        Ok(Self(&self.0 + &other.0))
    }

    /// a·A, of the real and the imaginary part of a.
    fn scaled(&self, real: f32, imaginary: f32) -> Self {
        Self(Complex32::new(real, imaginary) * &self.0)
    }

    /// The outputs of all operators along a new first axis.
    #[staticmethod]
    fn stack(parts: Vec<PyRef<'_, Self>>) -> PyResult<Self> {
        let Some(first) = parts.first() else { return refused("expected at least one operator") };
        parts.iter().try_for_each(|part| first.alike(part))?;
        Ok(Self(Operator::stack(parts.iter().map(|part| part.0.clone()).collect())))
    }

    #[staticmethod]
    fn fourier(shape: Vec<usize>, axes: Vec<usize>) -> PyResult<Self> {
        checked(&axes, shape.len())?;
        Ok(Self(Operator::new(Fourier::new(&shape, &axes))))
    }

    #[staticmethod]
    fn crop(input: Vec<usize>, output: Vec<usize>) -> PyResult<Self> {
        match input.len() == output.len() {
            true => Ok(Self(Operator::new(Crop::new(&input, &output)))),
            false => refused("expected two shapes of one rank"),
        }
    }

    #[staticmethod]
    fn sensitivities(maps: PyReadonlyArray4<'_, Complex32>) -> Self {
        Self(Operator::new(Sensitivities::new(maps.as_array().to_owned())))
    }

    #[staticmethod]
    fn sampled(mask: PyReadonlyArray3<'_, bool>, coils: usize) -> Self {
        Self(Operator::new(Sampled::new(mask.as_array().to_owned(), coils)))
    }

    #[staticmethod]
    fn cartesian(
        maps: PyReadonlyArray4<'_, Complex32>,
        mask: PyReadonlyArray3<'_, bool>,
        axes: Vec<usize>,
    ) -> PyResult<Self> {
        let (maps, mask) = (maps.as_array(), mask.as_array());
        if maps.shape()[1..] != *mask.shape() {
            return refused(&format!(
                "expected a mask of shape {:?}, found {:?}",
                &maps.shape()[1..],
                mask.shape()
            ));
        }
        checked(&axes, 3)?;
        let mut axes: Vec<usize> = axes.iter().map(|axis| axis + 1).collect();
        axes.sort_unstable();
        Ok(Self(Operator::new(Cartesian::new(maps.to_owned(), mask.to_owned(), &axes))))
    }

    #[staticmethod]
    fn nufft(
        py: Python<'_>,
        image: [usize; 4],
        points: PyReadonlyArray2<'_, f32>,
        volume: bool,
        width: usize,
        oversampling: f64,
    ) -> PyResult<Self> {
        let accuracy = Accuracy { width, oversampling };
        Ok(Self(Operator::new(value(py, Nufft::new(image, volume, points.as_array(), accuracy))?)))
    }

    #[staticmethod]
    fn gradient(image: [usize; 3], weights: [f32; 3]) -> Self {
        Self(Operator::new(Gradient::new(image, weights)))
    }

    #[staticmethod]
    fn wavelet(
        image: [usize; 3],
        axes: Vec<usize>,
        levels: Option<usize>,
        family: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        checked(&axes, 3)?;
        let family: Daubechies = options(family)?;
        let levels = levels.unwrap_or_else(|| Wavelet::levels(image, &axes));
        if levels > 30 {
            return refused(&format!("expected at most 30 levels, found {levels}"));
        }
        Ok(Self(Operator::new(Wavelet::new(image, &axes, levels, family))))
    }

    #[staticmethod]
    fn motion(
        py: Python<'_>,
        image: [usize; 3],
        rigid: &Bound<'_, PyAny>,
        spacing_mm: [f64; 3],
    ) -> PyResult<Self> {
        let rigid: Rigid = options(rigid)?;
        Ok(Self(Operator::new(value(py, Moved::new(image, &rigid, spacing_mm))?)))
    }

    #[staticmethod]
    fn slices(py: Python<'_>, image: [usize; 3], profile: &Bound<'_, PyAny>) -> PyResult<Self> {
        let profile: SliceProfile = options(profile)?;
        Ok(Self(Operator::new(value(py, Sliced::new(image, &profile))?)))
    }

    /// The measurement that a dictionary describes.
    #[staticmethod]
    fn encoding(py: Python<'_>, encoding: &Bound<'_, PyAny>) -> PyResult<Self> {
        let encoding: Encoding = options(encoding)?;
        Ok(Self(value(py, encoding.operator())?))
    }
}

impl LinearOperator {
    fn alike(&self, other: &Self) -> PyResult<()> {
        let shapes = |one: &Self| (one.0.input_shape().to_vec(), one.0.output_shape().to_vec());
        match shapes(self) == shapes(other) {
            true => Ok(()),
            false => refused("expected operators that take and give the same shapes"),
        }
    }
}
