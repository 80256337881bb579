//! Pairs of things that differ in one state, with both directions in words.

mod objects;
mod scenes;

/// A, B, how to ask for B when shown A, how to ask for A when shown B.
pub type State = (&'static str, &'static str, &'static [&'static str], &'static [&'static str]);

/// All pairs.
pub fn all() -> impl Iterator<Item = &'static State> {
    objects::OBJECTS.iter().chain(scenes::SCENES)
}

/// An animal's face and its whole body.
pub const FACE_AND_BODY: &[(&str, &str)] = &[
    ("dog face", "dog"),
    ("cat face", "cat"),
    ("tiger face", "tiger"),
    ("horse face", "horse"),
    ("cow face", "cow"),
    ("pig face", "pig"),
    ("mouse face", "mouse"),
    ("rabbit face", "rabbit"),
    ("monkey face", "monkey"),
    ("dragon face", "dragon"),
];

/// A cat and the round face with the same expression.
pub const CAT_AND_FACE: &[(&str, &str)] = &[
    ("grinning cat", "grinning face"),
    ("grinning cat with smiling eyes", "grinning face with smiling eyes"),
    ("cat with tears of joy", "face with tears of joy"),
    ("smiling cat with heart-eyes", "smiling face with heart-eyes"),
    ("cat with wry smile", "smirking face"),
    ("kissing cat", "kissing face with closed eyes"),
    ("weary cat", "weary face"),
    ("crying cat", "crying face"),
    ("pouting cat", "enraged face"),
];
