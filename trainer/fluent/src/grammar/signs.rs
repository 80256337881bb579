//! What hand signs and parts of the body are called.

use super::{Form, article};

/// Hand signs and parts: label → other names.
const SIGNS: &[(&str, &[&str])] = &[
    ("waving hand", &["wave", "hand waving hello", "waving hand"]),
    ("raised back of hand", &["raised back of the hand", "backhand", "hand seen from behind"]),
    ("hand with fingers splayed", &["hand with spread fingers", "splayed hand", "open hand with fingers apart"]),
    ("raised hand", &["raised hand", "stop hand", "high five", "flat palm"]),
    ("vulcan salute", &["vulcan salute", "Spock hand", "live long and prosper sign"]),
    ("rightwards hand", &["hand reaching right", "rightwards hand"]),
    ("leftwards hand", &["hand reaching left", "leftwards hand"]),
    ("palm down hand", &["palm facing down", "hand with the palm down", "hand dropping something"]),
    ("palm up hand", &["palm facing up", "hand with the palm up", "beckoning open hand"]),
    ("leftwards pushing hand", &["hand pushing left", "leftwards pushing hand"]),
    ("rightwards pushing hand", &["hand pushing right", "rightwards pushing hand"]),
    ("OK hand", &["OK hand", "okay sign", "perfect sign"]),
    ("pinched fingers", &["pinched fingers", "Italian hand gesture", "fingers pinched together upwards"]),
    ("pinching hand", &["pinching hand", "tiny amount gesture", "small amount sign"]),
    ("victory hand", &["victory hand", "peace sign", "V sign", "two fingers up"]),
    ("crossed fingers", &["crossed fingers", "fingers crossed for luck", "good luck sign"]),
    (
        "hand with index finger and thumb crossed",
        &["finger heart", "crossed thumb and index finger", "Korean heart sign"],
    ),
    ("love-you gesture", &["love-you gesture", "I love you sign", "ILY hand"]),
    ("sign of the horns", &["sign of the horns", "rock on sign", "metal horns"]),
    ("call me hand", &["call me hand", "shaka sign", "hang loose sign", "phone gesture"]),
    ("backhand index pointing left", &["finger pointing left", "hand pointing left"]),
    ("backhand index pointing right", &["finger pointing right", "hand pointing right"]),
    ("backhand index pointing up", &["back of a hand pointing up", "finger pointing up, seen from behind"]),
    ("middle finger", &["middle finger", "rude finger"]),
    ("backhand index pointing down", &["finger pointing down", "hand pointing down"]),
    ("index pointing up", &["index finger raised", "index pointing up", "number one finger"]),
    ("index pointing at the viewer", &["finger pointing at the viewer", "pointing at you"]),
    ("thumbs up", &["thumbs up", "thumb up", "like sign", "approval thumb"]),
    ("thumbs down", &["thumbs down", "thumb down", "dislike sign"]),
    ("raised fist", &["raised fist", "power fist", "fist held up"]),
    ("oncoming fist", &["oncoming fist", "fist bump", "punch towards us"]),
    ("left-facing fist", &["fist facing left", "left-facing fist"]),
    ("right-facing fist", &["fist facing right", "right-facing fist"]),
    ("clapping hands", &["clapping hands", "applause", "hands clapping"]),
    ("raising hands", &["raising hands", "both hands up", "hooray hands"]),
    ("heart hands", &["heart hands", "two hands making a heart"]),
    ("open hands", &["open hands", "jazz hands", "hug hands"]),
    ("palms up together", &["palms up together", "cupped hands", "begging hands"]),
    ("folded hands", &["folded hands", "praying hands", "thank you hands", "namaste hands"]),
    ("writing hand", &["writing hand", "hand with a pen"]),
    ("nail polish", &["nail polish", "painted nails", "hand having its nails painted"]),
    ("selfie", &["selfie", "arm holding a phone", "hand taking a selfie"]),
    ("flexed biceps", &["flexed biceps", "strong arm", "flexed muscle"]),
];

/// Names of a hand sign.
pub fn names(role: &str) -> Vec<Form> {
    let other = SIGNS.iter().find(|(r, _)| *r == role).map_or(&[][..], |(_, n)| n);
    let mut names = vec![role];
    names.extend(other);
    let plural =
        |n: &str| n.ends_with('s') || n.contains("fingers") || n.contains("hands") || n.starts_with("pointing");
    names.into_iter().map(|n| Form::Noun(if plural(n) { n.to_owned() } else { article(n) })).collect()
}
