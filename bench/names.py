"""What people of a large community are called: thousands of names in six scripts, few of them common and most rare."""

from __future__ import annotations

import random
from itertools import accumulate, product

_FLAT = 10
"""How many names share the front: the commonest of two thousand is that of one in fifty."""


class Names:
    """Names of one script, the commoner ones in front: those that are listed, then those that parts make up."""

    def __init__(self, chance: random.Random, listed: str, starts: str, ends: str) -> None:
        made = [f"{start}{end}" for start, end in product(starts.split(), ends.split())]
        chance.shuffle(made)
        self._names = list(dict.fromkeys(listed.split() + made))
        self._weights = list(accumulate(1 / (rank + _FLAT) for rank in range(len(self._names))))
        self._chance = chance

    def draw(self) -> str:
        """One of them: how often is as one over its rank."""
        (name,) = self._chance.choices(self._names, cum_weights=self._weights)
        return name


class Script:
    """The first and last names of one script, and how many of a hundred people write theirs in it."""

    def __init__(self, chance: random.Random, percent: int, first: tuple[str, str, str], last: tuple[str, str, str]):
        self.percent = percent
        self.first, self.last = Names(chance, *first), Names(chance, *last)


_LATIN_FIRST = (
    "Maria Anna Peter Thomas Michael Julia Paul Laura Martin Sara Daniel Lena Lucas Marta José João Jürgen Zoë Søren "
    "Łukasz Hannah Joanna Johannes Marc Sofia David Olga Ivan Emma Noah Mia Oliver Elena Marie Piotr Clara Emil Kim",
    "Al An Ann Be Ber Car Cas Chris Dan Do Ed El Em Er Fa Fe Flo Fran Ga Ge Gi Gre Ha Han He Hel Hen I Is Ja Je Jo Jul "
    "Ka Kat Kir La Le Li Lor Lu Ma Mar Mat Mel Mi Mo Na Ni No Ol Pa Pe Phil Ra Re Ri Ro Sa Se Sil Ste Su Ta To Va Vi",
    "a ana anne ara as ela elle ena eo eta ian ias ina inde ine io iona is isa ita lin lo mar mund na nard nes olf on "
    "ora ric rik ta than tina tine tis us win",
)
_LATIN_LAST = (
    "Müller Smith García Schmidt Rossi Johnson Silva Fischer Weber Nowak Martin Jensen Hoffmann Bauer Wagner López "
    "Andersson Novák Kowalski Murphy Becker Bergmann Costa Dubois Hermann Neumann Keller Lindgren Ferrari Østergård",
    "Ack Al Bach Bau Beck Berg Birk Blum Bran Bruck Dahl Dorn Eber Eich Eng Erl Falk Feld Fors Frank Gart Gold Grun "
    "Hag Hall Hart Heid Hell Holm Horn Kauf Kirch Klein Koch Krug Land Lau Lind Lund Man Mark Mor Nord Nor Oster Pal "
    "Pet Rei Rich Ros Sand Schul Sol Stein Strand Sund Thor Val Vogt Wald Wein West Wil Win Wolf Zim",
    "a ard bach berg borg by dal dorff e el ell en er es ez feldt gaard gren hof holz i ing insky ke ler ley lund mann "
    "mark mer nes o ola oni quist rup sen ski son stad stedt ström ton tz us vall wald wig witz worth",
)
_CYRILLIC = (
    (
        "Иван Ольга Анна Дмитрий Мария",
        "Ал Бо Ва Вл Га Да Ев Ки Ла Ле Ма Ни Па Ро Св Та",
        "ина ана ан ей ей ил им ия ор",
    ),
    ("Иванов Петров Смирнов", "Бел Вол Гор Дав Зай Куз Лаз Мор Ник Пав Сок Фом Щерб", "аков ев енко ин ов ова овский"),
)
_GREEK = (
    ("Γιώργος Ελένη Μαρία", "Αλεξ Βασ Δημ Ευ Ιω Κων Νικ Παν Σταυ", "άνα ήτρης ία ίνα ιλική ος"),
    ("Παπαδόπουλος Γεωργίου", "Αλεξ Βλαχ Δημητρ Καρα Μακρ Νικολ Οικονομ Παπα", "άκης ίδης όπουλος ου άς"),
)
_ARABIC = (
    ("محمد فاطمة أحمد علي", "عبد نور سل جم كر حس ري", "ان ين يم ام الله ة ى"),
    ("حسين العلي", "ال بن أبو", "حداد خطيب سعيد صالح عمر قاسم منصور نجار يوسف"),
)
_HAN = (
    (
        "伟 芳 小明 李娜 花子 太郎",
        "小 子 文 明 美 国 志 春 晓 玉 海 雅",
        "华 明 英 丽 军 平 龙 玲 强 光 美 子 郎 香 红 生",
    ),
    ("王 李 张 刘 陈 佐藤 田中", "山 中 高 松 小 大 木 林 吉 石", "本 田 村 川 野 原 島 井 口 崎"),
)
_HANGUL = (
    ("민준 서연 지우", "민 서 지 하 현 수 은 도", "준 연 우 윤 진 영 호 아"),
    ("김 이 박 최 정", "강 조 윤 장 임 한", "씨 선 남"),
)


def scripts(chance: random.Random) -> list[Script]:
    """Every script, with as many people as write in it."""
    return [
        Script(chance, 76, _LATIN_FIRST, _LATIN_LAST),
        Script(chance, 8, *_HAN),
        Script(chance, 6, *_CYRILLIC),
        Script(chance, 4, *_GREEK),
        Script(chance, 3, *_ARABIC),
        Script(chance, 3, *_HANGUL),
    ]
