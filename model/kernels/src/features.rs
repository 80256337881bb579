//! What an x86 processor has, asked once for each kind of code here: the only place that asks.
//!
//! Calling a function of `#[target_feature]` on a processor that lacks one of the features is undefined behaviour, so each
//! list names all of them, those too that the compiler takes along (AVX-512 brings AVX2, FMA and F16C).

macro_rules! kind {
    ($(#[$comment:meta])* $name:ident: $($feature:tt),+) => {
        $(#[$comment])*
        pub(crate) fn $name() -> bool {
            $(std::arch::is_x86_feature_detected!($feature))&&+
        }

        #[cfg(test)]
        mod $name {
            pub const FEATURES: &[&str] = &[$($feature),+];
        }
    };
}

kind!(
    /// Vectors of 256 bits.
    avx2: "avx", "avx2"
);
kind!(
    /// Vectors of 512 bits with whole numbers of 8 and 16.
    avx512: "avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512vl"
);
kind!(
    /// Vectors of 512 bits with products of 8-bit numbers.
    vnni: "avx", "avx2", "fma", "f16c", "avx512f", "avx512vnni"
);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::path::Path;

    /// What the compiler takes along with a feature.
    const ALONG: [(&str, &[&str]); 5] = [
        ("avx2", &["avx"]),
        ("avx512f", &["avx", "avx2", "fma", "f16c"]),
        ("avx512bw", &["avx512f"]),
        ("avx512vl", &["avx512f"]),
        ("avx512vnni", &["avx512f"]),
    ];

    fn sources(folder: &Path, out: &mut Vec<(String, String)>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => sources(&path, out),
                false => out.push((path.display().to_string(), std::fs::read_to_string(&path).unwrap())),
            }
        }
    }

    #[test]
    fn each_dispatch_asks_for_all_that_its_function_needs() {
        let kinds = [super::avx2::FEATURES, super::avx512::FEATURES, super::vnni::FEATURES];
        let mut files = Vec::new();
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
        let mut found = 0;
        for (name, text) in files.iter().filter(|(name, _)| !name.ends_with("features.rs")) {
            assert!(!text.contains("feature_detected"), "{name} asks the processor itself; add a kind to features.rs");
            for list in text.split("#[target_feature(enable = \"").skip(1) {
                let list: Vec<&str> = list.split_once('"').unwrap().0.split(',').collect();
                let mut needed = list.clone();
                while let Some((_, more)) = ALONG
                    .iter()
                    .find(|(one, more)| needed.contains(one) && more.iter().any(|feature| !needed.contains(feature)))
                {
                    needed.extend(more.iter());
                }
                let asked = |kind: &&&[&str]| needed.iter().all(|feature| kind.contains(feature));
                assert!(kinds.iter().any(|kind| asked(&kind)), "{name}: nothing asks for all of {list:?}");
                found += 1;
            }
        }
        assert!(found >= 5, "{found} functions of #[target_feature]");
    }
}
