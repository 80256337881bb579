//! The machine that reads a pickle: a stack, marks, a memo, and the opcodes that data needs.

use super::{Global, Kind, MAX_BYTES, Node, Pickle, Storage, Tensor, Value, items, shown};
use std::collections::HashMap;
use std::rc::Rc;

/// Opcodes in a pickle at most.
const MAX_OPCODES: usize = 1_000_000;
/// Dimensions of a tensor at most.
const MAX_DIMENSIONS: usize = 8;

/// Reads one pickle from the start of `bytes`. The error is half a sentence: what is wrong.
pub fn read(bytes: &[u8]) -> Result<Pickle, String> {
    let bytes = &bytes[..bytes.len().min(MAX_BYTES)];
    let mut machine = Machine {
        bytes,
        at: 0,
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        nodes: vec![],
        storages: vec![],
    };
    for _ in 0..MAX_OPCODES {
        if let Some(root) = machine.step()? {
            return Ok(Pickle { root, end: machine.at, nodes: machine.nodes, storages: machine.storages });
        }
    }
    Err(format!("its pickle has more than {MAX_OPCODES} opcodes"))
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Value>,
    marks: Vec<usize>,
    memo: HashMap<u32, Value>,
    nodes: Vec<Node>,
    storages: Vec<Rc<Storage>>,
}

impl Machine<'_> {
    /// One opcode; the root at `STOP`.
    fn step(&mut self) -> Result<Option<Value>, String> {
        let at = self.at;
        let op = self.number::<1>()? as u8;
        match op {
            b'.' => return self.pop().map(Some),
            0x80 => drop(self.take(1)?),
            0x95 => drop(self.take(8)?),
            b'(' => self.marks.push(self.stack.len()),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.marked()?),
            b'2' => {
                let top = self.top()?.clone();
                self.stack.push(top);
            }
            b'N' | 0x88 | 0x89 => self.stack.push(Value::Nothing),
            b'G' => {
                self.take(8)?;
                self.stack.push(Value::Nothing);
            }
            b'J' => {
                let value = self.number::<4>()? as u32 as i32;
                self.stack.push(Value::Int(value.into()));
            }
            b'K' => self.int::<1>()?,
            b'M' => self.int::<2>()?,
            0x8a => self.long()?,
            b'X' | b'T' => self.text::<4>()?,
            0x8c | b'U' => self.text::<1>()?,
            0x8d => self.text::<8>()?,
            b'C' => self.skipped::<1>()?,
            b'B' => self.skipped::<4>()?,
            b'}' => self.dict(Vec::new()),
            b']' => self.list(Vec::new()),
            b')' => self.tuple(Vec::new()),
            b'd' => {
                let values = self.marked()?;
                let pairs = pairs(values)?;
                self.dict(pairs);
            }
            b'l' => {
                let values = self.marked()?;
                self.list(values);
            }
            b't' => {
                let values = self.marked()?;
                self.tuple(values);
            }
            0x85..=0x87 => {
                let from = self.stack.len().checked_sub(usize::from(op - 0x84)).ok_or_else(short)?;
                let values = self.stack.split_off(from);
                self.tuple(values);
            }
            b'a' => {
                let value = self.pop()?;
                self.append(vec![value])?;
            }
            b'e' => {
                let values = self.marked()?;
                self.append(values)?;
            }
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.insert(vec![(key, value)])?;
            }
            b'u' => {
                let values = self.marked()?;
                self.insert(pairs(values)?)?;
            }
            b'q' => self.remember::<1>()?,
            b'r' => self.remember::<4>()?,
            0x94 => {
                let next = u32::try_from(self.memo.len()).map_err(|e| e.to_string())?;
                let top = self.top()?.clone();
                self.memo.insert(next, top);
            }
            b'h' => self.recall::<1>()?,
            b'j' => self.recall::<4>()?,
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.global(&module, &name)?;
            }
            0x93 => match (self.pop()?, self.pop()?) {
                (Value::Text(name), Value::Text(module)) => self.global(&module, &name)?,
                _ => return Err("its pickle names a class by something other than text".into()),
            },
            b'Q' => {
                let id = self.pop()?;
                let storage = Rc::new(self.storage(&id)?);
                self.storages.push(storage.clone());
                self.stack.push(Value::Storage(storage));
            }
            b'R' => self.call()?,
            0x81 => self.made_new()?,
            // State that PyTorch hangs on a dict (`_metadata`): nothing here depends on it.
            b'b' => drop(self.pop()?),
            _ => {
                return Err(format!(
                    "its pickle has the opcode 0x{op:02x} at byte {at}, which plain tensors do not need"
                ));
            }
        }
        Ok(None)
    }

    fn take(&mut self, count: usize) -> Result<&[u8], String> {
        let end = self.at.checked_add(count).ok_or_else(short)?;
        let bytes = self.bytes.get(self.at..end).ok_or_else(short)?;
        self.at = end;
        Ok(bytes)
    }

    fn number<const N: usize>(&mut self) -> Result<u64, String> {
        Ok(self.take(N)?.iter().rev().fold(0, |n, b| n << 8 | u64::from(*b)))
    }

    fn length<const N: usize>(&mut self) -> Result<usize, String> {
        usize::try_from(self.number::<N>()?).map_err(|_| short())
    }

    fn int<const N: usize>(&mut self) -> Result<(), String> {
        let value = self.number::<N>()?;
        self.stack.push(Value::Int(value.into()));
        Ok(())
    }

    fn long(&mut self) -> Result<(), String> {
        let count = self.length::<1>()?;
        let bytes = self.take(count)?;
        if count > 15 {
            return Err("its pickle holds a number of more than 15 bytes".into());
        }
        let mut value = bytes.iter().rev().fold(0i128, |n, b| n << 8 | i128::from(*b));
        if bytes.last().is_some_and(|b| b & 0x80 != 0) {
            value -= 1 << (8 * count);
        }
        self.stack.push(Value::Int(value));
        Ok(())
    }

    fn text<const N: usize>(&mut self) -> Result<(), String> {
        let count = self.length::<N>()?;
        let bytes = self.take(count)?;
        let text = std::str::from_utf8(bytes).map_err(|_| "its pickle holds a text that is not UTF-8".to_owned())?;
        let text = Rc::from(text);
        self.stack.push(Value::Text(text));
        Ok(())
    }

    fn skipped<const N: usize>(&mut self) -> Result<(), String> {
        let count = self.length::<N>()?;
        self.take(count)?;
        self.stack.push(Value::Nothing);
        Ok(())
    }

    fn line(&mut self) -> Result<String, String> {
        let rest = self.bytes.get(self.at..).ok_or_else(short)?;
        let length = rest.iter().take(256).position(|b| *b == b'\n').ok_or_else(short)?;
        let line = String::from_utf8_lossy(&rest[..length]).into_owned();
        self.at += length + 1;
        Ok(line)
    }

    fn top(&self) -> Result<&Value, String> {
        self.stack.last().ok_or_else(short)
    }

    fn pop(&mut self) -> Result<Value, String> {
        self.stack.pop().ok_or_else(short)
    }

    /// Everything above the last mark.
    fn marked(&mut self) -> Result<Vec<Value>, String> {
        let mark = self.marks.pop().filter(|mark| *mark <= self.stack.len()).ok_or_else(short)?;
        Ok(self.stack.split_off(mark))
    }

    fn tuple(&mut self, values: Vec<Value>) {
        self.stack.push(Value::Tuple(self.nodes.len()));
        self.nodes.push(Node::Items(values));
    }

    fn list(&mut self, values: Vec<Value>) {
        self.stack.push(Value::List(self.nodes.len()));
        self.nodes.push(Node::Items(values));
    }

    fn dict(&mut self, pairs: Vec<(Value, Value)>) {
        self.stack.push(Value::Dict(self.nodes.len()));
        self.nodes.push(Node::Pairs(pairs));
    }

    fn append(&mut self, values: Vec<Value>) -> Result<(), String> {
        let Value::List(at) = *self.top()? else {
            return Err("its pickle appends to something that is no list".into());
        };
        if let Some(Node::Items(items)) = self.nodes.get_mut(at) {
            items.extend(values);
        }
        Ok(())
    }

    fn insert(&mut self, values: Vec<(Value, Value)>) -> Result<(), String> {
        let Value::Dict(at) = *self.top()? else {
            return Err("its pickle adds keys to something that is no dict".into());
        };
        if let Some(Node::Pairs(pairs)) = self.nodes.get_mut(at) {
            pairs.extend(values);
        }
        Ok(())
    }

    fn remember<const N: usize>(&mut self) -> Result<(), String> {
        let slot = self.number::<N>()? as u32;
        let top = self.top()?.clone();
        self.memo.insert(slot, top);
        Ok(())
    }

    fn recall<const N: usize>(&mut self) -> Result<(), String> {
        let slot = self.number::<N>()? as u32;
        let value =
            self.memo.get(&slot).cloned().ok_or_else(|| format!("its pickle recalls value {slot}, which is none"))?;
        self.stack.push(value);
        Ok(())
    }

    fn global(&mut self, module: &str, name: &str) -> Result<(), String> {
        let global = match (module, name) {
            ("collections", "OrderedDict") => Some(Global::OrderedDict),
            ("torch._utils", "_rebuild_tensor_v2") => Some(Global::RebuildTensor),
            ("torch._utils", "_rebuild_parameter") => Some(Global::RebuildParameter),
            ("torch", name) => Kind::of_storage(name).map(Global::Storage),
            // Lightning keeps a run's arguments beside its tensors: objects with fields alone, of which nothing is read.
            ("argparse", "Namespace") => Some(Global::Fields),
            ("pytorch_lightning.utilities.parsing" | "lightning.pytorch.utilities.parsing", "AttributeDict") => {
                Some(Global::Fields)
            }
            _ => None,
        };
        let global = global.ok_or_else(|| {
            format!("its pickle asks for {}, which plain tensors do not need", shown(&format!("{module}.{name}")))
        })?;
        self.stack.push(Value::Global(global));
        Ok(())
    }

    /// A storage from `('storage', type, key, location, count[, view])`.
    fn storage(&self, id: &Value) -> Result<Storage, String> {
        let wrong = || "its pickle names a storage in a way that is not known".to_owned();
        let Value::Tuple(at) = id else { return Err(wrong()) };
        match items(&self.nodes, *at) {
            Some(
                [Value::Text(tag), Value::Global(Global::Storage(kind)), Value::Text(key), _, Value::Int(count)]
                | [
                    Value::Text(tag),
                    Value::Global(Global::Storage(kind)),
                    Value::Text(key),
                    _,
                    Value::Int(count),
                    Value::Nothing,
                ],
            ) if &**tag == "storage" => {
                let count = usize::try_from(*count).map_err(|_| wrong())?;
                Ok(Storage { kind: *kind, key: key.clone(), count })
            }
            _ => Err(wrong()),
        }
    }

    /// An object by its class alone: one whose fields nobody reads, as a dict.
    fn made_new(&mut self) -> Result<(), String> {
        match (self.pop()?, self.pop()?) {
            (Value::Tuple(_), Value::Global(Global::Fields)) => {
                self.dict(Vec::new());
                Ok(())
            }
            _ => Err("its pickle builds an object that is no tensor and no dict".into()),
        }
    }

    fn call(&mut self) -> Result<(), String> {
        let (arguments, callee) = (self.pop()?, self.pop()?);
        let Value::Tuple(at) = arguments else { return Err("its pickle calls something without a tuple".into()) };
        let arguments = items(&self.nodes, at).ok_or("its pickle calls something without a tuple")?;
        let made = match (callee, arguments) {
            (Value::Global(Global::OrderedDict), []) => {
                self.dict(Vec::new());
                return Ok(());
            }
            (Value::Global(Global::RebuildParameter), [tensor @ Value::Tensor(_), ..]) => tensor.clone(),
            (
                Value::Global(Global::RebuildTensor),
                [Value::Storage(storage), Value::Int(offset), Value::Tuple(dims), Value::Tuple(strides), ..],
            ) => {
                let (dims, strides) = (self.sizes(*dims)?, self.sizes(*strides)?);
                let offset = usize::try_from(*offset).map_err(|_| "a tensor starts at a negative place".to_owned())?;
                if dims.len() != strides.len() {
                    return Err("a tensor has sizes and strides of different number".into());
                }
                Value::Tensor(Rc::new(Tensor { storage: storage.clone(), offset, dims, strides }))
            }
            _ => return Err("its pickle builds an object that is no tensor and no dict".into()),
        };
        self.stack.push(made);
        Ok(())
    }

    fn sizes(&self, at: usize) -> Result<Vec<usize>, String> {
        let wrong = || "a tensor's size is not a short list of whole numbers".to_owned();
        let items = items(&self.nodes, at).filter(|items| items.len() <= MAX_DIMENSIONS).ok_or_else(wrong)?;
        let size = |value: &Value| match value {
            Value::Int(n) => usize::try_from(*n).ok(),
            _ => None,
        };
        items.iter().map(size).collect::<Option<_>>().ok_or_else(wrong)
    }
}

fn pairs(values: Vec<Value>) -> Result<Vec<(Value, Value)>, String> {
    let mut values = values.into_iter();
    let mut pairs = Vec::with_capacity(values.len() / 2);
    while let Some(key) = values.next() {
        pairs.push((key, values.next().ok_or_else(|| "its pickle has a key without a value".to_owned())?));
    }
    Ok(pairs)
}

fn short() -> String {
    "its pickle is cut short or damaged".into()
}
