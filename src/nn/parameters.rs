//! A module's parameters and buffers by name: for optimisers, averages, checkpoints and foreign weights.
//!
//! A name is the path of fields from the module's root ("synthesis.blocks.1.conv0.weight"). Where a field holds one of several
//! modules (an enum), the variant's name in lower case stands for the field's.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Tensor, TensorData};

use crate::ops::Shaped;

/// Tensors by name, each flattened to rank one.
pub type Named<B> = BTreeMap<String, Tensor<B, 1>>;

/// The last part of the names of buffers, which are saved and averaged but never trained.
const BUFFERS: [&str; 2] = ["noise_const", "w_avg"];

/// Whether this is the name of a buffer.
pub fn is_buffer(name: &str) -> bool {
    BUFFERS.iter().any(|buffer| name.rsplit('.').next() == Some(buffer))
}

/// Where a walk through a module is.
#[derive(Default)]
struct Path(Vec<Part>);

struct Part {
    name: String,
    is_variant: bool,
}

impl Path {
    /// Goes into the field `name` of a module that burn calls `kind`.
    fn enter(&mut self, name: &str, kind: &str) {
        let is_variant = kind.starts_with("Enum:");
        self.0.push(Part { name: if is_variant { name.to_lowercase() } else { name.into() }, is_variant });
    }

    fn exit(&mut self) {
        self.0.pop();
    }

    fn name(&self) -> String {
        let holds_variant = |at: usize| self.0.get(at + 1).is_some_and(|next| next.is_variant);
        let parts = self.0.iter().enumerate().filter(|(at, _)| !holds_variant(*at));
        parts.map(|(_, part)| part.name.as_str()).collect::<Vec<_>>().join(".")
    }
}

/// Every parameter and buffer with its shape and values, copied to the host.
pub fn values<B: Backend>(module: &impl Module<B>) -> BTreeMap<String, TensorData> {
    struct Values(Path, BTreeMap<String, TensorData>);
    impl<B: Backend> ModuleVisitor<B> for Values {
        fn enter_module(&mut self, name: &str, kind: &str) {
            self.0.enter(name, kind);
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.0.exit();
        }
        fn visit_float<const R: usize>(&mut self, param: &Param<Tensor<B, R>>) {
            self.1.insert(self.0.name(), param.val().into_data());
        }
    }
    let mut values = Values(Path::default(), BTreeMap::new());
    module.visit(&mut values);
    values.1
}

/// Every parameter and buffer, flattened, on its device.
pub fn tensors<B: Backend>(module: &impl Module<B>) -> Named<B> {
    struct Tensors<B: Backend>(Path, Named<B>);
    impl<B: Backend> ModuleVisitor<B> for Tensors<B> {
        fn enter_module(&mut self, name: &str, kind: &str) {
            self.0.enter(name, kind);
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.0.exit();
        }
        fn visit_float<const R: usize>(&mut self, param: &Param<Tensor<B, R>>) {
            self.1.insert(self.0.name(), param.val().flat());
        }
    }
    let mut tensors = Tensors(Path::default(), BTreeMap::new());
    module.visit(&mut tensors);
    tensors.1
}

/// The gradient of every parameter that has one, flattened.
pub fn gradients<B: AutodiffBackend>(
    module: &impl Module<B>,
    gradients: &B::Gradients,
) -> Named<B::InnerBackend> {
    struct Collect<'a, B: AutodiffBackend>(Path, &'a B::Gradients, Named<B::InnerBackend>);
    impl<B: AutodiffBackend> ModuleVisitor<B> for Collect<'_, B> {
        fn enter_module(&mut self, name: &str, kind: &str) {
            self.0.enter(name, kind);
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.0.exit();
        }
        fn visit_float<const R: usize>(&mut self, param: &Param<Tensor<B, R>>) {
            if let Some(gradient) = param.val().grad(self.1) {
                self.2.insert(self.0.name(), gradient.flat());
            }
        }
    }
    let mut collect = Collect(Path::default(), gradients, BTreeMap::new());
    module.visit(&mut collect);
    collect.2
}

/// The module with each parameter and buffer replaced by `change(name, flattened values)`; whether it is trained stays
/// the same.
///
/// # Panics
/// If `change` returns another number of values.
pub fn replace<B: Backend, M: Module<B>>(
    module: M,
    change: impl FnMut(&str, Tensor<B, 1>) -> Tensor<B, 1>,
) -> M {
    struct Replace<F>(Path, F);
    impl<B: Backend, F: FnMut(&str, Tensor<B, 1>) -> Tensor<B, 1>> ModuleMapper<B> for Replace<F> {
        fn enter_module(&mut self, name: &str, kind: &str) {
            self.0.enter(name, kind);
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.0.exit();
        }
        fn map_float<const R: usize>(&mut self, param: Param<Tensor<B, R>>) -> Param<Tensor<B, R>> {
            let (id, tensor, _) = param.consume();
            let (trained, shape) = (tensor.is_require_grad(), tensor.dims());
            let changed = (self.1)(&self.0.name(), tensor.detach().flat()).detach();
            Param::initialized(id, changed.shaped(shape).set_require_grad(trained))
        }
    }
    module.map(&mut Replace(Path::default(), change))
}
