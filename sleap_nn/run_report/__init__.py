"""The report of a training run: what the run folder holds, as one page in one file.

`files` finds the files of every generation and `reader` reads them; `history`, `facts`, `scores` and `tables` turn them
into numbers, `findings` into advice, `curves`, `charts` and `examples` into pictures; `page` puts it all into the
template ``report.html.jinja``. Whatever a run folder lacks is left out of the page, with a sentence that says so.
"""
