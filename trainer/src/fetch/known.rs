//! Models that can be fetched by a short name.

/// Where LAVIS publishes its weights (`lavis/configs/models/blip2/*.yaml`, `eva_vit.py`, `clip_vit.py`).
const LAVIS: &str = "https://storage.googleapis.com/sfr-vision-language-research/LAVIS/models/BLIP2";

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
    hub: Option<&'static str>,
    files: &'static [&'static str],
}

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
pub const KNOWN: [Known; 6] = [
    Known {
        name: "blip2",
        about: "BLIP-2 with EVA ViT-g/14, LAVIS, before the language model: what SPRC and MTST_PTHA start from",
        hub: None,
        files: &["blip2_pretrained.pth", "eva_vit_g.pth"],
    },
    Known {
        name: "blip2-vit-l",
        about: "BLIP-2 with CLIP ViT-L/14, LAVIS",
        hub: None,
        files: &["blip2_pretrained_vitL.pth", "clip_vit_L.pth"],
    },
    Known {
        name: "blip2-itm-vit-g",
        about: "the same as blip2, as Hugging Face's Blip2ForImageTextRetrieval",
        hub: Some("Salesforce/blip2-itm-vit-g"),
        files: &[],
    },
    Known {
        name: "blip2-itm-vit-g-coco",
        about: "fine-tuned on COCO at 364 pixels, as Blip2ForImageTextRetrieval",
        hub: Some("Salesforce/blip2-itm-vit-g-coco"),
        files: &[],
    },
    Known {
        name: "blip2-opt-2.7b",
        about: "BLIP-2 with its OPT language model; its Q-Former reads no text (import it with --partial)",
        hub: Some("Salesforce/blip2-opt-2.7b"),
        files: &[],
    },
    Known {
        name: "bert-vocab",
        about: "BERT-uncased's vocab.txt, which the tokenizer needs beside BLIP-2's weights",
        hub: Some("google-bert/bert-base-uncased"),
        files: &["vocab.txt"],
    },
];
