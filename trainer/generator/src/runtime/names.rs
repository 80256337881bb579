//! Where a decoder's tensors are in published files, and loading it from them.
//!
//! | ours | Hugging Face | GGUF |
//! |---|---|---|
//! | `tokens` | `model.embed_tokens.weight` | `token_embd.weight` |
//! | `blocks.i.attention_norm.gamma` | `model.layers.i.input_layernorm.weight` | `blk.i.attn_norm.weight` |
//! | `blocks.i.{query,key,value,output}.weight` | `model.layers.i.self_attn.{q,k,v,o}_proj.weight` | `blk.i.attn_{q,k,v,output}.weight` |
//! | `blocks.i.mlp_norm.gamma` | `model.layers.i.post_attention_layernorm.weight` | `blk.i.ffn_norm.weight` |
//! | `blocks.i.{gate,up,down}.weight` | `model.layers.i.mlp.{gate,up,down}_proj.weight` | `blk.i.ffn_{gate,up,down}.weight` |
//! | `norm.gamma` | `model.norm.weight` | `output_norm.weight` |
//! | `head.weight` | `lm_head.weight` | `output.weight` |
//!
//! A linear weight is `[d_in, d_out]` here, `[d_out, d_in]` there. GGUF stores the rows of queries and keys so that rotary
//! pairs are neighbours; Hugging Face, and this project, pair the first half of a head with the second.

use super::config::LlamaConfig;
use super::llama::Llama;
use burn::module::Module;
use burn::tensor::{Device, FloatDType};
use thisbut_model::error::{ModelError, Result};
use thisbut_model::weights::{Fetch, load_in, transpose};

/// A tensor's dimensions and row-major values.
type Named = (Vec<usize>, Vec<f32>);

/// Which names a file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    HuggingFace,
    Gguf,
}

/// A published file's name for our parameter; `None` for one that is not the decoder's.
fn published(name: &str, layout: Layout) -> Option<String> {
    let hugging_face = layout == Layout::HuggingFace;
    let pick = |a: &str, b: &str| Some(if hugging_face { a.to_owned() } else { b.to_owned() });
    match name {
        "tokens" => return pick("model.embed_tokens.weight", "token_embd.weight"),
        "norm.gamma" => return pick("model.norm.weight", "output_norm.weight"),
        "head.weight" => return pick("lm_head.weight", "output.weight"),
        _ => {}
    }
    let (index, rest) = name.strip_prefix("blocks.")?.split_once('.')?;
    let index: usize = index.parse().ok()?;
    let (a, b) = match rest {
        "attention_norm.gamma" => ("input_layernorm", "attn_norm"),
        "mlp_norm.gamma" => ("post_attention_layernorm", "ffn_norm"),
        "query.weight" => ("self_attn.q_proj", "attn_q"),
        "key.weight" => ("self_attn.k_proj", "attn_k"),
        "value.weight" => ("self_attn.v_proj", "attn_v"),
        "output.weight" => ("self_attn.o_proj", "attn_output"),
        "gate.weight" => ("mlp.gate_proj", "ffn_gate"),
        "up.weight" => ("mlp.up_proj", "ffn_up"),
        "down.weight" => ("mlp.down_proj", "ffn_down"),
        _ => return None,
    };
    Some(if hugging_face { format!("model.layers.{index}.{a}.weight") } else { format!("blk.{index}.{b}.weight") })
}

/// The Hugging Face name of our parameter.
pub fn hugging_face_name(name: &str) -> Option<String> {
    published(name, Layout::HuggingFace)
}

/// A published decoder, whose tensors are read one at a time.
pub struct Published<'f, 'a, E> {
    pub(super) config: &'f LlamaConfig,
    layout: Layout,
    fetch: &'f mut Fetch<'a, E>,
}

impl<'f, 'a, E: From<ModelError>> Published<'f, 'a, E> {
    /// A Hugging Face checkpoint; `fetch` gives a tensor by its name there.
    pub fn hugging_face(config: &'f LlamaConfig, fetch: &'f mut Fetch<'a, E>) -> Self {
        Self { config, layout: Layout::HuggingFace, fetch }
    }

    /// A GGUF file; `fetch` gives a tensor by its name there, as [`Gguf::tensor`](super::Gguf::tensor) does.
    pub fn gguf(config: &'f LlamaConfig, fetch: &'f mut Fetch<'a, E>) -> Self {
        Self { config, layout: Layout::Gguf, fetch }
    }

    /// The decoder, its weights held in `precision`.
    ///
    /// # Errors
    /// [`ModelError::Weights`] that names the first tensor that is missing or has another shape, and what `fetch` fails with.
    pub fn load(mut self, precision: FloatDType, device: &Device) -> Result<Llama, E> {
        let model = Llama::new(self.config, device);
        self.part(model, "", precision)
    }

    /// The decoder's part at `path` with its weights.
    pub(super) fn part<M: Module>(&mut self, part: M, path: &str, precision: FloatDType) -> Result<M, E> {
        load_in(part, path, precision, &mut |name| self.tensor(name))
    }

    /// One of our tensors.
    fn tensor(&mut self, name: &str) -> Result<Option<Named>, E> {
        let Some(key) = published(name, self.layout) else { return Ok(None) };
        let Some((dims, mut values)) = (self.fetch)(&key)? else {
            let missing = ModelError::Weights {
                place: key,
                problem: "the tensor is missing".into(),
                mend: "give the whole checkpoint of a Llama model".into(),
            };
            return Err(missing.into());
        };
        if self.layout == Layout::Gguf {
            let heads = match name.rsplit('.').nth(1) {
                Some("query") => self.config.heads,
                Some("key") => self.config.key_heads,
                _ => 0,
            };
            if heads > 0 {
                values = halves(&dims, &values, heads).ok_or_else(|| ModelError::Weights {
                    place: key,
                    problem: format!("its sizes {dims:?} are not those of {heads} heads of rotary pairs"),
                    mend: "give the whole checkpoint of a Llama model".into(),
                })?;
            }
        }
        Ok(Some(if name.ends_with(".weight") { transpose((dims, values)) } else { (dims, values) }))
    }
}

/// Rows of queries or keys from neighbouring pairs to first and second half, head by head; nothing where there are no such pairs.
fn halves(dims: &[usize], values: &[f32], heads: usize) -> Option<Vec<f32>> {
    let [rows, columns] = *dims else { return None };
    let half = rows / (2 * heads);
    if rows == 0 || half * 2 * heads != rows || rows * columns != values.len() {
        return None;
    }
    let mut out = Vec::with_capacity(values.len());
    for row in 0..rows {
        let (head, within) = (row / (2 * half), row % (2 * half));
        let from = head * 2 * half + within % half * 2 + within / half;
        out.extend_from_slice(&values[from * columns..(from + 1) * columns]);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use thisbut_model::weights::shapes;

    #[test]
    fn vicuna_has_its_published_names_and_shapes_and_takes_no_memory() {
        let json = r#"{ "model_type": "llama", "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32,
            "num_attention_heads": 32, "vocab_size": 32000, "rms_norm_eps": 1e-6, "max_position_embeddings": 2048 }"#;
        let config = LlamaConfig::from_hugging_face(json, "config.json").unwrap();
        let shapes = shapes(&Llama::new(&config, &Device::flex()), "");
        let mut count = 0usize;
        let mut published: Vec<(String, Vec<usize>)> = Vec::new();
        for (name, dims) in shapes {
            count += dims.iter().product::<usize>();
            let turned = if name.ends_with(".weight") { dims.iter().rev().copied().collect() } else { dims };
            published.push((hugging_face_name(&name).unwrap(), turned));
        }
        // 32 layers of nine tensors, and three.
        assert_eq!((published.len(), count), (32 * 9 + 3, 6_738_415_616));
        for (name, dims) in [
            ("model.embed_tokens.weight", vec![32000, 4096]),
            ("model.layers.31.mlp.down_proj.weight", vec![4096, 11008]),
            ("model.layers.0.mlp.gate_proj.weight", vec![11008, 4096]),
            ("model.layers.7.self_attn.k_proj.weight", vec![4096, 4096]),
            ("model.layers.7.post_attention_layernorm.weight", vec![4096]),
            ("model.norm.weight", vec![4096]),
            ("lm_head.weight", vec![32000, 4096]),
        ] {
            assert!(published.contains(&(name.to_owned(), dims)), "{name}");
        }
    }

    #[test]
    fn rotary_pairs_become_halves() {
        // One head of width 6: rows 0..6 are pairs (0, 1), (2, 3), (4, 5).
        let values: Vec<f32> = (0..12).map(|i| i as f32).collect();
        assert_eq!(halves(&[6, 1], &values[..6], 1).unwrap(), [0.0, 2.0, 4.0, 1.0, 3.0, 5.0]);
        assert_eq!(halves(&[12, 1], &values, 2).unwrap()[6..], [6.0, 8.0, 10.0, 7.0, 9.0, 11.0]);
        for (dims, heads) in [(&[12][..], 2), (&[12, 1], 5), (&[12, 1], 4), (&[12, 2], 2), (&[0, 1], 2)] {
            assert_eq!(halves(dims, &values, heads), None, "{dims:?} {heads}");
        }
    }

    #[test]
    fn other_architectures_are_refused() {
        let refused = |json: &str| LlamaConfig::from_hugging_face(json, "c.json").unwrap_err().to_string();
        assert!(refused(r#"{"model_type": "opt"}"#).contains("'opt', not llama"));
        assert!(refused(r#"{"model_type": "llama"}"#).contains("hidden_size is missing"));
        let huge = r#"{ "model_type": "llama", "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 99999999,
            "num_attention_heads": 32, "vocab_size": 32000 }"#;
        assert!(refused(huge).contains("layers"));
    }
}
