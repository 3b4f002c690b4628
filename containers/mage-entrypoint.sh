#!/bin/bash
# The program that the stand-in for Mage's image starts: as much of the official one's contract as docker-compose.yml uses.
# USER_CODE_PATH names the project; Mage listens on port 6789 of every address.
set -euo pipefail

exec mage start "${USER_CODE_PATH:?names no project}"
