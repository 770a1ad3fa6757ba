//! A module's parameters and buffers by name: for optimisers, averages, checkpoints and foreign weights.
//!
//! A name is the path of fields from the module's root ("synthesis.blocks.1.conv0.weight").

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Tensor, TensorData};

/// Tensors by name, each flattened to rank one.
pub type Named<B> = BTreeMap<String, Tensor<B, 1>>;

/// The last part of the names of buffers, which are saved and averaged but never trained.
const BUFFERS: [&str; 2] = ["noise_const", "w_avg"];

/// Whether this is the name of a buffer.
pub fn is_buffer(name: &str) -> bool {
    BUFFERS.iter().any(|buffer| name.rsplit('.').next() == Some(buffer))
}

/// Every parameter and buffer with its shape and values, copied to the host.
pub fn values<B: Backend>(module: &impl Module<B>) -> BTreeMap<String, TensorData> {
    struct Values(Vec<String>, BTreeMap<String, TensorData>);
    impl<B: Backend> ModuleVisitor<B> for Values {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.0.push(name.into());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.0.pop();
        }
        fn visit_float<const R: usize>(&mut self, param: &Param<Tensor<B, R>>) {
            self.1.insert(self.0.join("."), param.val().into_data());
        }
    }
    let mut values = Values(Vec::new(), BTreeMap::new());
    module.visit(&mut values);
    values.1
}

/// Every parameter and buffer, flattened, on its device.
pub fn tensors<B: Backend>(module: &impl Module<B>) -> Named<B> {
    struct Tensors<B: Backend>(Vec<String>, Named<B>);
    impl<B: Backend> ModuleVisitor<B> for Tensors<B> {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.0.push(name.into());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.0.pop();
        }
        fn visit_float<const R: usize>(&mut self, param: &Param<Tensor<B, R>>) {
            self.1.insert(self.0.join("."), param.val().flatten(0, R - 1));
        }
    }
    let mut tensors = Tensors(Vec::new(), BTreeMap::new());
    module.visit(&mut tensors);
    tensors.1
}

/// The gradient of every parameter that has one, flattened.
pub fn gradients<B: AutodiffBackend>(
    module: &impl Module<B>,
    gradients: &B::Gradients,
) -> Named<B::InnerBackend> {
    struct Collect<'a, B: AutodiffBackend>(Vec<String>, &'a B::Gradients, Named<B::InnerBackend>);
    impl<B: AutodiffBackend> ModuleVisitor<B> for Collect<'_, B> {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.0.push(name.into());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.0.pop();
        }
        fn visit_float<const R: usize>(&mut self, param: &Param<Tensor<B, R>>) {
            if let Some(gradient) = param.val().grad(self.1) {
                self.2.insert(self.0.join("."), gradient.flatten(0, R - 1));
            }
        }
    }
    let mut collect = Collect(Vec::new(), gradients, BTreeMap::new());
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
    struct Replace<F>(Vec<String>, F);
    impl<B: Backend, F: FnMut(&str, Tensor<B, 1>) -> Tensor<B, 1>> ModuleMapper<B> for Replace<F> {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.0.push(name.into());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.0.pop();
        }
        fn map_float<const R: usize>(&mut self, param: Param<Tensor<B, R>>) -> Param<Tensor<B, R>> {
            let (id, tensor, _) = param.consume();
            let (trained, shape) = (tensor.is_require_grad(), tensor.dims());
            let changed = (self.1)(&self.0.join("."), tensor.detach().flatten(0, R - 1)).detach();
            Param::initialized(id, changed.reshape(shape).set_require_grad(trained))
        }
    }
    module.map(&mut Replace(Vec::new(), change))
}
