//! Models that can be fetched by a short name.

/// Where LAVIS publishes its weights (`lavis/configs/models/blip2/*.yaml`, `eva_vit.py`, `clip_vit.py`).
const LAVIS: &str = "https://storage.googleapis.com/sfr-vision-language-research/LAVIS/models/BLIP2";

/// LAVIS's files stand on a server that says nothing of a licence.
const LAVIS_LICENCE: &str = "BSD-3-Clause (repository salesforce/LAVIS)";
/// The hub's pages of these weights name no licence.
const OPENAI_LICENCE: &str = "MIT (repository openai/CLIP)";

/// Where a model lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The addresses of its files.
    Files(Vec<String>),
    /// A repository of the hub, and the files wanted of it (empty: the usual).
    Hub(String, Vec<String>),
}

/// A model with a short name.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// Its name here.
    pub name: &'static str,
    /// What it is, in a line.
    pub about: &'static str,
    /// The licence of its weights, as its publisher states it; where nobody states one of the weights, that of the publisher's
    /// repository, which is named. Sources: `docs/reference/checkpoints.md`.
    pub licence: &'static str,
    /// Of a dual encoder: the kind of images that it understands, what it is, and what it was trained on.
    pub understands: Option<&'static str>,
    hub: Option<&'static str>,
    files: &'static [&'static str],
}

/// What is read of a repository that also holds the same weights for OpenCLIP.
const TRANSFORMERS: [&str; 5] =
    ["config.json", "preprocessor_config.json", "merges.txt", "vocab.json", "model.safetensors"];

impl Known {
    /// Where it lies.
    pub fn place(&self) -> Place {
        match self.hub {
            Some(repository) => Place::Hub(repository.to_owned(), self.files.iter().map(|f| (*f).to_owned()).collect()),
            None => Place::Files(self.files.iter().map(|file| format!("{LAVIS}/{file}")).collect()),
        }
    }
}

/// Every model with a short name.
pub const KNOWN: [Known; 12] = [
    Known {
        name: "blip2",
        about: "BLIP-2 with EVA ViT-g/14, LAVIS, before the language model: what SPRC and MTST_PTHA start from",
        licence: LAVIS_LICENCE,
        understands: None,
        hub: None,
        files: &["blip2_pretrained.pth", "eva_vit_g.pth"],
    },
    Known {
        name: "blip2-vit-l",
        about: "BLIP-2 with CLIP ViT-L/14, LAVIS",
        licence: LAVIS_LICENCE,
        understands: None,
        hub: None,
        files: &["blip2_pretrained_vitL.pth", "clip_vit_L.pth"],
    },
    Known {
        name: "blip2-itm-vit-g",
        about: "the same as blip2, as Hugging Face's Blip2ForImageTextRetrieval",
        licence: "MIT",
        understands: None,
        hub: Some("Salesforce/blip2-itm-vit-g"),
        files: &[],
    },
    Known {
        name: "blip2-itm-vit-g-coco",
        about: "fine-tuned on COCO at 364 pixels, as Blip2ForImageTextRetrieval",
        licence: "MIT",
        understands: None,
        hub: Some("Salesforce/blip2-itm-vit-g-coco"),
        files: &[],
    },
    Known {
        name: "blip2-opt-2.7b",
        about: "BLIP-2 with its OPT language model; its Q-Former reads no text (import it with --partial)",
        licence: "MIT",
        understands: None,
        hub: Some("Salesforce/blip2-opt-2.7b"),
        files: &[],
    },
    Known {
        name: "bert-vocab",
        about: "BERT-uncased's vocab.txt, which the tokenizer needs beside BLIP-2's weights",
        licence: "Apache-2.0",
        understands: None,
        hub: Some("google-bert/bert-base-uncased"),
        files: &["vocab.txt"],
    },
    Known {
        name: "tinyclip",
        about: "TinyCLIP ViT-8M/16 with a text tower of 3M, the smallest dual encoder here (preset tinyclip-8m)",
        licence: "MIT",
        understands: Some("photographs; TinyCLIP ViT-8M/16, trained on YFCC-15M"),
        hub: Some("wkcn/TinyCLIP-ViT-8M-16-Text-3M-YFCC15M"),
        files: &[],
    },
    Known {
        name: "clip-vit-b-32",
        about: "OpenAI's CLIP ViT-B/32",
        licence: OPENAI_LICENCE,
        understands: Some("photographs; CLIP ViT-B/32, trained by OpenAI on 400 million pairs of the web"),
        hub: Some("openai/clip-vit-base-patch32"),
        files: &[],
    },
    Known {
        name: "clip-vit-b-16",
        about: "OpenAI's CLIP ViT-B/16",
        licence: OPENAI_LICENCE,
        understands: Some("photographs; CLIP ViT-B/16, trained by OpenAI on 400 million pairs of the web"),
        hub: Some("openai/clip-vit-base-patch16"),
        files: &[],
    },
    Known {
        name: "clip-vit-l-14",
        about: "OpenAI's CLIP ViT-L/14",
        licence: OPENAI_LICENCE,
        understands: Some("photographs; CLIP ViT-L/14, trained by OpenAI on 400 million pairs of the web"),
        hub: Some("openai/clip-vit-large-patch14"),
        files: &[],
    },
    Known {
        name: "openclip-vit-h-14",
        about: "OpenCLIP's ViT-H/14, trained on LAION-2B",
        licence: "MIT",
        understands: Some("photographs; OpenCLIP ViT-H/14, trained on LAION-2B"),
        hub: Some("laion/CLIP-ViT-H-14-laion2B-s32B-b79K"),
        files: &TRANSFORMERS,
    },
    Known {
        name: "blip-vit-b-16",
        about: "BLIP ViT-B/16 for retrieval, fine-tuned on COCO",
        licence: "BSD-3-Clause",
        understands: Some("photographs; BLIP ViT-B/16, trained on 129 million images with texts, then on COCO"),
        hub: Some("Salesforce/blip-itm-base-coco"),
        files: &[],
    },
];
