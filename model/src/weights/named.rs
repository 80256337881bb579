//! The walk over a module's parameters by name. A parameter's name is the path of fields to it
//! (`qformer.blocks.0.attention.query.weight`), behind a prefix and a dot where one is given.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::Tensor;

/// Sees parameters; [`visit`] calls it.
pub trait Visitor {
    /// One parameter. Its name is unique in the module.
    fn see<const D: usize>(&mut self, name: String, parameter: &Param<Tensor<D>>);
}

/// Puts parameters in the place of parameters; [`map`] calls it.
pub trait Mapper {
    /// The next parameter, or a module around it, belongs to a module of this kind, named as burn does (`Struct:Linear`).
    fn inside(&mut self, _kind: &str) {}

    /// What stands in the place of one parameter. Its name is unique in the module.
    fn change<const D: usize>(&mut self, name: String, parameter: Param<Tensor<D>>) -> Param<Tensor<D>>;
}

/// Shows every parameter of `module` to `visitor`, in the order of the module's fields, and gives the visitor back.
/// A parameter without values stays without: a visitor that asks for its lazy shape allocates nothing.
pub fn visit<M: Module, V: Visitor>(module: &M, prefix: &str, visitor: V) -> V {
    let mut walk = Walk::from(prefix, visitor);
    module.visit(&mut walk);
    walk.inner
}

/// `module` with every parameter changed by `mapper`, in the order of the module's fields.
pub fn map<M: Module, P: Mapper>(module: M, prefix: &str, mapper: &mut P) -> M {
    module.map(&mut Walk::from(prefix, mapper))
}

/// Keeps the path to where the walk is.
struct Walk<T> {
    path: Vec<String>,
    inner: T,
}

impl<T> Walk<T> {
    fn from(prefix: &str, inner: T) -> Self {
        let path = if prefix.is_empty() { vec![] } else { vec![prefix.to_owned()] };
        Self { path, inner }
    }
}

impl<V: Visitor> ModuleVisitor for Walk<V> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        self.inner.see(self.path.join("."), parameter);
    }
}

impl<P: Mapper> ModuleMapper for Walk<&mut P> {
    fn enter_module(&mut self, name: &str, kind: &str) {
        self.path.push(name.to_owned());
        self.inner.inside(kind);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        self.inner.change(self.path.join("."), parameter)
    }
}
