//! The path of the guides from an empty folder: photographs and a spreadsheet's table become a page over all of them. The model is tiny.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "the other tests use more of it")]
mod common;

use common::thisbut;
use std::path::{Path, PathBuf};
use std::process::Output;

const KINDS: [&str; 4] = ["hat", "skirt", "dress", "coat"];
/// Photographs: the second sixteen validate.
const COUNT: usize = 64;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A picture of eight by eight blocks, each of its own colour.
fn picture(path: &Path, seed: u32) {
    let block = |x: u32, y: u32| {
        let mixed = (seed * 64 + y / 4 * 8 + x / 4 + 1).wrapping_mul(2_654_435_761);
        image::Rgb([(mixed >> 24) as u8, (mixed >> 16) as u8, (mixed >> 8) as u8])
    };
    image::RgbImage::from_fn(32, 32, block).save(path).unwrap()
}

/// A folder with photographs, a table as a spreadsheet of Germany saves it, and base weights where `fetch small` puts them.
struct Newcomer {
    folder: tempfile::TempDir,
}

impl Newcomer {
    fn new() -> Self {
        let newcomer = Self { folder: tempfile::tempdir().unwrap() };
        for folder in ["photos", "data/weights"] {
            std::fs::create_dir_all(newcomer.at(folder)).unwrap();
        }
        let mut table = "sep=;\r\nPhoto;category;Neck line;Price;split\r\n".to_owned();
        for n in 0..COUNT {
            picture(&newcomer.at("photos").join(format!("{n:02}.png")), n as u32);
            let (neck, split) = (["round", "deep"][n / 4 % 2], if (16..32).contains(&n) { "val" } else { "train" });
            table.push_str(&format!("{n:02}.png;{};{neck};{},50 €;{split}\r\n", KINDS[n % 4], 10 + n));
        }
        let bytes: Vec<u8> = [0xFEFFu16].into_iter().chain(table.encode_utf16()).flat_map(u16::to_le_bytes).collect();
        std::fs::write(newcomer.at("products.csv"), bytes).unwrap();
        let words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "but", "a", "with", "round", "deep", "neck", "neckline"];
        let words: Vec<&str> = words.into_iter().chain(KINDS).collect();
        std::fs::write(newcomer.at("data/weights/vocab.txt"), words.join("\n")).unwrap();
        newcomer
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a command line in the folder, as it is printed in a guide.
    fn call(&self, line: &str) -> Output {
        thisbut().args(line.split_whitespace()).current_dir(self.folder.path()).output().unwrap()
    }

    /// Gives standard output and standard error of a line that succeeds.
    fn run(&self, line: &str) -> (String, String) {
        let output = self.call(line);
        assert!(output.status.success(), "{line}: {}", text(&output.stderr));
        (text(&output.stdout), text(&output.stderr))
    }

    /// Gives the sentence of a line that is refused.
    fn refused(&self, line: &str) -> String {
        let output = self.call(line);
        let said = text(&output.stderr);
        assert!(output.status.code() == Some(1) && !said.contains("panicked"), "{line}: {said}");
        said.trim_end().lines().last().unwrap_or_default().to_owned()
    }
}

#[test]
fn photographs_and_a_table_become_a_page_over_all_of_them() {
    let newcomer = Newcomer::new();
    let (printed, _) = newcomer.run("prepare catalogue photos --csv products.csv --out data/shop --strict");
    assert!(printed.contains("neckline: 2 values") && printed.contains("price: 64 values (measure)"), "{printed}");
    assert!(printed.contains("images: held out 0, test 0, train 48, val 16"), "{printed}");
    newcomer.run("check data/shop --strict");
    newcomer.run("features data/shop --preset tiny");

    let captions = "finetune data/shop --preset tiny --losses captions --steps 4 --out runs/captions";
    let said = newcomer.refused(captions);
    assert!(
        said.contains("--batch: a batch of 128 is more than the 48 training pictures with a caption; give --batch 32"),
        "{said}"
    );
    let said = newcomer.refused(&format!("{captions} --batch 16 --warmup 9"));
    assert!(said.contains("a warm-up of 9 steps is longer than the 4 steps of --steps"), "{said}");
    newcomer.run(&format!("{captions} --batch 16"));
    newcomer.run(
        "finetune data/shop --preset tiny --start runs/captions/final.safetensors --t2t 0 --p2p 0 --steps 4 --batch 16 --out runs/shop",
    );
    newcomer.run("evaluate data/shop --split val --checkpoint runs/shop/final.safetensors");

    let index = "index photos --model runs/shop/final.safetensors --duplicates keep";
    let (done, said) = newcomer.run(&format!("{index} --csv data/shop/titles.csv --out gallery"));
    assert!(done.contains("64 images indexed") && !said.contains("left out"), "{done}{said}");
    let (answer, _) = newcomer.run("query --bundle gallery --like 00.png --text skirt --json -k 64");
    let answers: Vec<serde_json::Value> = serde_json::from_str(&answer).unwrap();
    let title = |id: &str| answers.iter().find(|answer| answer["id"] == id).unwrap()["title"].clone();
    assert_eq!(
        (title("17.png"), title("05.png")),
        ("a skirt with a round neckline".into(), "a skirt with a deep neckline".into())
    );

    // The table itself is one that index reads.
    let (_, said) = newcomer.run(&format!("{index} --csv products.csv --out gallery"));
    assert!(said.contains("published with each image, from the table: category, Neck line, Price, split"), "{said}");

    let said = newcomer.refused("serve gallery --port 0");
    assert!(said.contains("dist: the page's files are not there (missing: this-but.js,"), "{said}");
    assert!(said.contains("scripts/build-web && scripts/stage-site dist"), "{said}");
}

#[test]
fn what_a_checkpoint_needs_beside_it_is_said() {
    let newcomer = Newcomer::new();
    newcomer.run("prepare catalogue photos --csv products.csv --out data/shop");
    newcomer.run("features data/shop --preset tiny");
    newcomer.run("finetune data/shop --preset tiny --losses captions --steps 2 --batch 16 --out runs/shop");
    std::fs::rename(newcomer.at("data/weights"), newcomer.at("elsewhere")).unwrap();
    let index = "index photos --model runs/shop/final.safetensors --duplicates keep --changes 0 --out gallery";
    let said = newcomer.refused(index);
    assert!(
        said.contains(
            "runs/shop/final.safetensors: its vocabulary, vocab.txt, lies neither beside it nor in data/weights"
        ) && said.contains("`thisbut fetch small`")
            && said.contains("--weights"),
        "{said}"
    );
    assert!(!newcomer.at("gallery").exists(), "nothing is left behind");
    newcomer.run(&format!("{index} --weights elsewhere"));
    // Training asks for titles, and says who writes them.
    std::fs::rename(newcomer.at("elsewhere"), newcomer.at("data/weights")).unwrap();
    std::fs::remove_file(newcomer.at("data/shop/images.json")).unwrap();
    let said =
        newcomer.refused("finetune data/shop --preset tiny --losses captions --batch 16 --steps 2 --out runs/next");
    assert!(
        said.contains("data/shop/images.json: no image of the split has a title") && said.contains("`thisbut prepare`")
    );
}
