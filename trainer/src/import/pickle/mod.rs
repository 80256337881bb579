//! The data subset of Python's pickle format: what a PyTorch state dict is made of, and nothing that runs code.
//!
//! Names of classes and functions are taken from a short list and only ever describe data; any other name, and any opcode
//! outside the subset, ends the reading with an error. Time and memory are bounded by the length of the input: at most
//! a million opcodes, each of which makes one value of constant size or a slice of the input.

mod machine;

pub use machine::read;
use std::rc::Rc;
use thisbut_model::number::NumberFormat;

/// Longest pickle that is read, in bytes; a state dict of 2,000 tensors takes about 0.3 MB.
pub const MAX_BYTES: usize = 32 << 20;

/// How a storage's numbers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Floating-point numbers.
    Float(NumberFormat),
    /// Whole numbers of so many bytes, which no parameter is made of.
    Whole(usize),
}

/// PyTorch's names of the storages that parameters are made of.
const FLOAT_STORAGES: [(&str, NumberFormat); 4] = [
    ("FloatStorage", NumberFormat::F32),
    ("HalfStorage", NumberFormat::F16),
    ("BFloat16Storage", NumberFormat::Bf16),
    ("DoubleStorage", NumberFormat::F64),
];

/// PyTorch's name of a storage of such numbers; there is none for quantized ones.
pub fn float_storage(format: NumberFormat) -> Option<&'static str> {
    FLOAT_STORAGES.iter().find(|(_, of)| *of == format).map(|(name, _)| *name)
}

impl Kind {
    /// Bytes of one number.
    pub fn bytes(self) -> usize {
        match self {
            Self::Float(format) => format.row_bytes(1),
            Self::Whole(bytes) => bytes,
        }
    }

    /// What keeps these numbers as they are, of what is written here; f32 for the wider ones.
    pub fn kept_as(self) -> NumberFormat {
        match self {
            Self::Float(half @ (NumberFormat::F16 | NumberFormat::Bf16)) => half,
            Self::Float(_) | Self::Whole(_) => NumberFormat::F32,
        }
    }

    fn of_storage(name: &str) -> Option<Self> {
        if let Some((_, format)) = FLOAT_STORAGES.iter().find(|(of, _)| *of == name) {
            return Some(Self::Float(*format));
        }
        Some(match name {
            "LongStorage" => Self::Whole(8),
            "IntStorage" => Self::Whole(4),
            "ShortStorage" => Self::Whole(2),
            "CharStorage" | "ByteStorage" | "BoolStorage" => Self::Whole(1),
            _ => return None,
        })
    }
}

/// A storage: where numbers lie in the file, by its key.
#[derive(Debug)]
pub struct Storage {
    /// Its numbers' type.
    pub kind: Kind,
    /// Its name in the archive.
    pub key: Rc<str>,
    /// How many numbers it holds.
    pub count: usize,
}

/// A view of a storage.
#[derive(Debug)]
pub struct Tensor {
    /// Where its numbers lie.
    pub storage: Rc<Storage>,
    /// First number in the storage.
    pub offset: usize,
    /// Sizes, outermost first.
    pub dims: Vec<usize>,
    /// Numbers from one index of a dimension to the next.
    pub strides: Vec<usize>,
}

/// A name from the list.
#[derive(Clone, Copy, Debug)]
pub enum Global {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    /// An object with fields that nobody reads.
    Fields,
    Storage(Kind),
}

/// One value; containers are numbered.
#[derive(Clone, Debug)]
pub enum Value {
    /// `None`, a float, or anything whose value does not matter here.
    Nothing,
    Int(i128),
    Text(Rc<str>),
    Tuple(usize),
    List(usize),
    Dict(usize),
    Global(Global),
    Storage(Rc<Storage>),
    Tensor(Rc<Tensor>),
}

enum Node {
    Items(Vec<Value>),
    Pairs(Vec<(Value, Value)>),
}

/// A pickle that was read.
pub struct Pickle {
    /// What it holds.
    pub root: Value,
    /// Bytes it took.
    pub end: usize,
    nodes: Vec<Node>,
    storages: Vec<Rc<Storage>>,
}

/// Names and tensors in the order of the file.
pub type StateDict = Vec<(Rc<str>, Rc<Tensor>)>;

impl Pickle {
    /// Every storage that the pickle names.
    pub fn storages(&self) -> &[Rc<Storage>] {
        &self.storages
    }

    /// Items of a tuple or list.
    pub fn items(&self, value: &Value) -> Option<&[Value]> {
        match value {
            Value::Tuple(at) | Value::List(at) => items(&self.nodes, *at),
            _ => None,
        }
    }

    /// Keys and values of a dict, in order.
    pub fn pairs(&self, value: &Value) -> Option<&[(Value, Value)]> {
        match value {
            Value::Dict(at) => match self.nodes.get(*at) {
                Some(Node::Pairs(pairs)) => Some(pairs),
                _ => None,
            },
            _ => None,
        }
    }

    /// The tensors of a dict by name; none when it holds none directly.
    fn state(&self, value: &Value) -> Vec<(Rc<str>, Rc<Tensor>)> {
        let pairs = self.pairs(value).unwrap_or_default().iter();
        pairs
            .filter_map(|(key, value)| match (key, value) {
                (Value::Text(key), Value::Tensor(tensor)) => Some((key.clone(), tensor.clone())),
                _ => None,
            })
            .collect()
    }

    /// The state dict: the root itself, or the one entry of the root that is one (`model`, or the class name that SPRC and
    /// MTST_PTHA write). The error says what was there instead.
    pub fn state_dict(&self) -> Result<StateDict, String> {
        let own = self.state(&self.root);
        if !own.is_empty() {
            return Ok(own);
        }
        let Some(pairs) = self.pairs(&self.root) else { return Err("it does not hold a dict of tensors".into()) };
        let mut found: Vec<(&str, Vec<_>)> = Vec::new();
        for (key, value) in pairs {
            let Value::Text(key) = key else { continue };
            let state = self.state(value);
            if !state.is_empty() {
                found.push((key, state));
            }
        }
        let usual = found.iter().position(|(key, _)| ["model", "state_dict"].contains(key));
        match (found.len(), usual) {
            (0, _) => Err("it holds no named tensors".into()),
            (1, _) => Ok(found.swap_remove(0).1),
            (_, Some(at)) => Ok(found.swap_remove(at).1),
            _ => {
                let names: Vec<&str> = found.iter().take(8).map(|(key, _)| *key).collect();
                Err(format!("it holds several sets of tensors ({}), none called model", names.join(", ")))
            }
        }
    }
}

fn items(nodes: &[Node], at: usize) -> Option<&[Value]> {
    match nodes.get(at) {
        Some(Node::Items(items)) => Some(items),
        _ => None,
    }
}

/// A name from a file, fit for a message: printable and short.
pub fn shown(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(120).collect()
}
