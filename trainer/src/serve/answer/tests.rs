use super::*;
use crate::bundle_io::Writer;
use thisbut_model::RetrievalConfig;
use thisbut_model::bundle::{Manifest, WeightsEntry};
use thisbut_model::number::NumberFormat;

fn put(path: &Path, content: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

fn get(site: &Site, target: &str) -> Answer {
    answer(site, &Asked { method: "GET".into(), target: target.into(), ..Asked::default() })
}

fn body(answer: Answer) -> Vec<u8> {
    match answer.body {
        Body::Bytes(bytes) => bytes,
        Body::File { file, length } => {
            let mut bytes = Vec::new();
            file.take(length).read_to_end(&mut bytes).unwrap();
            bytes
        }
    }
}

/// A site with a secret beside it.
fn site() -> (tempfile::TempDir, Site) {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    put(&at("secret.txt"), b"secret");
    put(&at("site/index.html"), b"<p>home</p>");
    put(&at("site/a b/index.html"), b"<p>inner</p>");
    put(&at("site/a b/bundle.json"), b"{}");
    put(&at("site/runtime/cpu_bg.wasm"), b"\0asm");
    put(&at("site/t.0123456789abcdef.jpg"), b"0123456789");
    put(&at("site/long.txt"), &b"the same ".repeat(200));
    put(&at("site/.hidden/x.txt"), b"hidden");
    put(&at("site/.site.index.json"), b"hidden");
    let site = Site::of(&at("site"), &at("no page")).unwrap();
    (folder, site)
}

#[test]
fn types_and_caching_are_what_a_host_should_send() {
    let (_folder, site) = site();
    for (path, kind, cached) in [
        ("/", "text/html; charset=utf-8", ASK),
        ("/index.html", "text/html; charset=utf-8", ASK),
        ("/a%20b/", "text/html; charset=utf-8", ASK),
        ("/a%20b/bundle.json?v=1", "application/json", ASK),
        ("/runtime/cpu_bg.wasm", "application/wasm", ASK),
        ("/t.0123456789abcdef.jpg", "image/jpeg", FOREVER),
    ] {
        let found = get(&site, path);
        assert_eq!(
            (found.status, found.header("Content-Type"), found.header("Cache-Control")),
            (200, Some(kind), Some(cached)),
            "{path}"
        );
        assert_eq!(found.header("X-Content-Type-Options"), Some("nosniff"));
        // A site's own policy is its own matter.
        assert_eq!(found.header("Content-Security-Policy"), None);
    }
    let moved = get(&site, "/a%20b");
    assert_eq!((moved.status, moved.header("Location")), (301, Some("/a%20b/")));
    assert!(is_hashed("tokens-0.0123456789abcdef.bin") && is_hashed("app-0123456789ab.js"));
    assert!(
        !is_hashed("0123456789abcdef.jpg") && !is_hashed("defaced.accede.js") && !is_hashed("x.0123456789ABCDEF.js")
    );
}

#[test]
fn nothing_outside_of_the_site_is_sent() {
    let (folder, site) = site();
    #[cfg(unix)]
    {
        use std::os::unix::fs::symlink;
        symlink("../secret.txt", folder.path().join("site/link.txt")).unwrap();
        symlink("..", folder.path().join("site/up")).unwrap();
        symlink(".hidden", folder.path().join("site/seen")).unwrap();
        symlink("long.txt", folder.path().join("site/inside.txt")).unwrap();
        assert_eq!(get(&site, "/inside.txt").status, 200);
    }
    let absolute = format!("/{}", folder.path().join("secret.txt").display());
    for target in [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/a%20b/../../secret.txt",
        "/a%20b/%2E%2E%2F..%2Fsecret.txt",
        "/..%5csecret.txt",
        "//secret.txt",
        "/./index.html",
        "/link.txt",
        "/up/secret.txt",
        "/seen/x.txt",
        "/.hidden/x.txt",
        "/.site.index.json",
        "/index.html/",
        "/nothing.txt",
        "/runtime/",
        "/a\0b",
        &absolute,
    ] {
        let found = get(&site, target);
        assert_eq!(found.status, 404, "{target}");
        assert!(!String::from_utf8_lossy(&body(found)).contains("secret"), "{target}");
    }
    for target in ["/%", "/%zz", "/%ff", "index.html", "", &format!("/{}", "x".repeat(5000))] {
        assert_eq!(get(&site, target).status, 400, "{target:.20}");
    }
    let post = answer(&site, &Asked { method: "POST".into(), target: "/".into(), ..Asked::default() });
    assert_eq!((post.status, post.header("Allow")), (405, Some("GET, HEAD")));
}

#[test]
fn parts_and_what_is_known_are_not_sent_whole() {
    let (_folder, site) = site();
    let ask = |range: &str| {
        let target = "/t.0123456789abcdef.jpg".into();
        answer(&site, &Asked { method: "GET".into(), target, range: Some(range.into()), ..Asked::default() })
    };
    for (range, status, says, bytes) in [
        ("bytes=2-4", 206, "bytes 2-4/10", "234"),
        ("bytes=7-", 206, "bytes 7-9/10", "789"),
        ("bytes=-3", 206, "bytes 7-9/10", "789"),
        ("bytes=5-900", 206, "bytes 5-9/10", "56789"),
        ("bytes=0-18446744073709551615", 206, "bytes 0-9/10", "0123456789"),
        ("bytes=10-", 416, "bytes */10", ""),
        ("bytes=4-2", 416, "bytes */10", ""),
        ("bytes=-0", 416, "bytes */10", ""),
    ] {
        let found = ask(range);
        assert_eq!((found.status, found.header("Content-Range")), (status, Some(says)), "{range}");
        assert_eq!(body(found), bytes.as_bytes(), "{range}");
    }
    for range in ["bytes=1-2,4-5", "lines=1-2", "bytes=-", "bytes=x-y"] {
        assert_eq!(ask(range).status, 200, "{range}");
    }
    let first = get(&site, "/long.txt");
    let known = first.header("ETag").map(str::to_owned);
    let gzip = Asked { method: "GET".into(), target: "/long.txt".into(), gzip: true, ..Asked::default() };
    let packed = answer(&site, &gzip);
    assert_eq!(packed.header("Content-Encoding"), Some("gzip"));
    let (packed, mut whole) = (body(packed), String::new());
    flate2::read::GzDecoder::new(&packed[..]).read_to_string(&mut whole).unwrap();
    assert!(packed.len() < 200 && whole.as_bytes() == body(first));
    let again = answer(&site, &Asked { known, ..gzip });
    assert_eq!((again.status, body(again).len()), (304, 0));
}

#[test]
fn a_bundle_gets_a_page_or_says_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let config = RetrievalConfig::preset("tiny").unwrap();
    let mut writer = Writer::new(&at("shop")).unwrap();
    let weights = writer.add("", "weights", "safetensors", b"weights").unwrap();
    let vocab = writer.add("", "vocab", "txt", b"[PAD]\n").unwrap();
    let entry = WeightsEntry { file: weights.clone(), code_width: NumberFormat::Q8 };
    let mut manifest = Manifest::of_model(&config, vec![entry], vocab).unwrap();
    manifest.gallery.title = "<b>Hats & more".into();
    writer.finish(&manifest).unwrap();
    let refused = |folder: &str| Site::of(&at(folder), &at("dist")).unwrap_err().to_string();
    let said = refused("shop");
    assert!(
        said.contains(
            "dist: the page's files are not there (missing: this-but.js, element, loader, worker.js, runtime)"
        ),
        "{said}"
    );
    assert!(said.contains("scripts/stage-site"), "{said}");
    for file in
        ["this-but.js", "worker.js", "element/element.js", "loader/parts.js", "runtime/runtime.js", "private.txt"]
    {
        put(&at("dist").join(file), b"x");
    }
    let site = Site::of(&at("shop"), &at("dist")).unwrap();
    let page = get(&site, "/");
    assert_eq!(page.header("Content-Security-Policy"), Some(POLICY));
    let page = String::from_utf8(body(page)).unwrap();
    assert!(page.contains("<title>&lt;b>Hats &amp; more</title>") && page.contains("src=\"this-but.js\""), "{page}");
    assert!(page.contains("<this-but bundle=\"bundle/\">"));
    for path in ["/this-but.js", "/worker.js", "/element/element.js", "/runtime/runtime.js", "/bundle/bundle.json"] {
        assert_eq!(get(&site, path).status, 200, "{path}");
    }
    let kept = get(&site, &format!("/bundle/{}", weights.path));
    assert_eq!(
        (kept.header("Content-Type"), kept.header("Cache-Control")),
        (Some("application/octet-stream"), Some(FOREVER))
    );
    for path in ["/private.txt", "/bundle.json", "/bundle/", "/worker.js/x", "/worker.jsx", "/bundles/x"] {
        assert_eq!(get(&site, path).status, 404, "{path}");
    }
    // The element in one file does as well.
    std::fs::remove_dir_all(at("dist/element")).unwrap();
    put(&at("dist/this-but.min.js"), b"x");
    let site = Site::of(&at("shop"), &at("dist")).unwrap();
    assert!(String::from_utf8(body(get(&site, "/"))).unwrap().contains("src=\"this-but.min.js\""));

    std::fs::remove_file(at("shop").join(&weights.path)).unwrap();
    assert!(refused("shop").contains(&format!("lacks 1 of its files: {}", weights.path)));
    std::fs::write(at("shop/bundle.json"), r#"{"format": "thisbut-bundle", "version": 9}"#).unwrap();
    assert!(refused("shop").contains("is damaged or of another version"));
    std::fs::create_dir(at("empty")).unwrap();
    assert!(refused("empty").contains("is neither a bundle nor a site: it has no bundle.json and no index.html"));
    assert!(refused("nowhere").contains("is not a folder"));
}
