//! What roles and hand signs are called.

use super::super::record::Gender;
use super::{Form, article};

/// How a list of names stands in a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// "a judge".
    Noun,
    /// "surfing".
    Doing,
    /// "in a tuxedo".
    Adjunct,
}
use Manner::{Adjunct, Doing, Noun};

/// Role → manner, names, and adjuncts that describe the drawing ("holding a gavel").
pub const ROLES: &[(&str, Manner, &[&str], &[&str])] = &[
    (
        "health worker",
        Noun,
        &["health worker", "doctor", "nurse", "medic", "physician", "healthcare worker"],
        &["with a stethoscope", "in a white medical coat"],
    ),
    (
        "student",
        Noun,
        &["student", "graduate", "college graduate", "grad student"],
        &["in a graduation cap", "wearing a gown and mortarboard", "graduating"],
    ),
    (
        "teacher",
        Noun,
        &["teacher", "professor", "instructor", "schoolteacher", "lecturer"],
        &["in front of a blackboard", "teaching at a chalkboard"],
    ),
    ("judge", Noun, &["judge", "magistrate", "justice"], &["holding a gavel", "in a black court robe"]),
    (
        "farmer",
        Noun,
        &["farmer", "gardener", "rancher", "farm worker"],
        &["holding a pitchfork", "in a straw hat with a fork"],
    ),
    ("cook", Noun, &["cook", "chef", "kitchen chef"], &["in a chef's hat", "holding a cooking spoon", "cooking"]),
    (
        "mechanic",
        Noun,
        &["mechanic", "plumber", "electrician", "repair worker", "tradesperson"],
        &["holding a wrench", "in overalls with a spanner"],
    ),
    (
        "factory worker",
        Noun,
        &["factory worker", "welder", "industrial worker", "assembly worker"],
        &["with a welding torch", "welding", "with a welding mask"],
    ),
    (
        "office worker",
        Noun,
        &["office worker", "business person", "manager", "white-collar worker", "executive"],
        &["in a suit and tie", "dressed for the office"],
    ),
    (
        "scientist",
        Noun,
        &["scientist", "chemist", "researcher", "lab scientist", "biologist"],
        &["in a lab coat with a test tube", "in goggles and a lab coat"],
    ),
    (
        "technologist",
        Noun,
        &["technologist", "programmer", "coder", "software developer", "engineer", "developer", "computer person"],
        &["behind a laptop", "using a laptop", "working on a computer"],
    ),
    (
        "singer",
        Noun,
        &["singer", "rock star", "rockstar", "pop star", "entertainer"],
        &["singing into a microphone", "with face paint and a microphone", "on stage"],
    ),
    ("artist", Noun, &["artist", "painter"], &["with a palette and brush", "in a beret", "painting"]),
    (
        "pilot",
        Noun,
        &["pilot", "airline pilot", "plane captain", "aviator"],
        &["in a pilot's cap", "in an airline uniform"],
    ),
    ("astronaut", Noun, &["astronaut", "cosmonaut", "space traveller"], &["in a space suit", "in a space helmet"]),
    (
        "firefighter",
        Noun,
        &["firefighter", "fire fighter", "fire brigade member"],
        &["in a fire helmet", "holding a fire axe", "in red fire gear"],
    ),
    (
        "police officer",
        Noun,
        &["police officer", "cop", "officer of the law", "constable"],
        &["in a blue police uniform", "with a police badge"],
    ),
    (
        "detective",
        Noun,
        &["detective", "sleuth", "private eye", "spy", "investigator"],
        &["with a magnifying glass", "in a trench coat and hat"],
    ),
    (
        "guard",
        Noun,
        &["guard", "royal guard", "palace guard", "Buckingham guard", "British guard"],
        &["in a bearskin hat", "in a tall furry black hat"],
    ),
    ("ninja", Noun, &["ninja", "stealth fighter", "shinobi"], &["in a black mask with a sword"]),
    (
        "construction worker",
        Noun,
        &["construction worker", "builder", "building worker", "construction site worker"],
        &["in a hard hat", "in a safety vest and helmet"],
    ),
    (
        "royal",
        Noun,
        &["royal", "monarch", "royal person with a crown"],
        &["with a crown", "wearing a crown", "wearing royal regalia"],
    ),
    ("wearing turban", Adjunct, &["wearing a turban", "in a turban", "with a turban on", "with a turban"], &[]),
    (
        "with skullcap",
        Adjunct,
        &["with a skullcap", "wearing a Chinese cap", "in a gua pi mao", "in a small round cap"],
        &[],
    ),
    (
        "with headscarf",
        Adjunct,
        &["with a headscarf", "in a hijab", "wearing a headscarf", "in a tichel", "with a covered head"],
        &[],
    ),
    (
        "in tuxedo",
        Adjunct,
        &["in a tuxedo", "in a tux", "wearing a tuxedo", "dressed as the groom", "in a bow tie"],
        &[],
    ),
    (
        "with veil",
        Adjunct,
        &[
            "with a veil",
            "in a wedding veil",
            "dressed as the bride",
            "wearing a bridal veil",
            "with a bouquet and veil",
        ],
        &[],
    ),
    ("pregnant", Adjunct, &["pregnant", "with a baby bump", "expecting a baby", "with a pregnant belly"], &[]),
    ("breast-feeding", Doing, &["breast-feeding", "nursing a baby", "breastfeeding a baby"], &[]),
    (
        "feeding baby",
        Doing,
        &["feeding a baby", "bottle-feeding a baby", "holding a baby with a bottle", "giving a baby its bottle"],
        &[],
    ),
    ("baby angel", Noun, &["baby angel", "cherub", "little angel", "baby with a halo and wings"], &[]),
    (
        "Claus",
        Noun,
        &["Santa figure", "Christmas character"],
        &["in a Santa hat", "in a Christmas costume", "dressed as Santa"],
    ),
    (
        "superhero",
        Noun,
        &["superhero", "hero with a cape", "super hero", "comic book hero"],
        &["in a superhero costume", "in a red mask and cape"],
    ),
    (
        "supervillain",
        Noun,
        &["supervillain", "villain", "super villain", "evil mastermind", "comic book villain"],
        &["in a villain costume"],
    ),
    (
        "mage",
        Noun,
        &["mage", "wizard", "sorcerer", "magician"],
        &["in a pointed blue hat with a staff", "holding a magic staff"],
    ),
    ("fairy", Noun, &["fairy", "pixie", "fairy with wings", "winged fairy"], &["with fairy wings"]),
    ("vampire", Noun, &["vampire", "Dracula", "undead bloodsucker", "vampire with fangs"], &["with fangs and a cape"]),
    ("merperson", Noun, &["merperson", "sea creature with a fish tail"], &["with a fish tail", "with a mermaid tail"]),
    ("elf", Noun, &["elf", "elf with pointed ears", "elven person"], &["with pointed ears"]),
    ("genie", Noun, &["genie", "djinn", "genie from the lamp"], &["with a smoky genie tail"]),
    ("zombie", Noun, &["zombie", "walking dead", "undead zombie"], &["with green zombie skin"]),
    ("frowning", Doing, &["frowning", "looking sad", "with a frown", "looking upset", "frowning unhappily"], &[]),
    ("pouting", Doing, &["pouting", "sulking", "looking cross", "grumpy and pouting"], &[]),
    (
        "gesturing NO",
        Doing,
        &[
            "gesturing no",
            "crossing the arms for no",
            "saying no with crossed arms",
            "making an X with the arms",
            "refusing",
        ],
        &[],
    ),
    (
        "gesturing OK",
        Doing,
        &["gesturing OK", "making an O with the arms", "saying okay with arms over the head", "arms up for OK"],
        &[],
    ),
    (
        "tipping hand",
        Doing,
        &[
            "tipping a hand",
            "holding one palm up",
            "being sassy with a raised palm",
            "flipping the hand",
            "helping at an information desk",
        ],
        &[],
    ),
    (
        "raising hand",
        Doing,
        &[
            "raising a hand",
            "with one hand up",
            "putting a hand up",
            "asking a question with a raised hand",
            "volunteering with a raised hand",
        ],
        &[],
    ),
    ("deaf", Adjunct, &["deaf", "pointing at the ear", "signing deaf", "touching an ear"], &[]),
    ("bowing", Doing, &["bowing", "bowing down", "apologising with a bow", "bowing deeply", "doing a dogeza bow"], &[]),
    (
        "facepalming",
        Doing,
        &["facepalming", "doing a facepalm", "with a hand over the face", "hiding the face in a palm"],
        &[],
    ),
    (
        "shrugging",
        Doing,
        &["shrugging", "doing a shrug", "shrugging with both palms up", "not knowing, with a shrug"],
        &[],
    ),
    (
        "getting massage",
        Doing,
        &["getting a massage", "having a head massage", "being massaged", "relaxing with a massage"],
        &[],
    ),
    (
        "getting haircut",
        Doing,
        &["getting a haircut", "having a haircut", "at the hairdresser", "having the hair cut with scissors"],
        &[],
    ),
    ("walking", Doing, &["walking", "taking a walk", "strolling", "going for a walk", "on foot, walking"], &[]),
    ("standing", Doing, &["standing", "standing upright", "just standing", "standing still"], &[]),
    ("kneeling", Doing, &["kneeling", "on the knees", "kneeling down", "down on both knees"], &[]),
    (
        "with white cane",
        Adjunct,
        &["with a white cane", "walking with a white stick", "blind, with a cane", "using a white cane"],
        &[],
    ),
    (
        "in motorized wheelchair",
        Adjunct,
        &["in a motorized wheelchair", "in an electric wheelchair", "in a powered wheelchair", "using a power chair"],
        &[],
    ),
    (
        "in manual wheelchair",
        Adjunct,
        &[
            "in a manual wheelchair",
            "in a hand-pushed wheelchair",
            "in a wheelchair with big wheels",
            "using a manual wheelchair",
        ],
        &[],
    ),
    ("running", Doing, &["running", "jogging", "sprinting", "running a race", "out for a run"], &[]),
    ("dancing", Doing, &["dancing", "doing a dance", "on the dance floor", "dancing salsa or disco"], &[]),
    (
        "in suit levitating",
        Adjunct,
        &["levitating in a suit", "floating in a black suit", "hovering in a business suit and sunglasses"],
        &[],
    ),
    (
        "with bunny ears",
        Adjunct,
        &["with bunny ears", "partying in bunny ears", "wearing rabbit ears", "in bunny costumes"],
        &[],
    ),
    (
        "in steamy room",
        Adjunct,
        &["in a steamy room", "in a sauna", "in a steam bath", "with a towel in the sauna"],
        &[],
    ),
    (
        "climbing",
        Doing,
        &["climbing", "rock climbing", "climbing a wall", "scaling a cliff", "mountaineering on a rope"],
        &[],
    ),
    ("fencing", Doing, &["fencing", "fencing with a sword", "with a fencing foil"], &[]),
    ("horse racing", Doing, &["racing a horse", "riding a racehorse", "horse racing", "riding as a jockey"], &[]),
    ("skier", Doing, &["skiing", "skiing down a slope", "on skis"], &[]),
    ("snowboarder", Doing, &["snowboarding", "on a snowboard", "riding a snowboard"], &[]),
    ("golfing", Doing, &["golfing", "playing golf", "swinging a golf club", "on the golf course"], &[]),
    ("surfing", Doing, &["surfing", "riding a wave", "on a surfboard", "catching a wave"], &[]),
    ("rowing boat", Doing, &["rowing a boat", "rowing", "in a rowing boat", "paddling a boat"], &[]),
    ("swimming", Doing, &["swimming", "in the water, swimming", "having a swim", "doing the front crawl"], &[]),
    (
        "bouncing ball",
        Doing,
        &["bouncing a ball", "playing basketball", "dribbling a basketball", "with a basketball"],
        &[],
    ),
    ("lifting weights", Doing, &["lifting weights", "weightlifting", "lifting a barbell", "pumping iron"], &[]),
    ("biking", Doing, &["biking", "riding a bike", "cycling", "on a road bicycle"], &[]),
    (
        "mountain biking",
        Doing,
        &["mountain biking", "riding a mountain bike", "cycling in the mountains", "on a mountain bike"],
        &[],
    ),
    (
        "cartwheeling",
        Doing,
        &["cartwheeling", "doing a cartwheel", "turning a cartwheel", "doing gymnastics upside down"],
        &[],
    ),
    ("wrestling", Doing, &["wrestling", "having a wrestling match", "fighting as wrestlers"], &[]),
    ("playing water polo", Doing, &["playing water polo", "with a ball in the water", "at water polo"], &[]),
    ("playing handball", Doing, &["playing handball", "throwing a handball", "jumping with a handball"], &[]),
    ("juggling", Doing, &["juggling", "juggling balls", "doing a juggling act", "keeping balls in the air"], &[]),
];

/// Roles of the second part of the table: rest, couples.
const MORE: &[(&str, Manner, &[&str], &[&str])] = &[
    (
        "in lotus position",
        Adjunct,
        &["in the lotus position", "meditating", "doing yoga", "sitting cross-legged in meditation"],
        &[],
    ),
    ("taking bath", Doing, &["taking a bath", "in the bathtub", "having a bath", "bathing"], &[]),
    ("in bed", Adjunct, &["in bed", "lying in bed", "sleeping in a bed", "tucked up in bed"], &[]),
    ("holding hands", Doing, &["holding hands", "hand in hand", "walking hand in hand"], &[]),
    ("kiss", Doing, &["kissing", "sharing a kiss", "with a kiss and a heart between them"], &[]),
    (
        "couple with heart",
        Adjunct,
        &["with a heart above them, not kissing", "in love with a heart overhead", "looking at us under a heart"],
        &[],
    ),
];

/// Names that differ by gender: role, women, men.
const GENDERED: &[(&str, &[&str], &[&str])] = &[
    ("royal", &["princess", "queen"], &["prince", "king"]),
    ("merperson", &["mermaid"], &["merman"]),
    ("Claus", &["Mrs. Claus", "Mother Christmas"], &["Santa Claus", "Santa", "Father Christmas"]),
    ("police officer", &["policewoman", "lady cop"], &["policeman"]),
    ("firefighter", &["firewoman"], &["fireman"]),
    ("mage", &["witch", "sorceress"], &["wizard", "male sorcerer"]),
    ("superhero", &["superheroine", "heroine in a cape"], &["super hero guy"]),
    ("office worker", &["businesswoman"], &["businessman"]),
    ("astronaut", &["spacewoman"], &["spaceman"]),
    ("with veil", &["bride"], &[]),
    ("in tuxedo", &[], &["groom"]),
];

fn entry(role: &str) -> Option<&'static (&'static str, Manner, &'static [&'static str], &'static [&'static str])> {
    ROLES.iter().chain(MORE).find(|(r, ..)| *r == role)
}

/// The manner of a role.
pub fn manner(role: &str) -> Manner {
    entry(role).map_or(Noun, |(_, m, ..)| *m)
}

/// Names without article, in the role's manner.
pub fn names(role: &str) -> Vec<&'static str> {
    entry(role).map(|(_, _, n, _)| n.to_vec()).unwrap_or_default()
}

/// Adjuncts that describe the role's drawing.
pub fn props(role: &str) -> &'static [&'static str] {
    entry(role).map_or(&[], |(.., p)| p)
}

/// Names that already say the gender.
pub fn gendered(role: &str, gender: Gender) -> &'static [&'static str] {
    let found = GENDERED.iter().find(|(r, ..)| *r == role);
    match (gender, found) {
        (Gender::Woman, Some((_, w, _))) => w,
        (Gender::Man, Some((_, _, m))) => m,
        _ => &[],
    }
}

/// Every way to name a person role. With a known gender the gendered names come too (they say no more than the image).
pub fn forms(role: &str, gender: Option<Gender>) -> Vec<Form> {
    let mut out: Vec<Form> = Vec::new();
    let manner = manner(role);
    for name in names(role) {
        out.push(match manner {
            Noun => Form::Noun(article(name)),
            Doing => Form::Doing(name.to_owned()),
            Adjunct => Form::Adjunct(name.to_owned()),
        });
    }
    // The first, most common name weighs more.
    if let Some(first) = out.first().cloned() {
        out.push(first.clone());
        out.push(first);
    }
    out.extend(props(role).iter().map(|p| Form::Adjunct((*p).to_owned())));
    if let Some(g) = gender {
        for name in gendered(role, g) {
            let proper = name.starts_with("Mrs") || name.ends_with("Christmas") || name.starts_with("Santa");
            out.push(Form::Noun(if proper { (*name).to_owned() } else { article(name) }));
        }
    }
    out
}

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
pub fn sign(role: &str) -> Vec<Form> {
    let other = SIGNS.iter().find(|(r, _)| *r == role).map_or(&[][..], |(_, n)| n);
    let mut names = vec![role];
    names.extend(other);
    let plural =
        |n: &str| n.ends_with('s') || n.contains("fingers") || n.contains("hands") || n.starts_with("pointing");
    names.into_iter().map(|n| Form::Noun(if plural(n) { n.to_owned() } else { article(n) })).collect()
}
