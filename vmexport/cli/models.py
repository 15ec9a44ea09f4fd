"""`vmexport models`: the presets."""

from __future__ import annotations

from vmexport.cli import options, render


def models(as_json: options.Json = False, verbose: options.Verbose = 0) -> None:
    """List the presets that can be named wherever a command takes MODEL."""
    from vmexport.config.flops import count
    from vmexport.model import available_cards, load_card

    cards = [load_card(name) for name in available_cards()]
    if as_json:
        render.as_json([{**render.plain(card), **render.plain(count(card.architecture))} for card in cards])
        return
    render.table(
        "Presets",
        ("name", "frames", "size", "classes", "parameters", "paper MACs", "summary"),
        [
            (
                card.name,
                str(card.architecture.frames),
                str(card.architecture.size),
                str(card.architecture.num_classes),
                f"{cost.parameters / 1e6:.1f} M",
                f"{cost.paper_macs / 1e9:.1f} G",
                card.summary,
            )
            for card in cards
            for cost in [count(card.architecture)]
        ],
        caption="paper MACs: in_proj, out_proj and patch embedding only, which the papers print as GFLOPs",
    )
