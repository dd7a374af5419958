"""The text of the language model that tests decode with."""

import unicodedata

from data_prep.text.alphabet import load_alphabet

LM_SENTENCES = (
    "कल सुबह हम बाज़ार जाएँगे",
    "कल शाम को बारिश हुई थी",
    "वह कल अपने गाँव लौट आया",
    "आज का दिन बहुत अच्छा है",
    "मेरे पास एक नई किताब है",
    "बच्चे मैदान में खेल रहे हैं",
    "रात को आसमान में तारे चमकते हैं",
    "दादी हमें पुरानी कहानियाँ सुनाती हैं",
)


def lm_lines() -> list[str]:
    """`LM_SENTENCES`, and every letter, so that no label is unknown to a language model of them; marks are on प."""
    labels = load_alphabet()[1:]
    return [
        *LM_SENTENCES,
        " ".join(f"प{label}" if unicodedata.category(label)[0] == "M" else label for label in labels),
    ]
