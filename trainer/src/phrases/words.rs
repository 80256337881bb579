//! Words whose part of speech a short text does not show: English's closed classes, and the open-class words that modification
//! texts are full of. What is in none of the lists, and has no telling ending, is a noun.

use std::collections::HashSet;
use std::sync::LazyLock;

/// Some words.
pub(super) type Words = LazyLock<HashSet<&'static str>>;

/// Words that begin a noun phrase.
pub(super) static DETERMINERS: Words = LazyLock::new(|| {
    "a all an another any both each either every her his its my neither no our some such the their these this those \
    your"
        .split_whitespace()
        .collect()
});

/// Numbers in words.
pub(super) static NUMBERS: Words = LazyLock::new(|| {
    "dozen eight eleven five four hundred nine one seven six ten three twelve two".split_whitespace().collect()
});

/// Prepositions, and words that stand like one.
pub(super) static PREPOSITIONS: Words = LazyLock::new(|| {
    "about above across after against along alongside amid among around as at before behind below beneath beside \
    besides between beyond by during except excluding featuring for from in including inside into like near of on \
    onto outside over past per regarding than through throughout to toward towards under underneath unlike until \
    upon versus via while with within without"
        .split_whitespace()
        .collect()
});

/// Prepositions after which a phrase belongs to the noun before, rather than to a verb ("change it to …").
pub(super) static ATTACHING: Words = LazyLock::new(|| {
    "above against alongside among around at behind below beneath beside between by for from in inside like near of \
    on over to under underneath with within without"
        .split_whitespace()
        .collect()
});

/// Pronouns, and what else stands for something that is named elsewhere.
pub(super) static PRONOUNS: Words = LazyLock::new(|| {
    "anything everyone everything he hers him himself i it itself me nobody none nothing she somebody someone \
    something theirs them themselves there they us we what whatever which who whom whose you"
        .split_whitespace()
        .collect()
});

/// Conjunctions, and words that begin a clause.
pub(super) static CONJUNCTIONS: Words = LazyLock::new(|| {
    "although because but if plus since so then unless when where whereas yet".split_whitespace().collect()
});

/// Auxiliary verbs, their contracted forms among them.
pub(super) static AUXILIARIES: Words = LazyLock::new(|| {
    "am are aren't be been being can can't cannot could did didn't do does doesn't don't had has hasn't have haven't \
    having is isn't may might must need needs should shouldn't was wasn't were will won't would"
        .split_whitespace()
        .collect()
});

/// Adverbs without -ly, particles among them.
pub(super) static ADVERBS: Words = LazyLock::new(|| {
    "ago ahead almost alone along already also always apart aside away back down downward downwards else even ever \
    face-down far farther forward forwards further head-on here how indoors instead just much nearby never not now \
    off often only out outdoors perhaps quite rather sideways slightly somewhat still together too up upright upside \
    upward upwards very well"
        .split_whitespace()
        .collect()
});

/// Adjectives that no ending tells, in their first form; -er and -est follow from them.
pub(super) static ADJECTIVES: Words = LazyLock::new(|| {
    "additional adult alike alive asleep awake bare beige big black blonde blue blurry bold bright brighter broad \
    brown calm casual central certain cheap circular clean clear close cloudy cold colored coloured complete \
    convertible cool cream crimson curly cute cyan damp dark dead deep denim dense different digital dim dirty \
    distant double dry dull dusty early elder elderly empty entire equal exact extra faint fair fancy fast fat few \
    fewer final fine first flat floral fluffy focused foggy formal former fresh friendly front full funny furry \
    fuzzy gentle glossy golden good grassy gray great green grey hairy half happy hard heavy high horizontal huge \
    human icy identical indoor khaki large last late least left less light little live lively lonely long loose \
    lovely low lower main many maroon matte mere messy mid mini modern more most muddy multi multiple narrow natural \
    navy neat new next nice normal odd old opaque open opposite orange other outdoor overhead own pale pink plaid \
    plain plump pointy poor proper purple quiet rare raw ready real rectangular red rich right ripe rocky rough \
    round rusty sad safe same sandy scary second several shady shallow sharp sheer shiny short silver similar simple \
    single skinny slim small smart smooth snowy soft solid solo spare square steep stiff straight strange strong \
    sunny super sweet tall tan teal thick thin third tight tiny top tough transparent triple tropical turquoise \
    typical ugly unique upper various vertical vintage violet visible warm weak wet white whole wide wild wooden \
    woolen wrong yellow young"
        .split_whitespace()
        .collect()
});

/// Endings of adjectives.
pub(super) const ADJECTIVE_ENDINGS: &[&str] = &[
    "able", "ible", "ful", "less", "ous", "ish", "like", "shaped", "sized", "coloured", "colored", "ient", "iest",
    "ic", "ive",
];

/// Nouns that end like an adjective, an adverb or a verb.
pub(super) static NOUNS: Words = LazyLock::new(|| {
    "anything apparel archive awning background baking bed bedding belly bleed bread breed bubble building bus \
    butterfly cable ceiling clinic clothing couple covering crossing cutting dining dish drawing dress dresses \
    duckling dumpling earring earrings evening fabric family feed finish fish flooring fly foliage frosting glasses \
    goldfish grass greenery head heading hummingbird icing jeans jelly jellyfish king lens lettering lighting lily \
    living marble mechanic meeting morning motive music necktie olive packaging painting pants parking pedestrian \
    picnic plastic plating public pudding racing radish railing red-eye reed relative ring seed series setting \
    sewing shed shopping shorts sibling side siding sled sling species speed spring stable starfish stocking string \
    surrounding surroundings swing table tables thing things topic traffic tubing vegetable vehicle vending washing \
    wedding weed wing wings wiring"
        .split_whitespace()
        .collect()
});

/// Verbs that a text of wishes begins with, and others that describe what somebody does, in their first form; -s, -ing and -ed
/// follow from them.
pub(super) static VERBS: Words = LazyLock::new(|| {
    "add adjust allow appear arrange ask attach bake bark become begin bend bite bloom blur bring build carry catch \
    change chase chew chill choose climb compare compete consist contain convert cover crawl create cross crouch \
    cuddle curl cut dance decorate decrease depict differ dig display drag drink drive drop eat eliminate end \
    enlarge ensure exclude exist explore face feature feed fight fill find fit flip float fly focus fold follow form \
    gather get give glow go graze greet grow guide hang hatch have hide hit hold hop huddle hug include increase \
    insert interact join jump keep kneel lack lay lead lean leave lessen let lick lie lift like line look lounge \
    lower make match move need nurse omit open paint park perch pet place play point pose prefer prop pull push put \
    raise reach read recline reduce relax remain remove replace reposition rest reveal ride roam rotate run say \
    scratch see seem serve shine shoot show sit ski sleep slide smell smile sniff snorkel sprawl spread stack stand \
    stare stay stick stretch substitute suck surround swap swim swirl switch take talk tear tend throw touch \
    transform try turn unzip use view wade wait walk want watch wear whiten wish work wrap zoom"
        .split_whitespace()
        .collect()
});

/// Of these the ones that are nouns as often, and verbs only where a clause begins or after "to" and its like.
pub(super) static RATHER_NOUNS: Words = LazyLock::new(|| {
    "bake bark bend bite blur building catch change changes climb cover covers cross cut dance display drink drinks \
    drive drop drops end ends face faces feature features feed fight fit flip fly focus fold form forms glow graze \
    head hug increase join jump lack lift lights line lines look looks match matches nurse open paint park parks \
    perch pet pets place places play point points pose poses prop props rest ride rides run shot shots show shows \
    side sides slide smile spread stack stacks stand stands stick sticks stretch surround switch tear turn use view \
    views walk watch watches wish work works wrap wraps"
        .split_whitespace()
        .collect()
});

/// Of those the ones that say what the noun before them does, where a preposition, an adverb or another phrase follows.
pub(super) static SUBJECT_VERBS: Words = LazyLock::new(|| {
    "bark bite bites climb cover covers display displays drink drinks face faces feature features feed feeds fight \
    fights fly graze hug jump jumps look looks match matches play plays point points pose poses rest rests ride \
    rides run runs show shows smile smiles stand stands stick sticks turn turns walk walks watch watches work works"
        .split_whitespace()
        .collect()
});

/// Words that are nouns where they end a phrase, and adjectives, adverbs or prepositions elsewhere.
pub(super) static PLACES: Words = LazyLock::new(|| {
    "back bottom exterior front half inside interior middle outside side top wild".split_whitespace().collect()
});

/// Past forms and participles that no ending tells.
pub(super) static PARTICIPLES: Words = LazyLock::new(|| {
    "became bent bitten born bound broken brought built came caught chosen cut done drawn driven eaten fallen fed \
    filled flown folded found frozen given gone got grown held hidden hung kept laid lain led lit made mounted \
    parted put ran ridden sat saw seen sewn shot shown shut sold split stood stuck sunken swam taken thrown took \
    torn went worn woven wrapped written"
        .split_whitespace()
        .collect()
});
