"""The heuristic in other languages than English: words, and what they say about order."""

from __future__ import annotations

import pytest

from langgraph_parallel.plan.heuristic import HeuristicAnalyzer
from langgraph_parallel.plan.heuristic.lexicon import LATIN, UNSPACED, load_language
from langgraph_parallel.plan.heuristic.text import find_language, read_step
from langgraph_parallel.plan.task import Task

FREE = {
    "zh": ["引擎A调研\n收集引擎A的吞吐量信息。", "引擎B调研\n收集引擎B的吞吐量信息。"],
    "zh weather": ["查询北京的天气", "查询上海的天气"],
    "zh steps": ["第一步\uff1a查询北京的人口", "第二步\uff1a查询上海的人口"],
    "zh of": ["了解特斯拉的自动驾驶技术", "了解华为的自动驾驶技术"],
    "ja": ["東京の天気を調べる", "大阪の天気を調べる"],
    "de": ["Suche die Wettervorhersage für München", "Suche die Wettervorhersage für Köln"],
    "fr": ["Recherche le prix du blé en France", "Recherche le prix du blé en Espagne"],
    "es": ["Busca hoteles en Lisboa", "Busca museos en Lisboa"],
    "it": ["Cerca il prezzo del caffè a Roma", "Cerca il prezzo del caffè a Milano"],
    "pt": ["Pesquise o preço do café no Brasil", "Pesquise o preço do café no Peru"],
}
CHAINS = {
    "zh this": ["查找收购GitHub的公司", "查找该公司的首席执行官"],
    "zh he": ["查找《三体》的作者", "查找他的出生地"],
    "zh results": ["收集引擎A的信息", "根据前面的结果收集引擎B的信息"],
    "zh changes": ["执行迁移脚本001", "执行迁移脚本002"],
    "zh environments": ["部署到测试环境", "部署到生产环境"],
    "zh made, then used": ["构建 Docker image。", "推送 Docker image。"],
    "zh id": ["查询用户张三的ID", "查询用户张三的订单"],
    "zh list, then details": ["获取用户列表", "获取用户详情"],
    "zh CEO": ["查找苹果公司的CEO", "查找CEO的毕业院校"],
    "zh number": ["查询订单号", "查询物流单号"],
    "zh rounds": ["收集第1轮的反馈信息", "收集第2轮的反馈信息"],
    "ja that": ["世界最大の電池メーカーを調べる", "その会社の売上高を調べる"],
    "ja changes": ["ステージング環境にデプロイする", "本番環境にデプロイする"],
    "de this": ["Finde den größten Hersteller", "Finde den Umsatz dieses Herstellers"],
    "de his": ["Suche den Gründer von SpaceX", "Suche seine erste Firma"],
    "de changes": ["Wende Migration 001 an", "Wende Migration 002 an"],
    "fr this": ["Trouve l'entreprise de Lyon", "Trouve le siège de cette entreprise"],
    "fr environments": ["Déploie en préproduction", "Déploie en production"],
    "es her": ["Busca la empresa de Vigo", "Busca su sede"],
    "es changes": ["Aplica la migración 1", "Aplica la migración 2"],
    "pt that": ["Encontre a maior empresa do Brasil", "Encontre a receita dessa empresa"],
    "it this": ["Verifica chi guida Enel", "Verifica la sede di questa società"],
    "it her": ["Cerca la società di Torino", "Cerca la sua sede"],
    "ru": ["Найди погоду в Москве", "Найди погоду в Казани"],
}


def _relaxed(steps: list[str]) -> int:
    tasks = [Task(id=str(k), description=text) for k, text in enumerate(steps)]
    return sum(not d.ordered for d in HeuristicAnalyzer().analyze(tasks).decisions)


@pytest.mark.parametrize("steps", FREE.values(), ids=FREE.keys())
def test_same_search_for_different_things_is_relaxed(steps: list[str]) -> None:
    assert _relaxed(steps) == 1


@pytest.mark.parametrize("steps", CHAINS.values(), ids=CHAINS.keys())
def test_chain_stays_in_order(steps: list[str]) -> None:
    assert _relaxed(steps) == 0


def test_letters_of_all_scripts_make_words() -> None:
    assert read_step("Prüfe für Österreich").words == ("prüfe", "für", "österreich")
    assert read_step("推送 Docker image").verb == "推送"


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Finde die Preise und vergleiche sie", "de"),
        ("Trouve les prix et compare-les", "fr"),
        ("Busca los precios y compara", "es"),
        ("Pesquise os preços e compare", "pt"),
        ("Cerca i prezzi e confrontali", "it"),
        ("Find the prices", "en"),
        ("查询价格", "zh"),
        ("価格を調べる", "ja"),
        ("Найди цены", ""),
        ("1 2 3", ""),
    ],
)
def test_language_is_told_by_script_and_small_words(text: str, language: str) -> None:
    assert find_language([text]) == language


@pytest.mark.parametrize("code", [*LATIN, *UNSPACED])
def test_every_language_has_the_words_that_the_rules_ask_for(code: str) -> None:
    language = load_language(code)
    rows = {*language.words, *language.starts}
    needed = {"lookup", "derive", "change", "points", "results", "order", "sequence"}
    assert needed | {"together", "rounds", "enabling", "numbers"} <= rows
    for row in ("points", "results", "order"):
        both = language.listed(row) & language.listed("lookup")
        assert not both, f"{both} would both free a step and hold it"
