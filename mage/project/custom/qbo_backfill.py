"""Backfills the pipeline it stands in: qb_<plural>_backfill. The same block serves all of them."""

from qbo_backfill_mage import backfill

if 'custom' not in globals():
    from mage_ai.data_preparation.decorators import custom
if 'test' not in globals():
    from mage_ai.data_preparation.decorators import test


@custom
def qbo_backfill(*args, **kwargs):
    # The windows, one a row, as numbers: no record ever comes into Mage.
    return backfill(kwargs)


@test
def no_window_failed(windows, *args):
    failed = [status for status in windows['status'] if status == 'failed']
    assert not failed, f'{len(failed)} windows failed'
