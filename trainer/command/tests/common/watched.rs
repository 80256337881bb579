//! Commands that are ended when they take too much, and a bundle to spoil.

use super::common::{run, thisbut};
use super::tiny;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Most memory that any of these may take.
pub const MOST: u64 = 1_000_000_000;
/// No command here has a reason to take longer, in a build without optimisation on a busy machine.
const LONGEST: Duration = Duration::from_secs(60);

/// Bytes of what a command says at most: nobody reads somebody else's megabytes.
const LONGEST_MESSAGE: usize = 20_000;

/// How a command ended.
pub struct Ended {
    /// Its status.
    pub code: Option<i32>,
    /// Its standard error.
    pub said: String,
    /// Most memory at a time that was seen, in bytes.
    pub most: u64,
    /// Time until its end.
    pub took: Duration,
}

/// Runs the command with an eye on time and memory; ends it, and the test, when it takes too much of either.
pub fn watched(arguments: &[&str]) -> Ended {
    watch(thisbut(), arguments)
}

/// The same where the system gives it `MOST` bytes of addresses and no more, so that no peak is too short to be seen.
pub fn confined(arguments: &[&str]) -> Ended {
    let mut command = Command::new("sh");
    let limit = format!("ulimit -v {}; exec \"$0\" \"$@\"", MOST / 1024);
    command.args(["-c", &limit]).arg(thisbut().get_program()).stdin(Stdio::null());
    // A backtrace's tables take more than many commands.
    command.env("RUST_BACKTRACE", "0");
    watch(command, arguments)
}

fn watch(mut command: Command, arguments: &[&str]) -> Ended {
    let mut child = command.args(arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let (status, start) = (format!("/proc/{}/status", child.id()), Instant::now());
    // A long message would wait in the pipe for a reader.
    let mut stderr = child.stderr.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut said = String::new();
        std::io::Read::read_to_string(&mut stderr, &mut said).unwrap();
        said
    });
    let before = format!("Name:\t{}", fs::read_to_string("/proc/thread-self/comm").unwrap_or_default());
    let mut most = 0;
    let code = loop {
        // For an instant after its start the child's figures are still the test's own, as its name is.
        let text = fs::read_to_string(&status).unwrap_or_default();
        let text = if text.starts_with(&before) { String::new() } else { text };
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()).unwrap_or(0);
        most = most.max(kib * 1024);
        if most > MOST || start.elapsed() > LONGEST {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("{arguments:?}: {most} bytes after {:?}", start.elapsed());
        }
        match child.try_wait().unwrap() {
            Some(code) => break code.code(),
            None => std::thread::sleep(Duration::from_millis(1)),
        }
    };
    let took = start.elapsed();
    let said = reader.join().unwrap();
    assert!(said.len() < LONGEST_MESSAGE, "{arguments:?}: a message of {} bytes", said.len());
    assert!(matches!(code, Some(0 | 1)) && !said.contains("panicked"), "{arguments:?}: {code:?} {said}");
    Ended { code, said, most, took }
}

/// A path as an argument.
pub fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// A bundle with a gallery of three photos, and its manifest.
pub fn shop(root: &Path) -> (PathBuf, Value) {
    let (model, photos, shop) = (root.join("model"), root.join("photos"), root.join("shop"));
    tiny::tiny_bundle(&model);
    fs::create_dir(&photos).unwrap();
    for i in 0..3u8 {
        let picture = image::RgbImage::from_fn(40, 30, |x, y| image::Rgb([i * 80, x as u8 * 6, y as u8 * 8]));
        picture.save(photos.join(format!("{i}.png"))).unwrap();
    }
    run(&["index", &text(&photos), "--model", &text(&model), "--out", &text(&shop)]);
    let manifest = serde_json::from_slice(&fs::read(shop.join("bundle.json")).unwrap()).unwrap();
    (shop, manifest)
}

/// Asks a bundle.
pub fn query(bundle: &Path) -> Ended {
    watched(&["query", "--bundle", &text(bundle), "--text", "red"])
}
