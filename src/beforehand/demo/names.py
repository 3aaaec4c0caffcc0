"""What people and places of the simulated company are called, in four languages; no name belongs to a real customer."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Given:
    """A first name as its bearer writes it, in Latin letters for an address, and how its bearer is addressed."""

    written: str
    latin: str
    is_woman: bool


@dataclass(frozen=True, slots=True)
class Family:
    """A family name as its bearer writes it, and in Latin letters."""

    written: str
    latin: str


def _given(women: str, men: str) -> tuple[Given, ...]:
    return tuple(
        Given(written, latin or written.lower(), is_woman)
        for names, is_woman in ((women, True), (men, False))
        for written, _, latin in (name.partition("/") for name in names.split())
    )


def _family(names: str) -> tuple[Family, ...]:
    return tuple(
        Family(written.replace("_", " "), (latin or written).replace("_", "").lower())
        for written, _, latin in (name.partition("/") for name in names.split())
    )


GIVEN: dict[str, tuple[Given, ...]] = {
    "nl": _given(
        "Sanne Femke Lotte Anouk Marieke Fenna Ingrid Joke Maaike Roos Tessa Wietske Sietske Jildou Nynke Esmee",
        "Bram Daan Jelle Sietse Wouter Gerrit Henk Thijs Ruben Sven Pieter Joost Klaas Teun Hidde Douwe",
    ),
    "en": _given(
        "Emma Grace Olivia Hannah Lucy Megan Sophie Claire Fiona Rachel Ruth Zoe",
        "Jack Oliver Thomas Edward Liam Callum George Samuel Adam Owen Neil Simon",
    ),
    "ar": _given(
        "فاطمة/fatima عائشة/aisha مريم/maryam زينب/zaynab نور/nour سلمى/salma ليلى/layla هدى/huda رنا/rana",
        "محمد/mohammed أحمد/ahmad يوسف/youssef عمر/omar علي/ali خالد/khaled حسن/hassan كريم/karim سامي/sami",
    ),
    "hi": _given(
        "चित्रा/chitra प्रिया/priya अनीता/anita सुनीता/sunita पूजा/pooja नेहा/neha कविता/kavita मीरा/meera रेखा/rekha",
        "राहुल/rahul अमित/amit संजय/sanjay विजय/vijay राजेश/rajesh अर्जुन/arjun सुरेश/suresh मनोज/manoj रवि/ravi",
    ),
}

FAMILY: dict[str, tuple[Family, ...]] = {
    "nl": _family(
        "de_Vries Jansen Bakker Visser Smit Meijer Mulder de_Boer Dijkstra Hoekstra van_der_Meer Postma Wiersma Bosma "
        "Veenstra Zijlstra Kuipers Hofman Kooistra Bouma van_Dijk Huisman Brouwer Nijboer Timmerman Wolters Drenth "
        "Boersma Terpstra Hiemstra Sikkema Wijnia"
    ),
    "en": _family(
        "Clarke Hughes Turner Cooper Bennett Foster Murray Walsh Palmer Brooks Fraser Reid Grant Ellis Marsh Doyle"
    ),
    "ar": _family(
        "حداد/haddad خليل/khalil منصور/mansour سعيد/said نصار/nassar العلي/alali إبراهيم/ibrahim الخطيب/alkhatib "
        "درويش/darwish شاهين/shahin بنعلي/benali العمراني/elamrani صالح/saleh زيدان/zidan"
    ),
    "hi": _family(
        "शर्मा/sharma वर्मा/verma सिंह/singh गुप्ता/gupta पटेल/patel कुमार/kumar मिश्रा/mishra जोशी/joshi चौहान/chauhan "
        "यादव/yadav मेहता/mehta अग्रवाल/agrawal"
    ),
}

ORGANISATIONS = ("Bakkerij", "Fietsenmaker", "Huisartsenpraktijk", "Kapsalon", "Garage", "Boekhandel", "Basisschool")

STREETS = (
    "Emmakade", "Stationsweg", "Nieuwestad", "Oostersingel", "Molenstraat", "Kerkstraat", "Havenkade", "Julianalaan",
    "Dorpsstraat", "Eikenlaan", "Noorderweg", "Westerstraat", "Schoolstraat", "Parkweg", "Achterweg", "Turfmarkt",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class PlaceName:
    """A town: the short code in the network's own names, its region, and what customers call it."""

    code: str
    region: str
    postcode: int
    names: dict[str, str]


PLACES = (
    PlaceName("grn", "groningen", 9711, {"nl": "Groningen", "en": "Groningen", "ar": "خرونينغن", "hi": "ग्रोनिंगन"}),
    PlaceName("lwd", "fryslan", 8911, {"nl": "Leeuwarden", "en": "Leeuwarden", "ar": "ليوواردن", "hi": "लेउवार्डेन"}),
    PlaceName("dra", "fryslan", 9201, {"nl": "Drachten", "en": "Drachten", "ar": "دراختن", "hi": "द्राख्टेन"}),
    PlaceName("ass", "drenthe", 9401, {"nl": "Assen", "en": "Assen", "ar": "آسن", "hi": "आसेन"}),
    PlaceName("emm", "drenthe", 7811, {"nl": "Emmen", "en": "Emmen", "ar": "إمن", "hi": "एमेन"}),
)

REGIONS = {
    "groningen": {"nl": "Groningen", "en": "Groningen", "ar": "خرونينغن", "hi": "ग्रोनिंगन"},
    "fryslan": {"nl": "Fryslân", "en": "Friesland", "ar": "فريزلاند", "hi": "फ्रीसलैंड"},
    "drenthe": {"nl": "Drenthe", "en": "Drenthe", "ar": "درينته", "hi": "ड्रेंथे"},
}

QUARTERS = {
    "noord": {"nl": "%s-Noord", "en": "%s North", "ar": "شمال %s", "hi": "%s उत्तर"},
    "oost": {"nl": "%s-Oost", "en": "%s East", "ar": "شرق %s", "hi": "%s पूर्व"},
    "zuid": {"nl": "%s-Zuid", "en": "%s South", "ar": "جنوب %s", "hi": "%s दक्षिण"},
    "west": {"nl": "%s-West", "en": "%s West", "ar": "غرب %s", "hi": "%s पश्चिम"},
}
