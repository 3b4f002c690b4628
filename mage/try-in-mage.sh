#!/bin/sh
# Runs the three pipelines in a real Mage from PyPI, against the emulated company and a private PostgreSQL: its server, its triggers
# through its API, its secrets, its log; then looks at its runs and into the database. Takes minutes and 1.4 GB, unless MAGE_VENV names
# a virtual environment that has mage-ai. No part of the tests that every change has to pass.
set -eu
cd -- "$(dirname -- "$0")/.."
exec cargo test --locked -p backfill-cli --test e2e -- --ignored --exact mage::the_three_pipelines_run_in_a_real_mage --nocapture
