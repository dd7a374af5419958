"""The decorator of compiled functions; `test_beam_search` holds that their code is kept on disk."""

import warnings

import numba.core.caching

from data_prep.compiled import compiled


def test_works_without_a_writable_numba_cache(monkeypatch):
    monkeypatch.setattr(numba.core.caching.CacheImpl, "_locator_classes", [])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert compiled(lambda number: number + 1)(2) == 3
