"""Deterministic CSV files of components and customers with holdings: four languages in their own scripts."""

import csv
from pathlib import Path

FIRST_NODE = "node-0000"
"""The node on which a tenth of all customers depend."""

PER_NODE = 500

_NAMES = {
    "nl": (
        ["Bram", "Sanne", "Daan", "Lotte", "Joost", "Femke", "Thijs", "Anouk", "Pieter", "Marijke", "Koen", "Zoë"],
        ["de Vries", "van den Berg", "Jansen", "Bakker", "Visser", "Smit", "Meijer", "’t Hart", "Mulder", "Bos"],
    ),
    "en": (
        ["Dana", "Oliver", "Amelia", "Harry", "Isla", "George", "Freya", "Noah", "Grace", "Siân", "Leo", "Ruth"],
        ["Smith", "O'Brien", "Taylor", "Okafor", "Davies", "Wright", "Hughes", "Lewis-Clarke", "Baker", "Patel"],
    ),
    "ar": (
        ["عائشة", "محمد", "فاطمة", "أحمد", "خديجة", "يوسف", "مريم", "عمر", "زينب", "إبراهيم", "ليلى", "حسن"],
        ["المصري", "الحسن", "بن علي", "الخطيب", "حداد", "النجار", "السيد", "العمري", "درويش", "قاسم"],
    ),
    "hi": (
        ["चित्रा", "अर्जुन", "प्रिया", "रोहन", "अंजलि", "विक्रम", "काव्या", "राहुल", "सुनीता", "अमित", "मीरा", "देव"],
        ["शर्मा", "वर्मा", "गुप्ता", "सिंह", "पटेल", "जोशी", "मिश्रा", "यादव", "अग्रवाल", "त्रिपाठी"],
    ),
}
_LANGUAGES = ("nl", "nl", "nl", "nl", "nl", "en", "en", "ar", "ar", "hi")
_ZONES = {"nl": "Europe/Amsterdam", "en": "Europe/London", "ar": "Africa/Cairo", "hi": "Asia/Kolkata"}
_FIRMWARE = ("1.1", "1.2", "1.3", "2.0")

COLUMNS = (
    "external_id",
    "name",
    "language",
    "time_zone",
    "form_of_address",
    "priority",
    "email",
    "phone",
    "holding.external_id",
    "holding.product",
    "holding.place",
    "holding.since",
    "holding.components",
    "holding.attributes.firmware",
)


def node_of(index: int) -> str:
    """The node of customer `index`: each tenth is on the first one, the others 500 to a node."""
    return FIRST_NODE if index % 10 == 0 else f"node-{1 + index // PER_NODE:04d}"


def write_components(path: Path, customers: int) -> int:
    """Regions, and nodes that depend on them; how many rows."""
    nodes = 2 + customers // PER_NODE
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["external_id", "kind", "name", "depends_on", "texts.nl"])
        for region in range(20):
            writer.writerow([f"region-{region:02d}", "region", f"Region {region}", "", f"Regio {region}"])
        for node in range(nodes):
            writer.writerow([f"node-{node:04d}", "node", f"Fibre node {node}", f"region-{node % 20:02d}", ""])
    return 20 + nodes


def write_customers(path: Path, customers: int) -> int:
    """Customers with an e-mail address, half of them a telephone, and one modem each; the file's size in bytes."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for index in range(customers):
            language = _LANGUAGES[index // 3 % 10]
            first, last = _NAMES[language]
            name = f"{first[index % len(first)]} {last[index // len(first) % len(last)]}"
            writer.writerow(
                (
                    f"C{index:08d}",
                    name,
                    language,
                    _ZONES[language],
                    "informal" if index % 3 == 0 else "formal",
                    "care_alarm" if index % 200 == 0 else "normal",
                    f"customer{index}@mail{index % 97}.example",
                    f"+316{index % 100_000_000:08d}" if index % 2 else "",
                    f"H{index:08d}",
                    "fibre",
                    f"{1000 + index % 9000} AB {index % 400}",
                    f"20{10 + index % 15}-{1 + index % 12:02d}-{1 + index % 28:02d}",
                    node_of(index),
                    _FIRMWARE[index % 4],
                )
            )
    return path.stat().st_size
